"""normexp from Python: train, load, predict, export, read results."""

from __future__ import annotations

import importlib.util
import inspect
import shutil
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from subprocess import run
from textwrap import dedent
from typing import Any

import numpy as np
import pytest
import torch
from helpers.made import make_run, make_study
from helpers.typed import SMALL
from hydra import initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from omegaconf import OmegaConf
from PIL import Image

import normexp
from normexp import inputs, tensors
from normexp.api import Trained
from normexp.data.standardise import to_unit
from normexp.environment import like_a_process
from normexp.errors import UserError
from normexp.shipped import choices


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Trained]:
    folder = tmp_path_factory.mktemp("api")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setenv("NORMEXP_CACHE", str(folder / "cache"))
        trained = normexp.train(*SMALL, "kernels=none", norm="both", seed=3)
        yield normexp.load(trained.folder.resolve())


def test_a_trained_run_is_loaded_with_its_settings_result_and_weights(trained: Trained) -> None:
    assert trained.settings["norm"]["name"] == "both"
    assert trained.settings["seed"] == 3
    assert trained.result.outcome == "finished"
    assert len(trained.classes) == 10
    assert not trained.network.training
    saved = tensors.load(trained.folder / "weights.pt")
    assert all(torch.equal(v, saved[k]) for k, v in trained.network.state_dict().items())


def test_its_predictions_on_the_test_images_are_those_of_the_run(trained: Trained) -> None:
    test = inputs.images(trained.spec).test
    names = trained.predict(test.images.numpy())
    right = [name == trained.classes[i] for name, i in zip(names, test.labels, strict=True)]
    assert trained.result.test is not None
    assert np.mean(right) == pytest.approx(trained.result.test.accuracy)


def test_arrays_files_and_pil_images_are_the_same_pictures(
    trained: Trained, tmp_path: Path
) -> None:
    array = inputs.images(trained.spec).test.images[:2].numpy()
    files = [tmp_path / f"{i}.png" for i in range(2)]
    for pixels, file in zip(array, files, strict=True):
        Image.fromarray(pixels).save(file)
    expected = trained.logits(array)
    channels_first = torch.from_numpy(array).permute(0, 3, 1, 2)
    opened = [Image.open(file) for file in files]
    for pictures in (files, opened, list(array), channels_first, list(channels_first)):
        assert torch.equal(trained.logits(pictures), expected)
    # Batches of other sizes may be summed in another order.
    torch.testing.assert_close(trained.logits(files[0]), expected[:1])
    torch.testing.assert_close(trained.logits(array[0]), expected[:1])


