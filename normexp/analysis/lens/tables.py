"""What the lens found as tables."""

from collections.abc import Iterable, Mapping, Sequence
from textwrap import fill

from normexp.runs.record import LensRow
from normexp.runs.text import aligned

STATISTICS = {"running": "running", "batch": "test batch"}
"""Whose statistics they are, as the heads of columns."""
WIDTH = 80


def tables(rows: Sequence[LensRow]) -> str:
    parts = [
        *(
            "contrast: % right and % of predictions changed, by whose statistics",
            _contrast(_axis(rows, "contrast")),
        ),
        *("", "statistics: accuracy on the images and at severity 5", _statistics(rows)),
    ]
    if noise := _axis(rows, "noise"):
        parts += ["", "noise: spread over the other images, over size of values"]
        parts += [_noise(noise)]
    for row in rows:
        if row["axis"] == "cost":
            parts += ["", _cost(row)]
    return "\n".join(parts)


def comparison(runs: Mapping[str, Sequence[LensRow]]) -> str:
    """Return a table with a line a run: accuracy under both statistics, clean and changed."""
    points = [("none", 1.0), *(("corruption", c) for c in (0.5, 0.15))]
    head = ["% right"]
    for whose in STATISTICS.values():
        head += [f"{whose}, severity 0", "2", "5"]
    lines = [head]
    for name, rows in runs.items():
        of_contrast = _axis(rows, "contrast")
        found = {(r.get("change"), r.get("level"), r.get("statistics")): r for r in of_contrast}
        keys = [(*point, statistics) for statistics in STATISTICS for point in points]
        lines.append([name, *(_percent(found[k]["accuracy"]) if k in found else "–" for k in keys)])
    return aligned(lines)


def short_names(names: Iterable[str]) -> list[str]:
    """Return the names without their hashes and without the parts that all have."""
    parts = [name.split("-")[:-1] for name in names]
    common = set(parts[0]).intersection(*parts[1:])
    short = [" ".join(part for part in each if part not in common) for each in parts]
    return short if len(set(short)) == len(short) and all(short) else list(names)


def _axis(rows: Sequence[LensRow], axis: str) -> list[LensRow]:
    return [row for row in rows if row["axis"] == axis]


def _contrast(rows: Sequence[LensRow]) -> str:
    lines: dict[tuple[str, float], list[str]] = {}
    for row in rows:
        line = lines.setdefault((row["change"], row["level"]), [row["change"], f"{row['level']:g}"])
        line += [_percent(row["accuracy"]), _percent(row["changed"])]
    head = [each for whose in STATISTICS.values() for each in (whose, "changed")]
    return aligned([["change", "level", *head], *lines.values()])


def _statistics(rows: Sequence[LensRow]) -> str:
    lines: dict[str, list[str]] = {}
    for row in _axis(rows, "statistics"):
        size, alpha = row["batch_size"], row["alpha"]
        name = row["statistics"] + (f" of {size}" if size else f" {alpha:g}" if alpha else "")
        lines.setdefault(name, [name]).append(_percent(row["accuracy"]))
    return aligned([["statistics", "unchanged", "severity 5"], *lines.values()])


def _noise(rows: Sequence[LensRow]) -> str:
    sizes = list(dict.fromkeys(row["batch_size"] for row in rows))
    lines: dict[str, list[str]] = {}
    for row in rows:
        share = row["spread"] / row["size"] if row["size"] else 0.0
        lines.setdefault(row["layer"], [row["layer"]]).append(f"{share:.3g}")
    return aligned([["batch of", *map(str, sizes)], *lines.values()], WIDTH)


def _cost(row: LensRow) -> str:
    memory = row["peak_memory"]
    words = (
        f"cost: {row['parameters']:,} parameters, {row['multiply_adds'] / 1e6:.1f} M multiply-adds "
        f"an image; a training step of {row['batch_size']} images takes "
        f"{1000 * row['step_seconds']:.1f} ms and "
        + (f"{memory / 1e6:.0f} MB" if memory is not None else "memory that cannot be measured")
    )
    return fill(words, WIDTH)


def _percent(share: float) -> str:
    return f"{100 * share:.1f}"
