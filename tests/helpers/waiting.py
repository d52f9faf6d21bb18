from __future__ import annotations

import time
from collections.abc import Callable


def wait_until(happened: Callable[[], object], seconds: float) -> None:
    """Wait for something that another process does; so many seconds are too long."""
    end = time.monotonic() + seconds
    while not happened():
        assert time.monotonic() < end, f"waited for {seconds} s"
        time.sleep(0.005)
