"""`normexp tensorboard`: TensorBoard on the cells, or on all runs and their cells."""

import io
import time
from contextlib import redirect_stderr
from pathlib import Path
from urllib.parse import urlencode

from omegaconf import DictConfig

from normexp.analysis.rows import of_study
from normexp.commands.composed import composed
from normexp.commands.found import tell
from normexp.commands.report import checked_settings, choices_of
from normexp.errors import UserError
from normexp.runs.catalogue import read_runs
from normexp.tuned import tuned_cells

FIRST = r"^(answer|contrast|test|train|val)/accuracy"
"""The tags that are shown first: without the bounds of intervals, and not by images as well."""
NORM, NORM_AND_SIZE = "regex:-(.*?)-b", r"regex:-(.*?-b\d+)"
"""What the curves of one colour share, in the names of their runs."""
MOST_SELECTED = 500
"""Runs that TensorBoard selects by itself."""


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
    tuned = tuned_cells(outputs)
    cells = write_view(found, overview, choices_of(settings), outputs / "cells", tuned)
    print(f"{len(found)} runs; {cells} cells have a result")
    shown = cells + 1 + (len(found) if settings["runs"] else 0)
    sizes = len({run.spec.batch_size for run in found})
    folder = outputs if settings["runs"] else outputs / "cells"
    serve(folder, settings["host"], settings["port"], page_of(shown, sizes))


def page_of(shown: int, sizes: int) -> str:
    """Return the part of TensorBoard's address that shows accuracy at once.

    A colour is a norm's, or with several batch `sizes` that of a norm at one of them. Where there
    are more than 500 runs it selects none of them, and only HParams shows all.
    """
    group = NORM if sizes == 1 else NORM_AND_SIZE
    view = {"tagFilter": FIRST, "smoothing": 0, "runColorGroup": group}
    return f"?{urlencode(view, safe=':*')}#timeseries" if shown <= MOST_SELECTED else "#hparams"


def serve(folder: Path, host: str, port: int | None, page: str) -> None:
    """Show `folder`, at the first free port from 6006 on where none is given.

    Raises UserError where no port is free.
    """
    from tensorboard.program import TensorBoard, TensorBoardServerException

    server = TensorBoard()
    server.configure(logdir=str(folder), host=host, port=port)
    try:
        with redirect_stderr(io.StringIO()):  # a note on how it loads data
            address = server.launch()
    except TensorBoardServerException as error:
        raise UserError(f"TensorBoard cannot start: {error.msg}") from error
    print(f"TensorBoard is at {address}{page}; Ctrl-C ends it")
    print("cells of runs that are trained from now on appear once you type it again", flush=True)
    try:
        while True:  # a wait without an end may miss a signal that comes to another thread
            time.sleep(1)
    except KeyboardInterrupt:
        print()
