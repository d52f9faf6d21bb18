"""Batch norm or instance norm, when, why, and can they be combined? Answers with evidence.

The public names are loaded at their first use, so that `normexp --help` waits for no library.
"""

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from normexp.api import lens, recalibrate, swap_norms
    from normexp.build import network, run_spec, training
    from normexp.errors import UserError
    from normexp.runs.catalogue import catalogue
    from normexp.runs.folder import RunFolder
    from normexp.runs.result import RunResult
    from normexp.runs.spec import RunSpec, Runtime

__version__ = "0.1.0"
__all__ = [
    "RunFolder",
    "RunResult",
    "RunSpec",
    "Runtime",
    "UserError",
    "__version__",
    "catalogue",
    "lens",
    "network",
    "recalibrate",
    "run_spec",
    "swap_norms",
    "training",
]

_MODULES = {
    "RunFolder": "runs.folder",
    "RunResult": "runs.result",
    "RunSpec": "runs.spec",
    "Runtime": "runs.spec",
    "UserError": "errors",
    "catalogue": "runs.catalogue",
    "lens": "api",
    "network": "build",
    "recalibrate": "api",
    "run_spec": "build",
    "swap_norms": "api",
    "training": "build",
}


def __getattr__(name: str) -> object:
    """Import a public name (PEP 562)."""
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_MODULES[name]}"), name)


def __dir__() -> list[str]:
    return __all__
