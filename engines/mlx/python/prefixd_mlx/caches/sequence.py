"""The live caches of one sequence, and the records that go into and come out of them."""

from __future__ import annotations

from collections.abc import Sequence

from prefixd_mlx.caches.boundary import Boundary, boundary_bytes, read_boundary, write_boundary
from prefixd_mlx.caches.errors import CacheFault, ImportRefused
from prefixd_mlx.caches.layout import CacheLayout, MakeCache
from prefixd_mlx.caches.parts import (
    BoundaryPart,
    Kind,
    ModelCache,
    Part,
    RowPart,
    is_boundary_part,
    is_row_part,
    leaves,
)
from prefixd_mlx.caches.staging import RowStaging, export_rows


class SequenceCache:
    """Caches of a batch of one. Everything is evaluated before its bytes are read, and what comes
    in is copied: neither side ever sees the other's memory."""

    def __init__(self, layout: CacheLayout, make_cache: MakeCache) -> None:
        self.layout = layout
        self._make_cache = make_cache
        self._live: list[ModelCache] | None = None
        self._staged: RowStaging | None = None
        self._boundaries: dict[Kind, Boundary] = {}
        self._token_count = 0
        self._expected_tokens = 0

    @property
    def token_count(self) -> int:
        return self._token_count

    @property
    def caches(self) -> list[ModelCache]:
        """What the model takes. Imports that are staged become live here, once, all together."""
        if self._token_count == 0:
            # What was expected has not come.
            self._staged = None
        if self._staged is not None:
            self._settle(self._staged)
        if self._live is None:
            self._live = self._make_cache()
        return self._live

    def expect(self, token_count: int) -> None:
        """Says how many tokens the imports that follow bring: memory is taken once, now. Where
        it is new to the process that takes a while, in which the first can still be read.
        """
        self._expected_tokens = token_count
        if token_count > self._token_count == 0 and self.layout.row_parts:
            self._staging(token_count)

    def advanced(self, count: int) -> None:
        """The model has computed so many tokens into `caches`."""
        self._take(self.caches, self._token_count + count)

    def adopt(self, caches: list[ModelCache], token_count: int) -> None:
        """What a batch gave back stands for the sequence from now on."""
        self._take(caches, token_count)
        self._staged = None
        self._boundaries = {}
        self._live = caches

    def record_bytes(self, kind: Kind, start: int, stop: int) -> int:
        if kind == 'kv':
            self._check_range(start, stop)
            return (stop - start) * self.layout.kv_bytes_per_token
        self._check_boundary(kind, stop)
        return boundary_bytes(kind, stop, self._boundary(kind, self.caches))

    def export_record(self, kind: Kind, start: int, stop: int, into: memoryview) -> None:
        """Writes a record into exactly `record_bytes` bytes."""
        size_bytes = self.record_bytes(kind, start, stop)
        if len(into) != size_bytes:
            raise CacheFault(f'the record takes {size_bytes} bytes, not {len(into)}')
        if kind != 'kv':
            write_boundary(kind, stop, self._boundary(kind, self.caches), into)
            return
        export_rows(self._rows(self.caches), start, stop, into)

    def import_record(
        self, kind: Kind, start: int, stop: int, keep_to: int, data: memoryview
    ) -> None:
        """Puts a record behind what is there. All of it is checked before anything changes."""
        if kind not in self.layout.kinds:
            raise ImportRefused(f'this model has no {kind} records')
        if kind != 'kv':
            self._import_boundary(kind, stop, keep_to, data)
            return
        size_bytes = (stop - start) * self.layout.kv_bytes_per_token
        if start != self._token_count:
            raise ImportRefused(
                f'it begins at token {start}, and the sequence has {self._token_count} tokens'
            )
        if not start < keep_to <= stop:
            raise ImportRefused(f'tokens [{start}, {keep_to}) are not in [{start}, {stop})')
        if len(data) != size_bytes:
            raise ImportRefused(f'it has {len(data)} bytes, its rows take {size_bytes}')
        self._staging(keep_to).append(data, stop - start, keep_to - start)
        self._boundaries = {}
        self._token_count = keep_to

    def is_complete(self) -> bool:
        """Is everything here that the tokens of the sequence need?"""
        return not self._missing()

    def trim(self, token_count: int) -> None:
        """Keeps the first `token_count` tokens; raises where the layout cannot be cut there."""
        if token_count == self._token_count:
            return
        if token_count == 0:
            self.clear()
            return
        if not 0 < token_count < self._token_count:
            raise CacheFault(f'there are {self._token_count} tokens, not {token_count}')
        if self.layout.kinds != ('kv',):
            raise CacheFault('windows and states cannot be cut back to an earlier token')
        if self._staged is not None:
            self._staged.cut(token_count)
        else:
            for part, cache in self._rows(self.caches):
                part.cut(cache, token_count)
        self._token_count = token_count

    def clear(self) -> None:
        self._live = None
        self._staged = None
        self._boundaries = {}
        self._token_count = 0
        self._expected_tokens = 0

    def _take(self, caches: Sequence[ModelCache], token_count: int) -> None:
        for part, cache in self._pairs(caches):
            fault = part.fault(cache, token_count)
            if fault is not None:
                raise CacheFault(fault)
        self._token_count = token_count

    def _pairs(self, caches: Sequence[ModelCache]) -> list[tuple[Part, ModelCache]]:
        """What is known of each cache; nothing of a model that is not stored."""
        if self.layout.refusal is not None:
            return []
        parts, found = self.layout.parts, list(leaves(caches))
        if len(found) != len(parts):
            raise CacheFault(f'there are {len(found)} caches, the model has {len(parts)}')
        return list(zip(parts, found, strict=True))

    def _rows(self, caches: Sequence[ModelCache]) -> list[tuple[RowPart, ModelCache]]:
        return [(part, cache) for part, cache in self._pairs(caches) if is_row_part(part)]

    def _boundary(
        self, kind: Kind, caches: Sequence[ModelCache]
    ) -> list[tuple[BoundaryPart, ModelCache]]:
        return [
            (part, cache)
            for part, cache in self._pairs(caches)
            if is_boundary_part(part) and part.kind == kind
        ]

    def _check_range(self, start: int, stop: int) -> None:
        if 'kv' not in self.layout.kinds:
            raise CacheFault('this model is served without cache')
        if not 0 <= start < stop <= self._token_count:
            raise CacheFault(
                f'tokens [{start}, {stop}) are not in the {self._token_count} of the sequence'
            )

    def _check_boundary(self, kind: Kind, stop: int) -> None:
        if kind not in self.layout.kinds:
            raise CacheFault(f'this model has no {kind} records')
        if stop != self._token_count:
            raise CacheFault(
                f'a {kind} stands at token {self._token_count} only, it was asked for at {stop}'
            )

    def _missing(self) -> list[Kind]:
        if self._staged is None or self._token_count == 0:
            return []
        kinds = self.layout.kinds
        return [kind for kind in kinds if kind != 'kv' and kind not in self._boundaries]

    def _staging(self, token_count: int) -> RowStaging:
        if self._staged is not None:
            return self._staged
        expected = max(token_count, self._expected_tokens)
        staged = RowStaging(self.layout.row_parts, expected)
        if self._token_count > 0:
            staged.take_live(self._rows(self.caches), self._token_count)
        self._live = None
        self._staged = staged
        return staged

    def _import_boundary(self, kind: Kind, stop: int, keep_to: int, data: memoryview) -> None:
        if stop != keep_to or stop != self._token_count:
            raise ImportRefused(
                f'it stands at token {stop}, and the sequence has {self._token_count} tokens'
            )
        if self._staged is None:
            raise ImportRefused(f'the {kind} of these tokens is there already')
        parts = [it for it in self.layout.parts if is_boundary_part(it) and it.kind == kind]
        self._boundaries[kind] = read_boundary(kind, stop, parts, data)

    def _settle(self, staged: RowStaging) -> None:
        missing = self._missing()
        if missing:
            raise CacheFault(
                f'the {" and ".join(missing)} behind {self._token_count} tokens is not restored'
            )
        fresh = self._make_cache()
        staged.install(self._rows(fresh))
        for kind, boundary in self._boundaries.items():
            boundary.install([cache for _, cache in self._boundary(kind, fresh)])
        self._staged = None
        self._boundaries = {}
        self._live = fresh
        self._take(fresh, self._token_count)
