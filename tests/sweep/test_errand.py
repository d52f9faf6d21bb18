"""The task of a cell in a job's process: carried out, and stopped with the job."""

from __future__ import annotations

import os
import pickle
import signal
from pathlib import Path
from threading import Thread

import pytest
from helpers import stand_in
from helpers.stand_in import script
from helpers.waiting import wait_until

from normexp.sweep import pool
from normexp.sweep.errand import Errand


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path.parent)
    monkeypatch.setattr(pool, "CHILD", stand_in.child())


def test_an_errand_does_its_task_in_its_folder_and_returns_the_exit_code(tmp_path: Path) -> None:
    errand = Errand(
        script("import os, sys; print(os.getcwd()); sys.exit(3)"), tmp_path / "log", tmp_path
    )
    assert pickle.loads(pickle.dumps(errand))() == 3
    assert (tmp_path / "log").read_text() == f"{tmp_path}\n"


def test_an_errand_that_is_interrupted_lets_its_task_come_to_an_end(tmp_path: Path) -> None:
    log = tmp_path / "log"
    task = script(
        """
        import signal, sys, time
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(print("stopped")))
        print("under way", flush=True)
        time.sleep(60)
        """
    )

    def interrupt() -> None:
        wait_until(lambda: log.exists() and "under way" in log.read_text(), 20)
        os.kill(os.getpid(), signal.SIGINT)

    Thread(target=interrupt).start()
    with pytest.raises(KeyboardInterrupt):
        Errand(task, log, tmp_path)()
    assert log.read_text() == "under way\nstopped\n"
