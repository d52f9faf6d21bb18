"""What a person sees of a sweep while it runs."""

from __future__ import annotations

import re
import shutil
import sys
import time
from collections import Counter
from collections.abc import Iterable, Sequence

from tqdm import tqdm

from normexp.engine.progress import LINE_SECONDS, bars
from normexp.runs.text import cut, time_left
from normexp.sweep.cell import Cell
from normexp.sweep.ended import Ended
from normexp.sweep.pool import Tail

REFRESH_SECONDS = 1.0
EPOCH = re.compile(r"epoch (\d+): .* ([\d.]+) images/s")
"""What a run's log says at the end of each epoch."""
GOES_ON = re.compile(r" going on after step (\d+)\n[\s\S]*? (\d+) steps of ")
"""What it says at the start of a run that goes on: from which step, and of how many."""
NOTE = re.compile(
    r"^\S+ \S+ (?:(warning: .+)|(.+; it is set aside as .+|the run starts again))\n", re.MULTILINE
)
"""What it says there that a person must know: of settings, and of this run's files."""
OTHERS = {"failed": "failed", "stopped": "stopped", "in progress": "elsewhere"}
"""How a cell ends without a result, and the word for it."""


class Screen:
    """Within its `with`, a bar over the runs, those under way below it, and lines above it.

    Off a terminal, only the lines, and one a minute on how far the runs are.
    """

    def __init__(self, cells: Sequence[Cell]) -> None:
        self._cells = {cell.label: cell for cell in cells}
        self._finished = sum(cell.is_finished for cell in cells)
        self._others: Counter[str] = Counter()
        self._done = 0.0  # runs that were trained since the start, without what was there before
        self._before: dict[str, float] = {}  # the share of a run that was there before
        self._logs: dict[str, Tail] = {}
        self._told: set[str] = set()
        self._shown_at = self._began = time.monotonic()

    def __enter__(self) -> Screen:
        # Runs differ too much for the last ones to tell of the next: no smoothing.
        self._bar, self._running = bars(
            len(self._cells), self._count(), initial=self._finished, smoothing=0
        )
        return self

    def __exit__(self, *_: object) -> None:
        self._running.close()
        self._bar.close()

    def tell_end(self, label: str, end: Ended) -> None:
        """Write a line on a run that needs nothing more."""
        self._read_start(label)
        if end.has_result:
            self._finished += 1
            self._done += 1 - self._before.get(label, 0.0)
        else:
            self._others[end.how] += 1
        line = f"{label}: {end.line}"
        if end.how == "finished" and not self._bar.disable:
            line = cut(line, shutil.get_terminal_size().columns)
        self._bar.set_description_str(self._count(), refresh=False)
        tqdm.write(line, file=sys.stderr)

    def show(self, running: Iterable[str]) -> None:
        """Show which runs are under way, by label, how far and how fast they are together."""
        wait = LINE_SECONDS if self._bar.disable else REFRESH_SECONDS
        for label in running:  # what its log says from now on
            self._logs.setdefault(label, Tail(self._cells[label].folder.log))
        if time.monotonic() - self._shown_at < wait:
            return
        self._shown_at = time.monotonic()
        parts, here, speed, shown = 0.0, self._done, 0.0, []
        for label in running:
            self._read_start(label)
            before = self._before.get(label, 0.0)
            epochs = self._cells[label].spec.epochs
            said = EPOCH.findall(self._logs[label].said())
            epoch, images_per_second = said[-1] if said else (0, 0)
            speed += float(images_per_second)
            part = max(before, int(epoch) / (epochs or float("inf")))
            parts, here = parts + part, here + part - before
            shown.append(f"{label} ({epoch}/{epochs})" if epochs else label)
        # The epochs of runs under way count, so that the time left is known before the first end.
        done, total = self._finished + parts, len(self._cells) - self._others.total()
        # No epoch has ended at first, and a speed of 0 would be none.
        rate = f", {speed:.0f} images/s" * (speed > 0)
        line = f"{len(shown)} running{rate}: {', '.join(shown)}"
        if self._bar.disable:
            seconds = time.monotonic() - self._began
            left = time_left(here, here + total - done, seconds)
            print(f"{self._count()}, {left}; {line}", file=sys.stderr, flush=True)
            return
        self._bar.n, self._bar.initial, self._bar.total = done, done - here, total
        self._bar.refresh()
        width = shutil.get_terminal_size().columns
        self._running.set_description_str(cut(f"  {line}", width - 1))

    def _count(self) -> str:
        others = [f"{self._others[how]} {OTHERS[how]}" for how in OTHERS if self._others[how]]
        return ", ".join([f"{self._finished} of {len(self._cells)} runs", *others])

    def _read_start(self, label: str) -> None:
        """Read the start of the log of a cell that was started; tell each warning once."""
        said = self._logs[label].said_first() if label in self._logs else ""
        if match := GOES_ON.search(said):
            self._before[label] = int(match[1]) / int(match[2])
        lines = [warning or f"{label}: {of_run}" for warning, of_run in NOTE.findall(said)]
        for line in lines:
            if line not in self._told:
                self._told.add(line)
                tqdm.write(line, file=sys.stderr)
