"""The rows of the lens as TensorBoard curves in the run's folder."""

from collections.abc import Iterator, Sequence

from torch.utils.tensorboard import SummaryWriter

from normexp.runs.folder import LENS_SUFFIX, RunFolder
from normexp.runs.record import LensRow


def write_curves(folder: RunFolder, rows: Sequence[LensRow]) -> None:
    """Write an event file beside those of the training, and remove an older one."""
    for before in folder.lens_events():
        before.unlink()
    with SummaryWriter(str(folder.path), filename_suffix=LENS_SUFFIX) as writer:
        for row in rows:
            for tag, step, value in points(row):
                writer.add_scalar(f"lens/{tag}", value, step)


def points(row: LensRow) -> Iterator[tuple[str, int, float]]:
    """Yield tag, step and value; a step is a batch size, or contrast, gamma or alpha in percent."""
    if row["axis"] == "contrast":
        tag = f"{row['change']}/{row['statistics']}"
        yield tag, round(100 * row["level"]), row["accuracy"]
    elif row["axis"] == "statistics":
        tag = f"statistics/{row['change']}/{row['statistics']}"
        yield tag, row["batch_size"] or round(100 * (row["alpha"] or 0)), row["accuracy"]
    elif row["axis"] == "noise":
        yield f"noise/{row['layer']}", row["batch_size"], row["spread"]
    elif row["axis"] == "layers":
        yield f"shift/{row['layer']}", 0, row["shift"]
    else:
        for key in ("parameters", "multiply_adds", "step_seconds", "peak_memory"):
            if row[key] is not None:
                yield f"cost/{key}", 0, row[key]
