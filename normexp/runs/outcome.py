"""How a run ended: in words, and where it failed, on disk."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from normexp.runs.files import DamagedFileError, read_json, write_json
from normexp.runs.folder import RunFolder


def final_words(result: Mapping[str, Any]) -> str:
    """Return what a run found, in a line."""
    if result["outcome"] == "diverged":
        return f"diverged after {result['steps']} steps: the loss is not finite"
    test = result["test"]
    contrast = " ".join(f"{100 * accuracy:.1f}" for accuracy in test["contrast"].values())
    return (
        f"test accuracy {100 * test['accuracy']:.1f} %, at contrast severity 1 to 5: {contrast} %"
    )


def record_failure(folder: RunFolder, reason: str) -> None:
    """Note in the run's folder why it failed, until it is taken up again."""
    write_json(_file(folder), {"reason": reason})


def failure(folder: RunFolder) -> str | None:
    """Return why the run failed, or None where it did not."""
    try:
        return str(read_json(_file(folder))["reason"])
    except FileNotFoundError:
        return None
    except DamagedFileError:
        return "for a reason that cannot be read any more; its log may tell"


def forget_failure(folder: RunFolder) -> None:
    """Take back `record_failure`, because the run is taken up again."""
    _file(folder).unlink(missing_ok=True)


def _file(folder: RunFolder) -> Path:
    return folder.path / "failure.json"
