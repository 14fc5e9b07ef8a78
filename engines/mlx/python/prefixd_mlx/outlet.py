"""One request's way to the service: what it has to say, and the bytes that it stores."""

from __future__ import annotations

from array import array
from collections.abc import Callable, Sequence
from typing import Any

from prefixd_mlx.arena import Arena
from prefixd_mlx.errors import protocol_error
from prefixd_mlx.export_queue import ExportRequest, Reservation
from prefixd_mlx.frames import Bytes
from prefixd_mlx.messages import RecordBytes, Reserved

Send = Callable[[dict[str, Any], Sequence[Bytes]], None]


def bin_of(tokens: Sequence[int]) -> bytes:
    """Token ids as they travel: u32 LE each. Every platform with MLX is little-endian."""
    return array('I', tokens).tobytes()


class ServiceOutlet:
    """`arena` None: the frames carry the bytes."""

    def __init__(self, id: int, send: Send, arena: Arena | None) -> None:
        self._id = id
        self._send = send
        self._arena = arena
        self._last_reservation = 0
        self._unanswered: dict[int, Reservation] = {}
        # Carried records use one buffer again and again: fresh memory is 10 times slower.
        self._scratch = bytearray()

    def prefill(self, processed_tokens: int, total_tokens: int) -> None:
        self._say('prefill', processedTokens=processed_tokens, totalTokens=total_tokens)

    def token(
        self, token: int, text: str, logits: bytes | None, logprobs: dict[str, object] | None
    ) -> None:
        self._say('token', token=token, text=text, logits=logits, logprobs=logprobs)

    def reserve(self, request: ExportRequest) -> Reservation:
        self._last_reservation += 1
        reservation = Reservation(self._last_reservation)
        self._unanswered[reservation.number] = reservation
        self._say(
            'reserve',
            reservation=reservation.number,
            kind=request.kind,
            **{'from': request.span.start},
            to=request.span.stop,
            sizeBytes=request.size_bytes,
            tokens=bin_of(request.tokens),
            grid=request.span.grid,
        )
        return reservation

    def reserved(self, message: Reserved) -> None:
        reservation = self._unanswered.pop(message.reservation, None)
        if reservation is None:
            raise protocol_error('`reserved` for an unknown reservation')
        reservation.answered = True
        reservation.bytes = message.bytes

    def memory(self, bytes: RecordBytes) -> memoryview:
        if self._arena is not None:
            return self._arena.view(bytes.offset, bytes.size_bytes)
        if len(self._scratch) < bytes.size_bytes:
            self._scratch = bytearray(bytes.size_bytes)
        return memoryview(self._scratch)[: bytes.size_bytes]

    def exported(self, reservation: Reservation, crc32s: list[int], written: memoryview) -> None:
        slot = reservation.bytes
        if slot is None:
            raise protocol_error('a record was exported twice')
        header = {
            'type': 'exported',
            'id': self._id,
            'reservation': reservation.number,
            'generation': slot.generation,
            'crc32s': crc32s,
        }
        self._send(header, [written] if self._arena is None else [])

    def abandon(self, reservation: Reservation) -> None:
        self._say('abandoned', reservation=reservation.number)

    def _say(self, type: str, **fields: Any) -> None:
        self._send({'type': type, 'id': self._id, **fields}, [])
