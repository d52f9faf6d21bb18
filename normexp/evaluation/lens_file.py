"""What the lens leaves in a run's folder: `lens.json`, and its rows as `lens.csv`. No torch."""

from __future__ import annotations

import csv
import hashlib
import io
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from normexp.errors import UserError
from normexp.runs.files import DamagedFileError, read_json, set_aside, write_atomic, write_json
from normexp.runs.folder import RunFolder

Row = dict[str, Any]


def read(folder: Path) -> dict[str, Any]:
    """Return the content of `lens.json`, without any row where there is no such file.

    A damaged file is none: it is set aside, which is told on the screen.
    """
    path = folder / "lens.json"
    try:
        return read_json(path)
    except FileNotFoundError:
        pass
    except DamagedFileError as error:
        print(f"{error}; it is set aside as {set_aside(path)}", file=sys.stderr)
    return {"settings": {}, "environment": {}, "rows": [], "seconds": {}}


def write(folder: Path, content: Mapping[str, Any]) -> None:
    """Write both files, each whole or not at all."""
    write_atomic(folder / "lens.csv", csv_text(content["rows"]).encode())
    write_json(folder / "lens.json", content)


def csv_text(rows: Sequence[Row]) -> str:
    """Return a line for each row, below the names of all keys that rows have."""
    text = io.StringIO()
    keys = dict.fromkeys(key for row in rows for key in row)
    writer = csv.DictWriter(text, list(keys), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def digest_of_weights(folder: RunFolder) -> str:
    """Return what changes when the run is trained anew; raises UserError without weights."""
    try:
        return hashlib.sha256(folder.weights.read_bytes()).hexdigest()
    except FileNotFoundError as error:
        raise UserError(f"{folder.weights} is not there; train the run again") from error


def still_good(content: Mapping[str, Any], asked: Mapping[str, Any]) -> dict[str, list[Row]]:
    """Return by axis the rows of `content` that the lens would find again if `asked` now."""
    before = content["settings"]
    rows: dict[str, list[Row]] = {}
    for row in content["rows"]:
        axis = row["axis"]
        if all(before.get(part) == asked[part] for part in ("common", "weights", axis)):
            rows.setdefault(axis, []).append(row)
    return rows
