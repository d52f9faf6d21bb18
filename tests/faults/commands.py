"""`normexp ...` as processes that can be killed, and what they leave on disk."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from helpers import waiting

from .size import IS_FULL, size

SMALL = (
    "data=generated",
    "data.source.num_train=100",
    "data.source.num_test=20",
    "model.network.widths=[8,8,8,8,8,8]",
    "epochs=2",
    "batch_size=8",
    "precision=fp32",
    "runtime.device=cpu",
    "runtime.threads=1",
    "runtime.checkpoint_seconds=0.02",
)
"""90 training images, 11 steps an epoch."""
GRID = ("norm=batch,both", "seed=0,1" if IS_FULL else "seed=1", "-m")
NUM_CELLS = size(2, 4)
ONE = ("norm=both", "seed=1")
"""One of the cells of the grid."""

STAYS = re.compile(
    r"(run\.json|result\.json|weights\.pt|train\.log|console\.log|events\.out\.tfevents\..*)"
)
PATIENCE_SECONDS = 120.0
wait_until = partial(waiting.wait_until, seconds=PATIENCE_SECONDS)

Findings = dict[str, tuple[dict[str, Any], bytes]]
"""By the name of a run: its result but for what varies, and the bytes of its weights."""


@dataclass
class Command:
    """One that is under way."""

    log: Path
    _socket: socket.socket
    _received: bytes = b""
    _code: int | None = None

    def __post_init__(self) -> None:
        self.pid = self._number()
        self.processes = {self.pid}
        """Its own and those that were seen by `cells`."""

    def _number(self) -> int:
        while b"\n" not in self._received:
            self._received += self._socket.recv(64)
        line, _, self._received = self._received.partition(b"\n")
        return int(line)

    def poll(self) -> int | None:
        """Return the exit code, negative for a signal, or None while it runs."""
        with suppress(TimeoutError, BlockingIOError):
            return self.wait(0.0)
        return None

    def wait(self, seconds: float = PATIENCE_SECONDS) -> int:
        """Return the exit code; raises TimeoutError."""
        if self._code is None:
            self._socket.settimeout(seconds)
            self._code = self._number()
            self._socket.close()
        return self._code

    def kill(self, number: int = signal.SIGKILL) -> None:
        """Send it a signal, if it is there yet."""
        if self.poll() is None:
            os.kill(self.pid, number)

    def said(self) -> str:
        """Return all that it and those before it have written."""
        return self.log.read_text()

    def cells(self) -> list[int]:
        """Return the processes that it has started and that still run."""
        cells = []
        with suppress(OSError):
            children = Path(f"/proc/{self.pid}/task/{self.pid}/children").read_text()
            cells = [int(pid) for pid in children.split()]
        self.processes.update(cells)
        return cells


Start = Callable[..., Command]
"""`start(folder, "train", ...)`: in that folder, where the log is `said` and runs are `outputs`."""


@contextmanager
def starter() -> Iterator[Start]:
    """Within its `with`, commands start at once."""
    with tempfile.TemporaryDirectory() as folder:
        path = str(Path(folder) / "socket")
        server = subprocess.Popen(
            [sys.executable, "-P", str(Path(__file__).with_name("forks.py")), path],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={**os.environ, "TMPDIR": folder},
        )
        assert server.stdin is not None
        assert server.stdout is not None

        def start(where: Path, *arguments: str, die_at: int = 0) -> Command:
            where.mkdir(parents=True, exist_ok=True)
            log = where / "said"
            connection = socket.socket(socket.AF_UNIX)
            connection.connect(path)
            asked = {
                "arguments": arguments,
                "folder": str(where),
                "log": str(log),
                "die_at": die_at,
            }
            connection.sendall(json.dumps(asked).encode() + b"\n")
            return Command(log, connection)

        try:
            assert server.stdout.readline() == b"ready\n"
            yield start
        finally:
            server.communicate()  # closes its input, and waits


def found(where: Path) -> Findings:
    """Return what the finished runs below `where` have found."""
    findings = {}
    for file in where.glob("outputs/runs/*/result.json"):
        result = json.loads(file.read_text())
        del result["timing"], result["checksum"]
        findings[file.parent.name] = (result, (file.parent / "weights.pt").read_bytes())
    return findings


def left_over(where: Path) -> list[str]:
    """Return the files of the runs below `where` that a finished run has no use for."""
    files = where.glob("outputs/runs/*/*")
    return [str(file) for file in files if not STAYS.fullmatch(file.name)]


def assert_undisturbed(where: Path, expected: Findings, last: Command) -> None:
    """The runs below a folder are as if nothing had happened; the folder is then removed."""
    assert "Traceback" not in last.said()
    assert found(where) == expected
    assert left_over(where) == []
    shutil.rmtree(where)


def is_gone(pid: int) -> bool:
    """Whether a process has ended; nobody may have asked for its exit code yet."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] in "ZX"
    except OSError:
        return True


def run_folder(where: Path) -> Path:
    """Return the only run below `where`."""
    (folder,) = where.glob("outputs/runs/*")
    return folder


def has_checkpoint(where: Path) -> bool:
    """Whether a run below `where` can go on."""
    return any(where.glob("outputs/runs/*/checkpoint.pt"))
