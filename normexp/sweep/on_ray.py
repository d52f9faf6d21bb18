"""Jobs as tasks of a Ray cluster."""

import signal
import socket
from pathlib import Path

import ray
from ray.exceptions import RayError

from normexp.errors import UserError
from normexp.runs.spec import Settings
from normexp.sweep.errand import Errand
from normexp.sweep.jobs import Jobs
from normexp.sweep.plan import Plan
from normexp.sweep.pool import Task

PATIENCE_SECONDS = 10.0


class RayJobs(Jobs):
    """Ray places the jobs, and starts one again elsewhere whose machine has died."""

    def __init__(self, plan: Plan, init: Settings, remote: Settings) -> None:
        super().__init__(plan)
        self._init = init
        self._remote = remote
        self._refs: dict[str, ray.ObjectRef] = {}

    def __exit__(self, *_: object) -> None:
        ray.shutdown()

    def ask(self, name: str, task: Task, log: Path) -> None:
        """Give it to Ray, which is connected to first."""
        if not ray.is_initialized():
            self._connect()
        self._refs[name] = ray.remote(**self._remote)(carry_out).remote(
            Errand(task, log, Path.cwd())
        )

    def end(self, name: str) -> int | tuple[int, str] | None:
        ready, _ = ray.wait([self._refs[name]], timeout=0)
        if not ready:
            return None
        try:
            return int(ray.get(ready[0]))
        except RayError as error:
            return 1, f"{type(error).__name__}: {str(error).strip().splitlines()[0]}"

    def cancel(self) -> None:
        for name in self.running:
            ray.cancel(self._refs[name])

    def _connect(self) -> None:
        address = str(self._init.get("address"))
        host, _, port = address.rpartition(":")
        if port.isdigit() and "/" not in host:  # Ray itself waits for minutes
            try:
                socket.create_connection((host, int(port)), timeout=PATIENCE_SECONDS).close()
            except OSError as error:
                raise UserError(
                    f"hydra.launcher.ray.init.address={address}: no Ray answers there ({error})"
                ) from error
        handler = signal.getsignal(signal.SIGTERM)
        try:
            ray.init(**self._init)
        except (ConnectionError, RuntimeError, ValueError, TypeError) as error:
            reason = " ".join(str(error).split())
            raise UserError(f"hydra.launcher.ray.init: no Ray can be reached ({reason})") from error
        finally:
            signal.signal(signal.SIGTERM, handler)  # Ray puts one of its own in its place


def carry_out(errand: Errand) -> int:
    """Return the exit code of what a worker is asked to do."""
    return errand()
