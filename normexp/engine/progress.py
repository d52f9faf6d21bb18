"""What a person sees of a run while it trains: two lines on a terminal, else a line a minute.

Of few epochs each has a line.
"""

from __future__ import annotations

import sys
import time
from types import TracebackType
from typing import Any

from tqdm import tqdm

from normexp.runs.text import cut, time_left

LINE_SECONDS = 60.0
"""Between two lines where there is no terminal."""
FEW_EPOCHS = 20
NAME_WIDTH = 28
"""Leaves the bar 20 characters or more where a line has 80."""
REST = len(" | | 100:00:00 left")
"""Of the bar, on a line so narrow that the name gives way to it."""
BAR = "{desc} |{bar}| {remaining} left"


def bars(total: int, name: str, **how: Any) -> tuple[Any, Any]:
    """Return a bar, and a line of text below it; both are disabled where there is no terminal."""
    both: dict[str, Any] = {"leave": False, "disable": None, "dynamic_ncols": True}
    bar = tqdm(total=total, desc=name, bar_format=BAR, position=0, **both, **how)
    return bar, tqdm(bar_format="{desc}", position=1, **both)


class Progress:
    """Within its `with`, a bar over the steps and the latest numbers below it.

    The first `done` steps are from before, and say nothing of the time that the others take.
    """

    def __init__(self, name: str, total_steps: int, done: int) -> None:
        self._name, self._total, self._done = name, total_steps, done
        self._validation, self._step, self._epochs = "", 0, 0
        self._first_step: int | None = None
        self._began = time.monotonic()
        self._written_at = -LINE_SECONDS

    def __enter__(self) -> Progress:
        self._bar, self._numbers = bars(
            self._total, cut(self._name, NAME_WIDTH), initial=self._done
        )
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._numbers.close()
        self._bar.close()

    def show(self, step: int, epochs: tuple[int, int], loss: float, speed: float) -> None:
        """Show how far the training is: the epoch and their number, and the images a second."""
        numbers = f"loss {loss:.3f}{self._validation}, {speed:.0f} images/s"
        epoch = f"epoch {epochs[0]}/{epochs[1]}"
        if self._first_step is None:
            self._first_step, self._began = step, time.monotonic()
        self._step, self._epochs = step, epochs[1]
        if not self._bar.disable:
            columns = self._bar.format_dict["ncols"] or 80  # now: a window changes its size
            room = min(NAME_WIDTH, columns - REST - len(f", {epoch}"))
            name = cut(self._name, max(1, room))
            self._bar.set_description_str(f"{name}, {epoch}", refresh=False)
            self._numbers.set_description_str(cut(f"  {numbers}", columns - 1), refresh=False)
            self._bar.update(step - self._bar.n)
            self._numbers.refresh()
        elif time.monotonic() - self._written_at > LINE_SECONDS and step > self._first_step:
            seconds = time.monotonic() - self._began
            left = time_left(step - self._first_step, self._total - self._first_step, seconds)
            self._write(f"{epoch}, step {step} of {self._total}, {left}: {numbers}")

    def end_epoch(self, line: str, val_accuracy: float) -> None:
        """Keep the validation accuracy; write the `line` where one is due, or it is the last."""
        self._validation = f", validation {100 * val_accuracy:.1f} %"
        is_late = time.monotonic() - self._written_at > LINE_SECONDS
        is_due = is_late or 0 < self._epochs <= FEW_EPOCHS
        if self._bar.disable and (is_due or self._step == self._total):
            self._write(line)

    def measure(self) -> None:
        """Show that the training is over and the test images are measured."""
        self._numbers.set_description_str("  measuring the test images")

    def note(self, line: str) -> None:
        """Write a line, above the bar where there is one."""
        tqdm.write(line, file=sys.stderr)

    def _write(self, line: str) -> None:
        self._written_at = time.monotonic()
        print(line, file=sys.stderr, flush=True)
