"""Caches that sum up all tokens before them: ArraysCache."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import mlx.core as mx

from prefixd_mlx.caches.errors import CacheFault, UnknownCache
from prefixd_mlx.caches.parts import Fields, Kind, ModelCache, class_fault, require_fields
from prefixd_mlx.caches.tensors import TensorShape, shape_of


@dataclass(frozen=True)
class Slots:
    """Arrays in numbered places. They do not know their position: only the record says it."""

    # None: a place that the model does not use.
    slots: tuple[TensorShape | None, ...]
    kind: Kind = field(default='state', init=False)

    @classmethod
    def of(cls, cache: ModelCache) -> Slots:
        if cache.left_padding is not None or cache.lengths is not None:
            raise UnknownCache('an ArraysCache of one sequence is padded')
        return cls(tuple(None if it is None else shape_of(it) for it in cache.cache))

    @property
    def tensors(self) -> tuple[TensorShape, ...]:
        return tuple(it for it in self.slots if it is not None)

    @property
    def batches(self) -> bool:
        # mlx-lm's batch does not take an empty place.
        return len(self.tensors) == len(self.slots)

    def describe(self) -> str:
        return f'ArraysCache ({self._spelled()})'

    def fault(self, cache: ModelCache, position: int) -> str | None:
        wrong_class = class_fault(cache, 'ArraysCache')
        if wrong_class is not None:
            return wrong_class
        found = [it is not None for it in cache.cache]
        if found != [it is not None for it in self.slots]:
            return f'an ArraysCache behind {position} tokens has arrays in {found}'
        if cache.left_padding is not None or cache.lengths is not None:
            return 'an ArraysCache of one sequence is padded'
        return None

    def fields(self, cache: ModelCache, position: int) -> dict[str, object]:
        found = tuple(None if it is None else shape_of(it) for it in cache.cache)
        if found != self.slots:
            raise CacheFault(f'an ArraysCache holds {found}, where {self._spelled()} were')
        return self._fields(position)

    def arrays(self, cache: ModelCache, position: int) -> list[mx.array]:
        del position
        return [it for it in cache.cache if it is not None]

    def expected(self, fields: Fields, position: int) -> list[TensorShape]:
        require_fields('ArraysCache', fields, self._fields(position))
        return list(self.tensors)

    def full(self) -> list[TensorShape]:
        return list(self.tensors)

    def install(
        self, cache: ModelCache, fields: Fields, arrays: Sequence[mx.array], position: int
    ) -> None:
        del fields, position
        given = iter(arrays)
        cache.cache = [None if it is None else next(given) for it in self.slots]

    def _fields(self, position: int) -> dict[str, object]:
        return {'class': 'ArraysCache', 'offset': position, 'slots': self._spelled()}

    def _spelled(self) -> str:
        return ', '.join('nothing' if it is None else str(it) for it in self.slots)
