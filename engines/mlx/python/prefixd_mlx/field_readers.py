"""Readers of single values of a message: they raise `WrongField` with what must be there."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeVar


class WrongField(Exception):
    """The value is not what the protocol says; the words say what it must be."""


Field = Callable[[object], object]
Value = TypeVar('Value')


def uint(value: object) -> int:
    # Above 2³² integers may arrive as float64 with an integral value.
    whole = int(value) if isinstance(value, float) and value.is_integer() else value
    if isinstance(whole, bool) or not isinstance(whole, int) or not 0 <= whole < 2**53:
        raise WrongField('an integer ≥ 0')
    return whole


def real(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise WrongField('a number')
    return float(value)


def whole(value: object) -> int:
    """A number that is counted with; JavaScript does not tell 5 from 5.0."""
    return int(real(value))


def plain(kind: type[Value], words: str) -> Callable[[object], Value]:
    def read(value: object) -> Value:
        if not isinstance(value, kind):
            raise WrongField(words)
        return value

    return read


text = plain(str, 'a string')
flag = plain(bool, 'a boolean')


def any_map(value: object) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise WrongField('a map')
    return value


def token_ids(value: object) -> list[int]:
    if not isinstance(value, bytes) or len(value) % 4 != 0:
        raise WrongField('token ids as bin of u32 LE')
    return memoryview(value).cast('I').tolist()


def record_kind(value: object) -> str:
    if value not in ('kv', 'window', 'state'):
        raise WrongField('"kv" or "window" or "state"')
    return str(value)


def nullable(field: Field) -> Field:
    return lambda value: None if value is None else field(value)


def array(field: Field, words: str) -> Field:
    def read(value: object) -> list[object]:
        if not isinstance(value, list):
            raise WrongField(words)
        return [field(item) for item in value]

    return read


def record(kind: type, table: Mapping[str, Field]) -> Field:
    def read(value: object) -> object:
        if not isinstance(value, dict):
            raise WrongField(f'a map with {", ".join(table)}')
        # The names are in the order of the dataclass's fields, which Python writes its own way.
        return kind(*(field(value.get(name)) for name, field in table.items()))

    return read
