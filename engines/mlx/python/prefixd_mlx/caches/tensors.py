"""Bytes of mlx arrays, through numpy views of the same memory: one copy each way."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import mlx.core as mx
import numpy as np
from numpy.typing import NDArray

from prefixd_mlx.caches.errors import UnknownCache

Host = NDArray[Any]

# Types that numpy lacks travel as integers of their width: the bits are what counts.
_dtypes: dict[str, tuple[mx.Dtype, np.dtype[Any]]] = {
    'float32': (mx.float32, np.dtype(np.float32)),
    'float16': (mx.float16, np.dtype(np.float16)),
    'bfloat16': (mx.bfloat16, np.dtype(np.uint16)),
    'uint32': (mx.uint32, np.dtype(np.uint32)),
    'int32': (mx.int32, np.dtype(np.int32)),
    'uint16': (mx.uint16, np.dtype(np.uint16)),
    'uint8': (mx.uint8, np.dtype(np.uint8)),
}


def dtype_name(array: mx.array) -> str:
    """`float32`, as headers and fingerprints spell it."""
    return str(array.dtype).removeprefix('mlx.core.')


def is_known_dtype(name: str) -> bool:
    return name in _dtypes


@dataclass(frozen=True)
class TensorShape:
    """One array: its full shape, and the name of its type."""

    shape: tuple[int, ...]
    dtype: str

    @property
    def size_bytes(self) -> int:
        return math.prod(self.shape) * _dtypes[self.dtype][1].itemsize

    def __str__(self) -> str:
        return f'{"x".join(map(str, self.shape))} {self.dtype}'


def shape_of(array: mx.array) -> TensorShape:
    return TensorShape(tuple(array.shape), dtype_name(array))


def row_shape(array: mx.array) -> TensorShape:
    """Shape of one token's row of a (1, heads, tokens, width) array."""
    if array.ndim != 4 or array.shape[0] != 1:
        raise UnknownCache(f'the model keeps rows of the shape {array.shape}')
    return TensorShape((array.shape[1], array.shape[3]), dtype_name(array))


def spell_shapes(shapes: Sequence[TensorShape]) -> str:
    return ', '.join(map(str, shapes))


def host_dtype(dtype: str) -> np.dtype[Any]:
    """How numpy reads the bytes of this type."""
    return _dtypes[dtype][1]


def host_view(array: mx.array) -> Host:
    """The memory of an evaluated array. Drop it before the array is written to by mlx: a held view
    makes it copy the whole buffer."""
    raw = array.view(mx.uint16) if array.dtype == mx.bfloat16 else array
    mx.eval(raw)
    return np.array(raw, copy=False)


def blank(shape: tuple[int, ...], dtype: str) -> mx.array:
    """An evaluated array whose memory `host_view` writes to; `finished` gives it its type."""
    writable = mx.uint16 if dtype == 'bfloat16' else _dtypes[dtype][0]
    array = mx.zeros(shape, dtype=writable)
    mx.eval(array)
    return array


def finished(array: mx.array, dtype: str) -> mx.array:
    """The same memory as an array of `dtype`."""
    typed = array.view(mx.bfloat16) if dtype == 'bfloat16' else array
    mx.eval(typed)
    return typed


def from_bytes(data: memoryview, tensor: TensorShape) -> mx.array:
    """A copy of the bytes as an evaluated array."""
    array = blank(tensor.shape, tensor.dtype)
    host = np.frombuffer(data, dtype=host_dtype(tensor.dtype))
    np.copyto(host_view(array), host.reshape(tensor.shape))
    return finished(array, tensor.dtype)


def into_bytes(array: mx.array, into: memoryview) -> None:
    """Writes an array's elements, in order; `into` has exactly its size."""
    view = host_view(array)
    np.copyto(np.frombuffer(into, dtype=view.dtype).reshape(view.shape), view)


def writes_through() -> bool:
    """Does this device's memory take what numpy writes? All that is restored rests on it."""
    array = blank((2, 2), 'float32')
    host_view(array)[1, :] = 3.0
    return bool(mx.array_equal(array + 1, mx.array([[1.0, 1.0], [4.0, 4.0]])).item())