def test_a_file_may_lie_below_the_home_folder(
    trained: Trained, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    Image.new("RGB", (32, 32), (9, 9, 9)).save(tmp_path / "x.png")
    for name in ("~/x.png", Path("~/x.png")):
        assert trained.images(name).shape == (1, 3, 32, 32)


def test_a_photograph_of_another_size_is_scaled_and_cut(trained: Trained, tmp_path: Path) -> None:
    picture = Image.new("L", (100, 60), 77)
    for left in (0, 85):  # black edges, which the cut takes off
        picture.paste(0, (left, 0, left + 15, 60))
    picture.save(tmp_path / "grey.png")
    images = trained.images(tmp_path / "grey.png")
    assert images.shape == (1, 3, 32, 32)
    torch.testing.assert_close(images, torch.full_like(images, 77 / 255))


@pytest.mark.parametrize("bad", [np.zeros((1, 32, 32, 3)), np.zeros((1, 3, 32, 32), np.uint8)])
def test_an_array_that_is_no_picture_is_told(bad: np.ndarray, trained: Trained) -> None:
    with pytest.raises(normexp.UserError, match=r"uint8 \(N, H, W, 3\) is needed"):
        trained.predict(bad)


@pytest.mark.parametrize(
    ("bad", "words"),
    [
        (torch.zeros(1, 3, 32, 32), r"float32 \(1, 3, 32, 32\): uint8 \(N, 3, H, W\) is needed"),
        (torch.zeros(32, 32, 3, dtype=torch.uint8), r"uint8 \(32, 32, 3\): uint8 \(N, 3, H, W\)"),
        (3, "3 is no picture; .*names of files"),
        ([None], "None is no picture"),
        ([], "there is no picture; .*names of files"),
        (
            [np.zeros((9, 9, 3), np.uint8), np.zeros((8, 8, 3), np.uint8)],
            r"shapes \(8, 8, 3\) and \(9, 9, 3\): scale them to one size",
        ),
        (np.array(["a.jpg"]), r"an array of <U5: give a list, as array\.tolist\(\)"),
        (np.array([Path("a.jpg")]), r"an array of object: give a list"),
    ],
)
def test_what_is_no_picture_is_told_in_a_line(bad: Any, words: str, trained: Trained) -> None:
    with pytest.raises(normexp.UserError, match=words):
        trained.predict(bad)


def test_its_text_is_a_line_with_its_accuracy(trained: Trained) -> None:
    assert trained.result.test
    (line,) = repr(trained).splitlines()
    assert f"{100 * trained.result.test.accuracy:.1f} %" in line
    assert len(line) < 100


def test_a_file_that_is_no_picture_and_a_folder_that_is_no_run_are_told(
    trained: Trained, tmp_path: Path
) -> None:
    (tmp_path / "a.png").write_text("no picture")
    with pytest.raises(normexp.UserError, match=r"a\.png cannot be read"):
        trained.predict(tmp_path / "a.png")
    with pytest.raises(normexp.UserError, match=r"no folder of a finished run"):
        normexp.load(tmp_path)


def test_what_is_exported_gives_the_same_logits_for_any_number_of_images(
    trained: Trained, tmp_path: Path
) -> None:
    trained.export(tmp_path / "network.pt2")
    program = torch.export.load(tmp_path / "network.pt2").module()
    array = inputs.images(trained.spec).test.images[:5].numpy()
    logits = program(to_unit(torch.from_numpy(array)).contiguous())
    torch.testing.assert_close(logits, trained.logits(array), rtol=1e-4, atol=1e-5)


def test_onnx_is_written_where_it_is_installed(trained: Trained, tmp_path: Path) -> None:
    has_onnx = all(importlib.util.find_spec(name) for name in ("onnx", "onnxscript"))
    if not has_onnx:
        with pytest.raises(normexp.UserError, match="pip install onnx onnxscript"):
            trained.export(tmp_path / "network.onnx")
        return
    trained.export(tmp_path / "network.onnx")
    weights = sum(4 * parameter.numel() for parameter in trained.network.parameters())
    assert (tmp_path / "network.onnx").stat().st_size > weights  # in no second file


@pytest.mark.parametrize("name", ["network.pt2", "network.onnx"])
def test_a_folder_that_is_not_there_is_told(name: str, trained: Trained, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"there is no folder .*none; make it, or name"):
        trained.export(tmp_path / "none" / name)


def test_a_network_that_was_not_trained_has_no_validation_accuracy(tmp_path: Path) -> None:
    folder = make_run(tmp_path, 0.5)
    whole = folder.result()
    assert whole
    folder.finish(replace(whole, history=()))
    (row,) = normexp.results(tmp_path)
    assert (row["val_accuracy"], row["test_accuracy"]) == (None, 0.5)


def test_results_are_a_row_a_run_with_settings_and_findings(tmp_path: Path) -> None:
    found: dict[int, float | str] = {0: 0.5, 1: "diverged", 2: "unfinished"}
    make_study(tmp_path, ("batch",), (4,), 3, lambda norm, size, seed: found[seed])
    rows = sorted(normexp.results(tmp_path), key=lambda row: str(row["seed"]))
    assert [row["state"] for row in rows] == ["finished", "diverged", "unfinished"]
    assert [row["test_accuracy"] for row in rows] == [0.5, None, None]
    assert rows[0]["norm"] == "batch"
    assert rows[0]["batch_size"] == 4
    assert rows[0]["test_accuracy_contrast_5"] == pytest.approx(0.25)
    assert {frozenset(row) for row in rows} == {frozenset(rows[0])}


NORMS = [
    name for name in normexp.__all__ if name.endswith("Norm") or name in ("IBN", "BatchRenorm")
]


@pytest.mark.parametrize("name", NORMS)
def test_a_norm_needs_the_number_of_channels_only(name: str) -> None:
    layer = getattr(normexp, name)(64)
    assert layer(torch.randn(4, 64, 8, 8)).shape == (4, 64, 8, 8)


def parts_in(node: Any) -> Iterator[dict[str, Any]]:
    if isinstance(node, dict):
        if str(node.get("_target_")).startswith("normexp.norms."):
            yield node
        for value in node.values():
            yield from parts_in(value)


def test_the_defaults_of_the_norms_are_those_of_conf() -> None:
    """But where files of conf/ differ, as `layer` is a group norm of one group."""
    given: dict[tuple[str, str], set[Any]] = {}
    for file in choices("norm").values():
        for part in parts_in(OmegaConf.to_container(OmegaConf.load(file))):
            for key, value in part.items():
                if isinstance(value, int | float) and not key.startswith("_"):
                    given.setdefault((part["_target_"], key), set()).add(value)
    compared = 0
    for (target, key), values in given.items():
        module, _, name = target.rpartition(".")
        made = getattr(importlib.import_module(module), name)
        default = inspect.signature(made).parameters[key].default
        if isinstance(made, type) and module != "normexp.norms.batch":
            assert default in values, (target, key)
            compared += 1
    assert compared > 30


@pytest.mark.parametrize(
    ("typed", "words"),
    [
        ({"norm": "bacth"}, "norm=bacth: there is no such choice; did you mean batch?"),
        ({"batchsize": 3}, "there is no setting 'batchsize'; did you mean batch_size?"),
        ({"norm": ["batch", "instance"]}, "a run has one norm; for a run of each"),
        ({"seed": range(3)}, "a grid is typed: normexp train -m seed="),
        ({"seed": [0, 1, 2]}, "a grid is typed: normexp train -m seed="),
        ({"batch_size": torch.tensor(4)}, "batch_size=tensor(4): a name, number or text is needed"),
        ({"data.limt": 5}, "there is no setting 'data.limt'; did you mean data.limit?"),
        ({"norm": torch.nn.BatchNorm2d}, "norm='custom', 'norm.layer._target_=myparts.Mine'"),
        ({"data": {"limit": 200}}, "settings of data are texts, 'data.limit=...'"),
        ({"lr": 0.1}, "did you mean optimizer.lr=0.1"),
        ({"outputs": ["a", "b"]}, "a training has one folder"),
    ],
)
def test_a_mistake_in_a_setting_is_told_as_on_the_command_line(
    typed: dict[str, Any], words: str
) -> None:
    with pytest.raises(UserError) as told:
        normexp.train("data=generated", **typed)
    assert words in str(told.value)


def test_an_override_is_a_text() -> None:
    with pytest.raises(UserError, match="3: settings are texts, such as"):
        normexp.train(3)  # type: ignore[arg-type]


@pytest.mark.parametrize("flag", ["-m", "--config-dir=conf"])
def test_flags_are_for_the_command_line(flag: str) -> None:
    with pytest.raises(UserError, match=f"{flag}: flags, as for grids, are typed"):
        normexp.train(flag, norm="batch")


ARRAYS = """
import numpy as np
import normexp


def dots(number):
    images = np.random.default_rng(0).integers(0, 256, (number, 16, 16, 3), dtype=np.uint8)
    labels = np.arange(number) % 2
    return normexp.from_arrays((images, labels), (images, labels), classes=("a", "b"))
"""


@pytest.fixture
def quick(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Trained]]:
    """A training of two steps, on a function of the user's own."""
    (tmp_path / "mydata.py").write_text(ARRAYS)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    monkeypatch.setattr(inputs, "_sources", {})

    def run(*overrides: str, **settings: object) -> Trained:
        own = ["data=custom", "data.source._target_=mydata.dots", "+data.source.number=32"]
        widths = "model.network.widths=[4,4,4,4,4,4]"
        return normexp.train(
            *own, widths, *overrides, **{"batch_size": 8, "steps": 2, "epochs": 1, **settings}
        )

    yield run
    for name in ("mydata", "mynorms"):
        sys.modules.pop(name, None)


