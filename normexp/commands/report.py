"""`normexp report`: a page with the answer of a study, from what its runs found. No torch."""

from __future__ import annotations

import platform
import re
import time
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, OmegaConf

from normexp import __version__
from normexp.analysis.evidence import chosen, is_trial
from normexp.analysis.rows import Run
from normexp.commands.composed import composed
from normexp.commands.found import tell, tell_lenses
from normexp.runs.looks import note_look
from normexp.runs.spec import Settings
from normexp.settings import COMMANDS, checked

if TYPE_CHECKING:
    from normexp.analysis.report.report import Choices


@composed("report")
def main(cfg: DictConfig) -> None:
    # Drawings take a second to import, and --help needs none of it.
    from normexp.analysis.report.report import Heading, write_report

    settings = checked_settings(cfg, "report")
    if settings["csv"] is not None:
        report_csv(settings)
        return
    study, outputs = settings["study"], outputs_of(settings)
    evidence = chosen(outputs, study)
    found = evidence.runs
    tell(evidence.problems)
    tell_lenses(found)
    names = " and ".join(each.resolve().name for each in outputs)
    title = f"Study {study}" if study else f"All runs of {names}"
    folder = outputs[0] / "reports" / (study or "all")
    heading = Heading(title, evidence.words or question(study), origin())
    page = write_report(found, choices_of(settings), heading, folder, evidence.tuned)
    note(outputs[0], found)
    if evidence.words:
        print(evidence.words)
    lost = sum(run.state != "finished" for run in found)
    words = f", {lost} of them not finished" if lost else ""
    print(f"{len(found)} runs{words}\n{to_open(page)}")


def origin(word: str = "report") -> str:
    """Return where, when and with what a page is made."""
    command = " ".join([f"normexp {word}", *HydraConfig.get().overrides.task])
    return (
        f"Made {time.strftime('%F %H:%M %Z')} on {platform.node()} by normexp {__version__}, "
        f"Python {platform.python_version()}: {command}"
    )


def to_open(page: Path) -> str:
    return f"open {page} in a browser"


def report_csv(settings: Settings) -> None:
    """Write the report on the numbers of a CSV file, and print its tables."""
    from normexp.analysis.report.numbers import Columns, numbers_of, write_numbers_report

    file = Path(settings["csv"]).expanduser()
    columns = Columns(*(settings[key] for key in ("compare", "seed", "metric")))
    scores = numbers_of(file, columns)
    # The unit is the metric's own, so that half a point may be everything.
    is_given = any(o.startswith("margin=") for o in HydraConfig.get().overrides.task)
    margin = settings["margin"] if is_given else 0.0
    folder = outputs_of(settings)[0] / "reports" / file.stem
    chosen = (settings["reference"], margin, settings["level"])
    *lines, page = write_numbers_report(scores, columns, *chosen, origin=origin(), to=folder)
    print("\n".join([*lines, to_open(Path(page))]))


def checked_settings(cfg: DictConfig, command: str) -> Settings:
    """Return the settings of a command, each of its kind; raises UserError."""
    return checked(OmegaConf.to_object(cfg), COMMANDS[command])  # type: ignore[arg-type]


def outputs_of(settings: Settings) -> list[Path]:
    """Return the folders of the runs; pages go to the first."""
    return [Path(folder).expanduser() for folder in settings["runtime"]["outputs"]]


def note(outputs: Path, found: Iterable[Run]) -> None:
    """Note that the runs were looked at: seeds that are added now count as sequential."""
    seeds: dict[str, list[int]] = {}
    for run in found:
        if not is_trial(run):
            seeds.setdefault(run.spec.cell_name, []).append(run.seed)
    note_look(outputs, seeds)


def choices_of(settings: Settings) -> Choices:
    from normexp.analysis.report.report import Choices

    return Choices(**{key: settings[key] for key in ("by", "reference", "margin", "level")})


def question(study: str | None) -> str | None:
    """Return the question at the top of the study's file, None where no file is found."""
    for source in HydraConfig.get().runtime.config_sources:
        for file in sorted(Path(source.path).glob("experiment/*.yaml")):
            text = file.read_text(encoding="utf-8")
            if re.search(rf"^study: *{re.escape(str(study))}\s*$", text, flags=re.MULTILINE):
                return asked(text)
    return None


def asked(text: str) -> str | None:
    """Return the comment at the top of a study's file, up to the commands in it."""
    comments = []
    for line in text.splitlines():
        if not line.startswith("#") or line.startswith("# normexp "):
            break
        if not line.startswith("# @package"):
            comments.append(line.removeprefix("#").strip())
    return " ".join(comments) or None
