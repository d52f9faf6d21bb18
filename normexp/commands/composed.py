"""A command whose settings Hydra composes."""

import os
import sys
import warnings
from collections.abc import Callable
from contextlib import suppress
from functools import wraps
from pathlib import Path

import hydra
import yaml  # type: ignore[import-untyped]
from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from omegaconf import DictConfig

from normexp import build
from normexp.commands.meant import as_meant
from normexp.commands.quoting import quoted
from normexp.engine.requeue import requeue
from normexp.errors import Stopped, one_line, show
from normexp.runs.runtime import folders_of

# By this name Hydra and OmegaConf read their files, which libyaml does in a tenth of the time.
yaml.SafeLoader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def composed(config_name: str) -> Callable[[Callable[[DictConfig], None]], Callable[[], int]]:
    """Make a command of a task: Hydra calls it with the settings, or with -m for each cell.

    A cell that fails is one line on the screen, and the cells after it go on. The command returns
    the exit code.
    """

    def decorate(task: Callable[[DictConfig], None]) -> Callable[[], int]:
        @wraps(task)
        def main() -> int:
            failed = []
            here = Path.cwd().resolve()

            # An error that reached Hydra would be shown in its words too, and only at the end.
            @wraps(task)
            def cell(cfg: DictConfig) -> None:
                try:
                    os.chdir(here)  # hydra.job.chdir=true would move what is written
                    task(cfg)
                except Exception as error:
                    line = one_line(error, folders_of(cfg.runtime))
                    failed.append(line)
                    job = HydraConfig.get()
                    if job.mode == RunMode.MULTIRUN:
                        line += f" (in the cell {' '.join(job.overrides.task)})"
                    elif (made := Path(job.runtime.output_dir).resolve()) != here:
                        with suppress(OSError):  # it has something in it
                            made.rmdir()
                    show(error, line)

            # What Hydra says where its own launchers for submitit and Ray are installed as well.
            warnings.filterwarnings("ignore", r"\s*'hydra/launcher/\w+' is validated against")
            sys.argv[1:] = quoted(sys.argv[1:])
            if config_name == "train":
                sys.argv[1:] = as_meant(sys.argv[1:], build.conf_dir())
            try:
                hydra.main(
                    version_base="1.3", config_path=build.conf_dir(), config_name=config_name
                )(cell)()
            except Stopped as stopped:
                if outcome := requeue(stopped.signal_number):
                    raise Stopped(stopped.signal_number, f"{stopped}; {outcome}") from stopped
                raise
            return 1 if failed else 0

        return main

    return decorate
