"""`normexp prove`: what each norm layer is, as a table, in words, and as a CSV file."""

from __future__ import annotations

import csv
import io
import re
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from textwrap import fill
from typing import TYPE_CHECKING

from omegaconf import DictConfig

from normexp import build
from normexp.commands.composed import composed
from normexp.errors import UserError
from normexp.runs.files import write_atomic

if TYPE_CHECKING:  # `normexp prove --help` does not wait for torch
    from normexp.contracts import NormLayer
    from normexp.evaluation.prove import Proof

HEADS = (
    *("layer", "gain", "channel gain", "shift", "contrast", "mates", "gradient", "mode"),
    *("identity R²", "one image", "1×1 map", "parameters"),
)
LEGEND = """
Numbers: the largest change of the output over its root mean square. ✓: below {:g}, as eps makes it.
Two values: in training / in evaluation. What is changed:
gain, channel gain, shift, contrast: of the input, by another draw for each image.
mates: the other images of the batch. gradient, in training: of an image's output, with respect to
its mates, over that with respect to the image. mode: evaluation in place of training.
identity R²: of the input by the output, with the best scale and shift for each channel, the same
ones for all images. one image: batches of one. parameters: for each channel.
"""
MODES = ("in training", "in evaluation")


@dataclass(frozen=True)
class Row:
    """A layer and what was measured of it."""

    name: str
    place: str  # where it stands if not everywhere, in words
    inputs: dict[str, int]  # `batch_size` and `seed`
    proof: Proof
    filters: tuple[float, float] | None
    """Where the norm changes the convolutions: their deviations when filters get gains, shifts."""


def main() -> int:
    """Measure the norms that the arguments name, and show what was found. Returns the exit code."""
    # Each norm is a cell of a sweep: to Hydra, all are asked for by naming none, and some by a,b.
    arguments = [argument for argument in sys.argv if argument != "norm=all"]
    sys.argv = [re.sub(r"^norm=\[(.+)\]$", r"norm=\1", argument) for argument in arguments]
    rows: list[Row] = []
    files: list[Path] = []

    @composed("prove")
    def measure(cfg: DictConfig) -> None:
        rows.extend(rows_of(cfg))
        files.append(Path(cfg.runtime.outputs).expanduser() / "prove.csv")

    code = measure()
    if rows:
        from normexp.evaluation.prove import SAME

        print(table(rows), LEGEND.format(SAME), sep="\n")
        for row in rows:
            said = f"{row.name}: {'; '.join(words(row))}."
            print(fill(said, 100, subsequent_indent="  ", break_on_hyphens=False))
        write_atomic(files[-1], csv_text(rows).encode())
        print(f"\nThe numbers in full: {files[-1]}")
    return code


def rows_of(cfg: DictConfig) -> list[Row]:
    """Measure each layer of a norm."""
    import torch

    from normexp.evaluation.prove import prove, prove_filters

    torch.set_num_threads(1)  # the tensors are small
    inputs = {"batch_size": cfg.batch_size, "seed": cfg.seed}
    for (key, value), least in zip(inputs.items(), (2, 0), strict=True):
        if type(value) is not int or value < least:
            raise UserError(f"{key}={value}: a whole number of {least} or more is needed")
    try:
        change = build.make(cfg.norm.conv, "norm.conv") if "conv" in cfg.norm else None
        filters = prove_filters(change, cfg.seed) if change else None
        return [
            Row(name, place, inputs, prove(norm_layer, **inputs), filters)
            for name, place, norm_layer in layers(cfg.norm)
        ]
    except (ValueError, TypeError, AttributeError, RuntimeError) as error:
        raise UserError(f"norm={cfg.norm.name}: {' '.join(str(error).split())}") from error


def layers(norm: DictConfig) -> Iterator[tuple[str, str, NormLayer]]:
    """Yield the name, the place in words and the maker of each layer of a norm."""
    rules = norm.get("at") or {}
    for name, rule in rules.items():
        at = " ".join(f"{key}={value}" for key, value in rule.items() if key != "layer")
        place = "a placing, this layer at " + at.replace("'", "")
        yield f"{norm.name} ({name})", place, build.make(rule.layer, f"norm.at.{name}.layer")
    place = "a placing, this layer everywhere else" if rules else ""
    yield norm.name + " (else)" * bool(rules), place, build.make(norm.layer, "norm.layer")


