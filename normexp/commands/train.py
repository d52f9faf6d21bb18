"""`normexp train`: one run, from its settings to its result."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Any

from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig

from normexp import build
from normexp.runs.folder import RunFolder
from normexp.runs.spec import RunSpec, Runtime


@build.command("train")
def main(cfg: DictConfig) -> None:
    """Train the run that `cfg` describes, go on with it, or show its result."""
    spec, runtime = build.run_spec(cfg)
    folder = RunFolder(Path(runtime.outputs).expanduser() / "runs" / spec.name)
    result = folder.result()
    if result is None:
        result = train(cfg, spec, runtime, folder)
    else:
        folder.join_study(runtime.study)
        print(f"{spec.name} is finished already")
    print(f"{final_words(result)}\n{folder.path}")


def train(cfg: DictConfig, spec: RunSpec, runtime: Runtime, folder: RunFolder) -> dict[str, Any]:
    """Carry out a run that is not finished, and return its result."""
    # torch takes seconds to import, and a finished run needs none of it.
    from normexp import tensors
    from normexp.engine.fit import Rhythm, fit
    from normexp.engine.interrupt import StopRequest
    from normexp.engine.result import findings
    from normexp.engine.state import resume
    from normexp.engine.tracking import Tracker

    training, warnings = build.training(cfg, spec, runtime)
    folder.open(spec, shlex.join(["normexp", "train", *HydraConfig.get().overrides.task]))
    folder.join_study(runtime.study)
    with StopRequest() as stop:
        kept, told = resume(training.state, folder, training.environment)
        rhythm = Rhythm(runtime.log_every, runtime.checkpoint_seconds, folder.checkpoint)
        with Tracker(folder.path, spec.name, training.recipe.total_steps, kept) as tracker:
            for line in [*told, training.summary(), *warnings]:
                tracker.note(line)
            finite = fit(training, tracker, rhythm, lambda: stop.signal_number)
            result = {"name": spec.name, **findings(training, finite)}
            tracker.finish(result["test"], training.state.step, final_words(result))
        tensors.save(folder.weights, training.state.network.state_dict())
        folder.finish(result)
    return result


def final_words(result: dict[str, Any]) -> str:
    """Return what a run found, in a line."""
    if result["outcome"] == "diverged":
        return f"diverged after {result['steps']} steps: the loss is not finite"
    test = result["test"]
    contrast = " ".join(f"{100 * accuracy:.1f}" for accuracy in test["contrast"].values())
    return (
        f"test accuracy {100 * test['accuracy']:.1f} %, at contrast severity 1 to 5: {contrast} %"
    )
