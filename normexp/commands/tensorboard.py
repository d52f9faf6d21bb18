"""`normexp tensorboard`: TensorBoard on all runs and their cells, on a free port."""

import time
from pathlib import Path

from omegaconf import DictConfig

from normexp.analysis.rows import of_study
from normexp.commands.composed import composed
from normexp.commands.found import tell
from normexp.commands.report import checked_settings, choices_of
from normexp.errors import UserError
from normexp.runs.catalogue import read_runs


@composed("tensorboard")
def main(cfg: DictConfig) -> None:
    # Drawings and TensorBoard take seconds to import, and --help needs none of it.
    from normexp.analysis.tensorboard import write_view

    settings = checked_settings(cfg, "tensorboard")
    study, outputs = settings["study"], Path(settings["runtime"]["outputs"]).expanduser()
    known = read_runs(outputs)
    tell(known.problems)
    found = of_study(known, [outputs], None)
    overview = of_study(known, [outputs], study)
    cells = write_view(found, overview, choices_of(settings), outputs / "cells")
    print(f"{len(found)} runs, {cells} cells of two seeds or more")
    serve(outputs)


def serve(folder: Path) -> None:
    """Show `folder` at the first free port from 6006 on; raises UserError where none is free."""
    from tensorboard.program import TensorBoard, TensorBoardServerException

    server = TensorBoard()
    server.configure(logdir=str(folder))
    try:
        address = server.launch()
    except TensorBoardServerException as error:
        raise UserError(f"TensorBoard cannot start: {error.msg}") from error
    print(f"TensorBoard is at {address}; Ctrl-C ends it", flush=True)
    try:
        while True:  # a wait without an end may miss a signal that comes to another thread
            time.sleep(1)
    except KeyboardInterrupt:
        print()
