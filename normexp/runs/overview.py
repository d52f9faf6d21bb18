"""A table of runs: a row for each cell, the runs that differ in the seed only."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import sqrt
from statistics import fmean
from textwrap import fill

from normexp.errors import UserError, suggestion
from normexp.kinds import typed
from normexp.runs.catalogue import Entry
from normexp.runs.spec import CONTENTS, Settings
from normexp.runs.text import aligned

FIRST = ("model", "norm", "batch_size", "contrast")
FOUND = ("seeds", "test %", "at contrast 5", "age", "state")
"""What a row has of its runs, by the name of its column."""
SPARE = ("age", "at contrast 5")
"""Those that are left out first where there is no room."""
Value = str | float | int | None


@dataclass(frozen=True)
class Overview:
    """Rows of equal columns, sorted; a number is one, so that it can be written as one."""

    keys: tuple[str, ...]
    """Of the columns that are settings."""
    constants: dict[str, str]
    """Settings among the first columns that all runs share."""
    cells: tuple[tuple[Entry, ...], ...]

    @classmethod
    def of(cls, entries: Sequence[Entry], keys: Sequence[str] = (), sort: str = "") -> Overview:
        """Group runs into cells; raises UserError where a column or `sort` is none.

        Columns are the settings that tell cells apart, or `keys`; rows are in the order of `sort`,
        else of the columns, numbers as numbers. `-` before it sorts the other way.
        """
        factors = [entry.factors for entry in entries]
        known = list(dict.fromkeys([*FIRST, *(key for each in factors for key in each)]))
        for key in [*keys, *filter(None, [sort.removeprefix("-")])]:
            if key not in (*known, *FOUND, "accuracy"):
                raise UserError(f"{key}: there is no such column; {suggestion(key, known)}")
        telling = [key for key in known if key != "seed" and _is_telling(factors, key)]
        shown = tuple(key for key in keys if key not in FOUND) or tuple(telling)
        groups: dict[tuple[object, ...], list[Entry]] = {}
        placing = tuple(dict.fromkeys((*telling, *shown)))
        for entry, each in zip(entries, factors, strict=True):
            place = tuple(each.get(key) for key in placing)
            groups.setdefault(place, []).append(entry)
        cells = sorted(groups.values(), key=lambda cell: _order(_values(cell, shown)))
        if name := sort.removeprefix("-"):
            cells.sort(key=lambda cell: _order([_value(cell, name)]), reverse=sort.startswith("-"))
            cells.sort(key=lambda cell: _value(cell, name) is None)
        constant = [key for key in FIRST if key not in shown] if not keys else []
        constants = {key: typed(entries[0].factors.get(key)) for key in constant}
        return cls(shown, constants, tuple(map(tuple, cells)))

    def table(self, width: int) -> str:
        """Return it as text, at most so wide where columns can be left out.

        Of what was found `SPARE` goes first, then settings from the right.
        """
        keys, shown, left_out = [*self.keys], [*FOUND], []
        found = [_found(cell) for cell in self.cells]
        spare = [*SPARE, *reversed(keys[1:])]
        while True:
            rows = [[*(_short(key, keys) for key in keys), *shown]]
            for cell, of_it in zip(self.cells, found, strict=True):
                rows.append([*map(typed, _values(cell, keys)), *(of_it[name] for name in shown)])
            text = aligned(rows)
            if not spare or max(map(len, text.splitlines())) <= width:
                break
            left_out.append(spare.pop(0))
            keys, shown = ([c for c in each if c != left_out[-1]] for each in (keys, shown))
        lines = [text]
        if self.constants:
            lines.append("all: " + " ".join(f"{k}={v}" for k, v in self.constants.items()))
        if left_out:
            words = f"left out, for want of room: {', '.join(left_out)}; see columns=, format="
            lines.append(fill(words, max(width, 20), break_on_hyphens=False))
        return "\n".join(lines)

    def rows(self) -> list[dict[str, Value]]:
        """Return a mapping a cell, with numbers as numbers, accuracies as shares."""
        return [
            {
                **{key: _plain(cell[0].factors.get(key)) for key in (*self.constants, *self.keys)},
                "seeds": len(cell),
                "accuracy": _mean(cell),
                "accuracy_sd": _sd(_accuracies(cell)),
                "accuracy_contrast_5": _mean(cell, "5"),
                "state": _state(cell),
            }
            for cell in self.cells
        ]


def table(entries: Sequence[Entry], width: int = 80) -> str:
    """Return the table of runs with the columns that tell them apart."""
    return Overview.of(entries).table(width)


def _is_telling(factors: Sequence[Settings], key: str) -> bool:
    """Whether a setting differs, and does not follow from the choice of its part."""
    values = {each.get(key) for each in factors}
    if len(values - {None} if key.endswith(CONTENTS) else values) < 2:
        return False
    part, _, rest = key.partition(".")
    by_name: dict[object, set[object]] = {}
    for each in factors:
        by_name.setdefault(each.get(part), set()).add(each.get(key))
    return not rest or any(len(values) > 1 for values in by_name.values())


def _values(cell: Sequence[Entry], keys: Iterable[str]) -> list[object]:
    return [cell[0].factors.get(key) for key in keys]


def _value(cell: Sequence[Entry], name: str) -> object:
    """Return what a column has, for sorting."""
    own = {
        "seeds": len(cell),
        "test %": _mean(cell),
        "accuracy": _mean(cell),
        "at contrast 5": _mean(cell, "5"),
        "age": -max(entry.modified for entry in cell),
        "state": _state(cell),
    }
    return own[name] if name in own else cell[0].factors.get(name)


def _order(values: Iterable[object]) -> list[tuple[bool, float, str]]:
    """Return what sorts numbers as numbers, before words."""
    is_number = [isinstance(v, int | float) and not isinstance(v, bool) for v in values]
    return [
        (not number, float(v) if number else 0.0, typed(v))  # type: ignore[arg-type]
        for v, number in zip(values, is_number, strict=True)
    ]


def _short(key: str, keys: Sequence[str]) -> str:
    """Return the last word of a key where no other has the same."""
    last = key if key.endswith(CONTENTS) else key.rpartition(".")[2]
    return last if [each.rpartition(".")[2] for each in keys].count(last) == 1 else key


def _found(cell: Sequence[Entry]) -> dict[str, str]:
    return {
        "seeds": str(len(cell)),
        "test %": _percent(_accuracies(cell)),
        "at contrast 5": _percent(_accuracies(cell, "5")),
        "age": _age(max(0.0, time.time() - max(entry.modified for entry in cell))),
        "state": _ended(cell),
    }


def _accuracies(cell: Sequence[Entry], severity: str = "") -> list[float]:
    """Return the accuracies of runs that ended; one that diverged counts as chance."""
    results = [entry.result for entry in cell if entry.result]
    tests = [result.test for result in results if result.test]
    shares = [test.contrast[severity] if severity else test.accuracy for test in tests]
    if diverged := len(results) - len(tests):
        by_images = [test.chance for test in tests if test.num_images]
        chance = by_images[0] if by_images else 1 / len(results[0].classes)
        shares += [chance] * diverged
    return shares


def _mean(cell: Sequence[Entry], severity: str = "") -> float | None:
    shares = _accuracies(cell, severity)
    return fmean(shares) if shares else None


def _sd(shares: Sequence[float]) -> float | None:
    """Return the standard deviation; that of `statistics` takes seconds for thousands of cells."""
    if len(shares) < 2:
        return None
    center = fmean(shares)
    return sqrt(sum((share - center) ** 2 for share in shares) / (len(shares) - 1))


def _state(cell: Sequence[Entry]) -> str:
    states = [entry.state for entry in cell]
    counts = [f"{states.count(state)} {state}" for state in dict.fromkeys(states)]
    return ", ".join(counts) if len(counts) > 1 else states[0]


def _ended(cell: Sequence[Entry]) -> str:
    """Return the state, and how many runs have learned nothing."""
    tests = [entry.result.test for entry in cell if entry.result and entry.result.test]
    at_chance = sum(test.is_at_chance for test in tests)
    if at_chance == len(cell):
        return "not above chance"
    return f"{_state(cell)}, {at_chance} not above chance" if at_chance else _state(cell)


def _plain(value: object) -> Value:
    return value if isinstance(value, int | float | str | None) else typed(value)


def _percent(shares: Sequence[float]) -> str:
    if not shares:
        return "–"
    sd = _sd(shares)
    spread = "" if sd is None else f" ± {100 * sd:.1f}"
    return f"{100 * fmean(shares):.1f}{spread}"


def _age(seconds: float) -> str:
    for unit, length in (("d", 86400), ("h", 3600), ("min", 60)):
        if seconds >= length:
            return f"{seconds / length:.0f} {unit}"
    return f"{seconds:.0f} s"
