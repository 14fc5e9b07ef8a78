"""Rows on their way from records into caches.

A record is written straight into arrays that the caches then hold: one copy. The arrays get room
behind their rows as mlx-lm would give it, so that the next token does not move them all."""

from __future__ import annotations

from collections.abc import Sequence

import mlx.core as mx
import numpy as np

from prefixd_mlx.caches.errors import CacheFault
from prefixd_mlx.caches.parts import ModelCache, RowPart
from prefixd_mlx.caches.tensors import (
    Host,
    TensorShape,
    blanks,
    finished,
    host_dtype,
    host_views,
    row_shape,
    spell_shapes,
)

# As in all classes of mlx-lm.
_step = 256

RowPairs = Sequence[tuple[RowPart, ModelCache]]


def _room_for(token_count: int) -> int:
    """Rows to have for so many tokens: at least one more, in whole steps."""
    return (token_count // _step + 1) * _step


class RowStaging:
    """The rows of one sequence while records are put into them, one behind the other."""

    def __init__(self, parts: Sequence[RowPart], expected_tokens: int) -> None:
        self._shapes: list[TensorShape] = [it for part in parts for it in part.tensors]
        self._room = 0
        self._arrays: list[mx.array] = []
        self._views: list[Host] = []
        self.token_count = 0
        self._take_room(_room_for(expected_tokens))

    def take_live(self, pairs: RowPairs, token_count: int) -> None:
        """Starts with the rows that stand in live caches, which may then go."""
        live = [array for part, cache in pairs for array in part.live(cache)]
        for view, held in zip(self._views, host_views(live), strict=True):
            view[..., :token_count, :] = held[..., :token_count, :]
        self.token_count = token_count

    def append(self, record: memoryview, record_tokens: int, keep_tokens: int) -> None:
        """The first `keep_tokens` rows of a record of `record_tokens`."""
        start, stop = self.token_count, self.token_count + keep_tokens
        self._make_room(stop)
        at = 0
        for shape, view in zip(self._shapes, self._views, strict=True):
            size = shape.size_bytes * record_tokens
            rows = _rows_in(record[at : at + size], shape, record_tokens)
            view[0, :, start:stop, :] = rows[:, :keep_tokens, :]
            at += size
        self.token_count = stop

    def cut(self, token_count: int) -> None:
        self.token_count = token_count

    def install(self, pairs: RowPairs) -> None:
        """Gives the arrays to fresh caches; this object is done then."""
        # A held view makes mlx copy the whole array at the next token.
        self._views = []
        arrays = iter(finished(self._arrays, [shape.dtype for shape in self._shapes]))
        self._arrays = []
        for part, cache in pairs:
            part.install(cache, [next(arrays) for _ in part.tensors], self.token_count)

    def _make_room(self, token_count: int) -> None:
        if token_count < self._room:
            return
        # Doubled, so that many small records cost two copies of everything at most.
        held = self._views
        self._take_room(max(_room_for(token_count), 2 * self._room))
        for view, rows in zip(self._views, held, strict=True):
            view[..., : self.token_count, :] = rows[..., : self.token_count, :]

    def _take_room(self, room: int) -> None:
        self._room = room
        self._arrays = blanks(
            [
                TensorShape((1, heads, room, width), it.dtype)
                for it in self._shapes
                for heads, width in [it.shape]
            ]
        )
        self._views = host_views(self._arrays)


def _rows_in(data: memoryview, shape: TensorShape, record_tokens: int) -> Host:
    """What a record holds of one array: rows of each head, one after the other."""
    heads, width = shape.shape
    host = np.frombuffer(data, dtype=host_dtype(shape.dtype))
    return host.reshape(heads, record_tokens, width)


def export_rows(pairs: RowPairs, start: int, stop: int, into: memoryview) -> None:
    """Writes tokens [start, stop) of all rows, as `RowStaging.append` reads them."""
    shapes = [shape for part, _ in pairs for shape in part.tensors]
    live = [array for part, cache in pairs for array in part.live(cache)]
    found = [row_shape(array) for array in live]
    if found != shapes:
        raise CacheFault(f'the rows are {spell_shapes(found)}, they were {spell_shapes(shapes)}')
    at = 0
    for shape, view in zip(shapes, host_views(live), strict=True):
        size = shape.size_bytes * (stop - start)
        rows = view[0, :, start:stop, :]
        np.copyto(_rows_in(into[at : at + size], shape, stop - start), rows)
        at += size
