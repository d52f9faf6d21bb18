"""The story of a sweep: what is to do, doing it, what came of it."""

import shlex
import shutil
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from normexp.engine.interrupt import StopRequest
from normexp.errors import Stopped, UserError, one_line
from normexp.runs.lock import InProgressError, locked
from normexp.runs.looks import note_asked
from normexp.runs.overview import table
from normexp.runs.reference import taken_words
from normexp.runs.spec import Settings
from normexp.runs.text import aligned
from normexp.shipped import conf_dir, defaults, shipped
from normexp.sweep.cell import Cell
from normexp.sweep.check import impossible
from normexp.sweep.ended import Ended, failed, found, how_it_ended
from normexp.sweep.forecast import start_line
from normexp.sweep.fork import ForkedChild, child_class, share_images
from normexp.sweep.jobs import Jobs
from normexp.sweep.pool import Child, Pool
from normexp.sweep.question import plan_here
from normexp.sweep.scheduler import carry_out
from normexp.sweep.screen import Screen


def sweep(
    cells: Sequence[Cell], read: Callable[[Settings], object], jobs: Jobs | None = None
) -> None:
    """Carry out the cells that are not finished, and say what came of all of them."""
    conclude(cells, ends_of(cells, read, jobs))


def ends_of(
    cells: Sequence[Cell], read: Callable[[Settings], object], jobs: Jobs | None = None
) -> dict[str, Ended]:
    """Carry out the cells that are not finished, and return how each of these ended, by label.

    They are processes on this machine, which share the images that `read` keeps for a cell's
    settings, or else `jobs` of a cluster. Raises UserError where a cell cannot work, before any is
    started; Stopped once those under way have left their checkpoints.
    """
    if taken := [cell.folder.name for cell in cells if cell.take()]:
        print(taken_words(f"{len(taken)} of {len(cells)} runs are", taken[0]), file=sys.stderr)
    missing = [cell for cell in cells if not cell.is_finished]
    for cell in cells:
        if cell.is_finished:
            cell.revisit(None)
    runtime = cells[0].runtime
    settings = [cell.spec.settings for cell in missing]
    begin = Child if jobs else child_class(settings)
    plan = jobs.plan if jobs else plan_here(len(cells), len(missing), runtime, begin)
    print(start_line(cells, len(plan.slots)), file=sys.stderr)
    with StopRequest() as stop:
        new = [cell for cell in missing if not cell.has_begun]
        bad = impossible(new, plan.threads, begin, lambda: stop.is_asked)
        if len(bad) == len(cells):
            reasons = "; ".join(dict.fromkeys(bad.values()))
            raise UserError(f"no run can work; nothing was started: {reasons}")
        missing = [cell for cell in missing if cell.label not in bad]
        if begin is ForkedChild and not stop.is_asked:
            share_images(settings, read)
        engine = jobs or Pool(plan.slots, begin)
        possible = [cell for cell in cells if cell.label not in bad]
        note_asked(Path(runtime.outputs).expanduser(), [cell.spec for cell in possible])
        ends = carry_out_cells(missing, plan.threads, engine, stop, Screen(possible))
    unfinished = sum(not cell.is_finished for cell in possible)
    if stop.signal_number and unfinished:
        done = f"{len(cells) - unfinished} of {len(cells)} runs finished"
        raise Stopped(stop.signal_number, f"stopped with {done}")
    return ends | {label: Ended("left out", problem) for label, problem in bad.items()}


def conclude(cells: Sequence[Cell], ends: Mapping[str, Ended]) -> None:
    """Print what came of the cells; raises UserError where one has failed or is still elsewhere."""
    print(summary(cells, ends))
    if mistakes := sum(end.is_mistake for end in ends.values()):
        raise UserError(f"{mistakes} of {len(cells)} runs failed; the same command tries again")
    left = [cell for cell in cells if cell.label in ends and ends[cell.label].how == "in progress"]
    if elsewhere := sum(not cell.is_finished for cell in left):
        raise UserError(
            f"{elsewhere} of {len(cells)} runs in progress elsewhere, by other processes; type the "
            "same command once they have ended"
        )


def carry_out_cells(
    missing: Sequence[Cell],
    threads: int | None,
    engine: Pool | Jobs,
    stop: StopRequest,
    screen: Screen,
) -> dict[str, Ended]:
    """Run the `missing` cells, half-done ones first, and return how each ended, by label."""
    by_label = {cell.label: cell for cell in missing}
    ends: dict[str, Ended] = {}

    def record(label: str, end: Ended) -> None:
        ends[label] = end
        screen.tell_end(label, end)

    def start_or_record(cell: Cell) -> None:
        if end := start(cell, engine, threads):
            record(cell.label, end)

    def note(label: str, code: int, said: str) -> None:
        record(label, how_it_ended(by_label[label], code, said, threads, stop.is_asked))

    with screen, engine:
        carry_out(
            sorted(missing, key=lambda cell: not cell.has_begun),
            engine,
            start_or_record,
            note,
            lambda: stop.is_asked,
            lambda: screen.show(engine.running),
        )
    return ends


def start(cell: Cell, engine: Pool | Jobs, threads: int | None) -> Ended | None:
    """Start a cell's process, or return its end where it has one already or cannot have one."""
    if result := cell.result():  # another process was faster
        return found(result)
    try:
        cell.folder.path.mkdir(parents=True, exist_ok=True)
        with locked(cell.folder.path):
            cell.folder.forget_failure()
        if isinstance(engine, Jobs):
            task = cell.task_far(threads, engine.plan.cache_dir)
        else:
            task = cell.task(threads)
        engine.start(cell.label, task, cell.log)
    except InProgressError as error:
        return Ended("in progress", str(error))
    except OSError as error:
        reason = one_line(error, cell.runtime.folders)
        return failed(cell, f"cannot be started: {reason}", threads)
    return None


def summary(cells: Sequence[Cell], ends: Mapping[str, Ended]) -> str:
    """Return the table of the sweep's cells, what to know of some of them, and where to look."""
    entries = [entry for cell in cells if (entry := cell.entry())]
    lines = [table(entries)] if entries else []
    for cell in cells:
        result = cell.result()
        end = found(result) if result else ends.get(cell.label)
        if end and end.how != "finished":
            lines.append(f"{end.how}: {cell.label}: {end.words}")
            if cell.folder.path.exists():
                lines.append(f"  see {cell.folder.path}")
    return "\n".join([*lines, *next_commands(cells)])


def next_commands(cells: Sequence[Cell]) -> list[str]:
    """Return what to type now, as short as it can be typed."""
    # Beside the interpreter, where its folder is not on the PATH.
    beside = str(Path(sys.executable).with_name("normexp"))
    normexp = "normexp" if shutil.which("normexp") else beside
    studies = {cell.runtime.study for cell in cells}
    study = studies.pop() if len(studies) == 1 else None
    outputs = cells[0].runtime.outputs
    is_usual = outputs == defaults(shipped(conf_dir() / "train.yaml"))["runtime.outputs"]
    place = [] if is_usual else [f"runtime.outputs={outputs}"]
    report = [normexp, "report", *([f"study={study}"] if study else []), *place]
    board = [normexp, "tensorboard", *place]
    rows = [[shlex.join(report), "the answer, with figures"], [shlex.join(board), "the curves"]]
    return ["next:", *(f"  {line}" for line in aligned(rows).splitlines())]
