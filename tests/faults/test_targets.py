"""Targets of a record that are no parts of a training: refused in a line, and nothing is run."""

from __future__ import annotations

import os
import pickle
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

import pytest
from helpers.made import command_of, result, shipped
from helpers.typed import normexp

from normexp import load
from normexp.errors import UserError
from normexp.runs.files import write_sealed
from normexp.runs.folder import RunFolder
from normexp.runs.spec import RunSpec

from .size import IS_FULL, size

Node = Mapping[str, object]
CODE = "open('called', 'w')"
HOSTILE: dict[str, Node] = {
    "os.system": {"command": "touch called"},
    "os.popen": {"cmd": "touch called"},
    "os.open": {"path": "called", "flags": os.O_CREAT},
    "os.mkdir": {"path": "called"},
    "os.remove": {"path": "evil.pt"},
    "os.rename": {"src": "evil.pt", "dst": "called"},
    "os.path.os.system": {"command": "touch called"},
    "posix.system": {"command": "touch called"},
    "shutil.rmtree": {"path": "outputs"},
    "shutil.copy": {"src": "evil.pt", "dst": "called"},
    "subprocess.run": {"args": ["touch", "called"]},
    "subprocess.call": {"args": ["touch", "called"]},
    "subprocess.Popen": {"args": ["touch", "called"]},
    "subprocess.getoutput": {"cmd": "touch called"},
    "builtins.exec": {"_args_": [CODE]},
    "builtins.eval": {"_args_": [CODE]},
    "builtins.open": {"file": "called", "mode": "w"},
    "builtins.__import__": {"name": "planted"},
    "builtins.getattr": {"_args_": [{"_target_": "builtins.__import__", "name": "os"}, "abort"]},
    "importlib.import_module": {"name": "planted"},
    "runpy.run_path": {"path_name": "planted.py"},
    "timeit.timeit": {"stmt": CODE},
    "pathlib.Path.write_text": {"_args_": [{"_target_": "pathlib.Path", "_args_": ["called"]}, ""]},
    "pathlib.Path.touch": {"_args_": [{"_target_": "pathlib.Path", "_args_": ["called"]}]},
    "site.addsitedir": {"sitedir": "."},
    "pickle.load": {"file": {"_target_": "builtins.open", "_args_": ["evil.pt", "rb"]}},
    "shelve.open": {"filename": "called"},
    "sqlite3.connect": {"database": "called"},
    "ctypes.CDLL": {"name": "./planted.so"},
    "logging.FileHandler": {"filename": "called"},
    "logging.handlers.RotatingFileHandler": {"filename": "called"},
    "logging.config.fileConfig": {"fname": "planted.ini"},
    "functools.partial": {"_args_": [{"_target_": "hydra.utils.get_method", "path": "os.system"}]},
    "hydra.utils.call": {"config": {"_target_": "os.system", "command": "touch called"}},
    "hydra.utils.instantiate": {"config": {"_target_": "os.system", "command": "touch called"}},
    "hydra.utils.get_object": {"path": "planted.FACTOR"},
    "torch.load": {"f": "evil.pt", "weights_only": False},
    "torch.jit.load": {"f": "evil.pt"},
    "torch.hub.load": {"repo_or_dir": ".", "model": "planted", "source": "local"},
    "torch.ops.load_library": {"path": "./planted.so"},
    "torch.classes.load_library": {"path": "./planted.so"},
    "torch.nn.modules.module.torch.load": {"f": "evil.pt", "weights_only": False},
    "torch.optim.optimizer.torch.load": {"f": "evil.pt", "weights_only": False},
    "torch.utils.cpp_extension.load": {"name": "planted", "sources": ["planted.cpp"]},
    "torchvision.datasets.utils.download_url": {"url": "file:evil.pt", "root": "called"},
    "numpy.load": {"file": "evil.pt", "allow_pickle": True},
    "numpy.memmap": {"filename": "called", "mode": "w+", "shape": [1]},
    "normexp.sweep.pool.Child": {"task": None, "log": "called", "environment": {}},
    "normexp.sweep.fork.ForkedChild": {"task": None, "log": "called", "environment": {}},
    "normexp.kernels.compiled._compile": {"file": "called"},
    "normexp.runs.files.write_atomic": {"path": "called", "content": ""},
    "normexp.norms.batch.nn.modules.module.torch.load": {"f": "evil.pt", "weights_only": False},
    "normexp.norms.nosuch.Norm": {},
    "normexp.cli.run": {"arguments": ["runs", "clean=*", "yes=true"]},
    "planted.Norm": {},
    "http.server.planted.Norm": {},
    "omegaconf.OmegaConf.load": {"file_": "planted.py"},
    "yaml.unsafe_load": {"stream": "!!python/object/apply:os.system ['touch called']"},
}
"""With arguments that would leave something in the current folder, or take it away."""

