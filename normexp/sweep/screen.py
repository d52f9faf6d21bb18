"""What a person sees of a sweep while it runs."""

from __future__ import annotations

import re
import sys
import time
from collections.abc import Mapping, Sequence

from tqdm import tqdm

from normexp.sweep.cell import Cell
from normexp.sweep.pool import Tail

REFRESH_SECONDS = 1.0
# A run says this at the end of each epoch.
EPOCH = re.compile(r"epoch (\d+): .* ([\d.]+) images/s")
BAR = "{desc} |{bar:20}| {elapsed}, {remaining} left{postfix}"


class Screen:
    """Within its `with`, a bar over the cells and lines above it; off a terminal only the lines."""

    def __init__(self, cells: Sequence[Cell]) -> None:
        self._epochs = {cell.label: cell.spec.epochs for cell in cells}
        self._finished = sum(cell.is_finished for cell in cells)
        self._shown_at = 0.0

    def __enter__(self) -> Screen:
        self._bar = tqdm(
            total=len(self._epochs),
            initial=self._finished,
            desc=self._count(),
            bar_format=BAR,
            disable=None,
            leave=False,
            dynamic_ncols=True,
            smoothing=0,  # cells differ too much for the last ones to tell of the next
        )
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.close()

    def tell_end(self, line: str) -> None:
        """Write a line on a cell that needs nothing more."""
        self._finished += 1
        self._bar.set_description_str(self._count(), refresh=False)
        tqdm.write(line, file=sys.stderr)

    def show(self, running: Mapping[str, Tail]) -> None:
        """Show which cells are under way, how far and how fast they are together."""
        if self._bar.disable or time.monotonic() - self._shown_at < REFRESH_SECONDS:
            return
        self._shown_at = time.monotonic()
        speed = parts = 0.0
        for label, tail in running.items():
            if epochs := EPOCH.findall(tail.said()):
                epoch, images_per_second = epochs[-1]
                speed += float(images_per_second)
                parts += int(epoch) / (self._epochs[label] or float("inf"))
        together = f"{speed:.0f} images/s: " if speed else ""
        self._bar.set_postfix_str(together + ", ".join(running), refresh=False)
        # The epochs of cells under way count, so that the time left is known before the first end.
        self._bar.n = self._finished + parts
        self._bar.refresh()

    def _count(self) -> str:
        return f"{self._finished}/{len(self._epochs)} cells"
