"""Reads GGUF: all metadata, and where each tensor lies in which type.

`mx.load` reads GGUF too, but does not say which types the tensors had, and turns those that it does
not know into float16 without a word.
"""

from __future__ import annotations

import mmap
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from prefixd_mlx.convert.errors import broken_file
from prefixd_mlx.convert.tensor_types import TensorType, tensor_type

_TEXT, _LIST, _BOOL = 8, 9, 7
# As the format numbers them.
_NUMBERS = {
    0: '<u1', 1: '<i1', 2: '<u2', 3: '<i2', 4: '<u4', 5: '<i4', 6: '<f4', 7: '<u1', 10: '<u8',
    11: '<i8', 12: '<f8',
}  # fmt: skip
_VERSIONS = (2, 3)
_DIMENSIONS_MAX = 4


@dataclass(frozen=True)
class Tensor:
    name: str
    # Rows first, as numpy counts; GGUF writes them the other way round.
    shape: tuple[int, ...]
    type: TensorType
    # The bytes as they lie in the file, not copied.
    data: NDArray[np.uint8]


@dataclass(frozen=True)
class GgufFile:
    metadata: dict[str, Any]
    tensors: dict[str, Tensor]


def read_gguf(path: Path) -> GgufFile:
    """Raises PREFIXD_E_MODEL_FILE, and PREFIXD_E_MODEL_CONVERT for a type of tensor it has not."""
    try:
        with path.open('rb') as file:
            data = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    except (OSError, ValueError) as error:
        raise broken_file(f'{path} cannot be read ({error})') from error
    reader = _Reader(data)
    try:
        return _read(reader)
    except (struct.error, UnicodeDecodeError, OverflowError) as error:
        raise broken_file(f'{path} is cut off, or its header makes no sense') from error


def _read(reader: _Reader) -> GgufFile:
    if reader.take(4) != b'GGUF':
        raise broken_file('does not begin like one')
    version = reader.number('<I')
    if version not in _VERSIONS:
        raise broken_file(f'has version {version}; versions 2 and 3 are known')
    tensor_count, pair_count = reader.number('<Q'), reader.number('<Q')
    metadata: dict[str, Any] = {}
    for _ in range(pair_count):
        key = reader.text()
        metadata[key] = reader.value(reader.number('<I'))
    headers = [_tensor_header(reader) for _ in range(tensor_count)]
    alignment = int(metadata.get('general.alignment', 32))
    start = -(-reader.at // alignment) * alignment
    tensors = {
        name: Tensor(name, shape, kind, reader.bytes_at(start + offset, kind.size_of(name, shape)))
        for name, shape, kind, offset in headers
    }
    return GgufFile(metadata, tensors)


def _tensor_header(reader: _Reader) -> tuple[str, tuple[int, ...], TensorType, int]:
    name = reader.text()
    dimensions = reader.number('<I')
    if dimensions > _DIMENSIONS_MAX:
        raise broken_file(f'has a tensor of {dimensions} dimensions ({name})')
    shape = tuple(reader.number('<Q') for _ in range(dimensions))[::-1]
    kind = tensor_type(name, reader.number('<I'))
    return name, shape, kind, reader.number('<Q')


class _Reader:
    """Raises struct.error where the bytes end."""

    def __init__(self, data: mmap.mmap) -> None:
        self._data = data
        self.at = 0

    def take(self, size: int) -> bytes:
        if self.at + size > len(self._data):
            raise struct.error
        taken = self._data[self.at : self.at + size]
        self.at += size
        return taken

    def number(self, form: str) -> int:
        (value,) = struct.unpack(form, self.take(struct.calcsize(form)))
        return int(value)

    def text(self) -> str:
        return self.take(self.number('<Q')).decode()

    def value(self, kind: int) -> Any:
        if kind == _TEXT:
            return self.text()
        if kind == _LIST:
            kind, length = self.number('<I'), self.number('<Q')
            if kind in (_TEXT, _LIST):
                return [self.value(kind) for _ in range(length)]
            return self._numbers(kind, length).tolist()
        value = self._numbers(kind, 1)[0].item()
        return bool(value) if kind == _BOOL else value

    def _numbers(self, kind: int, count: int) -> NDArray[Any]:
        form = _NUMBERS.get(kind)
        if form is None:
            raise broken_file(f'has metadata of the unknown type {kind}')
        dtype = np.dtype(form)
        return np.frombuffer(self.take(dtype.itemsize * count), dtype)

    def bytes_at(self, offset: int, size: int) -> NDArray[np.uint8]:
        if offset + size > len(self._data):
            raise struct.error
        return np.frombuffer(self._data, np.uint8, size, offset)
