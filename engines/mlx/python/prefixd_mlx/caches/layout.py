"""What a model's caches need: found by running a few tokens through fresh ones."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

import mlx.core as mx
from mlx_lm.models.cache import (
    ArraysCache,
    ChunkedKVCache,
    KVCache,
    QuantizedKVCache,
    RotatingKVCache,
)

from prefixd_mlx.caches.errors import UnknownCache
from prefixd_mlx.caches.parts import (
    Kind,
    ModelCache,
    Part,
    RowPart,
    UnusedPart,
    is_boundary_part,
    is_row_part,
    leaves,
)
from prefixd_mlx.caches.rows import PlainRows, QuantizedRows
from prefixd_mlx.caches.states import Slots
from prefixd_mlx.caches.tensors import is_known_dtype, writes_through
from prefixd_mlx.caches.windows import Chunk, Ring

MakeCache = Callable[[], list[ModelCache]]

_order: tuple[Kind, ...] = ('kv', 'window', 'state')


@dataclass(frozen=True)
class CacheLayout:
    """Kinds of records, and what each cache of the model is to them."""

    # Empty: nothing of this model can be stored.
    kinds: tuple[Kind, ...]
    # Why `kinds` is empty, for people.
    refusal: str | None
    kv_bytes_per_token: int
    # May mlx-lm's batch hold all of these caches with their history?
    batches: bool
    # Classes, shapes and types, for the fingerprint.
    description: str
    # In the order of the model's caches, those of lists in their places.
    parts: tuple[Part, ...]

    @property
    def boundary_bytes(self) -> int:
        """What is stored at one boundary beside rows and headers, with a full window."""
        full = [it for part in self.parts if is_boundary_part(part) for it in part.full()]
        return sum(tensor.size_bytes for tensor in full)

    @property
    def row_parts(self) -> list[RowPart]:
        return [part for part in self.parts if is_row_part(part)]


def probe_layout(model: Any, make_cache: MakeCache) -> CacheLayout:
    """Runs four tokens through a fresh cache, two at a time, and reads what stands there then.
    Anything that is not known exactly is refused: such a model is served and not cached."""
    if not writes_through():
        return _refused('the memory of arrays on this device cannot be written in place')
    caches = make_cache()
    found = []
    for _ in range(2):
        mx.eval(model(mx.array([[0, 1]]), cache=caches))
        mx.eval([cache.state for cache in caches])
        try:
            found.append(_parts_of(caches))
        except UnknownCache as error:
            return _refused(str(error))
    first, second = found
    if first != second:
        return _refused('the model keeps arrays whose shapes change with the number of tokens')
    return _layout_of(second)


def _parts_of(caches: Sequence[ModelCache]) -> tuple[Part, ...]:
    return tuple(_part_of(cache) for cache in leaves(caches))


def _part_of(cache: ModelCache) -> Part:
    name = type(cache).__name__
    if type(cache) not in _readers:
        raise UnknownCache(f'the cache class {name} of mlx-lm is not known to prefixd')
    if _is_empty(cache):
        return UnusedPart(name)
    part = _readers[type(cache)](cache)
    unknown = next((it.dtype for it in part.tensors if not is_known_dtype(it.dtype)), None)
    if unknown is not None:
        raise UnknownCache(f'a {name} holds {unknown}, which prefixd does not store')
    return part


def _is_empty(cache: ModelCache) -> bool:
    # mlx-lm looks at the first slot only, which a model may leave unused.
    if type(cache) is ArraysCache:
        return all(slot is None for slot in cache.cache)
    return bool(cache.empty())


# Exact classes: one that is derived from these may do anything.
_readers: dict[type, Callable[[ModelCache], Part]] = {
    KVCache: PlainRows.of,
    QuantizedKVCache: QuantizedRows.of,
    RotatingKVCache: Ring.of,
    ChunkedKVCache: Chunk.of,
    ArraysCache: Slots.of,
}


def _layout_of(parts: tuple[Part, ...]) -> CacheLayout:
    # Rows come first, even where there are none: their records name the tokens.
    kinds = {'kv', *(part.kind for part in parts)}
    rows = [tensor for part in parts if is_row_part(part) for tensor in part.tensors]
    runs = [(text, len(list(run))) for text, run in groupby(part.describe() for part in parts)]
    return CacheLayout(
        kinds=tuple(kind for kind in _order if kind in kinds),
        refusal=None,
        kv_bytes_per_token=sum(tensor.size_bytes for tensor in rows),
        batches=all(part.batches for part in parts),
        description='; '.join(f'{count} {text}' for text, count in runs),
        parts=parts,
    )


def _refused(reason: str) -> CacheLayout:
    return CacheLayout(
        kinds=(),
        refusal=reason,
        kv_bytes_per_token=0,
        batches=False,
        description=f'not stored: {reason}',
        parts=(),
    )
