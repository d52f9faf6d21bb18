"""Contrast augmentation as a factor: each kind against none, all other settings alike."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from normexp.analysis.compare import Comparison, Family, Pairs, compare
from normexp.analysis.measures import accuracy
from normexp.analysis.render.document import Section, Table
from normexp.analysis.report.blocks import splitting
from normexp.analysis.report.comparisons import graded_cells
from normexp.analysis.report.prose import listed, said
from normexp.analysis.rows import Cell, Run, cells, design_of
from normexp.analysis.scores import accuracies, chance_of
from normexp.kinds import typed

KEY, PLAIN = "contrast", "none"
MOST_LISTED = 4
"""More comparisons are counted."""


@dataclass(frozen=True)
class Augmentation:
    """The comparisons of each contrast augmentation with none, one family."""

    found: Sequence[tuple[str, str, Comparison]]
    """The augmentation, the place (such as a norm and a batch size), and the comparison."""

    @classmethod
    def of(cls, runs: Sequence[Run], by: Sequence[str], margin: float) -> Augmentation | None:
        """Compare; None where nothing was trained with an augmentation and without."""
        kinds = {run.spec.contrast.name for run in runs}
        if KEY in by or PLAIN not in kinds or len(kinds) < 2:
            return None
        splits = splitting(runs, by)
        apart = [key for key in splits if key.partition(".")[0] != KEY]
        # And its settings in which runs of one kind differ, such as its strength.
        named = [KEY, *(key for key in splits if key.startswith(f"{KEY}."))]
        place = [*by, *apart]
        grouped: dict[Cell, dict[str, list[Run]]] = {}
        for values, own in cells(runs, [*place, *named]).items():
            kind = _kind(named, values[len(place) :])
            grouped.setdefault(values[: len(place)], {})[kind] = own
        places, pairs = [], []
        for values, of_kind in grouped.items():
            chance = chance_of([run for own in of_kind.values() for run in own])
            scores = {kind: accuracies(of, accuracy, chance, 100) for kind, of in of_kind.items()}
            words = [said(key, v) for key, v in zip(place, values, strict=True)]
            for kind in scores:
                if kind != PLAIN and PLAIN in scores:
                    places.append((kind, ", ".join(words)))
                    pairs.append(Pairs.of(scores[kind], scores[PLAIN], margin))
        if not pairs:
            return None
        found = compare(Family("the comparisons of this table", design_of(runs)), pairs)
        return cls([(*where, each) for where, each in zip(places, found, strict=True)])

    @property
    def sentences(self) -> Iterator[str]:
        """What each augmentation does, in a sentence."""
        for kind in dict.fromkeys(kind for kind, _, _ in self.found):
            own = [(place, each) for of, place, each in self.found if of == kind]
            if len(own) <= MOST_LISTED:
                each_one = listed([f"{_effect(each)} {place}" for place, each in own])
                yield f"Contrast augmentation {kind}, against no augmentation: {each_one}."
                continue
            counts = Counter(_effect(each) for _, each in own)
            most = [f"{effect} {count}" for effect, count in counts.most_common()]
            yield (
                f"Contrast augmentation {kind}, in {len(own)} comparisons with no augmentation: "
                f"{listed(most)}."
            )

    def section(self, name: str) -> Section:
        """Return the table."""
        rows = [
            [f"{place}: {kind} − none", *graded_cells(each)] for kind, place, each in self.found
        ]
        caption = (
            "Does contrast augmentation help? Test accuracy with it less that without, in points, "
            "all other settings and the seed alike; the comparisons of this table are one family, "
            "graded as those of norms."
        )
        head = ["compared", "seeds", "difference", "interval", "grade", "p"]
        return Section("Contrast augmentation", tables=[Table(name, caption, head, rows)])


def _kind(keys: Sequence[str], values: Sequence[object]) -> str:
    """Return an augmentation as it is said: its name, then its settings: "jitter low=0.3"."""
    settings = zip(keys[1:], values[1:], strict=True)
    words = [f"{key.rpartition('.')[2]}={typed(v)}" for key, v in settings if v is not None]
    return " ".join([typed(values[0]), *words])


def _effect(each: Comparison) -> str:
    words = {
        "more": "helps",
        "less": "harms",
        "same": "makes no difference for",
        "open": "open for",
        "chance": "not above chance for",
        "not drawn": "not drawn for",
        "missing": "without a pair of runs for",
    }
    grade = f" ({each.graded.text()})" if each.graded and each.outcome in ("more", "less") else ""
    return words[each.outcome] + grade