def test_it_trains_on_a_function_of_ones_own_in_any_thread_within_hydra(
    quick: Callable[..., Trained], tmp_path: Path
) -> None:
    (tmp_path / "app").mkdir()
    with initialize_config_dir(str(tmp_path / "app"), version_base="1.3"):
        of_caller = GlobalHydra.instance().hydra
        with ThreadPoolExecutor(1) as pool:
            trained = pool.submit(quick, norm="instance").result()
        assert GlobalHydra.instance().hydra is of_caller
    assert trained.classes == ("a", "b")
    assert trained.settings["data"]["name"] == "dots"


def test_torch_is_as_the_caller_left_it(quick: Callable[..., Trained]) -> None:
    threads = torch.get_num_threads()
    torch.set_default_dtype(torch.float64)
    try:
        torch.manual_seed(123)
        with torch.no_grad():
            trained = quick("runtime.threads=1")
            assert not torch.is_grad_enabled()
        assert (torch.initial_seed(), torch.get_num_threads()) == (123, threads)
        assert torch.get_default_dtype() is torch.float64
        logits = trained.logits(np.zeros((16, 16, 3), np.uint8))
    finally:
        torch.set_default_dtype(torch.float32)
    assert logits.dtype is torch.float32


def test_trainings_of_several_threads_come_one_after_another(quick: Callable[..., Trained]) -> None:
    with ThreadPoolExecutor(4) as pool:
        names = ("batch", "instance", "both", "none")
        trained = [pool.submit(quick, norm=name) for name in names]
        assert [each.result().settings["norm"]["name"] for each in trained] == [*names]


