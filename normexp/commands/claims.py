"""`normexp claims`: what the runs at hand say to each claim, as lines and as a page."""

from __future__ import annotations

import shlex
import sys
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import hydra
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, OmegaConf
from yaml import YAMLError  # type: ignore[import-untyped]

from normexp import __version__
from normexp.analysis.claims.claim import Claim
from normexp.analysis.claims.file import read_claim
from normexp.analysis.claims.page import write_page
from normexp.analysis.claims.verdict import Verdict, judge
from normexp.analysis.measured import measured_rows
from normexp.analysis.rows import Row, rows
from normexp.cli import is_override
from normexp.commands.composed import composed
from normexp.errors import UserError, suggestion

OWN = ("claim", "form", "measure", "runtime.outputs")
FORMS = {"small": "", "full": "_full"}
"""What the name of a study ends in."""


def main() -> int:
    """Judge the claims that the arguments name. Returns the exit code."""
    settings = [a for a in sys.argv[1:] if is_override(a) and not is_own(a)]
    sys.argv = [argument for argument in sys.argv if argument not in settings]

    @composed("claims")
    def task(cfg: DictConfig) -> None:
        hydra.compose("train", overrides=settings)  # tells a mistake
        claims = chosen(cfg)
        outputs = Path(cfg.runtime.outputs).expanduser()
        if cfg.measure:
            from normexp.commands.measuring import measure

            measure(claims, outputs, settings)
        verdicts = judged(claims, outputs, FORMS[cfg.form])
        commands = {claim.name: command(claim, cfg, settings) for claim in claims}
        for verdict in verdicts:
            print(line(verdict, commands[verdict.claim.name]))
        typed = " ".join(["normexp claims", *HydraConfig.get().overrides.task, *settings])
        origin = f"Made {time.strftime('%F %H:%M %Z')} by normexp {__version__}: {typed}"
        page = write_page(verdicts, commands, origin, outputs / "claims")
        print(f"\nDetails: {page}")

    return task()


def is_own(setting: str) -> bool:
    """Whether `key=value` is for this command, and not one of the settings of `normexp train`."""
    key = setting.partition("=")[0]
    return key in OWN or key.startswith("hydra")


def chosen(cfg: DictConfig) -> list[Claim]:
    """Return the claims that the settings name; raises UserError where there is no such claim."""
    if cfg.form not in FORMS:
        raise UserError(f"form={cfg.form}: one of {', '.join(FORMS)} is needed")
    if not isinstance(cfg.measure, bool):
        raise UserError(f"measure={cfg.measure}: true or false is needed")
    sources = HydraConfig.get().runtime.config_sources
    folders = [Path(source.path, "claims") for source in sources if source.schema == "file"]
    files = {file.stem: file for folder in folders for file in sorted(folder.glob("*.yaml"))}
    wanted = cfg.claim
    names = list(files) if wanted == "all" else wanted if OmegaConf.is_list(wanted) else [wanted]
    for name in names:
        if name not in files:
            raise UserError(f"claim={name}: there is no such claim; {suggestion(str(name), files)}")
    return [read_claim(name, loaded(files[name])) for name in names]


def loaded(file: Path) -> Any:
    """Return what is in a claim's file; raises UserError where it is no YAML."""
    try:
        return OmegaConf.to_container(OmegaConf.load(file))
    except (YAMLError, OSError, ValueError) as error:
        raise UserError(f"{file}: {' '.join(str(error).split())}") from error


def judged(claims: Iterable[Claim], outputs: Path, ending: str) -> list[Verdict]:
    """Return the verdicts of the runs and measurements below `outputs`."""
    runs = rows(outputs) if any(outputs.glob("runs/*/run.json")) else []
    return [judge(claim, about(claim, runs, outputs, ending)) for claim in claims]


def about(claim: Claim, runs: Sequence[Row], outputs: Path, ending: str) -> list[Row]:
    """Return the runs of a claim's study, and what was measured for it."""
    of_study = [row for row in runs if claim.study and claim.study + ending in row.studies]
    return of_study + measured_rows(outputs, claim.name)


def command(claim: Claim, cfg: DictConfig, settings: Sequence[str]) -> str:
    """Return what is to be typed so that the claim can be judged."""
    outputs = f"runtime.outputs={cfg.runtime.outputs}"
    common = [*settings, *([outputs] if cfg.runtime.outputs != "outputs" else [])]
    lines = []
    if claim.study:
        study = claim.study + FORMS[cfg.form]
        lines.append(["normexp", "train", "-m", f"experiment={study}", *common])
        if any(measure.lens for c in claim.comparisons for measure in c.measures.values()):
            lines.append(["normexp", "evaluate", f"study={study}", *common[len(settings) :]])
    if claim.measurement:
        lines.append(["normexp", "claims", f"claim={claim.name}", "measure=true", *common])
    return " && ".join(shlex.join(each) for each in lines)


def line(verdict: Verdict, typed: str) -> str:
    """Return what is said of a claim on the screen."""
    is_missing = any(finding.outcome == "missing" for finding in verdict.findings)
    reason = ": ".join(filter(None, [verdict.reason, typed * is_missing]))
    said = f"{verdict.claim.name}  {verdict.word:<9}  {verdict.claim.claim}"
    return f"{said}\n{' ' * 16}{reason}" if reason else said
