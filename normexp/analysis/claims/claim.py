"""A claim: what is said, and the comparisons of runs that decide it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from normexp.analysis.rows import Row
from normexp.errors import UserError

Selection = Mapping[str, Any]
"""Settings of runs, and `measure`: the name of what is measured in them."""
OUTCOMES = ("more", "less", "same")


@dataclass(frozen=True)
class Measure:
    """A number of a run."""

    name: str
    value: str
    """Dotted path in `result.json`, or in a row of `lens.json`; `*` is the mean over a list."""
    margin: float
    """The smallest difference that matters."""
    lens: Selection | None = None
    """Which row of `lens.json`, by its keys."""
    diverged: float | None = None
    """What counts for a run that diverged; None leaves such runs out."""
    unit: str = ""
    """`%` for shares."""

    def __call__(self, row: Row) -> float | None:
        """Return the number, or None where the run has none (yet)."""
        if row.state == "diverged":
            return self.diverged
        if self.lens is None:
            return _at(row.values or row.result, self.value.split("."))
        fitting = [each for each in row.lens or () if _fits(each, self.lens)]
        if len(fitting) > 1:
            raise UserError(
                f"{len(fitting)} rows of {row.path / 'lens.json'} fit {told(self.lens)}; "
                f"the measure '{self.name}' must name one"
            )
        return _at(fitting[0], self.value.split(".")) if fitting else None


@dataclass(frozen=True)
class Comparison:
    """Runs of two kinds, paired by seed, and what the claim says of their difference."""

    factors: Mapping[str, Any]
    """What tells it from the other comparisons of the claim."""
    first: Selection
    second: Selection | float
    minus: Selection
    """Where given, each value is that of a run less that of the one that differs by this."""
    tuned: str | None
    """A setting whose value is, for either side, the one with the best validation accuracy."""
    measures: Mapping[str, Measure]
    expect: tuple[str, ...]
    """Of OUTCOMES: how first is to second if the claim is right."""

    @property
    def name(self) -> str:
        """What tells it from the others, in words."""
        others = {key: value for key, value in self.factors.items() if key != "comparison"}
        return " ".join(filter(None, [self.factors.get("comparison", ""), told(others)]))

    @property
    def margin(self) -> float:
        """The smallest difference that matters."""
        return self.measures[self.first["measure"]].margin

    def __str__(self) -> str:
        return f"{told(self.first)} against {told(self.second)}"


@dataclass(frozen=True)
class Claim:
    """What is said, and the comparisons that decide it."""

    name: str
    claim: str
    prior: str
    how: str
    """How a verdict is reached, in words."""
    study: str | None
    """The study whose runs are compared; its file has the same name in conf/experiment/."""
    measurement: Mapping[str, Any] | None
    """What is measured without training, see `normexp.commands.claims`."""
    comparisons: tuple[Comparison, ...]


def selected(rows: Sequence[Row], selection: Selection) -> list[Row]:
    """Return the rows with these settings."""
    settings = {key: value for key, value in selection.items() if key != "measure"}
    return [row for row in rows if _fits(row.settings, settings)]


def told(selection: Selection | float) -> str:
    """Return a selection as it is typed on a command line."""
    if not isinstance(selection, Mapping):
        return f"{selection:g}"
    return " ".join(f"{key}={value}" for key, value in selection.items())


def _fits(settings: Mapping[str, Any], selection: Selection) -> bool:
    return all(key in settings and settings[key] == value for key, value in selection.items())


def _at(content: Any, path: Sequence[str]) -> float | None:
    """Return the number at `path`, or None where there is none."""
    for i, key in enumerate(path):
        if isinstance(content, tuple) and key == "*":
            values = [_at(each, path[i + 1 :]) for each in content]
            numbers = [value for value in values if value is not None]
            return sum(numbers) / len(numbers) if numbers else None
        try:
            if isinstance(content, tuple):
                content = content[int(key)]
            else:
                content = content[key] if isinstance(content, Mapping) else getattr(content, key)
        except (KeyError, IndexError, TypeError, ValueError, AttributeError):
            return None
    return float(content) if isinstance(content, int | float) else None
