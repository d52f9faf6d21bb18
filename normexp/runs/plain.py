"""Frozen dataclasses as plain values for JSON, and back with every type checked."""

from collections.abc import Callable, Mapping
from dataclasses import MISSING, asdict, fields, is_dataclass
from functools import cache
from types import NoneType, UnionType
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from normexp.errors import suggestion

T = TypeVar("T")
Plain = dict[str, Any]  # a record as JSON has it
Reader = Callable[[object], object]
LARGEST = 2**63 - 1
"""What other programs read of whole numbers, TensorBoard among them."""


def to_plain(record: object) -> Plain:
    return asdict(record)  # type: ignore[call-overload,no-any-return]


def from_plain(kind: type[T], value: object) -> T:
    """Return the dataclass `kind` that `to_plain` made `value` of.

    Raises ValueError with the dotted key of what is missing, unknown or of another type.
    """
    return _reader(kind)(value)  # type: ignore[return-value, arg-type]


@cache
def _reader(hint: Any) -> Reader:
    origin, arguments = get_origin(hint), get_args(hint)
    if is_dataclass(hint):
        return _reader_of_record(hint)  # type: ignore[arg-type]
    if hint in _SIMPLE:
        return _SIMPLE[hint]
    if origin in (Union, UnionType):
        return _reader_of_optional(*(each for each in arguments if each is not NoneType))
    if origin is Literal:
        return _reader_of_words(arguments)
    if origin is tuple:
        return _reader_of_row(arguments[0])
    if origin is not None and issubclass(origin, Mapping):
        return _reader_of_mapping(*arguments)
    if hint in (object, Any):
        return lambda value: value
    raise TypeError(f"{hint} cannot be read from a record")


def _reader_of_record(kind: type[object]) -> Reader:
    hints = get_type_hints(kind)
    readers = {field.name: _reader(hints[field.name]) for field in fields(kind)}  # type: ignore[arg-type]
    needed = [f.name for f in fields(kind) if f.default is f.default_factory is MISSING]  # type: ignore[arg-type]

    def read(value: object) -> object:
        if not isinstance(value, Mapping):
            raise ValueError(f": keys and values are needed, not {_short(value)}")
        if missing := [name for name in needed if name not in value]:
            raise ValueError(f".{missing[0]} is missing")
        if unknown := [key for key in value if key not in readers]:
            raise ValueError(f".{unknown[0]} is not known; {suggestion(str(unknown[0]), readers)}")
        return kind(**{key: _within(key, readers[key], each) for key, each in value.items()})

    return read


def _reader_of_optional(kind: object) -> Reader:
    inner = _reader(kind)
    return lambda value: None if value is None else inner(value)


def _reader_of_words(words: tuple[object, ...]) -> Reader:
    def read(value: object) -> object:
        if value not in words:
            raise ValueError(
                f": one of {', '.join(map(str, words))} is needed, not {_short(value)}"
            )
        return value

    return read


def _reader_of_row(kind: object) -> Reader:
    inner = _reader(kind)

    def read(value: object) -> object:
        if not isinstance(value, list | tuple):
            raise ValueError(f": a list is needed, not {_short(value)}")
        # Most numbers of a record are counts, in a table of thousands of runs' confusions.
        if kind is int and set(map(type, value)) == {int} and max(map(abs, value)) <= LARGEST:
            return tuple(value)
        try:
            return tuple([inner(each) for each in value])
        except ValueError as error:
            raise ValueError(f"[]{error}") from None

    return read


def _reader_of_mapping(_: object, kind: object) -> Reader:
    inner = _reader(kind)

    def read(value: object) -> object:
        if not isinstance(value, Mapping):
            raise ValueError(f": keys and values are needed, not {_short(value)}")
        return {str(key): _within(key, inner, each) for key, each in value.items()}

    return read


def _within(key: object, reader: Reader, value: object) -> object:
    try:
        return reader(value)
    except ValueError as error:
        raise ValueError(f".{key}{error}") from None


def _float(value: object) -> object:
    if type(value) is float:
        return value
    if type(value) is int:
        return float(_int(value))  # type: ignore[arg-type]
    raise ValueError(f": a number is needed, not {_short(value)}")


def _reader_of(kind: type[object], words: str) -> Reader:
    def read(value: object) -> object:
        if type(value) is not kind:
            raise ValueError(f": {words} is needed, not {_short(value)}")
        return value

    return read


def _int(value: object) -> object:
    if type(value) is not int:
        raise ValueError(f": a whole number is needed, not {_short(value)}")
    if abs(value) > LARGEST:
        raise ValueError(f": a whole number of at most {LARGEST} is needed, not {_short(value)}")
    return value


_SIMPLE: Mapping[object, Reader] = {
    float: _float,
    int: _int,
    str: _reader_of(str, "a text"),
    bool: _reader_of(bool, "true or false"),
}


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) < 40 else f"{text[:40]}…"
