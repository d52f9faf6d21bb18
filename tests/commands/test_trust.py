"""A target in a record that may come from somebody else."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from helpers.typed import SMALL, normexp

from normexp.commands.trust import own_parts, require_trusted
from normexp.errors import UserError
from normexp.runs.files import write_record
from normexp.runs.folder import RunFolder

HOSTILE = (
    *("torch.load", "numpy.load", "torch.ops.load_library", "torch.hub.load", "numpy.memmap"),
    *("site.addsitedir", "pathlib.Path.write_text", "os.system", "os.path.os.system"),
    *("builtins.eval", "builtins.exec", "builtins.__import__", "subprocess.Popen", "shutil.rmtree"),
    *(
        "pickle.loads",
        "runpy.run_path",
        "importlib.import_module",
        "ctypes.CDLL",
        "webbrowser.open",
    ),
    *("normexp.sweep.pool.Child", "normexp.kernels.compiled.library", "normexp.cli.run"),
    *("normexp.runs.files.write_atomic", "normexp.norms.batch.torch.load", "normexp.__main__.main"),
    *("normexp.evaluation.measured.logit_gap", "hydra.utils.get_method", "hydra.utils.instantiate"),
    *("torch.nn.functional.relu", "torch.nn.utils.parametrize.cached", "torch.nn.init.torch.load"),
    *(
        "torch.nn.modules.module.torch.load",
        "torch.optim.optimizer.torch.load",
        "torch.nn.Module.x",
    ),
    *("torchvision.models.get_model", "torchvision.models.get_weight", "torchvision.io.read_file"),
    *("torchvision.models._api.load_state_dict_from_url", "torch.nnx.Identity", "timm.list_models"),
    *("", ".", "a..b", "${oc.env:HOME}"),
)


def settings(target: object, **arguments: object) -> dict[str, object]:
    return {"norm": {"name": "x", "layer": [{"inner": {"_target_": target, **arguments}}]}}


@pytest.mark.parametrize("target", [*HOSTILE, None, 5, ["os.system"]])
def test_what_is_no_part_of_a_training_is_refused(target: object) -> None:
    with pytest.raises(UserError, match="its record"):
        require_trusted(settings(target), trust=False)


@pytest.mark.parametrize("target", [name for name in HOSTILE if name not in ("", ".", "a..b")])
def test_nor_does_trust_let_it_through(target: str) -> None:
    with pytest.raises(UserError, match="its record"):
        require_trusted(settings(target), trust=True)


def test_text_that_hydra_would_resolve_is_refused() -> None:
    made = "${oc.create:{_target_: os.system, command: id}}"
    with pytest.raises(UserError, match="refers to"):
        require_trusted(settings("torch.nn.Identity", argument=made), trust=True)


@pytest.mark.parametrize(
    "target",
    [
        *("normexp.norms.gated.GatedNorm", "normexp.data.generated.generated"),
        *("normexp.models.cnn.CNN", "normexp.engine.muon.Muon", "torch.nn.GroupNorm"),
        *("torch.nn.modules.batchnorm.BatchNorm2d", "torch.optim.RMSprop"),
        *("torchvision.models.resnet18", "torchvision.models.ResNet"),
        "torchvision.models.resnet.ResNet",
    ],
)
def test_parts_of_normexp_and_layers_of_torch_are_made(target: str) -> None:
    assert require_trusted(settings(target), trust=False) == []


def test_a_network_of_timm_is_made_but_not_from_a_file() -> None:
    of_timm = settings("timm.create_model", model_name="resnet18", num_classes=10)
    assert require_trusted(of_timm, trust=False) == []
    for argument in ({"checkpoint_path": "x.pt"}, {"model_name": "local-dir:/tmp/x"}):
        with pytest.raises(UserError, match=r"timm\.create_model"):
            require_trusted(
                settings("timm.create_model", **{"model_name": "resnet18", **argument}), trust=False
            )


def test_only_parts_of_a_training_are_normexps_own() -> None:
    rooms = {name.split(".")[1] for name in own_parts() if name.startswith("normexp.")}
    assert rooms == {"data", "engine", "models", "norms"}


def test_a_part_of_ones_own_is_named_and_called_with_trust_alone(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(
        "from pathlib import Path\nfrom torch import nn\nPath('called').touch()\n"
        "class Half(nn.BatchNorm2d):\n    pass\n"
    )
    own = ("norm=custom", "norm.layer._target_=mine.Half", "epochs=1")
    assert normexp(tmp_path, "train", *SMALL, *own).code == 0
    (tmp_path / "called").unlink()
    look = ("evaluate", "run=*", "images=20", "noise.draws=2", "noise.images=1", "cost.steps=1")
    answer = normexp(tmp_path, *look)
    assert answer.code == 1
    assert "mine.Half" in answer.err
    assert "trust=true" in answer.err
    answer = normexp(tmp_path, *look, "trust=true")
    assert answer.code == 0, answer.err
    assert "mine.Half" in answer.err


def test_a_hostile_record_calls_nothing(tmp_path: Path) -> None:
    assert normexp(tmp_path, "train", *SMALL, "epochs=1").code == 0
    (record,) = tmp_path.glob("outputs/runs/*/run.json")
    folder = RunFolder(record.parent)
    found = folder.record()
    norm = replace(found.spec.norm, layer={"_target_": "os.system", "command": "touch called"})
    write_record(record, replace(found, spec=replace(found.spec, norm=norm)))
    answer = normexp(tmp_path, "evaluate", f"run={record.parent.name}", "trust=true")
    assert answer.code == 1
    assert len(answer.err.splitlines()) == 1
    assert "os.system" in answer.err
    assert not (tmp_path / "called").exists()
