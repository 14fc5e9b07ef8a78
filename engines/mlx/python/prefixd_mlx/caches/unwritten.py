"""Memory for arrays that is taken and not written.

mlx has no `empty`, and its `zeros` writes all of the memory that records are about to be copied
over. Its reader of files takes the memory first and then asks the file for the bytes, so a file
that leaves the memory as it is gives just that: 5 ms instead of 46 for 318 MB on two cores."""

from __future__ import annotations

import io
import json
import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, BinaryIO, cast

import mlx.core as mx

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

# Spelled as the safetensors format does.
_names = {
    mx.float32: 'F32',
    mx.float16: 'F16',
    mx.uint32: 'U32',
    mx.int32: 'I32',
    mx.uint16: 'U16',
    mx.uint8: 'U8',
}

Unwritten = tuple[tuple[int, ...], mx.Dtype]


def unwritten(wanted: Sequence[Unwritten]) -> list[mx.array]:
    """An evaluated array for each shape and type. What they hold is whatever lay there."""
    # Of what the type promises mlx calls these three: readinto, seek and tell.
    file = cast('BinaryIO', _FileWithoutBytes(wanted))
    found = mx.load(file, format='safetensors')
    if not isinstance(found, dict):
        raise TypeError('mlx gave no arrays by name')
    arrays = [found[str(index)] for index in range(len(wanted))]
    mx.eval(arrays)
    return arrays


class _FileWithoutBytes(io.RawIOBase):
    """A safetensors file: a header that is there, and data that is not."""

    def __init__(self, wanted: Sequence[Unwritten]) -> None:
        self._header, data_bytes = _describe(wanted)
        self._size_bytes = len(self._header) + data_bytes
        self._at = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at

    def seek(self, offset: int, whence: int = io.SEEK_SET, /) -> int:
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._size_bytes}[whence]
        self._at = base + offset
        return self._at

    def readinto(self, buffer: WriteableBuffer, /) -> int:
        into = memoryview(buffer).cast('B')
        size = min(len(into), self._size_bytes - self._at)
        there = self._header[self._at : self._at + size]
        into[: len(there)] = there
        self._at += size
        return size


def _describe(wanted: Sequence[Unwritten]) -> tuple[bytes, int]:
    """The header of such a file, and how long its data would be."""
    entries = {}
    end = 0
    for index, (shape, dtype) in enumerate(wanted):
        start, end = end, end + math.prod(shape) * dtype.size
        entries[str(index)] = {
            'dtype': _names[dtype],
            'shape': shape,
            'data_offsets': [start, end],
        }
    described = json.dumps(entries).encode()
    return len(described).to_bytes(8, 'little') + described, end
