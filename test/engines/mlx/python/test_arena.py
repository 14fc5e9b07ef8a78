"""The arena: the same bytes as the service's, and checksums that find every change."""

from __future__ import annotations

import os
import tempfile
import zlib
from pathlib import Path

import pytest
from prefixd_mlx.arena import Arena, checksums, first_damaged_mib
from prefixd_mlx.errors import EngineError

mib = 1024 * 1024


def test_writes_reach_the_file_that_others_map(tmp_path: Path) -> None:
    path = tmp_path / 'arena'
    path.write_bytes(bytes(8192))
    arena = Arena(os.open(path, os.O_RDWR), 8192)
    arena.view(4096, 5)[:] = b'bytes'
    assert path.read_bytes()[4096:4101] == b'bytes'
    assert bytes(arena.view(4096, 5)) == b'bytes'


@pytest.mark.parametrize(('offset', 'size_bytes'), [(8192, 1), (0, 8193), (-1, 1), (4096, 4097)])
def test_nothing_outside_of_it_can_be_seen(offset: int, size_bytes: int) -> None:
    with tempfile.TemporaryFile() as file:
        file.truncate(8192)
        arena = Arena(os.dup(file.fileno()), 8192)
        with pytest.raises(EngineError, match='outside of the arena'):
            arena.view(offset, size_bytes)


def test_what_cannot_be_mapped_says_what_to_try() -> None:
    with pytest.raises(EngineError, match='a smaller --ram') as caught:
        Arena(os.open(os.devnull, os.O_RDWR), 8192)
    assert caught.value.code == 'PREFIXD_E_ENGINE_LIBRARY'


def test_each_started_mib_has_its_crc32() -> None:
    data = os.urandom(2 * mib + 5)
    pieces = [data[:mib], data[mib : 2 * mib], data[2 * mib :]]
    assert checksums(memoryview(data)) == [zlib.crc32(piece) for piece in pieces]
    assert checksums(memoryview(b'')) == []


@pytest.mark.parametrize('at', [0, mib - 1, mib, 2 * mib + 4])
def test_a_changed_bit_is_found_in_its_mib(at: int) -> None:
    data = bytearray(os.urandom(2 * mib + 5))
    expected = checksums(memoryview(data))
    assert first_damaged_mib(memoryview(data), expected) is None
    data[at] ^= 1
    assert first_damaged_mib(memoryview(data), expected) == at // mib


def test_another_number_of_checksums_is_damage() -> None:
    data = memoryview(bytes(10))
    assert first_damaged_mib(data, []) == 0
    assert first_damaged_mib(data, [*checksums(data), 5]) == 1
