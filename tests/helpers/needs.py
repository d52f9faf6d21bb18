"""What a machine must have for a test of the kernels, and what a network for a norm."""

from __future__ import annotations

import pytest

from normexp.kernels import compiled

NEED_RESIDUAL_BRANCHES = ("fixup", "skipinit")
NEED_MORE = ("custom", "own")
"""A template, and the norms of a network of others."""
NETWORKS_OF_OTHERS = ("custom", "timm")
"""Templates for networks."""

needs_compiler = pytest.mark.skipif(compiled.library() is None, reason="no C++ compiler here")
needs_winograd = pytest.mark.skipif(
    not hasattr(compiled.library(), "winograd_forward"),
    reason="no AVX-512 bf16 or no C++ compiler here",
)
