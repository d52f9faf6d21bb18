"""`normexp report`: a page with the answer of a study, from what its runs found. No torch."""

from __future__ import annotations

import platform
import re
import time
from pathlib import Path
from typing import TYPE_CHECKING

from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, OmegaConf

from normexp import __version__
from normexp.commands.composed import composed
from normexp.errors import UserError

if TYPE_CHECKING:
    from normexp.analysis.report.report import Choices


@composed("report")
def main(cfg: DictConfig) -> None:
    """Write the report on a study, or on all runs, and say where its page is."""
    # Statistics and drawings take a second to import, and --help needs none of it.
    from normexp.analysis.report.report import write_report
    from normexp.analysis.rows import rows

    choices = choices_of(cfg)
    study = None if cfg.study is None else str(cfg.study)
    outputs = Path(cfg.runtime.outputs).expanduser()
    found = rows(outputs, study)
    title = f"Study {study}" if study else f"All runs of {outputs.resolve().name}"
    command = " ".join(["normexp report", *HydraConfig.get().overrides.task])
    origin = (
        f"Made {time.strftime('%F %H:%M %Z')} on {platform.node()} by normexp {__version__}, "
        f"Python {platform.python_version()}: {command}"
    )
    folder = outputs / "reports" / (study or "all")
    page = write_report(found, choices, title, question(study), origin, folder)
    states = [row.state for row in found]
    lost = len(states) - states.count("finished")
    told = f", {lost} of them not finished" if lost else ""
    print(f"{len(found)} runs{told}\n{page}")


def choices_of(cfg: DictConfig) -> Choices:
    """Return what the user has chosen; raises UserError with the value and what is allowed."""
    from normexp.analysis.report.report import Choices

    by = OmegaConf.to_object(cfg.by) if OmegaConf.is_list(cfg.by) else [cfg.by]
    return Choices(
        by=[str(key) for key in by],  # type: ignore[union-attr]
        reference=None if cfg.reference is None else str(cfg.reference),
        margin=_number(cfg, "margin", 0, 100),
        level=_number(cfg, "level", 0.5, 0.999),
    )


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


def _number(cfg: DictConfig, key: str, least: float, most: float) -> float:
    value = cfg[key]
    if isinstance(value, bool) or not isinstance(value, int | float) or not least <= value <= most:
        raise UserError(f"{key}={value}: a number from {least:g} to {most:g} is needed")
    return float(value)
