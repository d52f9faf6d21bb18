"""`normexp claims`: what the runs at hand say to each claim, as lines and as a page."""

import hashlib
import shlex
import sys
import time
from collections.abc import Iterable, Sequence
from pathlib import Path

import hydra
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, OmegaConf
from yaml import YAMLError  # type: ignore[import-untyped]

from normexp import __version__
from normexp.analysis.claims.claim import Claim
from normexp.analysis.claims.page import write_page
from normexp.analysis.claims.read import read_claim
from normexp.analysis.claims.verdict import Verdict, judge_claim
from normexp.analysis.evidence import Evidence, own_or_shipped
from normexp.analysis.goes_on import UNTIL, duration, seconds_needed
from normexp.analysis.rows import Row, Run
from normexp.commands.composed import composed
from normexp.commands.found import tell, tell_lenses
from normexp.commands.quoting import refuse_lists
from normexp.commands.report import checked_settings, note, outputs_of
from normexp.errors import UserError, suggestion
from normexp.runs.spec import Settings
from normexp.settings import COMMANDS

OWN = [setting.key for setting in COMMANDS["claims"]]
FORMS = {"small": "", "full": "_full"}  # what the name of a study ends in


def main() -> int:
    of_training = [argument for argument in sys.argv[1:] if is_of_training(argument)]
    sys.argv = [argument for argument in sys.argv if argument not in of_training]

    @composed("claims")
    def task(cfg: DictConfig) -> None:
        settings = checked_settings(cfg, "claims")
        refuse_lists(of_training)
        hydra.compose("train", overrides=of_training)  # raises on a mistake
        claims = chosen(settings["claim"])
        outputs = outputs_of(settings)
        if settings["measure"]:
            # torch takes seconds to import, and judging needs none of it.
            from normexp.commands.measuring import measure

            measure(claims, outputs[0], of_training)
        evidence = own_or_shipped(outputs, settings["study"])
        tell(evidence.problems)
        tell_lenses(evidence.runs)
        if evidence.words:
            print(evidence.words)
        verdicts = judged(claims, evidence, FORMS[settings["form"]])
        judged_rows = (row for v in verdicts for f in v.findings for row in f.rows)
        note(outputs[0], [row for row in judged_rows if isinstance(row, Run)])
        commands = {v.claim.name: command(v, settings, of_training) for v in verdicts}
        for verdict in verdicts:
            print(line(verdict, commands[verdict.claim.name]))
        typed = " ".join(["normexp claims", *HydraConfig.get().overrides.task, *of_training])
        made = f"Made {time.strftime('%F %H:%M %Z')} by normexp {__version__}: {typed}"
        origin = ". ".join(filter(None, [evidence.words, made]))
        page = write_page(verdicts, commands, origin, outputs[0] / "claims", evidence.tuned)
        print(f"\nDetails: {page}")

    return task()


def is_of_training(argument: str) -> bool:
    """Whether `argument` is a setting of `normexp train`, and not a flag or one of `claims`."""
    key, is_setting, _ = argument.partition("=")
    is_own = key in OWN or key.startswith(("hydra", "-"))
    return argument.startswith("~") or (bool(is_setting) and not is_own)


def chosen(wanted: Sequence[str]) -> list[Claim]:
    """Return the claims of these names, or all; raises UserError where there is no such claim."""
    sources = HydraConfig.get().runtime.config_sources
    folders = [Path(source.path, "claims") for source in sources if source.schema == "file"]
    files = {file.stem: file for folder in folders for file in sorted(folder.glob("*.yaml"))}
    names = list(files) if wanted == ["all"] else wanted
    for name in names:
        if name not in files:
            raise UserError(f"claim={name}: there is no such claim; {suggestion(name, files)}")
    return [read_claim(name, loaded(files[name]), digest_of(files[name])) for name in names]


def digest_of(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()[:8]


def loaded(file: Path) -> object:
    """Return what is in a claim's file; raises UserError where it is no YAML."""
    try:
        return OmegaConf.to_container(OmegaConf.load(file))
    except (YAMLError, OSError, ValueError) as error:
        raise UserError(f"{file}: {' '.join(str(error).split())}") from error


def judged(claims: Iterable[Claim], evidence: Evidence, ending: str) -> list[Verdict]:
    return [judge_claim(claim, about(claim, evidence, ending)) for claim in claims]


def about(claim: Claim, evidence: Evidence, ending: str) -> list[Row]:
    """Return the runs of a claim's study, and what was measured for it.

    Of runs of several `numerics` those of the newest, as the others' results are of other code.
    """
    study = claim.study and claim.study + ending
    of_study = [run for run in evidence.runs if study in run.studies]
    newest = max((run.spec.numerics for run in of_study), default=0)
    kept = [run for run in of_study if run.spec.numerics == newest]
    if left_out := len(of_study) - len(kept):
        print(f"{claim.name}: {left_out} runs of earlier numerics than {newest} are left out")
    return [*kept, *evidence.measured(claim.name)]


def command(verdict: Verdict, settings: Settings, of_training: Sequence[str]) -> str:
    """Return what is to be typed so that the claim can be judged, or goes on until decided."""
    claim = verdict.claim
    outputs = settings["runtime"]["outputs"][0]
    where = [f"runtime.outputs={outputs}"] if outputs != "outputs" else []
    lines = []
    if claim.study:
        study = claim.study + FORMS[settings["form"]]
        arguments = [f"experiment={study}", *of_training, *where]
        if claim.tuned:
            lines.append(["normexp", "tune", *arguments])
        rate = ["optimizer.lr=tuned"] * claim.tuned
        further = [UNTIL] * verdict.goes_on
        lines.append(["normexp", "train", "-m", *arguments, *rate, *further])
        if any(measure.lens for measure in claim.measures.values()):
            lines.append(["normexp", "evaluate", f"study={study}", *where])
    if claim.measurement:
        measured = [f"claim={claim.name}", "measure=true"]
        lines.append(["normexp", "claims", *measured, *of_training, *where])
    return " && ".join(shlex.join(each) for each in lines)


def line(verdict: Verdict, typed: str) -> str:
    is_missing = any(finding.comparison.outcome == "missing" for finding in verdict.findings)
    runs = {row.name: row for f in verdict.findings for row in f.rows if isinstance(row, Run)}
    short = [finding.comparison for finding in verdict.findings if finding.comparison.goes_on]
    seconds = seconds_needed([*runs.values()], short) if short else 0.0
    time_words = f"goes on (about {duration(seconds)} of training)" if short else ""
    shown = typed * bool(is_missing or short)
    reason = ": ".join(filter(None, [verdict.reason, time_words, shown]))
    grade = f" ({verdict.grade})" if verdict.grade else ""
    claim = verdict.claim
    origin = f" [{claim.digest}, {claim.date}]" if verdict.word != "NOT RUN" and claim.date else ""
    said = f"{claim.name}  {verdict.word + grade:<9}  {claim.claim}{origin}"
    return f"{said}\n{' ' * 16}{reason}" if reason else said
