"""`normexp explore`: a page on which anyone chooses what is drawn. No torch."""

from __future__ import annotations

import sys
import webbrowser
from pathlib import Path

from omegaconf import DictConfig

from normexp.analysis.evidence import Evidence, own, own_or_shipped, shipped
from normexp.commands.composed import composed
from normexp.commands.found import tell, tell_lenses
from normexp.commands.report import checked_settings, note, origin, outputs_of
from normexp.errors import UserError
from normexp.runs.files import write_atomic
from normexp.runs.spec import Settings
from normexp.settings import SHIPPED


@composed("explore")
def main(cfg: DictConfig) -> None:
    # What it shares with the report draws by matplotlib, which takes a second to import.
    from normexp.analysis.explorer.data import Source, explorer_data
    from normexp.analysis.explorer.page import explorer_page
    from normexp.analysis.literature import read_published

    settings = checked_settings(cfg, "explore")
    outputs = outputs_of(settings)
    found = _evidence(settings, outputs)
    runs = [run for each in found for run in each.runs]
    if not runs:
        raise UserError(found[0].words)
    for each in found:
        tell(each.problems)
        tell_lenses(each.runs)
        if not each.words:
            note(outputs[0], each.runs)
    study = None if settings["study"] == SHIPPED else settings["study"]
    sources = [
        Source(_name(each), each.words, each.runs, each.tuned, None if each.words else study)
        for each in found
        if each.runs
    ]
    data = explorer_data(sources, read_published(), settings["margin"], settings["level"])
    title = f"Explore {' and '.join(each.name for each in sources)}"
    to = outputs[0] / "explore.html"
    to.parent.mkdir(parents=True, exist_ok=True)
    write_atomic(to, explorer_page(data, title, origin("explore")).encode())
    print("\n".join([*(e.words for e in found if e.words), f"{len(runs)} runs", str(to)]))
    if settings["open"] and sys.stdout.isatty():
        webbrowser.open(to.resolve().as_uri())


def _evidence(settings: Settings, outputs: list[Path]) -> list[Evidence]:
    study = settings["study"]
    if study not in (None, SHIPPED):
        mine = own(outputs, study)
    elif settings["beside"]:
        mine = own(outputs)
    else:
        return [own_or_shipped(outputs, study)]
    return [mine, shipped()] if settings["beside"] else [mine]


def _name(evidence: Evidence) -> str:
    return SHIPPED if evidence.words else "yours"