def test_a_default_device_of_the_callers_is_not_the_trainings() -> None:
    with torch.device("meta"), like_a_process():
        assert torch.zeros(1).device.type == "cpu"
    assert torch.zeros(1).device.type == "cpu"
    torch.set_default_device("meta")
    try:
        with like_a_process():
            assert torch.zeros(1).device.type == "cpu"
        assert torch.zeros(1).device.type == "meta"
    finally:
        torch.set_default_device(None)


def test_a_script_whose_own_part_was_edited_runs_again(tmp_path: Path) -> None:
    script = tmp_path / "mine.py"
    text = """
        from torch import nn
        import normexp

        class Mine(nn.BatchNorm2d):
            pass

        if __name__ == "__main__":
            data = ("data=generated", "data.limit=40", "batch_size=8", "epochs=1")
            own = "norm.layer._target_=mine.Mine"
            print(normexp.train(*data, own, norm="custom").folder.name)
    """
    names = []
    for edit in ("", "# A comment.\n"):
        script.write_text(edit + dedent(text))
        command = [sys.executable, script.name]
        done = run(command, cwd=tmp_path, check=False, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        names.append(done.stdout)
    assert names[0] != names[1]


def test_a_part_that_has_changed_since_its_import_is_refused(
    quick: Callable[..., Trained], tmp_path: Path
) -> None:
    text = "from torch import nn\nclass Mine(nn.BatchNorm2d):\n    pass\n"
    (tmp_path / "mynorms.py").write_text(text)
    own = ("norm=custom", "norm.layer._target_=mynorms.Mine")
    first = quick(*own)
    assert quick(*own).folder == first.folder
    (tmp_path / "mynorms.py").write_text(text + "x = 1\n")
    with pytest.raises(UserError, match=r"mynorms\.py has changed since"):
        quick(*own)


def test_a_function_for_images_that_has_changed_is_refused(
    quick: Callable[..., Trained], tmp_path: Path
) -> None:
    quick()
    (tmp_path / "mydata.py").write_text(ARRAYS.replace("% 2", "* 0"))
    with pytest.raises(UserError, match=r"mydata\.py has changed since"):
        quick()


def test_a_part_without_a_file_is_refused(quick: Callable[..., Trained]) -> None:
    with pytest.raises(UserError, match=r"__main__\.Mine: a part must lie in a file"):
        quick("norm=custom", "norm.layer._target_=__main__.Mine")


def test_images_that_came_after_a_training_make_another_run(
    quick: Callable[..., Trained], tmp_path: Path
) -> None:
    def add(number: int) -> None:
        for place in ("train/a", "train/b", "test/a", "test/b"):
            (tmp_path / place).mkdir(parents=True, exist_ok=True)
            for i in range(number):
                Image.fromarray(np.full((8, 8, 3), i, np.uint8)).save(tmp_path / place / f"{i}.png")

    def on_images() -> Trained:
        settings = ("model.network.widths=[4,4,4,4,4,4]", "data.root=.", "runtime.cache_dir=cache")
        return normexp.train(*settings, data="images", batch_size=4, steps=1)

    add(8)
    first = on_images()
    add(10)
    assert on_images().folder != first.folder


@pytest.mark.parametrize("file", ["weights.pt", "result.json", "run.json"])
def test_a_damaged_file_of_a_run_is_told_with_the_remedy(
    file: str, trained: Trained, tmp_path: Path
) -> None:
    folder = shutil.copytree(trained.folder, tmp_path / trained.folder.name)
    (folder / file).write_bytes(b"nonsense")
    with pytest.raises(UserError, match=r"normexp runs clean=|typed again, mends it"):
        normexp.load(folder)
    (folder / file).unlink()
    with pytest.raises(UserError, match=r"normexp runs clean=|no folder of a finished run"):
        normexp.load(folder)


def test_runs_that_cannot_be_read_are_told(tmp_path: Path) -> None:
    make_run(tmp_path, 0.5, seed=0)
    bad = make_run(tmp_path, 0.5, seed=1)
    (bad.path / "run.json").write_text("nonsense")
    with pytest.warns(UserWarning, match="left out: .*run.json"):
        assert len(normexp.results(tmp_path)) == 1
    with pytest.raises(UserError, match="there is no folder"):
        normexp.results(tmp_path / "nowhere")
