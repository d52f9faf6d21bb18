"""`normexp train`: one run, from its settings to its result."""

import shlex
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from hydra.conf import HydraConf
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, OmegaConf

from normexp import build
from normexp.commands.composed import composed
from normexp.errors import UserError, one_line
from normexp.evaluation import lens_file
from normexp.runs.folder import RunFolder
from normexp.runs.lock import locked, revisit
from normexp.runs.looks import design_for
from normexp.runs.reference import take, taken_words
from normexp.runs.result import RunResult
from normexp.runs.runtime import Runtime
from normexp.runs.spec import RunSpec
from normexp.tuned import NotTunedError

# Settings of a sweep, which one run by hand has no use for.
OF_LAUNCHER = ("hydra/launcher", "hydra.launcher")
OF_A_SWEEP = ("hydra.mode", "hydra.sweep", "hydra/sweeper", *OF_LAUNCHER)
# As torch says it of a GPU's memory, and of the machine's.
OUT_OF_MEMORY = ("out of memory", "can't allocate memory", "storage size calculation overflowed")


@composed("train")
def main(cfg: DictConfig) -> None:
    try:
        spec, runtime = build.run_spec(cfg)
    except NotTunedError as error:
        raise UserError(f"{error}; choose one: {tune_command(HydraConfig.get())}") from error
    if runtime.until:
        print(f"until={runtime.until} adds seeds in a sweep (-m); this is one run", file=sys.stderr)
    for each in launcher_typed(HydraConfig.get()):
        print(f"{each} is for a sweep (-m); this is one run, and trains here", file=sys.stderr)
    carry_out(spec, runtime, shlex.join(["normexp", "train", *by_hand(HydraConfig.get())]))


def carry_out(spec: RunSpec, runtime: Runtime, command: str) -> None:
    """Train a run that is not finished, show its result, and record who asked for it."""
    folder = RunFolder.of(Path(runtime.outputs).expanduser(), spec)
    if take(folder, spec, command, runtime):
        print(taken_words(f"{folder.name} is", folder.name))
    result = folder.whole_result()
    if result:
        print(f"{folder.name} is finished already")
        if result.test and (lost := folder.lost_weights()):
            print(lost, file=sys.stderr)
    else:
        with memory_explained(spec):
            result = train(spec, runtime, folder, command)
    revisit(folder, spec, command, runtime.study, design_for(runtime, spec))
    hint = result.hint(spec.model.own)
    print(f"{result}\n{hint}\n{folder.path}" if hint else f"{result}\n{folder.path}")


def train(spec: RunSpec, runtime: Runtime, folder: RunFolder, command: str) -> RunResult:
    """Carry out a run that is not finished, and return its result."""
    # torch takes seconds to import, and a finished run needs none of it.
    from normexp import tensors
    from normexp.engine.fit import Rhythm, fit, heeding
    from normexp.engine.interrupt import StopRequest
    from normexp.engine.result import findings
    from normexp.engine.state import resume
    from normexp.engine.tracking import Tracker

    training, warnings = build.training(spec, runtime)
    folder.path.mkdir(parents=True, exist_ok=True)
    with locked(folder.path), StopRequest() as stop:
        mended = folder.mend()
        folder.open(spec, command, runtime.study, design_for(runtime, spec))
        if result := folder.result():  # another process was faster
            return result
        with recorded_failure(folder, spec, runtime):
            folder.forget_failure()
            kept, resumed = resume(training.state, folder, training.environment)
            rhythm = Rhythm(runtime.log_every, runtime.checkpoint_seconds, folder)
            total, done = training.recipe.total_steps, training.state.step
            with Tracker(folder, spec, total, kept, done) as tracker:
                for line in [*mended, *resumed, training.summary(), *warnings]:
                    tracker.note(line)
                finite = fit(training, tracker, rhythm, lambda: stop.signal_number)
                tracker.progress.measure()
                with heeding(lambda: stop.signal_number, training):
                    result = findings(training, finite)
                tracker.finish(result)
            tensors.save(folder.weights, training.state.network.state_dict())
            lens_file.remove_of_others(folder)
            folder.finish(result)
    return result


def by_hand(hydra: HydraConf) -> list[str]:
    """Return the arguments of `normexp train` that make one run, given Hydra's record of it."""
    as_typed: list[str] = OmegaConf.to_container(hydra.overrides.task)  # type: ignore[assignment]
    return [*flags_of(hydra), *as_typed]


def tune_command(hydra: HydraConf) -> str:
    """Return the command that chooses the learning rates of a run or of a sweep."""
    decided = ("seed", "until", "max_seeds", "optimizer.lr")
    own = [o for o in hydra.overrides.task if o.partition("=")[0].lstrip("+~") not in decided]
    return shlex.join(["normexp", "tune", *flags_of(hydra), *launcher_typed(hydra), *own])


def launcher_typed(hydra: HydraConf) -> list[str]:
    """Return what was typed of `hydra/launcher`."""
    typed: list[str] = OmegaConf.to_container(hydra.overrides.hydra)  # type: ignore[assignment]
    return [each for each in typed if each.lstrip("+~").startswith(OF_LAUNCHER)]


def flags_of(hydra: HydraConf) -> list[str]:
    """Return those of them that say where settings come from, and those for Hydra."""
    folders = {source.provider: source.path for source in hydra.runtime.config_sources}
    flags = []
    if folders["main"] != build.conf_dir():
        flags.append(f"--config-path={folders['main']}")
    if "command-line" in folders:
        flags.append(f"--config-dir={folders['command-line']}")
    if hydra.job.config_name != "train":
        flags.append(f"--config-name={hydra.job.config_name}")
    of_hydra = [o for o in hydra.overrides.hydra if not o.lstrip("+~").startswith(OF_A_SWEEP)]
    return [*flags, *of_hydra]


@contextmanager
def recorded_failure(folder: RunFolder, spec: RunSpec, runtime: Runtime) -> Iterator[None]:
    """Record an error of a run that is taken up, within its lock."""
    try:
        yield
    except Exception as error:
        with suppress(OSError):  # a full disk may be the error
            folder.record_failure(one_line(explained(error, spec), runtime.folders))
        raise


@contextmanager
def memory_explained(spec: RunSpec) -> Iterator[None]:
    """Raise UserError for want of memory, which is the user's mistake."""
    try:
        yield
    except (MemoryError, OSError, RuntimeError) as error:
        shown = explained(error, spec)
        if shown is error:
            raise
        raise shown from error


def explained(error: Exception, spec: RunSpec) -> Exception:
    """Return the error, or for want of memory one that says what to do."""
    if isinstance(error, MemoryError) or any(s in str(error).lower() for s in OUT_OF_MEMORY):
        return UserError(
            f"out of memory at batch_size={spec.batch_size}; try a smaller one, or in a sweep "
            "fewer runs at once: runtime.jobs=1"
        )
    return error
