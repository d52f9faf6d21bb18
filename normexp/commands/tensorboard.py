"""`normexp tensorboard`: TensorBoard on all runs and their cells, on a free port."""

from __future__ import annotations

import time
from pathlib import Path

from omegaconf import DictConfig

from normexp.commands.composed import composed
from normexp.commands.report import choices_of
from normexp.errors import UserError


@composed("tensorboard")
def main(cfg: DictConfig) -> None:
    """Bring the view of the cells up to date, and serve until Ctrl-C."""
    # Statistics, drawings and TensorBoard take seconds to import, and --help needs none of it.
    from normexp.analysis.rows import rows
    from normexp.analysis.tensorboard import write_view

    outputs = Path(cfg.runtime.outputs).expanduser()
    found = rows(outputs)
    overview = found if cfg.study is None else rows(outputs, str(cfg.study))
    cells = write_view(found, overview, choices_of(cfg), outputs / "cells")
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
