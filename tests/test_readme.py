"""Every command of the README and its pages runs. Small settings stand in for long ones."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hydra.core.global_hydra import GlobalHydra
from PIL import Image

from normexp import cli

ROOT = Path(__file__).parents[1]
PAGES = ("README.md", "docs/answers.md", "docs/norms.md", "docs/settings.md", "docs/sweeps.md")
BLOCKS = [
    block
    for page in PAGES
    for block in re.findall(
        r"```\w*\n(.*?)```", (ROOT / page).read_text(encoding="utf-8"), re.DOTALL
    )
]
COMMANDS = list(
    dict.fromkeys(
        line.partition("#")[0].strip()
        for block in BLOCKS
        for line in block.replace("\\\n", " ").splitlines()
        if re.match(r"(normexp|tensorboard) |scripts/\w", line)
    )
)
FAIR = [c for c in COMMANDS if c.startswith("normexp tune") or "lr=tuned" in c]
"""Commands that go together, and need processes of their own."""
SMALL = [
    "batch_size=32",
    "steps=1",
    "runtime.threads=1",
    "data.limit=60",
    "hydra/launcher=basic",
]


def test_there_are_commands() -> None:
    assert len(COMMANDS) > 8


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder with the README's files, images in ~/pictures, and a finished run."""
    monkeypatch.chdir(tmp_path)
    # The kernels are compiled once, not once a home.
    cache = os.environ.get("NORMEXP_CACHE", "~/.cache/normexp")
    monkeypatch.setenv("NORMEXP_CACHE", str(Path(cache).expanduser()))
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setattr(sys, "argv", sys.argv)
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.setenv("HYDRA_FULL_ERROR", "1")
    generator = np.random.default_rng(0)
    for half in ("train", "test"):
        for label in ("cat", "dog"):
            folder = tmp_path / "pictures" / half / label
            folder.mkdir(parents=True)
            for i in range(30):
                pixels = generator.integers(0, 256, (32, 32, 3), dtype=np.uint8)
                Image.fromarray(pixels).save(folder / f"{i}.png")
    source = next(block for block in BLOCKS if "class " in block)
    (tmp_path / "mynorms.py").write_text(source)
    own = tmp_path / "conf" / "norm"
    own.mkdir(parents=True)
    (own / "halved.yaml").write_text(
        "name: halved\nlayer:\n  _target_: mynorms.Halved\n  _partial_: true\n"
    )
    assert run("normexp train data=generated") == 0
    return tmp_path


def run(command: str) -> int:
    _, word, *arguments = shlex.split(command)
    if word == "train" and not {"--help", "--cfg"} & set(arguments):
        arguments += [setting for setting in SMALL if setting.split("=")[0] not in command]
        arguments.append("model.network.widths=[8,8,8,8,8,8]")
        if "data=" not in command:
            arguments.append("data=generated")
        if "data=images" not in command:
            arguments += ["data.source.num_train=50", "data.source.num_test=10"]
    GlobalHydra.instance().clear()
    return cli.run([word, *arguments])


@pytest.mark.parametrize(
    "command",
    [c for c in COMMANDS if c.startswith("normexp") and "tensorboard" not in c and c not in FAIR],
)
def test_a_command_runs(command: str, home: Path) -> None:
    assert run(command) == 0


def test_rates_are_tuned_and_then_used_until_all_is_decided(home: Path) -> None:
    assert len(FAIR) == 2
    others = ("hydra", "batch_size", "steps", "data.limit")
    small = [each for each in SMALL if not each.startswith(others)] + ["epochs=2"]
    drawn = ["data=generated", "data.source.num_train=300", "data.source.num_test=20"]
    widths = "model.network.widths=[8,8,8,8,8,8]"
    for command in FAIR:
        _, word, *arguments = shlex.split(command)
        GlobalHydra.instance().clear()
        most = ["max_seeds=3"] if word == "train" else []
        assert cli.run([word, *arguments, *small, *drawn, widths, *most]) == 0


@pytest.mark.parametrize("command", [c for c in COMMANDS if "tensorboard" in c])
def test_tensorboard_starts_on_the_outputs(command: str, home: Path) -> None:
    word, *arguments = shlex.split(command)
    program = [sys.executable, "-m", {"tensorboard": "tensorboard.main"}.get(word, word)]
    with subprocess.Popen(
        [*program, *arguments],
        cwd=home,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as server:
        assert server.stdout is not None
        assert any("http://localhost" in line for line in server.stdout)
        server.kill()


CONTRIBUTING = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
TREE = next(each for each in CONTRIBUTING.split("```\n") if "contracts.py" in each)


def test_the_tree_in_contributing_is_that_of_the_repository() -> None:
    named, inside = set(), ROOT
    for line in TREE.splitlines():
        names = re.match(r"( *)((?:[\w.]+(?:/|\.py) ?)+)", line)
        assert names, line
        folder = inside if names[1] else ROOT
        for name in names[2].split():
            assert (folder / name).exists(), name
            named.add(name.rstrip("/"))
        if line.strip() == "normexp/":
            inside = ROOT / "normexp"
    assert {path.parent.name for path in (ROOT / "normexp").glob("*/__init__.py")} <= named


@pytest.mark.parametrize(
    ("path", "where"),
    [
        (path, page)
        for page in (
            "CONTRIBUTING.md",
            "docs/design.md",
            "docs/networks.md",
            "docs/performance.md",
        )
        for path in re.findall(r"`((?:\w+/)+\w+\.\w+)`", (ROOT / page).read_text(encoding="utf-8"))
    ],
)
def test_a_file_that_a_page_names_is_there(path: str, where: str) -> None:
    assert (ROOT / path).exists() or (ROOT / "normexp" / path).exists(), f"{where}: {path}"


@pytest.mark.parametrize("command", [c for c in COMMANDS if c.startswith("scripts/")])
def test_a_script_of_the_readme_is_there(command: str) -> None:
    script = Path(__file__).parents[1] / command.split()[0]
    subprocess.run(["bash", "-n", str(script)], check=True)


NETWORKS = [
    (ROOT / "docs" / page).read_text(encoding="utf-8") for page in ("networks.md", "questions.md")
]
TRAININGS = [
    command
    for page in NETWORKS
    for command in re.findall(r"^normexp train .*$|(?<=`)normexp train [^`]*", page, re.MULTILINE)
    if "…" not in command
]


@pytest.mark.slow
@pytest.mark.parametrize("command", TRAININGS)
def test_the_settings_of_a_training_of_a_page_are_there(
    command: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, word, *arguments = shlex.split(command)
    monkeypatch.setattr(sys, "argv", sys.argv)
    GlobalHydra.instance().clear()
    one = [argument.split(",")[0] if "[" not in argument else argument for argument in arguments]
    assert cli.run([word, "--cfg", "job", *(each for each in one if each != "-m")]) == 0
