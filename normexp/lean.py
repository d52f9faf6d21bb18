"""Training without importing torch's compiler.

torch's optimizers import `torch._dynamo` for two functions that do nothing outside of compiled
programs, and that takes longer than importing torch. A stand-in has the two; whatever else is
asked of it, by `torch.compile` say, is the real module's, imported then.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable
from types import ModuleType
from typing import Any

NAME = "torch._dynamo"


class StandIn(ModuleType):
    """In the place of `torch._dynamo` until more is needed than what optimizers call."""

    @staticmethod
    def graph_break(msg: str = "") -> None:
        """Split a program that is being compiled; there is none."""

    def disable(self, fn: Callable[..., Any] | None = None, *args: Any, **how: Any) -> Any:
        """Return `fn` where torch itself asks that it not be compiled."""
        if fn is not None and how == {"wrapping": False}:
            return fn
        return self._real().disable(fn, *args, **how)

    def __getattr__(self, name: str) -> Any:
        # `inspect` looks for __file__ in every module, which is no use of this one.
        if name.startswith("__") and name != "__path__":
            raise AttributeError(name)
        return getattr(self._real(), name)

    def _real(self) -> ModuleType:
        if sys.modules.get(NAME) is self:
            del sys.modules[NAME]
        return importlib.import_module(NAME)


def spare_compiler() -> None:
    """Put the stand-in in its place, unless the real module is there already."""
    sys.modules.setdefault(NAME, StandIn(NAME))
