"""A claim as its file in `conf/claims/` states it.

The file is decoded into `Claim`: the fields are the keys, and each class checks its own values.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise, product
from math import ceil, log10
from typing import Literal

from normexp.analysis.rows import MeasuredNetwork, Row, Run
from normexp.errors import UserError
from normexp.kinds import typed

Kind = Literal["algebra", "measured", "trained"]
"""One outcome by construction, a self-test; of networks at the start; of trained ones."""
Selection = Mapping[str, object]
"""Settings of runs by dotted key; in a comparison also `measure`, and lists of values."""
TINY = 1e-12
EXPECTATIONS = ("more", "less", "same")


@dataclass(frozen=True)
class Measure:
    """A number of a run."""

    value: str
    """Dotted path in `RunResult`, or in a row of `lens.json`; `*` is the mean over a list, `50%`
    the first entry at or after half of it. With `among`, the key of a setting."""
    margin: float  # the smallest difference that matters
    lens: Selection | None = None  # which row of `lens.json`, by its keys
    accuracy: bool = False  # whether a run that diverged counts as chance
    less: str = ""  # path of what is taken off
    log10: bool = False  # whether the logarithm is taken
    at_train_loss: float | None = None  # read from `history`, where the training loss falls to this
    among: Literal["", "learned", "best"] = ""
    """Of the runs of a seed that differ in `value`: the largest setting that learned, or the one
    that validates best; its logarithm to base 2."""
    unit: str = ""  # `%` for shares

    def __post_init__(self) -> None:
        if not self.margin >= 0:
            raise ValueError(f".margin: a number of 0 or more is needed, not {self.margin:g}")

    def __call__(self, row: Row) -> float | None:
        """Return the number, or None where the run has none (yet)."""
        path = self.value.split(".")
        if isinstance(row, MeasuredNetwork):
            return _at(row.values, path)
        if row.state == "diverged":
            return None
        if self.lens is None:
            return self._of_result(row, path)
        fitting = [each for each in row.lens if fits(each, self.lens)]
        if len(fitting) > 1:
            raise UserError(
                f"{len(fitting)} rows of {row.folder.lens_file} fit {as_typed(self.lens)}; "
                f"the measure of '{self.value}' must name one"
            )
        return _at(fitting[0], path) if fitting else None

    def _of_result(self, run: Run, path: Sequence[str]) -> float | None:
        if self.at_train_loss is not None:
            return _when(run, self.value, self.at_train_loss)
        value = _at(run.result, path)
        less = _at(run.result, self.less.split(".")) if self.less else 0.0
        if value is None or less is None:
            return None
        return log10(max(value, TINY)) if self.log10 else value - less


@dataclass(frozen=True)
class Block:
    """Comparisons of two kinds of runs: one for each combination of the listed values."""

    first: Selection
    second: object  # a selection, or a number that the first is compared with
    expect: object  # of EXPECTATIONS, one or a list: how first is to second if the claim is right
    across: Selection | None = None  # what both sides share
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
        return self.expect if isinstance(self.expect, list) else [self.expect]


@dataclass(frozen=True)
class MeasurementPlan:
    """What is measured of networks without training, and of which."""

    of: Mapping[str, object]  # the part that measures, see `normexp.evaluation.measured`
    batches: int
    seeds: int
    settings: Selection  # of `normexp train`, with lists of values

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
    prior: str  # what literature suggests
    how: str  # how a verdict is reached, in words
    measures: Mapping[str, Measure]
    comparisons: Mapping[str, Block]
    kind: Kind = "trained"
    date: str = ""  # when the file was final, before its confirmation seeds were looked at
    exploration_seeds: tuple[int, ...] = ()  # by which rates and measures were chosen; never judged
    confirmation_seeds: tuple[int, ...] = ()
    """That are judged; seeds that are added until it is decided come after them."""
    tuned: bool = False  # whether its runs have each norm's own learning rate, by `normexp tune`
    digest: str = ""  # of the file
    study: str | None = None  # whose runs are compared; its file is in `conf/experiment/`
    measurement: MeasurementPlan | None = None

    def __post_init__(self) -> None:
        if not self.comparisons:
            raise ValueError("comparisons: one or more are needed")
        if not self.study and not self.measurement:
            raise ValueError("a study or a measurement is needed")
        if (self.kind == "trained") != bool(self.study):
            raise ValueError(f"kind={self.kind}: a study is of trained networks, and they of one")
        if self.kind == "trained" and not (self.date and self.confirmation_seeds):
            raise ValueError("date and confirmation_seeds are needed of what is trained")
        if both := set(self.exploration_seeds) & set(self.confirmation_seeds):
            raise ValueError(f"confirmation_seeds: {min(both)} is an exploration seed too")


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
        index = _index(key, len(content))
        return _at(content[index], rest) if -len(content) <= index < len(content) else None
    inner = content.get(key) if isinstance(content, Mapping) else getattr(content, key, None)
    return _at(inner, rest)


def _index(key: str, length: int) -> int:
    """Return the place that `2`, `-1` or `50%` names; `length`, which is none, for other words."""
    if key.endswith("%") and key[:-1].isdigit():
        return max(ceil(int(key[:-1]) * length / 100) - 1, 0)
    return int(key) if key.lstrip("-").isdigit() else length


def _when(run: Run, name: str, loss: float) -> float | None:
    """Return a number of `history`, interpolated, where the training loss first falls to `loss`."""
    history = run.result.history if run.result else ()
    for before, after in pairwise(history):
        if before.train_loss > loss >= after.train_loss:
            share = (before.train_loss - loss) / (before.train_loss - after.train_loss)
            first, second = (_at(each, [name]) for each in (before, after))
            if first is not None and second is not None:
                return first + share * (second - first)
    return None
