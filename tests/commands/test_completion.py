"""The Tab key: what it offers, as a real shell asks for it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from helpers.seconds import seconds_of
from helpers.typed import normexp

from normexp.cli import COMMANDS
from normexp.commands.completion import candidates
from normexp.shipped import choices

ROOT = Path(__file__).parents[2]
CASES = {
    "normexp tr": ["train"],
    "normexp train batch": ["batch_size="],
    "normexp train nor": ["norm.", "norm="],
    "normexp train norm=ba": ["batch", "batch_frozen", "batch_memory"],
    "normexp train -m norm=batch,ins": [
        f"batch,{name}" for name in choices("norm") if name.startswith("ins")
    ],
    "normexp train optimizer.w": ["optimizer.warmup=", "optimizer.weight_decay="],
    "normexp train norm.layer.gh": ["norm.layer.ghost_size="],
    "normexp train seed=1 precision=": ["auto", "bf16", "fp32", "tf32"],
    "normexp train hydra/l": ["hydra/launcher="],
    "normexp train data.flip=t": ["true"],
    "normexp help optimizer.l": ["optimizer.lr"],
    "normexp completion b": ["bash"],
    "normexp runs state=di": ["diverged"],
    "normexp report mar": ["margin="],
    "normexp report norm": [],
}
BASH = """\
eval "$(normexp completion bash)"
compopt() { :; }
COMP_LINE=$1 COMP_POINT=${#1}
_normexp
printf '%s\\n' "${COMPREPLY[@]}"
"""


@pytest.fixture
def normexp_on_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    script = tmp_path / "normexp"
    script.write_text(f'#!/bin/sh\nexec {sys.executable} -m normexp "$@"\n')
    script.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("PYTHONPATH", str(ROOT))


@pytest.mark.parametrize(("line", "expected"), CASES.items(), ids=CASES)
def test_what_is_offered_for_a_line(line: str, expected: list[str]) -> None:
    found = candidates(line, COMMANDS)
    before = line.rpartition(" ")[2]
    head = before[: before.index("=") + 1] if "=" in before else ""
    assert found == [head + each for each in expected]


@pytest.mark.parametrize("line", ["normexp tr", "normexp train norm=ba", "normexp train batch"])
@pytest.mark.skipif(not shutil.which("bash"), reason="needs bash")
def test_bash_completes_a_line(line: str, normexp_on_path: None) -> None:
    done = subprocess.run(["bash", "-c", BASH, "bash", line], capture_output=True, text=True)
    assert (done.stdout.split(), done.stderr) == (CASES[line], "")


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_a_script_is_printed_that_its_shell_can_read(shell: str, tmp_path: Path) -> None:
    answer = normexp(tmp_path, "completion", shell)
    assert answer.code == 0
    assert "normexp complete " in answer.out
    if not shutil.which(shell):
        pytest.skip(f"{shell} is not installed")
    subprocess.run([shell, "-n"], input=answer.out, text=True, check=True)


def test_a_choice_of_ones_own_is_offered(tmp_path: Path) -> None:
    (tmp_path / "norm").mkdir()
    (tmp_path / "norm" / "halved.yaml").touch()
    line = f"normexp train --config-dir {tmp_path} norm=hal"
    assert candidates(line, COMMANDS) == ["norm=halved"]


def test_the_tab_key_answers_in_a_fifth_of_a_second(normexp_on_path: None) -> None:
    assert seconds_of("normexp", "complete", "normexp train norm.layer.") < 0.2
