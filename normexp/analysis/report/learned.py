"""What layers have learned, such as gates, by depth."""

from normexp.analysis.measures import reading
from normexp.analysis.render.document import Figure, Section, Table, with_interval
from normexp.analysis.render.figures import Axis, Line, lines
from normexp.analysis.report.blocks import Block
from normexp.analysis.spread import SHARE
from normexp.kinds import typed


def readings_section(block: Block, level: float, name: str) -> Section | None:
    """Return the readings of layers by depth; None where there are none."""
    kinds: dict[str, list[str]] = {}
    for key in dict.fromkeys(k for run in block.runs if run.result for k in run.result.readings):
        kind, _, place = key.partition("/")
        kinds.setdefault(kind, []).append(place)
    if not kinds:
        return None
    section = Section("Gates" if list(kinds) == ["gate"] else "What layers have learned")
    if "gate" in kinds:
        section.words.append("A gate of 1 is batch norm, of 0 instance norm; it starts at 1.")
    for kind, places in kinds.items():
        what = kind.replace("_", " ")
        within = SHARE if kind == "gate" else None
        measures = [reading(f"{kind}/{place}") for place in places]
        spreads = {
            at: found
            for at in block.cells
            if any(found := [block.spread(*at, measure, level, within) for measure in measures])
        }
        caption = f"The {what} by depth: mean over channels and seeds, {level:.0%} interval."
        panels = [
            (block.panel(c), [Line(typed(s), own) for (s, at), own in spreads.items() if at == c])
            for c in block.drawn
        ]
        axis = Axis.even("norm layer, from the input on", [str(i + 1) for i in range(len(places))])
        drawing = lines(panels, axis, what, percent=False)
        section.figures.append(
            Figure(
                f"{name}{kind}",
                caption + block.left_out,
                f"{caption} The table has the numbers.",
                drawing,
            )
        )
        rows = [
            [block.row(*at), *(with_interval(s, 2) for s in own)] for at, own in spreads.items()
        ]
        numbers = f"The {what} of each norm layer, as in the figure."
        section.tables.append(Table(f"{name}{kind}", numbers, [what, *places], rows))
    return section
