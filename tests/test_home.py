"""Without HOME, with a user id that has no name, and without UTF-8."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from helpers.made import make_run
from helpers.typed import SMALL

from normexp.errors import UserError
from normexp.home import ensure_home

NAMES = ("HOME", "USER", "LOGNAME", "LNAME", "USERNAME")
START = """
import pwd

def nobody(_):
    raise KeyError("no such user")

pwd.getpwuid = pwd.getpwnam = nobody
from normexp.cli import main
main()
"""


def nameless(tmp_path: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {key: value for key, value in os.environ.items() if key not in NAMES}
    environment.pop("NORMEXP_CACHE", None)
    environment |= {"LC_ALL": "C", "PYTHONIOENCODING": "ascii", "TMPDIR": str(tmp_path)}
    command = [sys.executable, "-P", "-c", START, *arguments]
    return subprocess.run(
        command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
    )


def test_the_table_of_runs_needs_none_of_them(tmp_path: Path) -> None:
    make_run(tmp_path / "outputs", 0.5)
    listed = nameless(tmp_path, "runs")
    assert listed.returncode == 0, listed.stderr
    assert listed.stdout.isascii()
    assert "finished" in listed.stdout


@pytest.mark.slow
def test_a_run_and_a_sweep_finish_without_any_of_them(tmp_path: Path) -> None:
    tiny = ("train", *SMALL, "steps=1", "kernels=none")
    done = nameless(tmp_path, *tiny, "-m", "seed=0,1")
    assert done.returncode == 0, done.stderr
    assert len(list(tmp_path.glob("outputs/runs/*/result.json"))) == 2


@pytest.fixture
def none_known(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    def nobody(_: object) -> None:
        raise KeyError

    for name in NAMES:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("pwd.getpwuid", nobody)
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    return tmp_path


def test_the_home_is_the_users_alone(none_known: Path) -> None:
    ensure_home()
    home = Path.home()
    assert home.parent == none_known
    assert stat.S_IMODE(home.stat().st_mode) == 0o700
    ensure_home()
    assert Path.home() == home


def test_a_folder_that_others_can_write_is_no_home(none_known: Path) -> None:
    (none_known / f"normexp-home-of-{os.getuid()}").mkdir()
    (none_known / f"normexp-home-of-{os.getuid()}").chmod(0o777)
    with pytest.raises(UserError, match="HOME="):
        ensure_home()


def test_a_home_that_is_there_stays(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    ensure_home()
    assert Path.home() == tmp_path
