"""Forks are what processes of the same command are."""

from __future__ import annotations

import json
import shutil
import signal
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image

from normexp.build import keep_images, run_spec
from normexp.sweep.fork import ForkedChild, can_fork, share_images
from normexp.sweep.pool import Child, Pool

from .stand_in import Compose
from .test_pool import all_ended, wait_until

pytestmark = pytest.mark.skipif(not can_fork(), reason="this system's processes are not forked")

SIDE = 128
"""Pixels; torch divides work on two such images among threads."""


@pytest.fixture
def command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The start of a command whose module, `script`, is to be written."""
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    return [sys.executable, "-P", "-m", "script"]


@pytest.mark.parametrize("begin", [Child, ForkedChild])
@pytest.mark.parametrize(
    ("script", "code", "said"),
    [
        ("print('out', sys.argv[1], os.environ['PLACE'])", 0, "out a=1 first\n"),
        ("print('err', file=sys.stderr); sys.exit(3)", 3, "err\n"),
        ("os.kill(os.getpid(), 9)", -9, ""),
        ("print(__name__, sys.stdin.read() == '')", 0, "__main__ True\n"),
        ("os.write(2, b'%d' % (os.getsid(0) == os.getpid()))", 0, "1"),
        ("sys.exit('no room')", 1, None),
        ("raise ValueError('no room')", 1, None),
    ],
)
def test_a_child_does_and_tells_the_same(
    command: list[str], tmp_path: Path, begin: type[Child], script: str, code: int, said: str | None
) -> None:
    (tmp_path / "script.py").write_text(f"import os, sys\n{script}\n")
    child = begin([*command, "a=1"], tmp_path / "log", {"PLACE": "first"})
    child._process.stdin.close()
    wait_until(lambda: child.exit_code() is not None)
    child.end()
    assert child.exit_code() == code
    assert child.said() == said if said is not None else "no room" in child.said()


def test_nothing_that_this_process_has_imported_is_imported_again(
    command: list[str], tmp_path: Path
) -> None:
    (tmp_path / "script.py").write_text("import sys; print('pytest' in sys.modules)")
    with Pool([{}], ForkedChild) as pool:
        pool.start("a", command, tmp_path / "log")
        assert all_ended(pool) == [("a", 0, "True\n")]


def test_a_signal_that_comes_at_once_is_not_lost(command: list[str], tmp_path: Path) -> None:
    (tmp_path / "script.py").write_text("import time; time.sleep(60)")
    seen: list[int] = []
    before = signal.signal(signal.SIGTERM, lambda number, _: seen.append(number))
    try:
        for turn in range(20):
            with Pool([{}], ForkedChild) as pool:
                pool.start("a", command, tmp_path / str(turn))
                pool.stop()
                assert all_ended(pool) == [("a", -signal.SIGTERM, "")]
    finally:
        signal.signal(signal.SIGTERM, before)
    assert seen == []


def test_children_hold_nothing_of_each_other(command: list[str], tmp_path: Path) -> None:
    """Each input ends with this process's end of it, though the others are still there."""
    (tmp_path / "script.py").write_text("import sys; sys.stdin.read(); print('it ended')")
    children = [ForkedChild(command, tmp_path / name, {}) for name in "abc"]
    for child in children:
        child._process.stdin.close()
        wait_until(lambda: child.exit_code() == 0)  # noqa: B023
        child.end()
        assert child.said() == "it ended\n"


def test_open_files_of_this_process_are_not_the_childs(command: list[str], tmp_path: Path) -> None:
    (tmp_path / "script.py").write_text("import os; print(sorted(os.listdir('/proc/self/fd')))")
    with (tmp_path / "open").open("w"), Pool([{}], ForkedChild) as pool:
        pool.start("a", command, tmp_path / "log")
        # The fourth is the listing's own.
        assert all_ended(pool) == [("a", 0, "['0', '1', '2', '3']\n")]


def test_images_that_are_kept_are_there_in_a_fork_which_may_have_more_threads(
    command: list[str], tmp_path: Path, compose: Compose
) -> None:
    root = tmp_path / "pictures"
    for half in ("train", "test"):
        for name, grey in (("cat/1", 1), ("cat/2", 1), ("dog/1", 2), ("dog/2", 2)):
            (root / half / name).parent.mkdir(parents=True, exist_ok=True)
            Image.new("RGB", (SIDE, SIDE), (grey, 0, 0)).save(root / half / f"{name}.png")
    cache = f"runtime.cache_dir={tmp_path}/cache"
    cfg = compose("data=images", f"data.root={root}", "data.val_fraction=0.5", cache)
    settings = run_spec(cfg)[0].settings
    before = torch.get_num_threads()
    keep_images(settings)
    assert torch.get_num_threads() == before
    shutil.rmtree(root)
    shutil.rmtree(tmp_path / "cache")
    (tmp_path / "script.py").write_text(
        "import json, sys, torch; from omegaconf import OmegaConf; from normexp import build\n"
        "torch.set_num_threads(2)\n"
        "ones = torch.ones(10**6) + 1\n"  # for two threads
        "test = build.images(OmegaConf.create(json.loads(sys.argv[1]))).test\n"
        "print(ones.mean().item(), test.images[..., 0].sum().item())\n"
    )
    with Pool([{}], ForkedChild) as pool:
        pool.start("a", [*command, json.dumps(settings)], tmp_path / "log")
        assert all_ended(pool) == [("a", 0, f"2.0 {SIDE**2 * (1 + 1 + 2 + 2)}\n")]


def test_images_are_read_once_for_all_runs_and_those_of_a_users_own_part_not_at_all() -> None:
    def settings(target: str, seed: int = 0) -> dict[str, Any]:
        return {"data": {"source": {"_target_": target}}, "seed": seed}

    asked: list[dict[str, Any]] = []

    def read(each: dict[str, Any]) -> None:
        asked.append(each)
        if "damaged" in each["data"]["source"]["_target_"]:
            raise OSError

    damaged, own = settings("normexp.damaged"), settings("mine.images")
    share_images([damaged, own, *(settings("normexp.good", seed) for seed in range(3))], read)
    assert [each["data"]["source"]["_target_"] for each in asked] == [
        "normexp.damaged",
        "normexp.good",
    ]
