"""`normexp`, started by a sweep: it stops when the sweep's process is gone.

Standard input is a pipe whose other end nobody but the sweep holds; it ends however the sweep ends,
even by SIGKILL. The run then gets a SIGTERM, and so leaves a checkpoint.
"""

from __future__ import annotations

import os
import signal
from threading import Thread

from normexp.cli import main


def stop_with_parent() -> None:
    """Watch standard input, from now on and beside everything else."""

    def watch() -> None:
        while os.read(0, 4096):
            pass
        os.kill(os.getpid(), signal.SIGTERM)

    Thread(target=watch, name="watch for the sweep's end", daemon=True).start()


if __name__ == "__main__":
    os.environ.pop("SLURM_JOB_ID", None)  # the sweep is requeued, not its runs
    stop_with_parent()
    main()