HIDDEN: dict[str, Callable[[Node], Node]] = {
    "as it is": lambda node: node,
    "partial": lambda node: {**node, "_partial_": True},
    "not recursive": lambda node: {**node, "_recursive_": False},
    "of a kind": lambda node: {**node, "_convert_": "object"},
    "an argument": lambda node: {"_target_": "torch.nn.Sequential", "inner": node},
    "in _args_": lambda node: {"_target_": "torch.nn.Sequential", "_args_": [[node]]},
    "deep": lambda node: {"_target_": "torch.nn.Identity", "a": [{"b": {"c": [1, node]}}]},
}
PLACES: dict[str, Callable[[RunSpec, Node], RunSpec]] = {
    "norm.layer": lambda of, node: replace(of, norm=replace(of.norm, layer=node)),
    "norm.at": lambda of, node: replace(of, norm=replace(of.norm, at={"x": {"layer": node}})),
    "norm.conv": lambda of, node: replace(of, norm=replace(of.norm, conv=node)),
    "norm.activation": lambda of, node: replace(of, norm=replace(of.norm, activation=node)),
    "norm.init": lambda of, node: replace(of, norm=replace(of.norm, init=node)),
    "model.network": lambda of, node: replace(of, model=replace(of.model, network=node)),
    "model.depth": lambda of, node: replace(of, model=replace(of.model, own={"depth": node})),
    "data.source": lambda of, node: replace(of, data=replace(of.data, source=node)),
    "contrast": lambda of, node: replace(of, contrast=replace(of.contrast, augmentation=node)),
    "optimizer": lambda of, node: replace(of, optimizer=replace(of.optimizer, algorithm=node)),
}


class Mark:
    """A pickle of it leaves a file when it is loaded."""

    def __reduce__(self) -> tuple[object, ...]:
        return os.system, ("touch called",)


def typed(command: str) -> Callable[[RunFolder], str]:
    def door(folder: RunFolder) -> str:
        answer = normexp(Path(), command, f"run={folder.name}")
        assert answer.code == 1, answer.out
        return answer.err

    return door


def from_python(folder: RunFolder) -> str:
    with pytest.raises(UserError) as raised:
        load(folder.path)
    return f"{raised.value}\n"


DOORS = {"evaluate": typed("evaluate"), "recalibrate": typed("recalibrate"), "load": from_python}


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with files that leave a mark where they are run or loaded."""
    (tmp_path / "planted.py").write_text(f"FACTOR = {CODE}\n")
    (tmp_path / "hubconf.py").write_text(CODE)
    (tmp_path / "planted.pth").write_text(f"import os; {CODE}")
    (tmp_path / "evil.pt").write_bytes(pickle.dumps(Mark()))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run_with(place: str, node: Node, seed: int) -> RunFolder:
    """Leave a finished run whose record has the node there; its checksum is right."""
    of = PLACES[place](RunSpec.from_settings({**shipped(), "seed": seed}), node)
    folder = RunFolder.of(Path("outputs"), of)
    folder.open(of, command_of(of), study=None)
    write_sealed(folder.weights, b"")
    folder.finish(result(of, 0.5))
    return folder


def chosen() -> list[tuple[int, str, Node]]:
    """Return number, target and node, each target hidden in another way."""
    hide = list(HIDDEN.values())
    nodes = {name: {"_target_": name, **more} for name, more in HOSTILE.items()}
    every = [(i, name, hide[i % len(hide)](node)) for i, (name, node) in enumerate(nodes.items())]
    return every[:: size(6, 1)]


def state(folder: Path) -> set[str]:
    own = ("lens.log", "lens.json", "lock", "lock.json", "kernels.json")
    return {str(file) for file in folder.rglob("*") if file.name not in own}


@pytest.mark.parametrize("door", DOORS)
def test_a_hostile_target_is_named_in_a_line_and_not_called(door: str, here: Path) -> None:
    places = list(PLACES)
    for i, target, node in chosen():
        folder = run_with(places[i % len(places)], node, seed=i)
        before = state(here)
        said = DOORS[door](folder)
        assert len(said.splitlines()) == 1, said
        assert target in said
        assert "Traceback" not in said
        assert state(here) == before, target
    print(f"{door}: {len(chosen())} hostile targets")


@pytest.mark.skipif(not IS_FULL, reason="a process for each run takes seconds")
def test_hostile_targets_of_several_runs_hide_no_other(here: Path) -> None:
    folders = [run_with("norm.layer", node, seed=i) for i, _, node in chosen()]
    before = state(here)
    answer = normexp(here, "evaluate", "run=*")
    assert answer.code == 1
    for folder, (_, target, _) in zip(folders, chosen(), strict=True):
        assert any(folder.name in line and target in line for line in answer.err.splitlines())
    assert state(here) == before


@pytest.mark.parametrize(
    ("command", "words"),
    [
        ("norm=batch; touch called #", "'norm=batch;' touch called '#'"),
        ("'norm=$(touch called)'", "'norm=$(touch called)'"),
        ("`touch called`", "'`touch' 'called`'"),
        ("'open", ""),
    ],
)
def test_what_a_record_gives_as_its_command_is_words_to_a_shell(
    command: str, words: str, here: Path
) -> None:
    of = RunSpec.from_settings(shipped())
    folder = RunFolder.of(here / "outputs", of)
    folder.open(of, f"normexp train {command}", study=None)
    assert folder.again().endswith(f" && normexp train {words}".rstrip())