def table(rows: Sequence[Row]) -> str:
    """Return a line for each row, below HEADS."""
    lines = [HEADS, *(cells(row) for row in rows)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "\n".join("  ".join(map(str.ljust, line, widths)).rstrip() for line in lines)


def cells(row: Row) -> tuple[str, ...]:
    """Return what stands in a line of the table."""
    proof = row.proof
    deviations = [*proof.changes.values(), proof.mates, [proof.mates_gradient], [proof.mode]]
    return (
        row.name,
        *(_deviation(pair) for pair in deviations),
        _modes("✓ 1" if _is_identity(r2) else f"{r2:.3f}" for r2 in proof.identity),
        *(_modes(a.split(" (")[0] for a in pair) for pair in (proof.one_image, proof.one_pixel)),
        f"{sum(proof.parameters.values()):.3g}",
    )


def words(row: Row) -> Iterator[str]:
    """Yield what follows from the numbers of a row."""
    proof = row.proof
    yield from filter(None, (row.place, proof.equals and f"equals {proof.equals}"))
    undone = ", ".join(name for name, pair in proof.changes.items() if _is_same(*pair))
    yield f"invariant to {undone.replace('_', ' ') or 'no change of gain, shift or contrast'}"
    if mixing := [mode for mode, d in zip(MODES, proof.mates, strict=True) if not _is_same(d)]:
        yield f"an image's output depends on its batch mates {' and '.join(mixing)}"
    else:
        but = "" if _is_same(proof.mates_gradient) else ", but its gradient in training does"
        yield f"an image's output does not depend on its batch mates{but}"
    yield f"{'the same' if _is_same(proof.mode) else 'not the same'} in training and evaluation"
    able = [mode for mode, r2 in zip(MODES, proof.identity, strict=True) if _is_identity(r2)]
    where = " and ".join(able) or "in either mode"
    yield f"{'can' if able else 'cannot'} be the identity for every image {where}"
    if proof.one_image[0] == "instance norm" and proof.equals != "instance norm":
        yield "in training it is instance norm where a batch has one image"
    for what, pair in (("one image a batch", proof.one_image), ("1×1 maps", proof.one_pixel)):
        for answer in sorted(set(pair) - {"works", "instance norm"}):
            where = f" {MODES[pair.index(answer)]}" if pair[0] != pair[1] else ""
            yield f"{what}{where}: {answer}"
    if row.filters:
        kinds = ("the length of a filter", "a constant added to a filter")
        same = [kind for kind, moved in zip(kinds, row.filters, strict=True) if _is_same(moved)]
        yield f"its convolutions are changed{', and do not see ' * bool(same)}{' or '.join(same)}"
    extra = [name for name in proof.parameters if name.split(".")[-1] not in ("weight", "bias")]
    if extra and sum(proof.parameters.values()) > 2:
        yield f"all this as it starts, for it learns {', '.join(extra)} too"


def csv_text(rows: Sequence[Row]) -> str:
    """Return the names of all numbers, and below them a line for each row."""
    text = io.StringIO()
    writer = csv.DictWriter(text, list(_record(rows[0])), lineterminator="\n")
    writer.writeheader()
    writer.writerows(_record(row) for row in rows)
    return text.getvalue()


def _record(row: Row) -> dict[str, object]:
    proof = row.proof
    record: dict[str, object] = {"layer": row.name, **row.inputs, "equals": proof.equals}
    pairs: dict[str, tuple[object, object]] = {**proof.changes, "mates": proof.mates}
    pairs |= {name: getattr(proof, name) for name in ("identity", "one_image", "one_pixel")}
    for name, pair in pairs.items():
        record |= {f"{name}_training": pair[0], f"{name}_evaluation": pair[1]}
    record |= {name: getattr(proof, name) for name in ("mates_gradient", "mode")}
    record["parameters"] = sum(proof.parameters.values())
    record["filter_gain"], record["filter_shift"] = row.filters or ("", "")
    return record | {"words": "; ".join(words(row))}


def _is_same(*deviations: float) -> bool:
    from normexp.evaluation.prove import SAME

    return all(each < SAME for each in deviations)


def _is_identity(r2: float) -> bool:
    return _is_same(abs(1 - r2) ** 0.5)


def _deviation(modes: Sequence[float]) -> str:
    shown = [max(modes)] if _is_same(*modes) else modes
    return _modes(f"{'✓ ' * _is_same(x)}{0 if x < 1e-12 else x:.2g}" for x in shown)


def _modes(texts: Iterable[str]) -> str:
    return " / ".join(dict.fromkeys(texts)).replace("e-0", "e-")
