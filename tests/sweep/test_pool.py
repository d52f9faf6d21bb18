"""Child processes: so many at once, and none left behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from functools import partial
from pathlib import Path

import pytest
from helpers import stand_in, waiting
from helpers.stand_in import script

from normexp.sweep import pool as pool_module
from normexp.sweep.pool import Pool
from normexp.sweep.scheduler import carry_out

SLEEP = script("import time; time.sleep(60)")
DEAF = script(
    "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print(1, flush=True);"
    "time.sleep(60)"
)
wait_until = partial(waiting.wait_until, seconds=20)


@pytest.fixture(autouse=True)
def child(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pool_module, "CHILD", stand_in.child())


def all_ended(pool: Pool) -> list[tuple[str, int, str]]:
    ended: list[tuple[str, int, str]] = []

    def collect() -> bool:
        ended.extend(pool.ended())
        return not pool.running

    wait_until(collect)
    return ended


def is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def test_what_a_child_says_and_its_exit_code_come_back(tmp_path: Path) -> None:
    log = tmp_path / "new" / "console.log"
    log.parent.mkdir()
    log.write_text("from an earlier try\n")
    with Pool([{}]) as pool:
        text = "import sys; print('out', flush=True); print('err', file=sys.stderr); sys.exit(3)"
        pool.start("a", script(text), log)
        assert all_ended(pool) == [("a", 3, "out\nerr\n")]
    assert log.read_text() == "from an earlier try\nout\nerr\n"


def test_a_slot_is_taken_until_its_child_ends_and_places_it(tmp_path: Path) -> None:
    with Pool([{"PLACE": "first"}, {"PLACE": "second"}]) as pool:
        show = script("import os; print(os.environ['PLACE'])")
        pool.start("a", show, tmp_path / "a")
        assert pool.has_room
        pool.start("b", SLEEP, tmp_path / "b")
        assert not pool.has_room
        wait_until(lambda: bool(pool.ended()))
        assert pool.has_room
        pool.start("c", show, tmp_path / "c")
        wait_until(lambda: bool(pool.ended()))
    assert (tmp_path / "a").read_text() == (tmp_path / "c").read_text() == "first\n"


def test_a_child_that_cannot_be_started_leaves_its_slot_free(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pool_module, "CHILD", ["./no-such-command"])
    with Pool([{}]) as pool:
        with pytest.raises(OSError, match="no-such-command"):
            pool.start("a", SLEEP, tmp_path / "a")
        assert pool.has_room
        assert not pool.running


def test_children_stop_on_request(tmp_path: Path) -> None:
    with Pool([{}, {}]) as pool:
        for name in "ab":
            pool.start(name, SLEEP, tmp_path / name)
        pool.stop()
        assert {code for _, code, _ in all_ended(pool)} == {-signal.SIGTERM}


def test_a_child_that_does_not_stop_is_ended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pool_module, "GRACE_SECONDS", 0.1)
    with Pool([{}]) as pool:
        pool.start("a", DEAF, tmp_path / "a")
        wait_until(lambda: pool.running["a"].said() != "")
        pool.stop()
        assert all_ended(pool) == [("a", -signal.SIGKILL, "1\n")]


def test_none_is_left_after_an_error(tmp_path: Path) -> None:
    show = script("import os, time; print(os.getpid(), flush=True); time.sleep(60)")

    def broken_off() -> None:
        with Pool([{}]) as pool:
            pool.start("a", show, tmp_path / "a")
            wait_until(lambda: pool.running["a"].said() != "")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        broken_off()
    assert not is_alive(int((tmp_path / "a").read_text()))


def test_tasks_start_as_there_is_room_until_it_is_time_to_stop(tmp_path: Path) -> None:
    at_once: list[int] = []
    ended: list[tuple[str, int]] = []

    def start(name: str) -> None:
        pool.start(name, script("print('done')"), tmp_path / name)
        at_once.append(len(pool.running))

    with Pool([{}, {}]) as pool:
        note = lambda name, code, _: ended.append((name, code))  # noqa: E731
        carry_out("abcd", pool, start, note, lambda: len(ended) > 1)
    assert max(at_once) == 2
    assert {("a", 0), ("b", 0)} <= set(ended)
    assert "d" not in [name for name, _ in ended]


PARENT = """
import sys, time
from pathlib import Path
from normexp.sweep import pool

pool.CHILD = (sys.executable, "-P", "-c", sys.argv[2])
with pool.Pool([{}]) as children:
    children.start("a", pool.Task("train", {}), Path(sys.argv[1]))
    time.sleep(60)
"""
CHILD = """
import os, signal, sys, time
from normexp.commands.child import stop_with_parent

signal.signal(signal.SIGTERM, lambda *_: (print("stopped", flush=True), os._exit(0)))
sys.stdin.readline()
stop_with_parent()
print("under way", flush=True)
time.sleep(60)
"""


def test_a_child_stops_when_the_sweep_is_killed(tmp_path: Path) -> None:
    log = tmp_path / "log"
    sweep = subprocess.Popen([sys.executable, "-c", PARENT, str(log), CHILD])
    wait_until(lambda: log.exists() and "under way" in log.read_text())
    sweep.kill()
    sweep.wait()
    wait_until(lambda: "stopped" in log.read_text())
