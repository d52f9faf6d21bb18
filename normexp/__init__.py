"""Batch norm or instance norm, when, why, and can they be combined? Answers with evidence.

The public names are loaded at their first use, so that `normexp --help` waits for no library.
"""

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from normexp.api import Trained, load, results, train
    from normexp.build import network, run_spec, training
    from normexp.data.arrays import from_arrays
    from normexp.errors import UserError
    from normexp.norms.gated import GatedNorm
    from normexp.norms.ghost import GhostBatchNorm
    from normexp.norms.group import GroupNorm
    from normexp.norms.ibn import IBN
    from normexp.norms.instance import InstanceNorm
    from normexp.norms.renorm import BatchRenorm
    from normexp.norms.switchable import SwitchableNorm
    from normexp.on_networks import lens, recalibrate, swap_norms
    from normexp.runs.catalogue import catalogue
    from normexp.runs.folder import RunFolder
    from normexp.runs.result import RunResult
    from normexp.runs.runtime import Runtime
    from normexp.runs.spec import RunSpec

__version__ = "0.1.0"
__all__ = [
    "IBN",
    "BatchRenorm",
    "GatedNorm",
    "GhostBatchNorm",
    "GroupNorm",
    "InstanceNorm",
    "RunFolder",
    "RunResult",
    "RunSpec",
    "Runtime",
    "SwitchableNorm",
    "Trained",
    "UserError",
    "__version__",
    "catalogue",
    "from_arrays",
    "lens",
    "load",
    "network",
    "recalibrate",
    "results",
    "run_spec",
    "swap_norms",
    "train",
    "training",
]

_MODULES = {
    "BatchRenorm": "norms.renorm",
    "GatedNorm": "norms.gated",
    "GhostBatchNorm": "norms.ghost",
    "GroupNorm": "norms.group",
    "IBN": "norms.ibn",
    "InstanceNorm": "norms.instance",
    "RunFolder": "runs.folder",
    "RunResult": "runs.result",
    "RunSpec": "runs.spec",
    "Runtime": "runs.runtime",
    "SwitchableNorm": "norms.switchable",
    "Trained": "api",
    "UserError": "errors",
    "catalogue": "runs.catalogue",
    "from_arrays": "data.arrays",
    "lens": "on_networks",
    "load": "api",
    "network": "build",
    "recalibrate": "on_networks",
    "results": "api",
    "run_spec": "build",
    "swap_norms": "on_networks",
    "train": "api",
    "training": "build",
}


def __getattr__(name: str) -> object:
    """Import a public name (PEP 562)."""
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_MODULES[name]}"), name)


def __dir__() -> list[str]:
    return __all__
