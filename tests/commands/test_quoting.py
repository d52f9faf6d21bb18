from __future__ import annotations

import shlex

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser
from hypothesis import given
from hypothesis import strategies as st

from normexp.commands.quoting import quoted, refuse_lists
from normexp.errors import UserError, quoted_twice


def read(argument: str) -> object:
    """What Hydra reads of a value."""
    value = OverridesParser.create().parse_override(argument).value()
    return getattr(value, "text", value)


@pytest.mark.parametrize(
    "folder",
    [
        *(
            "/data/my data (1)",
            "/data/donn\u00e9es",
            "/data/a,b",
            "/data/a=b",
            "/data/[a]{b}",
            "2024",
        ),
        *("/data/john's", '/data/a"b', "~/pictures", "true", "1e3", "C:\\data", "/data/a~b"),
    ],
)
def test_a_folder_of_any_name_is_read_as_it_is(folder: str) -> None:
    (argument,) = quoted([f"data.root={folder}"])
    assert read(argument) == folder


@given(st.text(st.characters(codec="utf-8", exclude_categories=["Cc"]), min_size=1))
def test_hydra_reads_every_name(name: str) -> None:
    folder = f"/data/{name}/x"
    (argument,) = quoted([f"runtime.outputs={folder}"])
    assert read(argument) == folder


@pytest.mark.parametrize(
    "argument",
    [
        *("data.root=/data/pets", "data.root='quoted already'", "data.root=null", "data.root="),
        *("data.root=${oc.env:HOME}/pets", "-m", "--cfg", "norm=[batch", "batch_size={", "seed=1"),
        *("model.network.widths=[8,8]", "~data.limit", "nosuch=(", "="),
    ],
)
def test_what_hydra_reads_well_or_is_no_text_stays(argument: str) -> None:
    assert quoted([argument]) == [argument]


def test_with_m_commas_divide_a_sweep() -> None:
    assert quoted(["-m", "data.root=/a,/b"]) == ["-m", "data.root=/a,/b"]
    assert quoted(["data.root=/a,/b"]) == ["data.root='/a,/b'"]
    assert quoted(["-m", "data.root=/my data (1),x"]) == ["-m", "data.root='/my data (1),x'"]


@pytest.mark.parametrize("group", ["norm", "model", "data", "contrast", "optimizer", "scale"])
def test_a_list_for_a_group_is_refused_with_the_sweep_that_was_meant(group: str) -> None:
    with pytest.raises(UserError, match=f"-m {group}=a,b$"):
        refuse_lists([f"{group}=[a,b]"])


def test_a_list_elsewhere_is_none_of_a_group() -> None:
    refuse_lists(["norm=a", "model.network.widths=[1,2]", "experiment=[]", "norm=[", "norm=a,b"])


@pytest.mark.parametrize(
    ("argument", "meant"),
    [
        ("norm=[a,b],[c]", "-m norm=a,b,c"),
        ("+norm=[a,b]", "-m norm=a,b"),
        ("norm=choice([a,b],c)", "-m norm=a,b,c"),
        ("experiment=[a,b]", "-m experiment=a"),
    ],
)
def test_so_is_a_list_within_a_sweep(argument: str, meant: str) -> None:
    with pytest.raises(UserError, match=f"{meant}$"):
        refuse_lists([argument])


@pytest.mark.parametrize("value", ["a b=(c", "john's", "a\\", 'x"', "a,b", "[x"])
def test_the_line_that_is_shown_can_be_typed(value: str) -> None:
    (argument,) = shlex.split(quoted_twice(f"study={value}"))
    assert read(argument) == value
