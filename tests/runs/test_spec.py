from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from omegaconf import DictConfig, OmegaConf

from normexp.build import run_spec
from normexp.errors import UserError
from normexp.runs.runtime import Runtime
from normexp.runs.spec import RunSpec

Compose = Callable[..., DictConfig]


@pytest.fixture(scope="session")
def shipped(compose: Compose) -> DictConfig:
    """The settings as shipped, to be copied."""
    return compose("data=generated")


@pytest.fixture
def settings(shipped: DictConfig) -> DictConfig:
    return copy.deepcopy(shipped)


def changed(settings: DictConfig, **values: Any) -> DictConfig:
    """`settings` with other values; '__' in a key stands for '.'."""
    settings = copy.deepcopy(settings)
    for key, value in values.items():
        OmegaConf.update(settings, key.replace("__", "."), value, force_add=True)
    return settings


def name(settings: DictConfig) -> str:
    return run_spec(settings)[0].name


def test_the_shipped_settings_are_taken_as_they_are(settings: DictConfig) -> None:
    spec, runtime = run_spec(settings)
    assert (spec.seed, spec.batch_size, spec.epochs, spec.steps) == (0, 128, 10, None)
    assert (spec.label_smoothing, spec.precision) == (0.0, "auto")
    assert spec.settings["norm"]["layer"]["eps"] == 1e-5
    assert (runtime.outputs, runtime.device, runtime.threads) == ("outputs", "auto", None)
    assert (runtime.log_every, runtime.checkpoint_seconds, runtime.study) == (20, 60, None)


@pytest.mark.parametrize(
    ("typed", "known"),
    [
        ("data=generated", "cnn-batch-b128-none-s0-6ff0a6a1"),
        ("data=cifar10 norm=both batch_size=4 seed=7", "cnn-both-b4-none-s7-3753d55f"),
        (
            "data=generated model=resnet20 norm=fixup contrast=jitter",
            "resnet20-fixup-b128-jitter-s0-8b7a100c",
        ),
        (
            "data=generated model=resnet18 norm=split steps=5 optimizer=adamw",
            "resnet18-split-b128-none-s0-4c723fb6",
        ),
    ],
)
def test_runs_that_were_trained_keep_their_names(typed: str, known: str, compose: Compose) -> None:
    assert name(compose(*typed.split())).startswith(known)


def test_weights_count_by_their_content(compose: Compose, tmp_path: Path) -> None:
    for file, content in (("a.pt", b"1"), ("b.pt", b"1"), ("c.pt", b"2")):
        (tmp_path / file).write_bytes(content)
    names = [
        name(compose("data=generated", f"model.weights={tmp_path / file}"))
        for file in ("a.pt", "b.pt", "c.pt")
    ]
    assert names[0] == names[1]
    assert len({*names, name(compose("data=generated"))}) == 3


def test_a_name_tells_the_factors_and_ends_in_a_hash(compose: Compose) -> None:
    overrides = ("data=generated", "model=resnet20", "norm=instance", "contrast=jitter")
    parts = name(compose(*overrides, "batch_size=4", "seed=7")).split("-")
    assert parts[:-1] == ["resnet20", "instance", "b4", "jitter", "s7"]
    assert len(parts[-1]) == 8
    assert set(parts[-1]) <= set("0123456789abcdef")


def test_the_same_settings_have_the_same_name(settings: DictConfig, compose: Compose) -> None:
    assert name(settings) == name(copy.deepcopy(settings))
    assert name(compose("data=generated", "batch_size=8", "seed=3")) == name(
        compose("seed=3", "batch_size=8", "data=generated")
    )


def test_the_order_of_keys_makes_no_difference(settings: DictConfig) -> None:
    def backwards(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: backwards(value[key]) for key in reversed(value)}
        return value

    plain = OmegaConf.to_container(settings, resolve=True)
    assert name(OmegaConf.create(backwards(plain))) == name(settings)


