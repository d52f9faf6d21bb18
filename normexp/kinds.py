"""What values a setting may have, and how they are typed. Standard library only."""

import json
import re
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from math import inf, isfinite, nextafter
from typing import Any, Protocol


class Kind(Protocol):
    """What values a setting may have."""

    @property
    def words(self) -> str:
        """What is needed, such as `a whole number of 1 or more`."""

    def check(self, value: object) -> object:
        """Return `value` in its type; raises ValueError with what is needed."""


@dataclass(frozen=True)
class Nullable(ABC):
    """A kind of value in whose place None may be, where it is `optional`."""

    optional: bool = field(default=False, kw_only=True)

    def check(self, value: object) -> Any:
        return None if value is None and self.optional else self.given(value)

    @abstractmethod
    def given(self, value: Any) -> object:
        """As `Kind.check`, of a value that is not None where it is `optional`."""

    @property
    def or_null(self) -> str:
        return " or null" * self.optional


@dataclass(frozen=True)
class Number(Nullable):
    """A finite number, whole or not, within limits."""

    whole: bool = False
    least: float = -inf
    above: float = -inf
    below: float = inf
    most: float = inf

    def given(self, value: Any) -> int | float:
        is_number = isinstance(value, int | float) and not isinstance(value, bool)
        if is_number and self._is_in_range(value):
            if abs(value) > (most := 2**63 - 1 if self.whole else nextafter(inf, 0)):
                raise ValueError(f"a number of at most {most} is needed")
            return int(value) if self.whole else float(value)
        raise ValueError(f"{self.words} is needed")

    def _is_in_range(self, value: Any) -> bool:
        return (
            (isinstance(value, int) or isfinite(value))
            and not (self.whole and value != int(value))
            and self.least <= value <= self.most
            and self.above < value < self.below
        )

    @property
    def words(self) -> str:
        has_least, has_most = self.least > -inf, self.most < inf
        limits = {
            f"from {typed(self.least)} to {typed(self.most)}": has_least and has_most,
            f"of {typed(self.least)} or more": has_least and not has_most,
            f"above {typed(self.above)}": self.above > -inf,
            f"below {typed(self.below)}": self.below < inf,
        }
        given = " and ".join(limit for limit, holds in limits.items() if holds)
        return f"a {'whole ' * self.whole}number {given}".strip() + self.or_null


@dataclass(frozen=True)
class Numbers(Nullable):
    """A list of numbers of one kind, `length` of them if given."""

    each: Number
    length: int | None = None

    @property
    def words(self) -> str:
        return f"a list, each {self.each.words},"

    def given(self, value: object) -> list[int | float]:
        if self.length and isinstance(value, list | tuple) and len(value) != self.length:
            raise ValueError(f"{self.length} numbers are needed, each {self.each.words}")
        if not isinstance(value, list | tuple):
            raise ValueError(f"{self.words} is needed")
        try:
            return [self.each.check(number) for number in value]
        except ValueError as error:
            raise ValueError(f"{self.words} is needed") from error


@dataclass(frozen=True)
class Choice(Nullable):
    """One of some words."""

    options: tuple[str, ...]

    @property
    def words(self) -> str:
        return f"one of {', '.join((*self.options, *['null'] * self.optional))}"

    def given(self, value: object) -> str:
        if value in self.options:
            return str(value)
        raise ValueError(f"{self.words} is needed")


@dataclass(frozen=True)
class Flag:
    """True or false."""

    words = "true or false"

    def check(self, value: object) -> bool:
        if isinstance(value, bool):
            return value
        raise ValueError(f"{self.words} is needed")


@dataclass(frozen=True)
class Text(Nullable):
    """A text that is not empty; with `numbers` also a number, as it is typed."""

    numbers: bool = False

    @property
    def words(self) -> str:
        return "a text" + " or a number" * self.numbers + self.or_null

    def given(self, value: object) -> str:
        if self.numbers and isinstance(value, int | float):
            return typed(value)
        if isinstance(value, str) and value:
            return value
        raise ValueError(f"{self.words} is needed")


@dataclass(frozen=True)
class Name(Nullable):
    """A part of a file name."""

    also: str = ""  # a character that it may have behind its first
    taken: str = ""  # a name that means something else, and what to do instead:
    instead: str = "this means the runs that normexp ships; another name is needed"

    @property
    def words(self) -> str:
        marks = f"'_', '.' and '{self.also}'" if self.also else "'_' and '.'"
        return f"a name of letters, digits, {marks}" + self.or_null

    def given(self, value: object) -> str:
        if self.taken and value == self.taken:
            raise ValueError(self.instead)
        # A study or a folder may be called 2024 or 1.5.
        is_text = isinstance(value, str | int | float) and not isinstance(value, bool)
        if is_text and re.fullmatch(rf"[A-Za-z0-9_][A-Za-z0-9_.{self.also}]*", str(value)):
            return str(value)
        raise ValueError(f"{self.words} is needed")


@dataclass(frozen=True)
class Folders:
    """A folder, or a list of folders."""

    words = "a folder or a list of folders"

    def check(self, value: object) -> list[str]:
        folders = value if isinstance(value, list | tuple) else [value]
        # A folder in a list may be called 2024.
        if folders and all(isinstance(each, str | int) and each != "" for each in folders):
            return list(map(str, folders))
        raise ValueError(f"{self.words} is needed")


@dataclass(frozen=True)
class Names(Nullable):
    """A name, or a list of names."""

    words = "a name or a list of names"

    def given(self, value: object) -> list[str]:
        return [str(each) for each in (value if isinstance(value, list | tuple) else [value])]


@dataclass(frozen=True)
class Part(Nullable):
    """A part to be made: a mapping with a `_target_`."""

    @property
    def words(self) -> str:
        return "a part with a _target_" + self.or_null

    def given(self, value: object) -> object:
        if isinstance(value, Mapping):
            return value
        raise ValueError(f"{self.words} is needed")


def typed(value: object) -> str:
    """Return `value` as it is typed on a command line."""
    if value is None or isinstance(value, bool):
        return json.dumps(value)
    if isinstance(value, float):
        return f"{value:g}" if float(f"{value:g}") == value else repr(value)
    if isinstance(value, list | tuple):
        return f"[{','.join(map(typed, value))}]"
    return str(value)
