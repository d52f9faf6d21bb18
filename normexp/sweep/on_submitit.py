"""Jobs by submitit: on a SLURM cluster, or with cluster `local` as processes of this machine."""

from pathlib import Path
from signal import SIGTERM

from submitit import AutoExecutor, Job
from submitit.core.utils import FailedJobError, UncompletedJobError

from normexp.errors import UserError
from normexp.runs.spec import Settings
from normexp.sweep.errand import SubmititErrand
from normexp.sweep.jobs import Jobs
from normexp.sweep.plan import Plan
from normexp.sweep.pool import Task

# Parameters of all of submitit's clusters; others have the cluster's name in front.
COMMON = (
    *("name", "timeout_min", "nodes", "tasks_per_node", "cpus_per_task", "gpus_per_node"),
    *("mem_gb", "stderr_to_stdout"),
)


class SubmititJobs(Jobs):
    """Jobs that are asked for together make one array."""

    def __init__(self, plan: Plan, cluster: str, folder: str, parameters: Settings) -> None:
        super().__init__(plan)
        self._asked: dict[str, SubmititErrand] = {}
        self._jobs: dict[str, Job[int]] = {}
        known = {
            key if key in COMMON else f"{cluster}_{key}": value
            for key, value in parameters.items()
            if value is not None
        }
        at_start = {key: known.pop(key) for key in list(known) if key.endswith("max_num_timeout")}
        try:
            self._executor = AutoExecutor(folder, cluster=cluster, **at_start)
            self._executor.update_parameters(**known)
        except (RuntimeError, ValueError, NameError, TypeError) as error:
            raise UserError(f"hydra/launcher=submitit_{cluster}: {error}") from error

    def __exit__(self, *_: object) -> None:
        """Nothing to let go of: the jobs are SLURM's."""

    def ask(self, name: str, task: Task, log: Path) -> None:
        """Put it on the list of what is submitted next."""
        self._asked[name] = SubmititErrand(task, log, Path.cwd())

    def end(self, name: str) -> int | tuple[int, str] | None:
        self._submit()
        job = self._jobs[name]
        if not job.done():
            return None
        if self.is_stopping:  # submitit waits long for the result of a job that it has cancelled
            return 128 + SIGTERM
        try:
            return int(job.result())
        except FailedJobError as error:
            words = str(error).strip().splitlines()[-1]
        except UncompletedJobError:
            words = f"it ended without a result, {job.state}"
        return 1, f"job {job.job_id}: {words}; see {job.paths.stderr}"

    def cancel(self) -> None:
        """Have SLURM send all a SIGTERM."""
        for name in self._asked:
            del self.running[name]
        self._asked.clear()
        for name in self.running:
            self._jobs[name].cancel(check=False)

    def _submit(self) -> None:
        if not self._asked:
            return
        try:
            jobs = self._executor.submit_array(list(self._asked.values()))
        except (RuntimeError, OSError) as error:
            raise UserError(f"the jobs were not taken: {error}") from error
        self._jobs.update(zip(self._asked, jobs, strict=True))
        self._asked.clear()
