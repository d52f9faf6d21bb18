"""`normexp claims`: what the runs at hand say to each claim, as lines and as a page."""

import shlex
import shutil
import sys
import time
from collections.abc import Iterable, Sequence

import hydra
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig

from normexp import __version__
from normexp.analysis.claims.claim import Claim
from normexp.analysis.claims.lines import lines
from normexp.analysis.claims.page import write_page
from normexp.analysis.claims.verdict import Verdict, judge_claim
from normexp.analysis.comparable import at_tuned_rates, of_newest_numerics
from normexp.analysis.evidence import Evidence, own_or_shipped
from normexp.analysis.goes_on import (
    UNTIL,
    more_seeds,
    seconds_needed,
    seconds_of_a_seed,
    training_words,
    until_decided,
)
from normexp.analysis.rows import Row, Run
from normexp.commands.claim_files import FORMS, amounts, chosen
from normexp.commands.composed import composed
from normexp.commands.found import tell, tell_lenses
from normexp.commands.quoting import refuse_lists
from normexp.commands.rates import FACTORS, MORE_SEEDS
from normexp.commands.report import checked_settings, note, outputs_of
from normexp.errors import UserError
from normexp.runs.spec import Settings
from normexp.settings import COMMANDS
from normexp.tuned import Tuned, key_of

OWN = [setting.key for setting in COMMANDS["claims"]]
WIDTH = 100


def main() -> int:
    of_training = [argument for argument in sys.argv[1:] if is_of_training(argument)]
    sys.argv = [argument for argument in sys.argv if argument not in of_training]

    @composed("claims")
    def task(cfg: DictConfig) -> None:
        settings = checked_settings(cfg, "claims")
        refuse_lists(of_training)
        if of_training:
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
        commands = {v.claim.name: commands_of(v, settings, of_training) for v in verdicts}
        for verdict in verdicts:
            print("\n".join(shown(verdict, commands[verdict.claim.name], evidence)))
        typed = " ".join(["normexp claims", *HydraConfig.get().overrides.task, *of_training])
        made = f"Made {time.strftime('%F %H:%M %Z')} by normexp {__version__}: {typed}"
        origin = ". ".join(filter(None, [evidence.words, made]))
        joined = {name: " && ".join(typed) for name, typed in commands.items()}
        page = write_page(verdicts, joined, origin, outputs[0] / "claims", evidence.tuned)
        print(f"\nDetails: {page}")

    return task()


def is_of_training(argument: str) -> bool:
    """Whether `argument` is a setting of `normexp train`, and not a flag or one of `claims`."""
    key, is_setting, _ = argument.partition("=")
    is_own = key in OWN or key.startswith(("hydra", "-"))
    return argument.startswith("~") or (bool(is_setting) and not is_own)


def judged(claims: Iterable[Claim], evidence: Evidence, ending: str) -> list[Verdict]:
    """Return the verdicts; a claim is open where its runs cannot be told apart."""
    found = []
    for claim in claims:
        rows = about(claim, evidence, ending)
        try:
            found.append(judge_claim(claim, rows))
        except UserError as error:
            found.append(Verdict(claim, "OPEN", "", f"it cannot be judged: {error}", ()))
    return found


def about(claim: Claim, evidence: Evidence, ending: str) -> list[Row]:
    """Return the runs of a claim's study, and what was measured for it.

    Of runs of several `numerics` those of the newest, as the others' results are of other code.
    """
    study = claim.study and claim.study + ending
    of_study = [run for run in evidence.runs if study in run.studies]
    kept = of_newest_numerics(of_study)
    if left_out := len(of_study) - len(kept):
        print(f"{claim.name}: {left_out} runs of earlier numerics are left out")
    if claim.tuned:
        kept = at_tuned_rates(kept, evidence.tuned)
    return [*kept, *evidence.measured(claim.name)]


def commands_of(verdict: Verdict, settings: Settings, of_training: Sequence[str]) -> list[str]:
    """Return what is to be typed so that the claim can be judged, or goes on until decided."""
    claim = verdict.claim
    outputs = settings["runtime"]["outputs"][0]
    where = [f"runtime.outputs={outputs}"] if outputs != "outputs" else []
    typed: list[list[str]] = []
    if claim.study:
        study = claim.study + FORMS[settings["form"]]
        arguments = [f"experiment={study}", *of_training, *where]
        if claim.tuned:
            typed.append(["normexp", "tune", *arguments])
        rate = ["optimizer.lr=tuned"] * claim.tuned
        typed.append(["normexp", "train", "-m", *arguments, *rate, *further_of(verdict)])
        if any(measure.lens for measure in claim.measures.values()):
            typed.append(["normexp", "evaluate", f"study={study}", *where])
    if claim.measurement:
        measured = [f"claim={claim.name}", "measure=true"]
        typed.append(["normexp", "claims", *measured, *of_training, *where])
    return list(map(shlex.join, typed))


def further_of(verdict: Verdict) -> list[str]:
    """Return the setting that makes a sweep add the seeds that the open comparisons need.

    `until=decided` decides between the test accuracies of norms. For another measure, or two cells
    of one norm, the seeds are named.
    """
    if all(finding.is_of_norms for finding in verdict.short):
        return until_decided(f.comparison for f in verdict.short) if verdict.short else []
    runs = [row for finding in verdict.short for row in finding.rows if isinstance(row, Run)]
    return [more_seeds(runs, [finding.comparison for finding in verdict.short])] if runs else []


def shown(verdict: Verdict, commands: Sequence[str], evidence: Evidence) -> list[str]:
    """Return the lines of a claim; where it needs runs, with the commands and how long they take.

    That is what its study's file says where none of the runs is the user's own.
    """
    short = [finding.comparison for finding in verdict.short]
    by_path = {row.path: row for f in verdict.findings for row in f.rows if isinstance(row, Run)}
    runs, further = [*by_path.values()], ""
    is_own = bool(runs) and not evidence.words
    if is_own and short:
        of_trials = tuning_seconds(runs, evidence.tuned) if verdict.claim.tuned else 0.0
        further = training_words(seconds_needed(runs, short) + of_trials)
    is_missing = any(finding.comparison.outcome == "missing" for finding in verdict.findings)
    typed = [] if not (short or is_missing) else commands
    if not is_own:
        said = amounts(verdict.claim.study) if verdict.claim.study else {}
        asked = [each.partition(f" {UNTIL}")[0] for each in typed]
        typed = [
            f"{each}  # {'first ' * (each != alone)}{said[alone]}" if alone in said else each
            for each, alone in zip(typed, asked, strict=True)
        ]
    width = min(WIDTH, shutil.get_terminal_size((WIDTH, 0)).columns)
    return [*lines(verdict, further, typed, width)]


def tuning_seconds(runs: Sequence[Run], tuned: Sequence[Tuned]) -> float:
    """Return how long the trials take of cells without a chosen rate, as long as their runs."""
    known = {cell.key for cell in tuned}
    keys = {run.spec.cell_name: key_of(run.spec) for run in runs}
    without = [run for run in runs if keys[run.spec.cell_name] not in known]
    of_a_seed = seconds_of_a_seed(without, lambda run: keys[run.spec.cell_name])
    return (len(FACTORS) + 2 * len(MORE_SEEDS)) * of_a_seed
