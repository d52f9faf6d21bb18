"""`hydra/sweeper=`: `grid` for a sweep, `tune` for `normexp tune`.

Hydra imports this file for every command, so it imports nothing else until a sweep starts.
"""

from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
from hydra.core.override_parser.overrides_parser import OverridesParser

from hydra_plugins.normexp_launcher.launcher import ProcessLauncher


class GridSweeper(BasicSweeper):
    """Hydra's own, without the file `multirun.yaml`, which nobody reads."""

    def sweep(self, arguments: list[str]) -> None:
        """Carry out the grid that the arguments of the command line make."""
        assert self.config is not None
        assert self.launcher is not None
        outputs = Path(self.config.hydra.sweep.dir)
        is_new = not outputs.exists()
        done = 0
        try:
            # A launcher of ours bounds by runtime.jobs how many runs there are at once.
            is_ours = isinstance(self.launcher, ProcessLauncher)
            for batch in self.batches(arguments, None if is_ours else self.max_batch_size):
                self.validate_batch_is_legal(batch)
                for each in self.launcher.launch(batch, initial_job_idx=done):
                    _ = each.return_value  # raises what the job has raised
                done += len(batch)
        finally:
            if is_new:
                with suppress(OSError):  # it has something in it, or was never made
                    outputs.rmdir()

    def batches(self, arguments: list[str], most: int | None) -> list[list[list[str]]]:
        """Return the overrides of each cell, in lists of at most so many cells."""
        assert self.hydra_context is not None
        parser = OverridesParser.create(config_loader=self.hydra_context.config_loader)
        overrides = parser.parse_overrides([*self._parse_config(), *arguments])
        return self.split_arguments(overrides, most)

    def validate_batch_is_legal(self, batch: Sequence[Sequence[str]]) -> None:
        """Leave it to the launcher, where that is ours."""
        if isinstance(self.launcher, ProcessLauncher):
            return
        super().validate_batch_is_legal(batch)
        assert self.hydra_context is not None
        assert self.config is not None
        loader = self.hydra_context.config_loader
        if loader.load_sweep_config(self.config, list(batch[0])).get("until"):
            from normexp.errors import UserError

            raise UserError("until=decided needs a launcher of normexp; leave hydra/launcher out")


class TuneSweeper(GridSweeper):
    """Hands the grid to `normexp tune`, which decides what is trained at which learning rate."""

    def sweep(self, arguments: list[str]) -> None:
        from normexp.commands.train import tune_command
        from normexp.commands.tune import tune
        from normexp.errors import UserError

        assert self.config is not None
        if not isinstance(self.launcher, ProcessLauncher):
            raise UserError("normexp tune needs a launcher of normexp; leave hydra/launcher out")
        (lists,) = self.batches(arguments, None)
        tune(lists, self.launcher, tune_command(self.config.hydra))
