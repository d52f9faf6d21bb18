"""`normexp probe`: measure what each norm layer does, as a table, in words, and as a CSV file."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from shutil import get_terminal_size
from textwrap import fill
from typing import TYPE_CHECKING

from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig

from normexp.commands.columns import WIDTH
from normexp.commands.composed import composed
from normexp.errors import UserError, as_user_error
from normexp.parts import make
from normexp.runs.files import write_atomic
from normexp.runs.text import aligned, csv_text
from normexp.settings import COMMANDS, checked

if TYPE_CHECKING:  # `normexp probe --help` does not wait for torch
    from normexp.contracts import NormLayer
    from normexp.evaluation.probe import NormProbe

HEADS = (
    *("layer", "gain", "channel gain", "shift", "contrast", "other images", "gradient", "mode"),
    *("identity R²", "one image", "1×1 map", "parameters"),
)
LEGEND = """
Numbers: the largest change of the output over its root mean square. ✓: below
{:g}, as eps makes it. Two values: in training / in evaluation. What is changed:
gain, channel gain, shift, contrast: the input, by another draw for each image.
other images: those in the batch with an image. gradient, in training: of an
image's output, with respect to them, over that with respect to the image. mode:
evaluation in place of training. identity R²: of the input by the output, with
the best scale and shift for each channel, the same ones for all images. one
image: batches of one. parameters: for each channel.
"""
MODES = ("in training", "in evaluation")


@dataclass(frozen=True)
class Row:
    """A layer of a norm, and its measurements."""

    name: str
    place: str  # where it stands if not everywhere, in words
    inputs: dict[str, int]  # `batch_size` and `seed`
    probe: NormProbe
    filters: tuple[float, float] | None
    """Where the norm changes the convolutions: their deviations when filters get gains, shifts."""
    typed: tuple[str, ...]  # the settings of its cell


def main() -> int:
    # Each norm is a cell of a sweep: to Hydra, all are asked for by naming none, and some by a,b.
    arguments = [argument for argument in sys.argv if argument != "norm=all"]
    sys.argv = [re.sub(r"^norm=\[(.+)\]$", r"norm=\1", argument) for argument in arguments]
    rows: list[Row] = []
    files: list[Path] = []

    @composed("probe")
    def measure(cfg: DictConfig) -> None:
        rows.extend(rows_of(cfg))
        files.append(Path(cfg.runtime.outputs).expanduser() / "probe.csv")

    code = measure()
    rows = told_apart(rows)
    if rows:
        from normexp.evaluation.probe import SAME

        width = get_terminal_size().columns
        print(aligned([HEADS, *(cells(row) for row in rows)], width), LEGEND.format(SAME), sep="\n")
        for row in rows:
            line = f"{row.name}: {'; '.join(words(row))}."
            print(fill(line, WIDTH, subsequent_indent="  ", break_on_hyphens=False))
        write_atomic(files[-1], csv_text([record(row) for row in rows]).encode())
        print(f"\nThe numbers in full: {files[-1]}")
    return code


def told_apart(rows: list[Row]) -> list[Row]:
    """Return the rows with what was typed for them in the names that are the same."""
    named = []
    for row in rows:
        cells = [set(other.typed) for other in rows if other.name == row.name]
        own = " ".join(word for word in row.typed if word not in set.intersection(*cells))
        named.append(replace(row, name=f"{row.name} ({own})") if own else row)
    return named


def rows_of(cfg: DictConfig) -> list[Row]:
    import torch

    from normexp.evaluation.probe import probe, probe_filters
    from normexp.norms.found import is_own

    torch.set_num_threads(1)  # the tensors are small
    typed = {key: cfg[key] for key in ("seed", "batch_size", "runtime")}
    settings = checked({**typed, "norm": cfg.norm.name}, COMMANDS["probe"])
    inputs = {key: settings[key] for key in ("batch_size", "seed")}
    typed_here = tuple(HydraConfig.get().overrides.task)
    with as_user_error(f"norm={cfg.norm.name}: ", (ValueError, RuntimeError, TypeError)):
        if is_own(make(cfg.norm.layer, "norm.layer")):
            raise UserError(
                f"norm={cfg.norm.name}: these are the norms that a network brings, none of a "
                "class; norm=custom norm.layer._target_=torch.nn.BatchNorm2d measures a layer of "
                "others"
            )
        change = make(cfg.norm.conv, "norm.conv") if "conv" in cfg.norm else None
        filters = probe_filters(change, settings["seed"]) if change else None
        return [
            Row(name, place, inputs, probe(norm_layer, **inputs), filters, typed_here)
            for name, place, norm_layer in layers(cfg.norm)
        ]


def layers(norm: DictConfig) -> Iterator[tuple[str, str, NormLayer]]:
    """Yield the name, the place in words and the maker of each layer of a norm."""
    rules = norm.get("at") or {}
    for name, rule in rules.items():
        at = " ".join(f"{key}={value}" for key, value in rule.items() if key != "layer")
        place = "a placing, this layer at " + at.replace("'", "")
        yield f"{norm.name} ({name})", place, make(rule.layer, f"norm.at.{name}.layer")
    place = "a placing, this layer everywhere else" if rules else ""
    yield norm.name + " (else)" * bool(rules), place, make(norm.layer, "norm.layer")


def cells(row: Row) -> tuple[str, ...]:
    probe = row.probe
    deviations: list[Sequence[float]] = [*probe.changes.values(), probe.other_images]
    deviations += [[probe.other_images_gradient], [probe.mode]]
    return (
        row.name,
        *(_deviation(modes) for modes in deviations),
        _modes("✓ 1" if _is_identity(r2) else f"{r2:.3f}" for r2 in probe.identity),
        *(_modes(a.split(" (")[0] for a in pair) for pair in (probe.one_image, probe.one_pixel)),
        f"{sum(probe.parameters.values()):.3g}",
    )


def words(row: Row) -> Iterator[str]:
    """Yield what follows from the numbers of a row."""
    probe = row.probe
    yield from filter(None, (row.place, probe.equals and f"equals {probe.equals}"))
    undone = ", ".join(name for name, pair in probe.changes.items() if _is_same(*pair))
    yield f"invariant to {undone.replace('_', ' ') or 'no change of gain, shift or contrast'}"
    yield _on_other_images(probe)
    yield f"{'the same' if _is_same(probe.mode) else 'not the same'} in training and evaluation"
    able = [mode for mode, r2 in zip(MODES, probe.identity, strict=True) if _is_identity(r2)]
    where = " and ".join(able) or "in either mode"
    yield f"{'can' if able else 'cannot'} be the identity for every image {where}"
    if probe.one_image[0] == "instance norm" and probe.equals != "instance norm":
        yield "in training it is instance norm where a batch has one image"
    for what, pair in (("one image a batch", probe.one_image), ("1×1 maps", probe.one_pixel)):
        for answer in sorted(set(pair) - {"works", "instance norm"}):
            where = f" {MODES[pair.index(answer)]}" if pair[0] != pair[1] else ""
            yield f"{what}{where}: {answer}"
    if row.filters:
        kinds = ("the length of a filter", "a constant added to a filter")
        same = [kind for kind, moved in zip(kinds, row.filters, strict=True) if _is_same(moved)]
        yield f"its convolutions are changed{', and do not see ' * bool(same)}{' or '.join(same)}"
    extra = [name for name in probe.parameters if name.split(".")[-1] not in ("weight", "bias")]
    if extra and sum(probe.parameters.values()) > 2:
        yield f"all this as it starts, for it learns {', '.join(extra)} too"
    elif probe.equals_as_it_starts:
        yield "all this as it starts, for with another weight and bias it is another norm"


def record(row: Row) -> dict[str, object]:
    probe = row.probe
    columns: dict[str, object] = {"layer": row.name, **row.inputs, "equals": probe.equals}
    names = ("other_images", "identity", "one_image", "one_pixel")
    pairs = {**probe.changes, **{name: getattr(probe, name) for name in names}}
    for name, pair in pairs.items():
        columns |= {f"{name}_training": pair[0], f"{name}_evaluation": pair[1]}
    columns |= {name: getattr(probe, name) for name in ("other_images_gradient", "mode")}
    columns["parameters"] = sum(probe.parameters.values())
    columns["filter_gain"], columns["filter_shift"] = row.filters or ("", "")
    return columns | {"words": "; ".join(words(row))}


def _on_other_images(probe: NormProbe) -> str:
    pairs = zip(MODES, probe.other_images, strict=True)
    if mixing := [mode for mode, deviation in pairs if not _is_same(deviation)]:
        return f"an image's output depends on the other images in the batch {' and '.join(mixing)}"
    but = "" if _is_same(probe.other_images_gradient) else ", but its gradient in training does"
    return f"an image's output does not depend on the other images in the batch{but}"


def _is_same(*deviations: float) -> bool:
    from normexp.evaluation.probe import SAME

    return all(each < SAME for each in deviations)


def _is_identity(r2: float) -> bool:
    return _is_same(abs(1 - r2) ** 0.5)


def _deviation(modes: Sequence[float]) -> str:
    shown = [max(modes)] if _is_same(*modes) else modes
    return _modes(f"{'✓ ' * _is_same(x)}{0 if x < 1e-12 else x:.2g}" for x in shown)


def _modes(texts: Iterable[str]) -> str:
    return " / ".join(dict.fromkeys(texts)).replace("e-0", "e-")
