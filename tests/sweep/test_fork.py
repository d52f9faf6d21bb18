"""Forks are what processes of the same command are."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from helpers.stand_in import Compose
from helpers.waiting import wait_until
from PIL import Image

from normexp.build import run_spec
from normexp.runs.spec import Settings
from normexp.sweep import fork, pool
from normexp.sweep.fork import ForkedChild, can_fork, share_images
from normexp.sweep.pool import Child, Task

pytestmark = pytest.mark.skipif(not can_fork(), reason="this system's processes are not forked")

SIDE = 128
"""Pixels; torch divides work on two such images among threads."""
NOTHING = Task("nothing", {})
SECONDS = 20.0


@pytest.fixture(autouse=True)
def child(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In the place of `normexp child`: the module `script`, which is to be written."""
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setenv("PYTHONPATH", str(tmp_path), prepend=os.pathsep)
    for module in (pool, fork):
        monkeypatch.setattr(module, "CHILD", (sys.executable, "-P", "-m", "script", "child"))


def ended(child: Child) -> int | None:
    wait_until(lambda: child.exit_code() is not None, SECONDS)
    child.end()
    return child.exit_code()


@pytest.mark.parametrize("begin", [Child, ForkedChild])
@pytest.mark.parametrize(
    ("script", "code", "said"),
    [
        ("print(sys.argv[1], os.environ['PLACE'])", 0, "child first\n"),
        ("print('err', file=sys.stderr); sys.exit(3)", 3, "err\n"),
        ("os.kill(os.getpid(), 9)", -9, ""),
        ("print(__name__, sys.stdin.readline())", 0, '__main__ {"do": "nothing", "given": {}}\n\n'),
        ("os.write(2, b'%d' % (os.getsid(0) == os.getpid()))", 0, "1"),
        ("sys.exit('no room')", 1, None),
        ("raise ValueError('no room')", 1, None),
    ],
)
def test_a_child_does_and_says_the_same(
    tmp_path: Path, begin: type[Child], script: str, code: int, said: str | None
) -> None:
    (tmp_path / "script.py").write_text(f"import os, sys\n{script}\n")
    child = begin(NOTHING, tmp_path / "log", {"PLACE": "first"})
    assert ended(child) == code
    assert child.said() == said if said is not None else "no room" in child.said()


def test_nothing_that_this_process_has_imported_is_imported_again(tmp_path: Path) -> None:
    (tmp_path / "script.py").write_text("import sys; print('pytest' in sys.modules)")
    child = ForkedChild(NOTHING, tmp_path / "log", {})
    assert (ended(child), child.said()) == (0, "True\n")


def test_a_signal_that_comes_at_once_is_not_lost(tmp_path: Path) -> None:
    (tmp_path / "script.py").write_text("import time; time.sleep(60)")
    seen: list[int] = []
    before = signal.signal(signal.SIGTERM, lambda number, _: seen.append(number))
    try:
        for turn in range(20):
            child = ForkedChild(NOTHING, tmp_path / str(turn), {})
            child.stop()
            assert (ended(child), child.said()) == (-signal.SIGTERM, "")
    finally:
        signal.signal(signal.SIGTERM, before)
    assert seen == []


def test_children_hold_nothing_of_each_other_and_of_this_process(tmp_path: Path) -> None:
    """Each input ends with this process's end of it, though the others are still there."""
    listing = "import os, sys; print(sorted(os.listdir('/proc/self/fd')), flush=True);"
    (tmp_path / "script.py").write_text(f"{listing} sys.stdin.read(); print('it ended')")
    with (tmp_path / "open").open("w"):
        children = [ForkedChild(NOTHING, tmp_path / name, {}) for name in "abc"]
    for child in children:
        child.close_input()
        assert ended(child) == 0
        assert child.said() == "['0', '1', '2', '3']\nit ended\n"  # the fourth is the listing's


# The settings are the second argument, the folder with all files the first.
PARENT = """
import json, shutil, sys, time
from pathlib import Path
import torch
from hydra_plugins.normexp_launcher.launcher import keep_images
from normexp.sweep import fork
from normexp.sweep.fork import ForkedChild
from normexp.sweep.pool import Task

folder = Path(sys.argv[1])
before = torch.get_num_threads()
keep_images(json.loads(sys.argv[2]))
assert torch.get_num_threads() == before
for name in ("pictures", "cache"):
    shutil.rmtree(folder / name)
fork.CHILD = (sys.executable, "-P", "-m", "script", sys.argv[2])
child = ForkedChild(Task("nothing", {}), folder / "log", {})
while child.exit_code() is None:
    time.sleep(0.01)
print(child.said(), end="")
"""
CHILD = """
import json, sys
import torch
from normexp import build, inputs
from normexp.runs.spec import RunSpec

torch.set_num_threads(2)
ones = torch.ones(10**6) + 1  # by two threads
test = inputs.images(RunSpec.from_settings(json.loads(sys.argv[1]))).test
print(ones.mean().item(), test.images[..., 0].sum().item())
"""


def test_images_that_are_kept_are_there_in_a_fork_which_may_have_more_threads(
    tmp_path: Path, compose: Compose
) -> None:
    root = tmp_path / "pictures"
    for half in ("train", "test"):
        for name, grey in (("cat/1", 1), ("cat/2", 1), ("dog/1", 2), ("dog/2", 2)):
            (root / half / name).parent.mkdir(parents=True, exist_ok=True)
            Image.new("RGB", (SIDE, SIDE), (grey, 0, 0)).save(root / half / f"{name}.png")
    cache = f"runtime.cache_dir={tmp_path}/cache"
    cfg = compose("data=images", f"data.root={root}", "data.val_fraction=0.5", cache)
    settings = json.dumps(run_spec(cfg)[0].settings)
    (tmp_path / "parent.py").write_text(PARENT)
    (tmp_path / "script.py").write_text(CHILD)
    # A process of its own, as a sweep is: other tests' threads would be missing in a fork too.
    parent = subprocess.run(
        [sys.executable, "parent.py", str(tmp_path), settings],
        cwd=tmp_path,
        env={**os.environ, "OMP_NUM_THREADS": "2"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert parent.stdout == f"2.0 {SIDE**2 * (1 + 1 + 2 + 2)}\n", parent.stderr


def test_images_are_read_once_for_all_runs_and_those_of_a_users_own_part_not_at_all() -> None:
    def settings(target: str, seed: int = 0) -> Settings:
        return {"data": {"source": {"_target_": target}}, "seed": seed}

    asked: list[Settings] = []

    def read(each: Settings) -> None:
        asked.append(each)
        if "damaged" in each["data"]["source"]["_target_"]:
            raise OSError

    damaged, own = settings("normexp.damaged"), settings("mine.images")
    share_images([damaged, own, *(settings("normexp.good", seed) for seed in range(3))], read)
    assert [each["data"]["source"]["_target_"] for each in asked] == [
        "normexp.damaged",
        "normexp.good",
    ]
