from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from normexp.runs.claim import InProgressError, claimed

HOLD = """
import sys, time
from pathlib import Path
from normexp.runs.claim import claimed
with claimed(Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read()
"""


def holder(folder: Path) -> subprocess.Popen[str]:
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(folder)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    return process


def test_a_second_process_is_told_who_is_at_work(tmp_path: Path) -> None:
    with holder(tmp_path) as process:
        with pytest.raises(InProgressError, match=f"process {process.pid} on "), claimed(tmp_path):
            pass
        assert (tmp_path / "claim.json").exists()  # the refused one took nothing away
        process.communicate()
    with claimed(tmp_path):
        pass


def test_a_killed_process_s_claim_is_taken_over(tmp_path: Path) -> None:
    with holder(tmp_path) as process:
        process.kill()
    assert (tmp_path / "claim.json").exists()
    with claimed(tmp_path):
        assert f'"pid": {os.getpid()}' in (tmp_path / "claim.json").read_text()


def test_a_claim_leaves_no_file(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError), claimed(tmp_path):
        raise RuntimeError
    assert list(tmp_path.iterdir()) == []
