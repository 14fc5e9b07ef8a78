"""Caches that keep the last tokens only: RotatingKVCache, ChunkedKVCache."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import mlx.core as mx

from prefixd_mlx.caches.errors import CacheFault
from prefixd_mlx.caches.parts import Fields, Kind, ModelCache, offset_fault, require_fields
from prefixd_mlx.caches.tensors import TensorShape, row_shape, spell_shapes


def _with_rows(tensors: Sequence[TensorShape], rows: int) -> list[TensorShape]:
    """Full arrays of so many tokens."""
    return [
        TensorShape((1, heads, rows, width), it.dtype)
        for it in tensors
        for heads, width in [it.shape]
    ]


def _check_rows(cache: ModelCache, tensors: Sequence[TensorShape]) -> None:
    found = (row_shape(cache.keys), row_shape(cache.values))
    if found != tuple(tensors):
        raise CacheFault(f'a {type(cache).__name__} has rows of {spell_shapes(found)}')


@dataclass(frozen=True)
class Ring:
    """A window of `max_size` tokens behind `keep` first ones. Several tokens at once leave the rows
    in their order, with more of them than the window has; single ones overwrite the oldest."""

    tensors: tuple[TensorShape, ...]
    max_size: int
    keep: int
    kind: Kind = field(default='window', init=False)

    @classmethod
    def of(cls, cache: ModelCache) -> Ring:
        tensors = (row_shape(cache.keys), row_shape(cache.values))
        return cls(tensors, cache.max_size, cache.keep)

    @property
    def batches(self) -> bool:
        # A batch forgets that the first tokens are to be kept, without a word.
        return self.keep == 0

    def describe(self) -> str:
        shapes = spell_shapes(self.tensors)
        return f'RotatingKVCache (window {self.max_size}, keep {self.keep}, {shapes})'

    def fault(self, cache: ModelCache, position: int) -> str | None:
        fault = offset_fault(cache, 'RotatingKVCache', position)
        if fault is not None or (cache.max_size, cache.keep) == (self.max_size, self.keep):
            return fault
        return f'a RotatingKVCache has a window of {cache.max_size} and keeps {cache.keep}'

    def fields(self, cache: ModelCache, position: int) -> dict[str, object]:
        _check_rows(cache, self.tensors)
        return self._fields(position, self._stored_index(cache, position))

    def arrays(self, cache: ModelCache, position: int) -> list[mx.array]:
        rows = min(position, self.max_size)
        if position <= self.max_size or cache.keys.shape[2] == self.max_size:
            return [it[..., :rows, :] for it in (cache.keys, cache.values)]
        # The rows in front of the window are cut by whatever comes next.
        newest = rows - self.keep
        return [
            mx.concatenate([it[..., : self.keep, :], it[..., -newest:, :]], axis=2)
            if self.keep > 0
            else it[..., -newest:, :]
            for it in (cache.keys, cache.values)
        ]

    def expected(self, fields: Fields, position: int) -> list[TensorShape]:
        index = fields.get('index')
        wanted = min(position, self.max_size)
        # Where the ring is written next depends on how the tokens came: any place in it is right.
        if position > self.max_size and isinstance(index, int) and self.keep < index <= wanted:
            wanted = index
        require_fields('RotatingKVCache', fields, self._fields(position, wanted))
        return _with_rows(self.tensors, min(position, self.max_size))

    def full(self) -> list[TensorShape]:
        return _with_rows(self.tensors, self.max_size)

    def install(
        self, cache: ModelCache, fields: Fields, arrays: Sequence[mx.array], position: int
    ) -> None:
        cache.keys, cache.values = arrays
        cache.offset = position
        cache._idx = fields['index']

    def _stored_index(self, cache: ModelCache, position: int) -> int:
        index: int = cache._idx
        length: int = cache.keys.shape[2]
        if position <= self.max_size:
            stored, whole = position, index == position <= length
        elif length == self.max_size:
            stored, whole = index, self.keep < index <= length
        else:
            stored, whole = self.max_size, index == length > self.max_size
        if whole:
            return stored
        raise CacheFault(
            f'a RotatingKVCache of {self.max_size} has {length} rows and writes at {index} '
            f'behind {position} tokens'
        )

    def _fields(self, position: int, index: int) -> dict[str, object]:
        return {
            'class': 'RotatingKVCache',
            'offset': position,
            'maxSize': self.max_size,
            'keep': self.keep,
            'index': index,
            'rows': spell_shapes(self.tensors),
        }


@dataclass(frozen=True)
class Chunk:
    """The tokens of the chunk that is attended to. The model cuts what is in front of it before it
    computes, so that need not be stored."""

    tensors: tuple[TensorShape, ...]
    chunk_size: int
    kind: Kind = field(default='window', init=False)
    batches: bool = field(default=False, init=False)

    @classmethod
    def of(cls, cache: ModelCache) -> Chunk:
        return cls((row_shape(cache.keys), row_shape(cache.values)), cache.chunk_size)

    def describe(self) -> str:
        return f'ChunkedKVCache (chunk {self.chunk_size}, {spell_shapes(self.tensors)})'

    def fault(self, cache: ModelCache, position: int) -> str | None:
        fault = offset_fault(cache, 'ChunkedKVCache', position)
        if fault is not None or cache.chunk_size == self.chunk_size:
            return fault
        return f'a ChunkedKVCache has chunks of {cache.chunk_size}'

    def fields(self, cache: ModelCache, position: int) -> dict[str, object]:
        _check_rows(cache, self.tensors)
        rows = min(position, self.chunk_size)
        if cache.start_position > position - rows:
            raise CacheFault(
                f'a ChunkedKVCache begins at {cache.start_position}, {rows} tokens of '
                f'{position} are wanted'
            )
        return self._fields(position)

    def arrays(self, cache: ModelCache, position: int) -> list[mx.array]:
        end = position - cache.start_position
        begin = end - min(position, self.chunk_size)
        return [it[..., begin:end, :] for it in (cache.keys, cache.values)]

    def expected(self, fields: Fields, position: int) -> list[TensorShape]:
        require_fields('ChunkedKVCache', fields, self._fields(position))
        return _with_rows(self.tensors, min(position, self.chunk_size))

    def full(self) -> list[TensorShape]:
        return _with_rows(self.tensors, self.chunk_size)

    def install(
        self, cache: ModelCache, fields: Fields, arrays: Sequence[mx.array], position: int
    ) -> None:
        del fields
        cache.keys, cache.values = arrays
        cache.offset = position
        cache.start_position = position - arrays[0].shape[2]

    def _fields(self, position: int) -> dict[str, object]:
        return {
            'class': 'ChunkedKVCache',
            'offset': position,
            'chunkSize': self.chunk_size,
            'rows': spell_shapes(self.tensors),
        }
