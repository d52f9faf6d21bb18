"""Who may import whom: the map of docs/design.md."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import normexp

PACKAGE = Path(normexp.__file__).parent
PARTS = ("data", "models", "norms", "probes")
# From top to bottom: a file imports from its own row's same name, and from rows below.
ROWS = (
    ("commands",),
    ("build", "sweep"),
    ("engine", "analysis"),
    ("evaluation",),
    PARTS,
    ("runs", "contracts"),
)


def imports() -> Iterator[tuple[str, str]]:
    """Each file below normexp/, as 'data/loader.py', with each module that it imports anywhere."""
    for file in sorted(PACKAGE.rglob("*.py")):
        for node in ast.walk(ast.parse(file.read_text())):
            name = file.relative_to(PACKAGE).as_posix()
            if isinstance(node, ast.Import):
                yield from ((name, alias.name) for alias in node.names)
            elif isinstance(node, ast.ImportFrom):
                assert node.level == 0, f"{name}: imports are absolute"
                module = str(node.module)
                if module == "normexp":  # from normexp import build
                    yield from ((name, f"normexp.{alias.name}") for alias in node.names)
                else:
                    yield name, module


IMPORTS = list(imports())


def part_of(name: str) -> str:
    """'data' of 'data/loader.py' and of 'normexp.data.loader'; 'build' of 'build.py'."""
    return name.removeprefix("normexp.").removesuffix(".py").replace("/", ".").split(".")[0]


def row(part: str) -> int | None:
    return next((i for i, parts in enumerate(ROWS) if part in parts), None)


def test_the_imports_are_found() -> None:
    assert ("build.py", "hydra.utils") in IMPORTS
    assert ("build.py", "normexp.data.loader") in IMPORTS  # inside a function
    assert ("data/cache.py", "normexp.tensors") in IMPORTS  # from normexp import tensors
    assert len({name for name, _ in IMPORTS}) > 30


def test_the_door_and_the_records_need_the_standard_library_only() -> None:
    ours = {"normexp.__version__", "normexp.errors"}
    for name, module in IMPORTS:
        if name in ("cli.py", "errors.py") or name.startswith("runs/"):
            standard = module.split(".")[0] in sys.stdlib_module_names
            allowed = standard or module in ours or module.startswith("normexp.runs.")
            assert allowed, f"{name} imports {module}"


def test_parts_never_import_one_another() -> None:
    for name, module in IMPORTS:
        if part_of(name) in PARTS and module.startswith("normexp."):
            others = set(PARTS) - {part_of(name)}
            assert part_of(module) not in others, f"{name} imports {module}"


def test_imports_go_downward_only() -> None:
    for name, module in IMPORTS:
        if not module.startswith("normexp."):
            continue
        above, below = row(part_of(name)), row(part_of(module))
        if above is None or below is None or part_of(name) == part_of(module):
            continue
        assert above < below, f"{name} imports {module}"


def test_only_commands_and_build_know_hydra() -> None:
    for name, module in IMPORTS:
        if module.split(".")[0] in ("hydra", "omegaconf"):
            assert part_of(name) in ("commands", "build"), f"{name} imports {module}"


def test_a_report_and_the_sweep_need_no_torch() -> None:
    for name, module in IMPORTS:
        if part_of(name) in ("analysis", "sweep"):
            assert module.split(".")[0] not in ("torch", "torchvision"), f"{name} imports {module}"


def loaded_with(modules: list[str], libraries: list[str]) -> str:
    """Which `libraries` are loaded in a new process that imports `modules`."""
    code = (
        f"import importlib, sys; [importlib.import_module(m) for m in {modules}]; "
        f"print(*[library for library in {libraries} if library in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return done.stdout.strip()


def modules_in(folder: str) -> list[str]:
    files = sorted((PACKAGE / folder).glob("*.py"))
    return [f"normexp.{folder}.{file.stem}" for file in files if file.stem != "__init__"]


def test_the_help_waits_for_no_library() -> None:
    modules = ["normexp.cli", *modules_in("runs")]
    assert loaded_with(modules, ["torch", "hydra", "omegaconf", "numpy", "tqdm"]) == ""


def test_a_run_that_is_finished_waits_for_no_torch() -> None:
    modules = ["normexp.build", *modules_in("commands")]
    assert loaded_with(modules, ["hydra", "torch", "torchvision", "tensorboard"]) == "hydra"


def test_torchvision_is_loaded_for_nothing_but_its_network_and_a_download() -> None:
    modules = [m for folder in ("data", "models", "engine") for m in modules_in(folder)]
    modules.remove("normexp.models.resnet18")
    assert loaded_with(modules, ["torch", "torchvision"]) == "torch"
