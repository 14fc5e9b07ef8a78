"""Records on their way out of the engine: asked for, answered, written, in the order of asking."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Protocol

from prefixd_mlx.arena import checksums
from prefixd_mlx.caches import Kind, SequenceCache
from prefixd_mlx.errors import compute_error
from prefixd_mlx.messages import RecordBytes
from prefixd_mlx.steps import Step, Steps


@dataclass(frozen=True)
class ExportSpan:
    start: int
    stop: int
    # Wholly prefilled on the grid, and so was everything before it: bit-identical to cold.
    grid: bool


@dataclass(frozen=True)
class ExportRequest:
    kind: Kind
    span: ExportSpan
    size_bytes: int
    tokens: Sequence[int]


class Reservation:
    """`answered` is set by whoever hears of the service; None: nothing to fill, or no more."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.answered = False
        self.bytes: RecordBytes | None = None


class ExportOutlet(Protocol):
    """Where records go: the service, behind its socket or in its arena."""

    def reserve(self, request: ExportRequest) -> Reservation: ...
    def memory(self, bytes: RecordBytes) -> memoryview: ...
    def exported(
        self, reservation: Reservation, crc32s: list[int], written: memoryview
    ) -> None: ...
    def abandon(self, reservation: Reservation) -> None: ...


class State(Enum):
    ANNOUNCED = 'announced'
    COMPUTED = 'computed'
    CANCELLED = 'cancelled'


@dataclass
class Pending:
    """`ANNOUNCED` until its tokens are computed; `CANCELLED` when they will not be."""

    request: ExportRequest
    reservation: Reservation
    state: State = State.ANNOUNCED


class ExportQueue:
    def __init__(
        self,
        sequence: SequenceCache,
        outlet: ExportOutlet,
        tokens: Callable[[int, int], Sequence[int]],
        settle: Callable[[], None],
    ) -> None:
        """`settle` makes the sequence hold what has been decoded somewhere else."""
        self._sequence = sequence
        self._outlet = outlet
        self._tokens = tokens
        self._settle = settle
        self._waiting: deque[Pending] = deque()
        # Time that the engine spent on exports.
        self.export_ms = 0.0

    def add(self, kind: Kind, span: ExportSpan, size_bytes: int) -> Pending:
        """Asks for room."""
        request = ExportRequest(kind, span, size_bytes, self._tokens(span.start, span.stop))
        pending = Pending(request, self._outlet.reserve(request))
        self._waiting.append(pending)
        return pending

    def drain(self, may_wait: int) -> Steps[None]:
        """Writes what is computed and has its answer, in order, so that no block is stored before
        its parent. Waits for answers only while more than `may_wait` records are in the queue.
        """
        while self._waiting and self._waiting[0].state is not State.ANNOUNCED:
            oldest = self._waiting[0]
            if not oldest.reservation.answered and len(self._waiting) <= may_wait:
                return
            yield from _answer_to(oldest)
            self._write(oldest)
            self._waiting.popleft()

    def drop(self) -> Steps[None]:
        """Gives back whatever was reserved."""
        while self._waiting:
            pending = self._waiting.popleft()
            yield from _answer_to(pending)
            if pending.reservation.bytes is not None:
                self._outlet.abandon(pending.reservation)

    def _write(self, pending: Pending) -> None:
        bytes = pending.reservation.bytes
        if bytes is None:
            return
        if pending.state is State.CANCELLED:
            self._outlet.abandon(pending.reservation)
            pending.reservation.bytes = None
            return
        self._settle()
        started = time.perf_counter()
        memory = self._outlet.memory(bytes)
        request = pending.request
        span = request.span
        self._check_size(request, bytes)
        self._sequence.export_record(request.kind, span.start, span.stop, memory)
        crc32s = checksums(memory)
        self.export_ms += (time.perf_counter() - started) * 1000
        self._outlet.exported(pending.reservation, crc32s, memory)
        pending.reservation.bytes = None

    def _check_size(self, request: ExportRequest, bytes: RecordBytes) -> None:
        """A record of another size must never get into a slot of the arena."""
        span = request.span
        actual = self._sequence.record_bytes(request.kind, span.start, span.stop)
        if actual == request.size_bytes == bytes.size_bytes:
            return
        raise compute_error(
            f"The engine's {request.kind} record of tokens {span.start} to {span.stop} has "
            f'{actual} bytes, its layout says {request.size_bytes}, and {bytes.size_bytes} were '
            'reserved. Nothing is stored; report this model.'
        )


def _answer_to(pending: Pending) -> Steps[None]:
    while not pending.reservation.answered:
        yield Step.ANSWER