def leaves(value: Any, key: str = "") -> dict[str, Any]:
    """Every setting by its dotted key."""
    if not isinstance(value, dict):
        return {key: value}
    return {
        k: v for part in value for k, v in leaves(value[part], f"{key}.{part}".strip(".")).items()
    }


OTHER = ("runtime", "study", "until", "max_seeds", "skip_impossible")
"""Settings that cannot change the result."""


def test_every_setting_that_can_change_the_result_changes_the_name(settings: DictConfig) -> None:
    content = OmegaConf.to_container(settings, resolve=True)
    assert isinstance(content, dict)
    keys = leaves({group: value for group, value in content.items() if group not in OTHER})
    del keys["data.source.cache_dir"]  # where things lie does not change what they are
    assert {"seed", "norm.layer.eps", "data.source.seed", "model.network.widths"} <= set(keys)
    names = {name(settings)}
    allowed = {
        "precision": "fp32",
        "kernels": "none",
        "data.flip": False,
        "data.limit": 50,
        "data.gain_spread": 0.5,
        "data.val_fraction": 0.3,
        "data.standardise": "image",
        "model.padding_mode": "reflect",
        "model.weights": "weights.pt",
        "model.freeze": "stem",
        "data.mean": [0.5, 0.5, 0.5],
        "data.std": [0.2, 0.2, 0.2],
    }
    for key, value in keys.items():
        if key in allowed:
            another = allowed[key]
        elif isinstance(value, bool):
            another = not value
        elif isinstance(value, int):
            another = value + 1
        elif isinstance(value, float):
            another = value / 2 + 0.01
        else:
            another = [1] if isinstance(value, list) else f"other{value}"
        if value is None and key not in allowed:
            another = 50
        names.add(name(changed(settings, **{key.replace(".", "__"): another})))
    assert len(names) == 1 + len(keys)


def test_where_and_how_a_run_is_done_does_not_change_its_name(compose: Compose) -> None:
    settings = compose("data=cifar10")
    for key, value in {
        **dict.fromkeys(("data__root", "runtime__cache_dir", "runtime__outputs"), "/elsewhere"),
        **dict.fromkeys(("runtime__threads", "runtime__log_every"), 7),
        "runtime__device": "cuda",
        "runtime__checkpoint_seconds": 5,
        "study": "some_study",
    }.items():
        assert name(changed(settings, **{key: value})) == name(settings), key


