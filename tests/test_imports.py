"""Who may import whom: the picture of docs/design.md, for every module."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import normexp
from normexp.cli import COMMANDS

PACKAGE = Path(normexp.__file__).parent
PLUGIN = PACKAGE.parent / "hydra_plugins"
# From top to bottom: a room imports from itself and from lower rows.
ROWS = (
    ("__main__", "__init__"),
    ("cli", "api"),
    ("hydra_plugins",),
    ("commands", "on_networks"),
    ("build", "sweep", "analysis"),
    ("inputs", "pictures"),
    ("engine", "kernels", "parts", "tuned"),
    ("evaluation",),
    ("data", "models", "norms"),
    ("board", "environment", "tensors"),
    ("precision", "runs", "shipped"),
    ("settings", "contracts"),
    ("home", "kinds", "screen"),
    ("errors",),
    ("__version__",),
)
RANKS = {room: rank for rank, rooms in enumerate(ROWS) for room in rooms}
HYDRA = ("hydra", "omegaconf")
TORCH = ("torch", "torchvision", "tensorboard")


def modules() -> Iterator[tuple[str, str]]:
    """Each file as 'normexp.data.loader' or 'hydra_plugins.…', with its text."""
    for folder in (PACKAGE, PLUGIN):
        for file in sorted(folder.rglob("*.py")):
            name = ".".join(file.relative_to(folder.parent).with_suffix("").parts)
            yield name, file.read_text(encoding="utf-8")


def imports_of(name: str, text: str) -> Iterator[str]:
    """Each module that a module imports, anywhere in it."""
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{name}: imports are absolute"
            if node.module == "normexp":  # from normexp import build
                yield from (f"normexp.{alias.name}" for alias in node.names)
            else:
                yield str(node.module)


MODULES = [name for name, _ in modules()]
IMPORTS = [(name, module) for name, text in modules() for module in imports_of(name, text)]
OURS = [(n, m) for n, m in IMPORTS if m.split(".")[0] in ("normexp", "hydra_plugins")]


def room(module: str) -> str:
    """'data' of 'normexp.data.loader'; 'build' of 'normexp.build'; 'hydra_plugins' of a plugin."""
    first, *rest = module.split(".")
    return rest[0] if first == "normexp" else first


def test_the_imports_are_found() -> None:
    assert ("normexp.parts", "hydra.utils") in IMPORTS
    assert ("normexp.inputs", "normexp.data.loader") in IMPORTS  # inside a function
    assert ("normexp.data.cache", "normexp.tensors") in IMPORTS  # from normexp import tensors
    assert any(room(name) == "hydra_plugins" for name, _ in OURS)


@pytest.mark.parametrize("module", MODULES)
def test_every_module_is_ranked_and_imports_downward_only(module: str) -> None:
    assert room(module) in RANKS, f"give {room(module)} a rank in ROWS"
    for other in (m for name, m in OURS if name == module):
        same = room(other) == room(module)
        assert same or RANKS[room(other)] > RANKS[room(module)], f"{module} imports {other}"


def test_only_build_imports_the_kernels() -> None:
    importers = {name for name, module in OURS if room(module) == "kernels"}
    assert {name for name in importers if room(name) != "kernels"} <= {"normexp.build"}


def test_only_commands_build_parts_and_the_plugin_know_hydra() -> None:
    for name, module in IMPORTS:
        if module.split(".")[0] in HYDRA:
            allowed = ("commands", "build", "parts", "hydra_plugins")
            assert room(name) in allowed, f"{name} imports {module}"


def test_analysis_and_the_sweep_import_no_torch() -> None:
    for name, module in IMPORTS:
        if room(name) in ("analysis", "sweep"):
            assert module.split(".")[0] not in TORCH[:2], f"{name} imports {module}"


def test_the_door_and_the_records_import_the_standard_library_only() -> None:
    for name, module in IMPORTS:
        if room(name) in ("cli", "errors", "screen", "settings", "kinds", "shipped", "runs"):
            is_ours = module.split(".")[0] == "normexp"
            is_lock = (name, module) == ("normexp.runs.lock", "filelock")  # where there is no fcntl
            is_known = is_ours or is_lock or module.split(".")[0] in sys.stdlib_module_names
            assert is_known, f"{name}: {module}"


# What is loaded: a library may come in by a detour.


def loaded_with(code: str) -> set[str]:
    """The libraries that a new process has loaded once it has carried out `code`."""
    libraries = (*HYDRA, *TORCH, "numpy", "scipy", "matplotlib", "tqdm")
    done = subprocess.run(
        [sys.executable, "-c", f"{code}; import sys; print(*set({libraries}) & set(sys.modules))"],
        capture_output=True,
        text=True,
        check=True,
    )
    return set(done.stdout.splitlines()[-1].split())


def importing(*rooms: str) -> str:
    names = [name for name in MODULES if room(name) in rooms and not name.endswith("__init__")]
    return f"import importlib; [importlib.import_module(m) for m in {names}]"


def test_the_help_loads_no_library() -> None:
    assert loaded_with("from normexp.cli import run; run(['--help'])") == set()
    assert loaded_with(importing("cli", "runs")) == set()


def test_no_command_waits_for_torch_before_it_needs_it() -> None:
    names = ["normexp.build", *(f"normexp.commands.{word}" for word in COMMANDS)]
    code = f"import importlib; [importlib.import_module(name) for name in {names}]"
    assert not loaded_with(code) & set(TORCH)


def test_analysis_is_loaded_without_torch() -> None:
    assert not loaded_with(importing("analysis")) & set(TORCH[:2])


def test_torchvision_is_loaded_for_nothing_but_its_network_and_a_download() -> None:
    loaded = loaded_with(importing("data", "norms", "engine"))
    assert "torch" in loaded
    assert "torchvision" not in loaded


# The public names.


@pytest.mark.parametrize("name", normexp.__all__)
def test_a_public_name_is_there(name: str) -> None:
    assert getattr(normexp, name) is not None
    assert name in dir(normexp)


def test_a_name_that_is_none_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no_such_name"):
        normexp.no_such_name  # noqa: B018


def test_the_public_names_load_nothing_before_they_are_used() -> None:
    assert loaded_with("import normexp") == set()
    assert loaded_with("from normexp import RunSpec, RunFolder, UserError") == set()
