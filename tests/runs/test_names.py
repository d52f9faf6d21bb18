from __future__ import annotations

import os

import pytest

from normexp.runs.names import readable, several


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("plain name", "plain name"),
        ("cafe\u0301", "caf\u00e9"),
        (os.fsdecode(b"na\xefve"), r"na\xefve"),
        ("a\x1b[31m\nb", r"a\x1b[31m\nb"),
    ],
)
def test_a_name_can_be_printed(name: str, text: str) -> None:
    assert readable(name) == text


def test_five_of_many_names_are_shown() -> None:
    assert several(list("abcde")) == "a, b, c, d, e"
    assert several(list("abcdef")) == "a, b, c, d, e, …"
