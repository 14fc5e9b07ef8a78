"""Frames: the bytes that the other side pins too, and what no reader may accept."""

from __future__ import annotations

import socket
import struct
from collections.abc import Iterator

import msgpack
import pytest
from prefixd_mlx.errors import EngineError
from prefixd_mlx.frames import PAYLOAD_BYTES_MAX, Frame, read_frame, write_frame

Ends = tuple[socket.socket, socket.socket]

golden = bytes.fromhex('110000000000000082a474797065a663616e63656ca2696407')


@pytest.fixture
def ends() -> Iterator[Ends]:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        yield ours, theirs


def framed(header: bytes, payload: bytes = b'') -> bytes:
    return struct.pack('<II', len(header), len(payload)) + header + payload


def read_all(ends: Ends, sent: bytes) -> list[Frame]:
    ours, theirs = ends
    theirs.sendall(sent)
    theirs.shutdown(socket.SHUT_WR)
    frames = []
    while (frame := read_frame(ours)) is not None:
        frames.append(frame)
    return frames


def test_reads_the_golden_bytes_of_the_protocol(ends: Ends) -> None:
    assert [it.header for it in read_all(ends, golden)] == [{'type': 'cancel', 'id': 7}]


def test_writes_the_golden_bytes_of_the_protocol(ends: Ends) -> None:
    ours, theirs = ends
    write_frame(ours, {'type': 'cancel', 'id': 7})
    assert theirs.recv(100) == golden


def test_pieces_of_a_payload_arrive_as_one_behind_their_header(ends: Ends) -> None:
    ours, theirs = ends
    write_frame(ours, {'type': 'exported'}, [b'one ', memoryview(b'two')])
    ours.shutdown(socket.SHUT_WR)
    frame = read_frame(theirs)
    assert frame is not None
    assert bytes(frame.payload) == b'one two'
    assert read_frame(theirs) is None


def test_several_frames_in_one_piece_are_several_frames(ends: Ends) -> None:
    named = framed(msgpack.packb({'type': 'a'}), b'xyz')
    frames = read_all(ends, golden + named + golden)
    assert [it.header['type'] for it in frames] == ['cancel', 'a', 'cancel']
    assert bytes(frames[1].payload) == b'xyz'


@pytest.mark.parametrize(
    ('sent', 'words'),
    [
        (golden[:-1], 'ended inside a frame'),
        (golden[:5], 'ended inside a frame'),
        (framed(b''), 'an empty header'),
        (framed(b'\xc1'), 'not msgpack'),
        (framed(msgpack.packb([1])), 'not a map'),
        (framed(msgpack.packb({'id': 1})), 'not a map with a string `type`'),
        (framed(msgpack.packb({'type': 5})), 'not a map with a string `type`'),
        (struct.pack('<II', 2**25, 0), 'header of 33554432 bytes'),
        (struct.pack('<II', 5, PAYLOAD_BYTES_MAX + 1), 'payload of 1073741825 bytes'),
    ],
)
def test_what_is_no_frame_is_a_protocol_error(ends: Ends, sent: bytes, words: str) -> None:
    with pytest.raises(EngineError, match=words) as caught:
        read_all(ends, sent)
    assert caught.value.code == 'PREFIXD_E_ENGINE_PROTOCOL'


def test_an_answer_that_no_frame_holds_is_refused_before_a_byte_is_sent(ends: Ends) -> None:
    ours, theirs = ends
    with pytest.raises(EngineError) as caught:
        write_frame(ours, {'type': 'text', 'text': 'x' * 2**24})
    assert caught.value.code == 'PREFIXD_E_ENGINE_TOO_LARGE'
    write_frame(ours, {'type': 'cancel', 'id': 7})
    assert theirs.recv(100) == golden
