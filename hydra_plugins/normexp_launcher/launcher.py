"""`hydra/launcher=`: `processes` on this machine, or jobs by `submitit_slurm` or `ray`.

Hydra imports this file for every command, so it imports nothing else until a sweep starts.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hydra.core.utils import JobReturn, JobStatus
from hydra.plugins.launcher import Launcher
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig, OmegaConf

if TYPE_CHECKING:
    from normexp.commands.grid import Grid
    from normexp.runs.spec import Settings
    from normexp.sweep.cell import Cell
    from normexp.sweep.ended import Ended
    from normexp.sweep.jobs import Jobs
    from normexp.sweep.plan import Plan


MANY = 20  # cells whose composition may be felt


class ProcessLauncher(Launcher):
    """Composes and checks all cells, then has them carried out."""

    def setup(
        self,
        *,
        hydra_context: HydraContext,
        task_function: TaskFunction,  # noqa: ARG002 - each cell's own process calls it
        config: DictConfig,
    ) -> None:
        self._context = hydra_context
        self._config = config
        self._grid: Grid | None = None

    def launch(
        self,
        job_overrides: Sequence[Sequence[str]],
        initial_job_idx: int,  # noqa: ARG002 - no run is named by a number
    ) -> Sequence[JobReturn]:
        """Carry out a run for each list of overrides, and more where these ask for it."""
        from normexp.commands.until import until_decided
        from normexp.sweep.sweep import sweep

        cells = self.cells(job_overrides)
        if any(cell.runtime.until for cell in cells):
            until_decided(job_overrides, cells, self.carry_out)
        else:
            sweep(cells, keep_images, self.jobs(cells))
        return [JobReturn(overrides=o, status=JobStatus.COMPLETED) for o in job_overrides]

    def grid(self) -> Grid:
        """Return what composes settings; what it has composed it keeps."""
        if self._grid is None:
            from normexp.commands.grid import Grid

            self._grid = Grid(self._context.config_loader, self._config)
        return self._grid

    def carry_out(self, cells: Sequence[Cell]) -> dict[str, Ended]:
        """Carry out the cells that are not finished, and return how they ended, by label."""
        from normexp.sweep.sweep import ends_of

        return ends_of(cells, keep_images, self.jobs(cells))

    def jobs(self, cells: Sequence[Cell]) -> Jobs | None:  # noqa: ARG002 - for those below
        """Return what carries out the cells, None for processes on this machine."""
        return None

    def cells(self, job_overrides: Sequence[Sequence[str]]) -> list[Cell]:
        """Compose and check the settings of all cells, each of which is there once."""
        from tqdm import tqdm

        from normexp import build
        from normexp.commands.train import tune_command
        from normexp.errors import UserError
        from normexp.runs.folder import RunFolder
        from normexp.sweep.cell import Cell, labels
        from normexp.tuned import NotTunedError

        if len(job_overrides) >= MANY:
            print(f"composing {len(job_overrides)} cells", file=sys.stderr)
        grid = self.grid()
        cells: dict[str, Cell] = {}
        folders: dict[str, bool] = {}
        asked = tqdm(
            job_overrides, "composing", disable=None, leave=False, delay=0.3, unit=" cells"
        )
        for label, overrides in zip(labels(job_overrides), asked, strict=True):
            try:
                settings, arguments = grid.cell(overrides)
                spec, runtime = build.checked_spec(settings)
            except NotTunedError as error:
                command = tune_command(self._config.hydra)
                raise UserError(f"{error}; nothing was started; choose one: {command}") from error
            except UserError as error:
                where = f" (in the cell {label})" if label else ""
                if self._config.skip_impossible and len(job_overrides) > 1:
                    print(f"left out: {error}{where}", file=sys.stderr)
                    continue
                raise UserError(f"{error}{where}; nothing was started") from error
            folder = RunFolder.of(Path(runtime.outputs).expanduser(), spec)
            cell = Cell(label or spec.name, spec, runtime, folder, tuple(arguments))
            cells.setdefault(spec.name, cell)
            folders[runtime.outputs] = True
        if len(folders) > 1:
            raise UserError(
                f"runtime.outputs={','.join(folders)}: the runs of a sweep go into one folder; "
                "nothing was started"
            )
        if not cells:
            raise UserError("no run can work; nothing was started")
        return list(cells.values())


class SlurmLauncher(ProcessLauncher):
    """Has each cell carried out as a job of a SLURM cluster."""

    cluster = "slurm"

    def __init__(self, submitit_folder: str, **parameters: object) -> None:
        self._folder = submitit_folder
        self._parameters = plain(parameters)

    def jobs(self, cells: Sequence[Cell]) -> Jobs:
        with extra(f"submitit_{self.cluster}"):
            from normexp.sweep.on_submitit import SubmititJobs
        plan = far_plan(cells, self._parameters.get("cpus_per_task"))
        return SubmititJobs(plan, self.cluster, self._folder, self._parameters)


class LocalLauncher(SlurmLauncher):
    """The same on this machine, for trying it out."""

    cluster = "local"


class RayLauncher(ProcessLauncher):
    """Has each cell carried out as a task of a Ray cluster."""

    def __init__(self, ray: Mapping[str, object]) -> None:
        self._ray = plain(ray)

    def jobs(self, cells: Sequence[Cell]) -> Jobs:
        with extra("ray"):
            from normexp.sweep.on_ray import RayJobs
        remote = self._ray["remote"]
        return RayJobs(far_plan(cells, remote.get("num_cpus")), self._ray["init"], remote)


def far_plan(cells: Sequence[Cell], cores: int | None) -> Plan:
    """Return the plan for jobs that have so many `cores` each."""
    from normexp import build
    from normexp.sweep.plan import Plan

    runtime = cells[0].runtime
    # Ray may give a part of a core to a task.
    threads = None if runtime.threads is not None else max(1, int(cores or 1))
    return Plan(({},) * (runtime.jobs or len(cells)), threads, build.cache_dir())


def keep_images(settings: Settings) -> None:
    """Read a run's images for the forks of this process; print what is to be said of them, once."""
    from normexp import inputs
    from normexp.environment import one_thread
    from normexp.runs.spec import RunSpec

    spec = RunSpec.from_settings(settings)
    with one_thread():
        images = inputs.images(spec)
        inputs.standardiser(spec.data, images.train)
    for line in images.notes:
        print_once(line)


@cache
def print_once(line: str) -> None:
    print(line, file=sys.stderr)


@contextmanager
def extra(launcher: str) -> Iterator[None]:
    """Tell what to install where a package is missing."""
    from normexp.errors import UserError

    try:
        yield
    except ModuleNotFoundError as error:
        raise UserError(
            f"hydra/launcher={launcher}: the package {error.name} is not installed; "
            f"pip install {error.name}"
        ) from error


def plain(node: Any) -> Any:
    """Return a node of settings as dictionaries and lists."""
    return OmegaConf.to_container(OmegaConf.create(dict(node)), resolve=True)
