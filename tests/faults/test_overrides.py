"""Whatever is typed wrongly: one line, exit code not 0, and nothing in the way of what is right."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest
from helpers.typed import Answer, normexp
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from .size import IS_FULL

pytestmark = pytest.mark.skipif(not IS_FULL, reason="tests/test_cli.py has a mistake of each kind")

SMALL = (
    "data=generated",
    "data.source.num_train=20",
    "data.source.num_test=10",
    "model.network.widths=[4,4,4,4,4,4]",
    "batch_size=3",
    "steps=1",
    "precision=fp32",
    "runtime.device=cpu",
    "runtime.threads=1",
)

# What no number is, in any grammar.
NO_NUMBERS = st.sampled_from(
    ["nan", "inf", "-inf", "true", "[1]", "[]", "{a:1}", "''", "abc", "1e", "0x", "1,5", "--1", "²"]
)
WORDS = st.text(
    st.characters(codec="utf-8", exclude_categories=["Cc"]), min_size=1, max_size=8
).map(lambda text: "'" + text.replace("\\", "").replace("'", "").replace("$", "") + "x'")
STRANGE = st.text(st.characters(exclude_characters="\0"), max_size=6).map(
    lambda text: "'" + text.replace("\\", "").replace("'", "").replace("$", "") + "ü x'"
)
BELOW_0 = st.integers(max_value=-1).map(str) | st.floats(max_value=-1e-9).map(str)
FRACTIONS = st.floats(0.01, 0.99).map(str)
WHOLE = ("seed", "batch_size", "runtime.log_every")
OF_0_OR_MORE = ("optimizer.batch_exponent", "optimizer.weight_decay", "label_smoothing")
ABOVE_0 = ("optimizer.lr", "runtime.checkpoint_seconds")


def typed(keys: tuple[str, ...], values: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    return st.builds("{}={}".format, st.sampled_from(keys), values)


NUMBERS = (
    typed((*WHOLE, *OF_0_OR_MORE, *ABOVE_0, "data.crop"), NO_NUMBERS | WORDS | STRANGE)
    | typed((*WHOLE, *OF_0_OR_MORE, *ABOVE_0, "data.crop", "steps", "data.limit"), BELOW_0)
    | typed((*WHOLE, "data.crop", "steps", "runtime.threads", "runtime.jobs"), FRACTIONS)
    | typed(("batch_size", "steps", *ABOVE_0, "data.val_fraction", "runtime.jobs"), st.just("0"))
    | typed(("label_smoothing", "data.val_fraction", "optimizer.warmup"), st.just("1"))
    | typed((*WHOLE, *OF_0_OR_MORE, *ABOVE_0, "data.flip"), st.just("null"))
    | typed(("batch_size", "data.crop"), st.integers(min_value=32).map(str))
)
OTHERS = (
    typed(("precision", "runtime.device", "data.standardise", "model.padding_mode"), STRANGE)
    | typed(("precision",), NO_NUMBERS)
    | typed(("model.name", "norm.name", "contrast.name", "data.name", "study"), STRANGE)
    | typed(("data", "model", "norm", "contrast", "optimizer", "experiment"), STRANGE | NO_NUMBERS)
    | typed(("data", "model", "norm", "contrast", "optimizer"), st.sampled_from(["null", "3", ""]))
    | typed(("model.network.widths",), st.sampled_from(["3", "[]", "[0,0,0,0,0,0]", "[a]", "null"]))
    | typed(("model.network.widths",), st.lists(st.integers(-4, 0), max_size=7).map(str))
    | typed(("data.source.num_train", "data.source.num_test"), BELOW_0 | NO_NUMBERS | FRACTIONS)
)
NAMES = st.from_regex(r"[a-z_]{3,9}", fullmatch=True).filter(lambda name: "hydra" not in name)
UNKNOWN = st.builds(
    "{}{}{}zq={}".format,
    st.sampled_from(["", "+", "++"]),
    st.sampled_from(["", "optimizer.", "runtime.", "optimizer.algorithm.", "model.network."]),
    NAMES,
    st.sampled_from(["1", "a", "[1]", "{a:1}", "null"]),
)
REMOVED = st.sampled_from(
    [
        f"~{key}"
        for key in (
            *("seed", "batch_size", "epochs", "steps", "study", "precision", "label_smoothing"),
            *("data", "model", "norm", "contrast", "optimizer", "runtime", "nosuch"),
            *("data.limit", "data.crop", "data.flip", "data.source", "data.name", "norm.layer"),
            *("model.network", "optimizer.lr", "optimizer.algorithm", "runtime.outputs"),
            *("runtime.threads", "runtime.log_every", "contrast.augmentation", "model.name"),
        )
    ]
)
SYNTAX = (
    st.text("[]{}()=:,'\"$\\ \t#@!&|;<>~+*ab1é", min_size=1, max_size=8).map(lambda t: f"norm={t}[")
    | st.text(st.characters(codec="utf-8", exclude_categories=["Cc"]), min_size=1, max_size=6)
    .filter(lambda text: text[0] not in "-~" and "=" not in text and text.strip() != "")
    .map(lambda text: f"{text}")
    | st.sampled_from(["seed=${", "seed=${nosuch}", "seed=${oc.env:NO_SUCH_VARIABLE_HERE}"])
    | st.sampled_from(["seed=${seed}", "seed=${nosuch:1}", "=1", "+=1", "==", "seed=[", "seed='"])
    | st.sampled_from(["norm@norm=batch", "norm@x:y=batch", "seed=1,2", "seed=range(3)", "~", "+"])
)
TARGETS = st.builds(
    "{}._target_={}".format,
    st.sampled_from(
        [
            *("norm.layer", "model.network", "optimizer.algorithm", "data.source"),
            "contrast.augmentation",
        ]
    ),
    st.sampled_from(
        [
            *(
                "nosuch.Thing",
                "torch.nn.Nosuch",
                "torch",
                "math.pi",
                "a..b",
                ".",
                "''",
                "5",
                "null",
            ),
            *("builtins.dict", "builtins.int", "os.getcwd", "torch.nn.Conv2d", "builtins.print"),
            *("normexp.errors.UserError", "[]", "builtins.object", "torch.zeros", "naïve.Ü"),
        ]
    ),
)
BAD = (NUMBERS | OTHERS | UNKNOWN | REMOVED | SYNTAX | TARGETS).filter(
    lambda bad: bad != "experiment=[]"  # no study, as Hydra has it
)


def problem(answer: Answer, folder: Path) -> str | None:
    """What is wrong with the answer to something wrong."""
    if answer.code == 0:
        return "it is taken for right"
    if not answer.err.startswith("normexp: ") or not answer.err.endswith("\n"):
        return f"it is told as {answer.err!r}"
    if len(answer.err.splitlines()) != 1:
        return f"it is told in more lines: {answer.err!r}"
    if left := list(folder.glob("outputs/runs/*")):
        return f"there is {left} left, told as {answer.err!r}"
    return None


@settings(
    max_examples=500,
    derandomize=True,
    deadline=None,
    database=None,
    phases=[Phase.generate],  # the examples are short as they are
    suppress_health_check=list(HealthCheck),
)
@given(bad=BAD)
def test_a_bad_override_is_one_line_and_leaves_nothing(bad: str) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        try:
            answer = normexp(folder, "train", *SMALL, bad)
        except Exception as error:
            raise AssertionError(f"{bad!r} ends with a traceback: {error!r}") from error
        assert problem(answer, folder) is None, bad


def test_the_settings_without_a_mistake_are_right(tmp_path: Path) -> None:
    assert normexp(tmp_path, "train", *SMALL).code == 0
