"""Children that are forks of this process, which has imported torch and read the images.

Importing torch takes longer than all else that a short run does beside training. A further cell is
at its first step after 0.7 s (scripts/bench startup). The standard library's forkserver cannot be
handed the images: with 55,000 files, which a cell then has to find and check, it takes 1.4 s.
"""

import atexit
import gc
import importlib
import json
import os
import pkgutil
import runpy
import signal
import sys
import threading
import traceback
import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import IO, NoReturn

from normexp.engine.interrupt import SIGNALS
from normexp.runs.source import targets
from normexp.runs.spec import Settings
from normexp.sweep.pool import CHILD, Child, Process

IMPORTED = ("data", "engine", "evaluation", "kernels", "norms")
ALSO_IMPORTED = ("normexp.models.check", "normexp.models.padding", "torch._dynamo")
"""Of the models only these; torchvision's takes long, and few need it. The first optimizer imports
torch's compiler.
"""


def can_fork() -> bool:
    """Whether a fork of a process that has imported torch is sound here."""
    return sys.platform == "linux" and hasattr(os, "fork")


def child_class(settings: Sequence[Settings]) -> type[Child]:
    """Return what begins children for these `settings`: forks, where there are several."""
    if len(settings) < 2 or not can_fork():
        return Child
    # torch then looks for GPUs without CUDA, which no fork could use once it is begun.
    os.environ["PYTORCH_NVML_BASED_CUDA_CHECK"] = "1"
    import_training(settings)
    return ForkedChild


def import_training(settings: Iterable[Settings]) -> None:
    """Import what trainings need, and nothing of a user's own: threads or a GPU survive no fork."""
    from PIL import Image

    for part in IMPORTED:
        package = importlib.import_module(f"normexp.{part}")
        for module in pkgutil.iter_modules(package.__path__, f"{package.__name__}."):
            importlib.import_module(module.name)
    parts = {target for each in settings for target in targets(each)}
    rooms = tuple(f"normexp.{room}." for room in (*IMPORTED, "models"))
    # A record may come from somebody else; what is no part of a training is not even imported.
    ours = {part.rpartition(".")[0] for part in parts if part.startswith(rooms)}
    for name in sorted(ours.union(ALSO_IMPORTED)):
        with suppress(ImportError):  # of a record that names what is not there, as its run will say
            importlib.import_module(name)
    Image.preinit()  # the formats that TensorBoard's writer asks for
    gc.freeze()  # or each child's first collection would copy all pages of what is there
    atexit.register(gc.unfreeze)  # triton says that what is not collected at the end has leaked


def share_images(settings: Iterable[Settings], read: Callable[[Settings], object]) -> None:
    """Read the images of trainings with these `settings`, by `read`, so that every fork has them.

    Not those of a user's own part. What is wrong with them is left to the training to tell.
    """
    distinct = {json.dumps(each["data"]): each for each in settings}
    for each in distinct.values():
        if all(part.startswith("normexp.") for part in targets(each["data"])):
            with suppress(Exception):
                read(each)


class ForkedChild(Child):
    """A child that is a fork of this process."""

    @staticmethod
    def begin(log: IO[bytes], environment: Mapping[str, str], own_errors: bool) -> Process:
        return Fork(log, environment, own_errors)


class Fork:
    """A process as `subprocess.Popen` would start it, with a pipe for its input."""

    def __init__(self, log: IO[bytes], environment: Mapping[str, str], own_errors: bool) -> None:
        reading, writing = os.pipe()
        sys.stdout.flush()
        sys.stderr.flush()
        # A signal must find the child's own handlers, not this process's.
        signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
        try:
            with warnings.catch_warnings():
                # Python 3.12 warns of threads; numpy's alone are there, and they survive a fork.
                warnings.simplefilter("ignore", DeprecationWarning)
                self._pid = os.fork()
            if not self._pid:
                end_with(partial(_become, reading, log.fileno(), environment, own_errors))
        finally:
            signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)
        os.close(reading)
        self.stdin: IO[bytes] | None = os.fdopen(writing, "wb")
        self._code: int | None = None

    def poll(self, options: int = os.WNOHANG) -> int | None:
        """Return the exit code, or None while it runs."""
        if self._code is None:
            pid, status = os.waitpid(self._pid, options)
            if pid:
                self._code = os.waitstatus_to_exitcode(status)
        return self._code

    def wait(self) -> int:
        code = self.poll(0)
        assert code is not None
        return code

    def send_signal(self, number: int, /) -> None:
        """Send a signal, unless it has ended."""
        if self.poll() is None:
            os.kill(self._pid, number)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)


def _become(stdin: int, log: int, environment: Mapping[str, str], own_errors: bool) -> None:
    """In the child: be what `CHILD` is."""
    os.setsid()
    os.dup2(stdin, 0)
    os.dup2(log, 1)
    if own_errors:
        os.dup2(1, 2)
    # The pipes of other children would keep them from noticing that the sweep is gone.
    opened = [int(each.name) for each in Path("/proc/self/fd").iterdir()]
    for number in [number for number in opened if number > 2]:
        with suppress(OSError):  # the listing's own is closed already
            os.close(number)
    sys.stdin = open(0, closefd=False)  # noqa: SIM115 - open as long as the process is
    sys.stdout = open(1, "w", closefd=False)  # noqa: SIM115
    sys.stderr = open(2, "w", 1, errors="backslashreplace", closefd=False)  # noqa: SIM115
    os.environ.update(environment)
    _forget_parent()
    sys.argv = [*CHILD[3:]]
    runpy.run_module(CHILD[3], run_name="__main__", alter_sys=True)


def end_with(run: Callable[[], object]) -> NoReturn:
    """Do `run`, and end this process as Python ends, without a return to what the parent did."""
    code = 1
    try:
        run()
        code = 0
    except SystemExit as end:
        if end.code is None or isinstance(end.code, int):
            code = end.code or 0
        else:
            print(end.code, file=sys.stderr)
    except BaseException:
        traceback.print_exc()
    with suppress(OSError):
        sys.stdout.flush()
        sys.stderr.flush()
    os._exit(code)


def _forget_parent() -> None:
    from tqdm import tqdm

    for number in SIGNALS:
        is_ctrl_c = number == signal.SIGINT
        signal.signal(number, signal.default_int_handler if is_ctrl_c else signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)
    # The parent's is shared among processes, and stays taken where one is killed that has it.
    tqdm.set_lock(threading.RLock())
