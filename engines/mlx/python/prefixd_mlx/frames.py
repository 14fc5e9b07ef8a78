"""Frames between the service and this worker:
`u32 LE header length | u32 LE payload length | header | payload`.

The header is a msgpack map with string keys, `type` among them; the payload is raw bytes.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import msgpack

from prefixd_mlx.errors import EngineError, protocol_error

HEADER_BYTES_MAX = 16 * 1024 * 1024
PAYLOAD_BYTES_MAX = 1024 * 1024 * 1024

_PREFIX = struct.Struct('<II')

Bytes = bytes | bytearray | memoryview


class Stream(Protocol):
    """What frames need of a socket."""

    def recv_into(self, buffer: memoryview, /) -> int: ...
    def sendall(self, data: Bytes, /) -> None: ...


@dataclass(frozen=True)
class Frame:
    header: dict[str, object]
    payload: memoryview


def read_frame(stream: Stream) -> Frame | None:
    """The next frame, or None where the stream ends between two of them.

    A payload is received into a buffer of its final size: at a GiB a second copy would count.
    """
    prefix = bytearray(_PREFIX.size)
    if not _fill(stream, memoryview(prefix), may_end=True):
        return None
    header_bytes, payload_bytes = _PREFIX.unpack(prefix)
    _check_lengths(header_bytes, payload_bytes)
    packed = bytearray(header_bytes)
    _fill(stream, memoryview(packed))
    header = _unpack(packed)
    payload = memoryview(bytearray(payload_bytes))
    _fill(stream, payload)
    return Frame(header, payload)


def write_frame(
    stream: Stream, header: Mapping[str, object], payload: Sequence[Bytes] = ()
) -> None:
    """Sends one frame; the payload's pieces go out as they are, one after the other."""
    packed: bytes = msgpack.packb(header, use_bin_type=True)
    payload_bytes = sum(len(piece) for piece in payload)
    if len(packed) > HEADER_BYTES_MAX:
        raise EngineError(
            'PREFIXD_E_ENGINE_TOO_LARGE',
            f'The answer takes {len(packed)} bytes between engine and service; '
            f'{HEADER_BYTES_MAX} are allowed. Ask for less at once.',
        )
    _check_lengths(len(packed), payload_bytes)
    stream.sendall(_PREFIX.pack(len(packed), payload_bytes) + packed)
    for piece in payload:
        stream.sendall(piece)


def _fill(stream: Stream, into: memoryview, may_end: bool = False) -> bool:
    filled = 0
    while filled < len(into):
        count = stream.recv_into(into[filled:])
        if count == 0:
            if may_end and filled == 0:
                return False
            raise protocol_error('the stream ended inside a frame')
        filled += count
    return True


def _unpack(packed: bytearray) -> dict[str, object]:
    try:
        header: object = msgpack.unpackb(packed, raw=False, strict_map_key=True)
    except Exception as error:
        raise protocol_error(f'the header is not msgpack: {str(error)[:200]}') from error
    if not isinstance(header, dict) or not isinstance(header.get('type'), str):
        raise protocol_error('the header is not a map with a string `type`')
    return header


def _check_lengths(header_bytes: int, payload_bytes: int) -> None:
    if header_bytes == 0:
        raise protocol_error('a frame has an empty header')
    if header_bytes > HEADER_BYTES_MAX:
        raise protocol_error(f'header of {header_bytes} bytes, at most {HEADER_BYTES_MAX}')
    if payload_bytes > PAYLOAD_BYTES_MAX:
        raise protocol_error(f'payload of {payload_bytes} bytes, at most {PAYLOAD_BYTES_MAX}')
