"""The pages on extending, on Python and of questions run as written, with small settings."""

from __future__ import annotations

import json
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from hydra.core.global_hydra import GlobalHydra
from PIL import Image

from normexp import cli

DOCS = Path(__file__).parents[1] / "docs"
PYTHON, EXTENDING, QUESTIONS = (
    (DOCS / page).read_text(encoding="utf-8")
    for page in ("python.md", "extending.md", "questions.md")
)
CODE = re.findall(r"```python\n(.*?)```", PYTHON, flags=re.DOTALL)
FILE = re.compile(r"^`([\w/.]+)`:\n\n```\w+\n(.*?)```", flags=re.DOTALL | re.MULTILINE)
FILES = FILE.findall(EXTENDING)
COMMANDS = re.findall(r"^(?:normexp|python) .*", EXTENDING, flags=re.MULTILINE)
ASKED = re.findall(r"^normexp .*", QUESTIONS, flags=re.MULTILINE)
SMALL = ("steps=1", "batch_size=8", "runtime.threads=1", "kernels=none", "hydra/launcher=basic")


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An empty folder, in which modules are found, and which forgets them."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HYDRA_FULL_ERROR", "1")
    monkeypatch.setattr(sys, "argv", sys.argv)
    monkeypatch.setattr(sys, "path", list(sys.path))
    loaded = {*sys.modules}
    yield tmp_path
    for name in [name for name in sys.modules if name.startswith("my") and name not in loaded]:
        del sys.modules[name]


def test_the_notebook_is_the_page_with_its_outputs_cleared() -> None:
    cells = json.loads((DOCS / "python.ipynb").read_text(encoding="utf-8"))["cells"]
    code = ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "code"]
    assert code == [block.strip("\n") for block in CODE]
    assert not any(cell.get("outputs") or cell.get("execution_count") for cell in cells)


@pytest.mark.slow
def test_the_page_on_python_runs(home: Path) -> None:
    names: dict[str, object] = {}
    for block in CODE:
        exec(compile(block, "python.md", "exec"), names)
    assert (home / "network.pt2").exists()


@pytest.mark.slow
def test_every_template_of_the_page_on_extending_runs(home: Path) -> None:
    assert len(FILES) > 8
    assert len(COMMANDS) > 8
    for name, text in FILES:
        (home / name).parent.mkdir(parents=True, exist_ok=True)
        (home / name).write_text(text, encoding="utf-8")
    generator = np.random.default_rng(0)
    for label in ("cat", "dog"):
        (home / "photographs" / label).mkdir(parents=True)
        for i in range(40):
            pixels = generator.integers(0, 256, (40, 36, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(home / "photographs" / label / f"{i}.png")
    for command in COMMANDS:
        run(command, home)


@pytest.mark.slow
def test_every_command_of_the_page_of_questions_runs(home: Path) -> None:
    assert len(re.findall(r"^\*\*\d+\. ", QUESTIONS, re.MULTILINE)) == 20
    assert len(ASKED) >= 18
    for name, text in FILE.findall(QUESTIONS):
        (home / name).write_text(text, encoding="utf-8")
    for command in ASKED:
        run(command, home)
        for weights in home.glob("outputs/runs/small-own-*/weights.pt"):
            shutil.copy(weights, home / "state.pt")


def run(command: str, home: Path) -> None:
    program, word, *arguments = shlex.split(command)
    if program == "python":
        subprocess.run([sys.executable, word, *arguments], cwd=home, check=True)
        return
    if word in ("evaluate", "recalibrate") and "data=generated" in command:
        arguments += ["data.source.num_train=50", "data.source.num_test=10"]
    if word == "train" and "--help" not in arguments:
        keys = {each.split("=")[0] for each in arguments}
        arguments += [each for each in SMALL if each.split("=")[0] not in keys]
        if "data=generated" in command:
            arguments += ["data.source.num_train=50", "data.source.num_test=10"]
        if "data=" not in command:
            arguments += ["data=generated", "data.source.num_train=50", "data.source.num_test=10"]
        if "model=" not in command:
            arguments.append("model.network.widths=[8,8,8,8,8,8]")
    GlobalHydra.instance().clear()
    assert cli.run([word, *arguments]) == 0, command