def test_a_norm_of_ones_own_that_was_edited_is_another_cell(
    compose: Compose, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(tmp_path)
    typed = compose("data=generated", "norm=custom", "norm.layer._target_=mynorms.Mine")
    specs = []
    for power in (1, 2, 1):
        (tmp_path / "mynorms.py").write_text(f"class Mine:\n    power = {power}\n")
        specs.append(run_spec(copy.deepcopy(typed))[0])
    first, edited, restored = specs
    assert (first.name, first.cell_name) == (restored.name, restored.cell_name)
    assert first.name != edited.name
    assert first.cell_name != edited.cell_name
    assert first.factors["mynorms.py"] != edited.factors["mynorms.py"]


def test_images_of_the_users_own_are_named_by_their_tree_not_its_place(
    compose: Compose, tmp_path: Path
) -> None:
    for folder, content in (("one", b"1"), ("copy", b"1"), ("changed", b"2"), ("other", b"33")):
        (tmp_path / folder / "train" / "cat").mkdir(parents=True)
        (tmp_path / folder / "train" / "cat" / "x.png").write_bytes(content)
    names = {
        folder: name(compose("data=images", f"data.root={tmp_path / folder}"))
        for folder in ("one", "copy", "changed", "other")
    }
    assert names["one"] == names["copy"]
    assert names["one"] not in (names["changed"], names["other"])


@pytest.mark.parametrize(
    ("key", "one", "other"),
    [
        ("label_smoothing", 0, 0.0),
        ("optimizer.lr", 1, 1.0),
        ("steps", 100, 100.0),
        ("seed", 3, 3.0),
        ("norm.layer.momentum", 1, 1.0),
        ("optimizer.lr", 0.001, 1e-3),
    ],
)
def test_a_whole_number_is_the_same_with_and_without_its_point(
    settings: DictConfig, key: str, one: float, other: float
) -> None:
    key = key.replace(".", "__")
    assert name(changed(settings, **{key: one})) == name(changed(settings, **{key: other}))


def test_true_is_not_1(settings: DictConfig) -> None:
    one, true = (changed(settings, norm__layer__extra=value) for value in (1, True))
    assert name(one) != name(true)


def test_where_steps_are_given_epochs_make_no_difference(settings: DictConfig) -> None:
    one, other = (changed(settings, steps=50, epochs=epochs) for epochs in (3, 4))
    assert name(one) == name(other)
    spec, _ = run_spec(one)
    assert (spec.steps, spec.epochs) == (50, None)
    assert name(changed(settings, steps=51)) != name(one)


@pytest.mark.parametrize("value", [float("-inf"), float("nan"), -1])
def test_epochs_beside_steps_are_checked_all_the_same(settings: DictConfig, value: float) -> None:
    with pytest.raises(UserError, match=r"epochs=.*a whole number of 0 or more or null"):
        run_spec(changed(settings, steps=50, epochs=value))


A_NAME = "a name of letters, digits, '_' and '.' is needed"

OUT_OF_RANGE = [
    *((("seed", value), "a whole number of 0 or more") for value in (-1, 0.5, "one", None, True)),
    *((("batch_size", value), "a whole number of 1 or more") for value in (0, -4, 2.5, "8", None)),
    *((("epochs", value), "a whole number of 0 or more or null") for value in (-1, 1.5, "ten")),
    *((("steps", value), "a whole number of 1 or more or null") for value in (0, -1, 0.1)),
    *((("label_smoothing", value), "a number of 0 or more and below 1") for value in (-0.1, 1)),
    *((("precision", value), "one of auto, fp32, bf16") for value in ("fp16", None, 32)),
    *((("kernels", value), "one of auto, none") for value in ("all", None, True)),
    *(((key, "odd"), "one of ") for key in ("data.standardise", "model.padding_mode")),
    *((("data.limit", value), "a whole number of 1 or more or null") for value in (0, 10.5)),
    *((("data.val_fraction", value), "a number above 0 and below 1") for value in (0, 1, -1)),
    *((("data.crop", value), "a whole number of 0 or more") for value in (-1, 1.5, None)),
    *(
        ((f"data.{key}", value), f"a number {needed} or null")
        for key, needed in (("red_scale", "of 0 or more"), ("gain_spread", "from 0 to 10"))
        for value in (-1, "much", True)
    ),
    *((("data.flip", value), "true or false") for value in (1, "yes", None)),
    *((("optimizer.lr", value), "a number above 0") for value in (0, -1, None, "fast")),
    *((("optimizer.lr", value), "a number above 0") for value in (float("inf"), float("nan"))),
    *((("optimizer.batch_exponent", value), "a number from 0 to 10") for value in (-1, None)),
    *((("optimizer.weight_decay", value), "a number of 0 or more") for value in (-1, "none")),
    *((("optimizer.warmup", value), "a number of 0 or more and below 1") for value in (-0.1, 1)),
    *((("norm.name", value), A_NAME) for value in ("a b", "a-b", "a/b", "", None)),
    *(((f"{group}.name", "x/y"), A_NAME) for group in ("data", "model", "contrast", "optimizer")),
    *(
        (("study", value), "a name of letters, digits, '_', '.' and '-'")
        for value in ("a b", "../x")
    ),
    (("study", ""), "a name of letters"),
    *((("runtime.threads", value), "a whole number from 1 to 1024 or null") for value in (0, 1.5)),
    *((("runtime.log_every", value), "a whole number of 1 or more") for value in (0, None)),
    *((("runtime.checkpoint_seconds", value), "a number above 0") for value in (0, -1, "often")),
    *((("runtime.outputs", value), "a text") for value in (None, 3, "")),
    *((("runtime.device", value), "a text") for value in (None, 0)),
]


@pytest.mark.parametrize(
    ("setting", "needed"), OUT_OF_RANGE, ids=[f"{key}={value}" for (key, value), _ in OUT_OF_RANGE]
)
def test_a_value_out_of_range_is_refused_with_what_is_needed(
    settings: DictConfig, setting: tuple[str, Any], needed: str
) -> None:
    key, value = setting
    with pytest.raises(UserError) as caught:
        run_spec(changed(settings, **{key.replace(".", "__"): value}))
    message = str(caught.value)
    typed = {"None": "null", "True": "true"}.get(str(value), value)
    assert message.startswith(f"{key}={typed}: ")
    assert needed in message
    assert "\n" not in message


@pytest.mark.parametrize(
    "values",
    [
        {"seed": 10**9, "batch_size": 1, "steps": 1, "label_smoothing": 0.999},
        {"epochs": 1, "data__limit": 1, "data__val_fraction": 0.001, "data__crop": 0},
        {"data__red_scale": 0, "data__gain_spread": 0},
        {"optimizer__lr": 1e-9, "optimizer__warmup": 0, "optimizer__weight_decay": 0},
        {"precision": "bf16", "data__flip": False, "study": "a.b_1", "norm__name": "my.Norm_2"},
        {"runtime__threads": 1, "runtime__log_every": 1, "runtime__checkpoint_seconds": 0.1},
    ],
)
def test_a_value_at_the_edge_of_its_range_is_taken(
    settings: DictConfig, values: dict[str, Any]
) -> None:
    run_spec(changed(settings, **values))


@pytest.mark.parametrize(
    ("key", "message"),
    [
        ("epoch", "there is no setting 'epoch'.*epochs"),
        ("batchsize", "there is no setting 'batchsize'.*batch_size"),
        ("label_smooth", "there is no setting 'label_smooth'.*label_smoothing"),
        ("zzz", "there is no setting 'zzz'.*batch_size.*seed|.*seed.*batch_size"),
        ("runtime.thread", r"there is no setting 'runtime\.thread'.*threads"),
    ],
)
def test_a_key_that_is_none_is_refused_with_a_hint(
    settings: DictConfig, key: str, message: str
) -> None:
    with pytest.raises(UserError, match=message):
        run_spec(changed(settings, **{key.replace(".", "__"): 3}))


def test_a_setting_that_is_still_to_be_given_is_named(compose: Compose) -> None:
    with pytest.raises(UserError, match=r"norm\.layer\._target_"):
        run_spec(compose("data=generated", "norm=custom"))
    with pytest.raises(UserError, match=r"data\.root is not given"):
        run_spec(compose("data=images"))
    with pytest.raises(UserError, match=r"data\.root=/no/such/place: there is no such folder"):
        run_spec(compose("data=images", "data.root=/no/such/place"))


def test_settings_are_left_as_they_were(settings: DictConfig) -> None:
    plain = OmegaConf.to_container(changed(settings, steps=9), resolve=True)
    assert isinstance(plain, dict)
    asked = {str(key): value for key, value in plain.items() if key not in OTHER}
    before = copy.deepcopy(asked)
    RunSpec.from_settings(asked)
    assert asked == before


def test_a_runtime_is_made_of_whole_numbers_where_they_are_whole(settings: DictConfig) -> None:
    _, runtime = run_spec(changed(settings, runtime__threads=2, runtime__log_every=5))
    assert isinstance(runtime, Runtime)
    assert (runtime.threads, runtime.log_every) == (2, 5)
