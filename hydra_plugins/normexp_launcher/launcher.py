"""`hydra/launcher=processes`: the cells of a sweep as processes.

Hydra imports this file for every command, so it imports nothing else until a sweep starts.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from hydra.core.hydra_config import HydraConfig
from hydra.core.utils import JobReturn, JobStatus
from hydra.plugins.launcher import Launcher
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig, open_dict

if TYPE_CHECKING:
    from normexp.sweep.cell import Cell


class ProcessLauncher(Launcher):
    """Composes and checks all cells, then has them carried out."""

    def setup(
        self,
        *,
        hydra_context: HydraContext,
        task_function: TaskFunction,  # noqa: ARG002 - each cell's own process calls it
        config: DictConfig,
    ) -> None:
        """Take over what Hydra knows of the sweep."""
        self._context = hydra_context
        self._config = config

    def launch(
        self,
        job_overrides: Sequence[Sequence[str]],
        initial_job_idx: int,  # noqa: ARG002 - no run is named by a number
    ) -> Sequence[JobReturn]:
        """Carry out a run for each list of overrides; see `normexp.sweep.sweep.sweep`."""
        from normexp.sweep.cell import labels
        from normexp.sweep.sweep import sweep

        cells: dict[str, Cell] = {}
        for label, overrides in zip(labels(job_overrides), job_overrides, strict=True):
            cell = self._cell(label, list(overrides))
            cells.setdefault(cell.spec.name, cell)
        sweep(list(cells.values()), [sys.executable, "-P", "-m", f"{__package__}.checker"])
        return [JobReturn(overrides=o, status=JobStatus.COMPLETED) for o in job_overrides]

    def _cell(self, label: str, overrides: list[str]) -> Cell:
        """Compose and check a cell's settings."""
        from normexp import build
        from normexp.commands.train import by_hand, run_folder
        from normexp.errors import UserError
        from normexp.sweep.cell import Cell

        cfg = self._context.config_loader.load_sweep_config(self._config, overrides)
        HydraConfig.instance().set_config(cfg)  # settings may refer to it
        arguments = tuple(by_hand(cfg.hydra))
        with open_dict(cfg):
            del cfg["hydra"]
        try:
            spec, runtime = build.run_spec(cfg)
        except UserError as error:
            where = f" (in the cell {label})" if label else ""
            raise UserError(f"{error}{where}; nothing was started") from error
        return Cell(label or spec.name, spec, runtime, run_folder(spec, runtime), arguments)
