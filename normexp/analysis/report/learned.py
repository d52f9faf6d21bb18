"""What layers have learned, such as gates, by depth."""

from collections.abc import Sequence

from normexp.analysis.measures import reading
from normexp.analysis.render import figures
from normexp.analysis.render.document import Figure, Section, Table, with_interval
from normexp.analysis.report.blocks import Block
from normexp.analysis.spread import SHARE


def readings_section(block: Block, level: float, name: str) -> Section | None:
    """Return the readings of layers by depth; None where there are none."""
    kinds: dict[str, list[str]] = {}
    for key in dict.fromkeys(k for run in block.runs if run.result for k in run.result.readings):
        kind, _, place = key.partition("/")
        kinds.setdefault(kind, []).append(place)
    if not kinds:
        return None
    section = Section("What layers have learned")
    if "gate" in kinds:
        section.words.append("A gate of 1 is batch norm, of 0 instance norm; it starts at 1.")
    for kind, places in kinds.items():
        lines = _by_depth(block, kind, places, level)
        what = kind.replace("_", " ")
        caption = f"The {what} by depth: mean over channels and seeds, {level:.0%} interval."
        ticks = [str(i + 1) for i in range(len(places))]
        drawing = figures.lines(
            [("", lines)], "norm layer, from the input on", what, ticks, percent=False
        )
        figure = Figure(f"{name}{kind}", caption, f"{caption} The table has the numbers.", drawing)
        rows = [[line.name, *(with_interval(each, 2) for each in line.spreads)] for line in lines]
        section.figures.append(figure)
        section.tables.append(Table(f"{name}{kind}", caption, [what, *places], rows))
    return section


def _by_depth(block: Block, kind: str, places: Sequence[str], level: float) -> list[figures.Line]:
    """Return a line for each cell that has readings of this kind."""
    lines: list[figures.Line] = []
    for at in block.cells:
        within = SHARE if kind == "gate" else None
        measures = [reading(f"{kind}/{place}") for place in places]
        spreads = [block.spread(*at, measure, level, within) for measure in measures]
        if any(spreads):
            lines.append(figures.Line(block.row(*at), len(lines), spreads))
    return lines
