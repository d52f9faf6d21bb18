"""Write `lens.json` and `lens.csv`, and find the rows that are still valid. No torch."""

import hashlib
from collections.abc import Mapping

from normexp.errors import UserError
from normexp.runs import reference
from normexp.runs.files import write_atomic, write_record
from normexp.runs.folder import RunFolder
from normexp.runs.record import LensRecord
from normexp.runs.text import csv_text

Row = Mapping[str, object]


def write(folder: RunFolder, record: LensRecord) -> None:
    """Write both files, each whole or not at all."""
    write_atomic(folder.lens_table, csv_text(record.rows).encode())
    write_record(folder.lens_file, record)


def remove_of_others(folder: RunFolder) -> None:
    """Remove what the lens found of other weights than those that are there now."""
    record = folder.lens()
    if record is None or record.settings.get("weights") != digest_of_weights(folder):
        for file in (folder.lens_file, folder.lens_table, *folder.lens_events()):
            file.unlink(missing_ok=True)


def digest_of_weights(folder: RunFolder) -> str:
    """Return the SHA-256 of the weights; raises UserError where they are not there or damaged."""
    if lost := folder.lost_weights():
        shipped = bool(reference.find(folder.name))
        # Or the shipped result would be taken once more, which has no weights.
        raise UserError(f"{lost} runtime.reference=false" if shipped else lost)
    return hashlib.sha256(folder.weights.read_bytes()).hexdigest()


def still_good(record: LensRecord | None, asked: Mapping[str, object]) -> dict[str, list[Row]]:
    """Return by axis the rows of `record` that hold for what is `asked` now.

    Accuracies of an older version, which did not write of how many images, are measured again.
    """
    if record is None or any(
        record.settings.get(part) != asked[part] for part in ("common", "weights")
    ):
        return {}
    # One that was measured may have no rows, as layers of a network without running statistics.
    axes = {*record.seconds, *(str(row["axis"]) for row in record.rows)}
    uncounted = {row["axis"] for row in record.rows if "accuracy" in row and "images" not in row}
    return {
        axis: [row for row in record.rows if row["axis"] == axis]
        for axis in axes
        if axis in asked and record.settings.get(axis) == asked[axis] and axis not in uncounted
    }
