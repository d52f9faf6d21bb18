"""The story of a sweep: what is to do, doing it, what came of it."""

from __future__ import annotations

import shutil
import sys
import time
from collections import deque
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from normexp.engine.interrupt import StopRequest
from normexp.errors import Stopped, UserError
from normexp.runs.catalogue import read_entry, table
from normexp.runs.lock import InProgressError, locked, revisit
from normexp.sweep.cell import Cell
from normexp.sweep.check import refuse_bad_cells
from normexp.sweep.ended import Ended, failed, found, how_it_ended
from normexp.sweep.forecast import start_line
from normexp.sweep.fork import ForkedChild, beginning, share_images
from normexp.sweep.jobs import Jobs
from normexp.sweep.plan import Machine, Plan
from normexp.sweep.pool import POLL_SECONDS, Child, Pool
from normexp.sweep.screen import Screen


def sweep(
    cells: Sequence[Cell],
    checker: Sequence[str],
    read: Callable[[Any], object],
    jobs: Jobs | None = None,
) -> None:
    """Carry out the cells that are not finished, and tell what came of all of them.

    `checker` is the command that checks cells (`check.py`). The cells are carried out as processes
    on this machine, which share the images that `read` keeps for a cell's settings, or else as
    `jobs` of a cluster. Raises UserError where a cell cannot work, before any is started, and
    where one has failed, after all others; Stopped once those under way have left their
    checkpoints.
    """
    missing = [cell for cell in cells if not cell.is_finished]
    for cell in cells:
        if cell.is_finished:
            revisit(cell.folder, cell.spec, cell.by_hand(None), cell.runtime.study)
    runtime = cells[0].runtime
    if jobs is None:
        plan = Plan.choose(len(cells), runtime, Machine.this(runtime.device))
    else:
        plan = jobs.plan
    print(start_line(cells, len(plan.slots)), file=sys.stderr)
    with StopRequest() as stop:
        new = [cell for cell in missing if not cell.has_begun]
        settings = [cell.spec.settings for cell in missing]
        begin = Child if jobs else beginning(settings, plan.slots)
        refuse_bad_cells(new, checker, begin, lambda: stop.signal_number is not None)
        if begin is ForkedChild and not stop.signal_number:
            share_images(settings, read)
        ends = carry_out(missing, plan, jobs or Pool(plan.slots, begin), stop, Screen(cells))
    unfinished = sum(not cell.is_finished for cell in cells)
    if stop.signal_number and unfinished:
        done = f"{len(cells) - unfinished} of {len(cells)} cells finished"
        raise Stopped(stop.signal_number, f"stopped with {done}")
    print(summary(cells, ends))
    if mistakes := sum(end.is_mistake for end in ends.values()):
        raise UserError(f"{mistakes} of {len(cells)} cells failed; the same command tries again")


def carry_out(
    missing: Sequence[Cell], plan: Plan, pool: Pool | Jobs, stop: StopRequest, screen: Screen
) -> dict[str, Ended]:
    """Run the `missing` cells, half-done ones first, and return how each ended, by label."""
    waiting = deque(sorted(missing, key=lambda cell: not cell.has_begun))
    by_label = {cell.label: cell for cell in missing}
    ends: dict[str, Ended] = {}

    def note(label: str, end: Ended) -> None:
        ends[label] = end
        screen.tell_end(f"{label}: {end.told}")

    with screen, pool:
        while pool.running or (waiting and not stop.signal_number):
            if stop.signal_number:
                pool.stop()
            elif waiting and pool.has_room:
                cell = waiting.popleft()
                if end := start(cell, pool, plan.threads):
                    note(cell.label, end)
                continue
            for label, code, said in pool.ended():
                is_stopping = stop.signal_number is not None
                end = how_it_ended(by_label[label], code, said, plan.threads, is_stopping)
                note(label, end)
            screen.show(pool.running)
            time.sleep(POLL_SECONDS)
    return ends


def start(cell: Cell, pool: Pool | Jobs, threads: int | None) -> Ended | None:
    """Start a cell's process, or return its end where it has one already or cannot have one."""
    if result := cell.result():  # another process was faster
        return found(result)
    try:
        cell.folder.path.mkdir(parents=True, exist_ok=True)
        with locked(cell.folder.path):
            cell.folder.forget_failure()
        pool.start(cell.label, cell.command(threads), cell.log)
    except InProgressError as error:
        return Ended("in progress", str(error))
    except OSError as error:
        return failed(cell, f"cannot be started: {error}", threads)
    return None


def summary(cells: Sequence[Cell], ends: dict[str, Ended]) -> str:
    """Return the table of the sweep's cells, what to know of some of them, and where to look."""
    lines = [table([read_entry(cell.folder) for cell in cells if cell.folder.record_file.exists()])]
    for cell in cells:
        result = cell.result()
        end = found(result) if result else ends.get(cell.label)
        if end and end.how != "finished":
            lines.append(f"{end.how}: {cell.label}: {end.words}\n  see {cell.folder.path}")
    # Beside the interpreter, where its folder is not on the PATH.
    beside = Path(sys.executable).with_name("normexp")
    normexp = "normexp" if shutil.which("normexp") else beside
    lines.append(f"curves: {normexp} tensorboard runtime.outputs={cells[0].runtime.outputs}")
    return "\n".join(lines)
