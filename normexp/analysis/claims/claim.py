"""A claim as its file in `conf/claims/` states it.

The file is decoded into `Claim`: the fields are the keys, and each class checks its own values.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product

from normexp.analysis.rows import MeasuredNetwork, Row
from normexp.errors import UserError
from normexp.settings import typed

Selection = Mapping[str, object]
"""Settings of runs by dotted key; in a comparison also `measure`, and lists of values."""
EXPECTATIONS = ("more", "less", "same")


@dataclass(frozen=True)
class Measure:
    """A number of a run."""

    value: str
    """Dotted path in `RunResult`, or in a row of `lens.json`; `*` is the mean over a list."""
    margin: float
    """The smallest difference that matters."""
    lens: Selection | None = None
    """Which row of `lens.json`, by its keys."""
    diverged: float | None = None
    """What counts for a run that diverged; None leaves such runs out."""
    unit: str = ""
    """`%` for shares."""

    def __post_init__(self) -> None:
        if not self.margin >= 0:
            raise ValueError(f".margin: a number of 0 or more is needed, not {self.margin:g}")

    def __call__(self, row: Row) -> float | None:
        """Return the number, or None where the run has none (yet)."""
        path = self.value.split(".")
        if isinstance(row, MeasuredNetwork):
            return _at(row.values, path)
        if row.state == "diverged":
            return self.diverged
        if self.lens is None:
            return _at(row.result, path)
        fitting = [each for each in row.lens if fits(each, self.lens)]
        if len(fitting) > 1:
            raise UserError(
                f"{len(fitting)} rows of {row.folder.lens_file} fit {as_typed(self.lens)}; "
                f"the measure of '{self.value}' must name one"
            )
        return _at(fitting[0], path) if fitting else None


@dataclass(frozen=True)
class Block:
    """Comparisons of two kinds of runs: one for each combination of the listed values."""

    first: Selection
    second: object
    """A selection, or a number that the first is compared with."""
    expect: object
    """Of EXPECTATIONS, one or a list: how first is to second if the claim is right."""
    across: Selection | None = None
    """What both sides share."""
    minus: Selection | None = None
    """Where given, each value is that of a run less that of the one that differs by this."""
    tuned: str | None = None
    """A setting whose value is, for either side, the one with the best validation accuracy."""

    def __post_init__(self) -> None:
        if not self.expected or not set(self.expected) <= set(EXPECTATIONS):
            allowed = ", ".join(EXPECTATIONS)
            raise ValueError(f".expect: of {allowed} is needed, not {typed(self.expect)}")
        if isinstance(self.second, bool) or not isinstance(self.second, Mapping | int | float):
            raise ValueError(f".second: settings or a number are needed, not {typed(self.second)}")

    @property
    def expected(self) -> Sequence[object]:
        """What the claim expects, as a list."""
        return self.expect if isinstance(self.expect, list) else [self.expect]


@dataclass(frozen=True)
class MeasurementPlan:
    """What is measured of networks without training, and of which."""

    of: Mapping[str, object]
    """The part that measures, see `normexp.evaluation.measured`."""
    batches: int
    seeds: int
    settings: Selection
    """Of `normexp train`, with lists of values."""

    def __post_init__(self) -> None:
        for key in ("batches", "seeds"):
            if getattr(self, key) < 1:
                number = getattr(self, key)
                raise ValueError(f".{key}: a whole number of 1 or more is needed, not {number}")

    def networks(self) -> Iterator[tuple[Selection, int]]:
        """Yield the settings and the seed of each network."""
        one_each = {k: v if isinstance(v, list) else [v] for k, v in self.settings.items()}
        for cell, _ in combinations(one_each):
            yield from ((cell, seed) for seed in range(self.seeds))


@dataclass(frozen=True)
class Claim:
    """A statement, and the comparisons of runs that decide it."""

    name: str
    claim: str
    prior: str
    """What literature suggests."""
    how: str
    """How a verdict is reached, in words."""
    measures: Mapping[str, Measure]
    comparisons: Mapping[str, Block]
    study: str | None = None
    """The study whose runs are compared; its file has the same name in `conf/experiment/`."""
    measurement: MeasurementPlan | None = None

    def __post_init__(self) -> None:
        if not self.comparisons:
            raise ValueError("comparisons: one or more are needed")
        if not self.study and not self.measurement:
            raise ValueError("a study or a measurement is needed")


def combinations(selection: Selection) -> Iterator[tuple[Selection, Selection]]:
    """Yield for each combination of listed values: the listed keys' choice, and the selection."""
    listed = {key: value for key, value in selection.items() if isinstance(value, list)}
    for values in product(*listed.values()):
        choice = dict(zip(listed, values, strict=True))
        yield choice, {**selection, **choice}


def fits(settings: Mapping[str, object], selection: Selection) -> bool:
    """Whether the settings have every key of the selection with its value."""
    return all(key in settings and settings[key] == value for key, value in selection.items())


def as_typed(selection: Selection) -> str:
    """Return a selection as it is typed on a command line."""
    return " ".join(f"{key}={typed(value)}" for key, value in selection.items())


def _at(content: object, path: Sequence[str]) -> float | None:
    """Return the number at `path`, or None where there is none."""
    if not path:
        return float(content) if isinstance(content, int | float) else None
    key, *rest = path
    if isinstance(content, tuple) and key == "*":
        numbers = [number for each in content if (number := _at(each, rest)) is not None]
        return sum(numbers) / len(numbers) if numbers else None
    if isinstance(content, tuple):
        index = int(key) if key.lstrip("-").isdigit() else len(content)
        return _at(content[index], rest) if -len(content) <= index < len(content) else None
    inner = content.get(key) if isinstance(content, Mapping) else getattr(content, key, None)
    return _at(inner, rest)
