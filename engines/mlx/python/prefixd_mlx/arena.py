"""The service's arena, mapped into this process: records are read and written in place."""

from __future__ import annotations

import ctypes
import mmap
import os
import sys
import threading
import zlib
from collections.abc import Sequence

from prefixd_mlx.errors import EngineError

_PIECE_BYTES = 1024 * 1024
# Linux 5.14: fills the page tables for writing, as touching every page would.
_MADV_POPULATE_WRITE = 23
_POPULATE_BYTES = 64 * 1024 * 1024


class Arena:
    """Maps `size_bytes` of `fd` and closes the descriptor."""

    def __init__(self, fd: int, size_bytes: int) -> None:
        try:
            self._map = mmap.mmap(fd, size_bytes, mmap.MAP_SHARED, access=mmap.ACCESS_WRITE)
        except (OSError, ValueError) as error:
            raise EngineError(
                'PREFIXD_E_ENGINE_LIBRARY',
                f'The worker cannot map the arena of {size_bytes} bytes ({error}). '
                'Give the container more shared memory, or a smaller --ram.',
            ) from error
        os.close(fd)
        self._whole = memoryview(self._map)
        if sys.platform == 'linux':
            threading.Thread(target=self._populate, daemon=True).start()

    def view(self, offset: int, size_bytes: int) -> memoryview:
        """A view, not a copy."""
        if offset < 0 or size_bytes < 0 or offset + size_bytes > len(self._whole):
            raise EngineError(
                'PREFIXD_E_ENGINE_PROTOCOL',
                f'{size_bytes} bytes at {offset} are outside of the arena of '
                f'{len(self._whole)} bytes.',
            )
        return self._whole[offset : offset + size_bytes]

    def _populate(self) -> None:
        """A kernel that does not know the advice refuses it; that costs page faults, no more."""
        libc = ctypes.CDLL(None)
        start = ctypes.addressof(ctypes.c_char.from_buffer(self._map))
        size_bytes = len(self._whole)
        for offset in range(0, size_bytes, _POPULATE_BYTES):
            length = min(_POPULATE_BYTES, size_bytes - offset)
            address = ctypes.c_void_p(start + offset)
            if libc.madvise(address, ctypes.c_size_t(length), _MADV_POPULATE_WRITE) != 0:
                return


def checksums(data: memoryview) -> list[int]:
    """crc32 of each started MiB."""
    return [
        zlib.crc32(data[offset : offset + _PIECE_BYTES])
        for offset in range(0, len(data), _PIECE_BYTES)
    ]


def first_damaged_mib(data: memoryview, expected: Sequence[int]) -> int | None:
    """0-based index of the first MiB whose checksum differs, or None when all agree."""
    actual = checksums(data)
    for index, crc in enumerate(actual):
        if index >= len(expected) or crc != expected[index]:
            return index
    return None if len(actual) == len(expected) else len(actual)
