"""Decides which records of a request leave the engine, and when, without holding it up: room is
asked for while a block is computed, and what has its answer is exported after the call.
"""

from __future__ import annotations

from collections.abc import Callable

from prefixd_mlx.caches import CacheLayout, SequenceCache
from prefixd_mlx.export_queue import ExportQueue, ExportSpan, Pending, State
from prefixd_mlx.limits import WAITING_EXPORTS_MAX
from prefixd_mlx.steps import Steps


class Announced:
    """A block for which room was asked before it was computed."""

    def __init__(self, exporter: Exporter, span: ExportSpan, at_boundary: bool) -> None:
        self._exporter = exporter
        self._span = span
        self._at_boundary = at_boundary
        self._pending: Pending | None = exporter.add_rows(span)

    def computed(self) -> Steps[None]:
        """The sequence stands at its end: exports what there is room for."""
        if self._pending is not None:
            self._pending.state = State.COMPUTED
        if self._at_boundary:
            yield from self._exporter.export_boundary(self._span)
        else:
            yield from self._exporter.queue.drain(WAITING_EXPORTS_MAX)

    def cancelled(self) -> None:
        """It was not computed after all."""
        if self._pending is not None:
            self._pending.state = State.CANCELLED


class Exporter:
    def __init__(
        self,
        sequence: SequenceCache,
        layout: CacheLayout,
        queue: ExportQueue,
        settle: Callable[[], None],
    ) -> None:
        self._sequence = sequence
        self._layout = layout
        self._settle = settle
        self._boundary_kinds = [kind for kind in layout.kinds if kind != 'kv']
        self.queue = queue

    @property
    def has_boundaries(self) -> bool:
        """Does this model have records that are exact at one boundary only?"""
        return len(self._boundary_kinds) > 0

    def announce(self, span: ExportSpan, at_boundary: bool) -> Announced:
        """`at_boundary`: the records that are exact at the span's end only leave with it."""
        return Announced(self, span, at_boundary)

    def end(self, span: ExportSpan, block_tokens: int) -> Steps[None]:
        """Exports what the sequence's end needs that no block has brought out, after all others."""
        if span.stop - span.start == block_tokens:
            yield from self.export_boundary(span)
        else:
            yield from self.announce(span, True).computed()

    def add_rows(self, span: ExportSpan) -> Pending | None:
        layout = self._layout
        if 'kv' not in layout.kinds:
            return None
        row_bytes = (span.stop - span.start) * layout.kv_bytes_per_token
        return self.queue.add('kv', span, row_bytes)

    def export_boundary(self, span: ExportSpan) -> Steps[None]:
        """They must leave while the sequence stands at the span's end: waits for their room."""
        if self._boundary_kinds:
            self._settle()
        for kind in self._boundary_kinds:
            size_bytes = self._sequence.record_bytes(kind, span.start, span.stop)
            self.queue.add(kind, span, size_bytes).state = State.COMPUTED
        yield from self.queue.drain(0)
