"""Caches that keep a row for each token: KVCache, QuantizedKVCache."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import mlx.core as mx

from prefixd_mlx.caches.parts import Kind, ModelCache, offset_fault
from prefixd_mlx.caches.tensors import TensorShape, row_shape, spell_shapes


@dataclass(frozen=True)
class PlainRows:
    """Keys, then values; both may have another width, or none."""

    tensors: tuple[TensorShape, ...]
    kind: Kind = field(default='kv', init=False)
    batches: bool = field(default=True, init=False)

    @classmethod
    def of(cls, cache: ModelCache) -> PlainRows:
        return cls((row_shape(cache.keys), row_shape(cache.values)))

    def describe(self) -> str:
        return f'KVCache ({spell_shapes(self.tensors)})'

    def fault(self, cache: ModelCache, position: int) -> str | None:
        return offset_fault(cache, 'KVCache', position)

    def live(self, cache: ModelCache) -> list[mx.array]:
        return [cache.keys, cache.values]

    def install(self, cache: ModelCache, arrays: Sequence[mx.array], position: int) -> None:
        cache.keys, cache.values = arrays
        cache.offset = position

    def cut(self, cache: ModelCache, position: int) -> None:
        cache.trim(cache.offset - position)


@dataclass(frozen=True)
class QuantizedRows:
    """Packed numbers, scales and biases of the keys, then those of the values."""

    tensors: tuple[TensorShape, ...]
    group_size: int
    bits: int
    kind: Kind = field(default='kv', init=False)
    batches: bool = field(default=False, init=False)

    @classmethod
    def of(cls, cache: ModelCache) -> QuantizedRows:
        arrays = (*cache.keys, *cache.values)
        return cls(tuple(row_shape(it) for it in arrays), cache.group_size, cache.bits)

    def describe(self) -> str:
        shapes = spell_shapes(self.tensors)
        return f'QuantizedKVCache ({self.bits} bits, groups of {self.group_size}, {shapes})'

    def fault(self, cache: ModelCache, position: int) -> str | None:
        fault = offset_fault(cache, 'QuantizedKVCache', position)
        if fault is not None or (cache.group_size, cache.bits) == (self.group_size, self.bits):
            return fault
        return f'a QuantizedKVCache has {cache.bits} bits and groups of {cache.group_size}'

    def live(self, cache: ModelCache) -> list[mx.array]:
        return [*cache.keys, *cache.values]

    def install(self, cache: ModelCache, arrays: Sequence[mx.array], position: int) -> None:
        # Lists, as mlx-lm's own: it writes into their places.
        cache.keys, cache.values = list(arrays[:3]), list(arrays[3:])
        cache.offset = position

    def cut(self, cache: ModelCache, position: int) -> None:
        cache.trim(cache.offset - position)
