"""How long a command takes, on a machine that others use too."""

from __future__ import annotations

import subprocess
from resource import RUSAGE_CHILDREN, getrusage


def seconds_of(*command: str) -> float:
    """Return the processor time of a command, which is what an idle machine takes."""
    before = getrusage(RUSAGE_CHILDREN)
    subprocess.run(command, check=True, capture_output=True)
    after = getrusage(RUSAGE_CHILDREN)
    return after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime
