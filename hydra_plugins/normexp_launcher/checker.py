"""Tells of each of a sweep's cells whether it can work, in a process that may import torch.

Started and answered to by `normexp.sweep.check`: settings come in, and problems go out, as JSON.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any


def main() -> None:
    """Read a line of settings, and print a line of problems."""
    from normexp.sweep.child import stop_with_parent

    cells = json.loads(sys.stdin.readline())
    stop_with_parent()
    sys.path.insert(0, str(Path.cwd()))  # where a user's own module lies
    print(json.dumps([problem(settings) for settings in cells]))


def problem(settings: dict[str, Any]) -> str | None:
    """Return why a run with these settings cannot work, or None if it can."""
    from normexp import build
    from normexp.errors import one_line
    from normexp.runs.spec import RunSpec, Runtime

    try:
        runtime = Runtime.from_settings(settings.pop("runtime"), settings.pop("study"))
        build.training(RunSpec.from_settings(settings), runtime)
    except Exception as error:
        return one_line(error)
    return None


if __name__ == "__main__":
    main()
