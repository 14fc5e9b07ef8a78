"""What one cache object of mlx-lm is to a record: its class, its settings and its shapes.

Nothing in mlx-lm checks positions, types or shapes of what is put into a cache: a wrong state can
even leave every greedy token as it was. So a part says all that must agree, and is asked first."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol, TypeAlias, TypeGuard

import mlx.core as mx
from mlx_lm.models.cache import CacheList

from prefixd_mlx.caches.errors import ImportRefused
from prefixd_mlx.caches.tensors import TensorShape

Kind = Literal['kv', 'window', 'state']

# The objects of mlx-lm have no common type that says what we read of them.
ModelCache: TypeAlias = Any
Fields: TypeAlias = Mapping[str, object]


class Part(Protocol):
    """A cache object that holds something of the tokens."""

    @property
    def kind(self) -> Kind: ...

    @property
    def tensors(self) -> tuple[TensorShape, ...]:
        """Its arrays; of those with a row for each token, the shape of a row: (heads, width)."""

    @property
    def batches(self) -> bool:
        """Does mlx-lm's batch take such a cache with its history, whole?"""

    def describe(self) -> str:
        """Class, settings and shapes: part of the fingerprint."""

    def fault(self, cache: ModelCache, position: int) -> str | None:
        """Why the live object is not what holds `position` tokens; cheap, asked after each step."""


class RowPart(Part, Protocol):
    """Rows of single tokens: any range of them can be stored, and cut."""

    def live(self, cache: ModelCache) -> list[mx.array]:
        """The arrays as they stand in memory, (1, heads, capacity, width) each."""

    def install(self, cache: ModelCache, arrays: Sequence[mx.array], position: int) -> None: ...

    def cut(self, cache: ModelCache, position: int) -> None: ...


class BoundaryPart(Part, Protocol):
    """What only stands as it is at one position: stored and restored exactly there."""

    def fields(self, cache: ModelCache, position: int) -> dict[str, object]:
        """What the header says of it."""

    def arrays(self, cache: ModelCache, position: int) -> list[mx.array]:
        """What is stored, not evaluated, in the order of `expected`."""

    def expected(self, fields: Fields, position: int) -> list[TensorShape]:
        """Arrays behind a header that fits this model and position; raises ImportRefused."""

    def full(self) -> list[TensorShape]:
        """Arrays of a record where a window has all its tokens."""
        ...

    def install(
        self, cache: ModelCache, fields: Fields, arrays: Sequence[mx.array], position: int
    ) -> None: ...


@dataclass(frozen=True)
class UnusedPart:
    """A cache that the model makes and never touches, as layers that share another one's rows."""

    class_name: str
    kind: Kind = 'kv'
    tensors: tuple[TensorShape, ...] = ()
    # mlx-lm takes an empty cache out of a batch with a TypeError.
    batches: bool = False

    def describe(self) -> str:
        return f'{self.class_name} (unused)'

    def fault(self, cache: ModelCache, position: int) -> str | None:
        del position
        wrong_class = class_fault(cache, self.class_name)
        if wrong_class is not None or cache.empty():
            return wrong_class
        return f'a {self.class_name} that the model did not use at first holds something now'


def is_row_part(part: Part) -> TypeGuard[RowPart]:
    return part.kind == 'kv' and not isinstance(part, UnusedPart)


def is_boundary_part(part: Part) -> TypeGuard[BoundaryPart]:
    return part.kind != 'kv'


def leaves(caches: Sequence[ModelCache]) -> Iterator[ModelCache]:
    """The caches that hold arrays: those of lists in lists, in order."""
    for cache in caches:
        if type(cache) is CacheList:
            yield from leaves(cache.caches)
        else:
            yield cache


def class_fault(cache: ModelCache, class_name: str) -> str | None:
    found = type(cache).__name__
    return None if found == class_name else f'there is a {found} where a {class_name} was'


def offset_fault(cache: ModelCache, class_name: str, position: int) -> str | None:
    wrong_class = class_fault(cache, class_name)
    if wrong_class is not None or cache.offset == position:
        return wrong_class
    return f'a {class_name} holds {cache.offset} tokens, the sequence has {position}'


def require_fields(class_name: str, fields: Fields, wanted: Fields) -> None:
    """Does a header say of a cache exactly what this model has at this position?"""
    for name, value in wanted.items():
        if fields.get(name) != value:
            raise ImportRefused(
                f'the {name} of a {class_name} is {fields.get(name)!r}, this model has {value!r}'
            )
    if fields.keys() != wanted.keys():
        raise ImportRefused(f'it says more of a {class_name} than this version knows')
