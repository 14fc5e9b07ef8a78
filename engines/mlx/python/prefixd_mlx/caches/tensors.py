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
from prefixd_mlx.caches.unwritten import unwritten

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


def host_views(arrays: Sequence[mx.array]) -> list[Host]:
    """The memory of arrays, evaluated all at once. Drop the views before mlx writes to the arrays:
    a held one makes it copy the whole buffer."""
    mx.eval(list(arrays))
    return [_host_view(array) for array in arrays]


def _host_view(array: mx.array) -> Host:
    if array.dtype != mx.bfloat16:
        return np.array(array, copy=False)
    # The stubs of mlx do not say that arrays have a buffer.
    memory = memoryview(array)  # type: ignore[arg-type]
    if array.size > 0 and memory.c_contiguous:
        return np.frombuffer(memory, np.uint16).reshape(array.shape)
    # Through an operation of mlx, which goes over to another thread and back.
    return np.array(array.view(mx.uint16), copy=False)


def blanks(tensors: Sequence[TensorShape]) -> list[mx.array]:
    """Arrays whose memory `host_views` writes to; `finished` gives them their types. They hold
    anything until then: each place that is read must be written first."""
    return unwritten([(it.shape, _writable(it.dtype)) for it in tensors])


def finished(arrays: Sequence[mx.array], dtypes: Sequence[str]) -> list[mx.array]:
    """The same memory as arrays of these types."""
    pairs = zip(arrays, dtypes, strict=True)
    typed = [it.view(mx.bfloat16) if dtype == 'bfloat16' else it for it, dtype in pairs]
    mx.eval(typed)
    return typed


def _writable(dtype: str) -> mx.Dtype:
    return mx.uint16 if dtype == 'bfloat16' else _dtypes[dtype][0]


def writes_through() -> bool:
    """Does this device's memory take what numpy writes? All that is restored rests on it."""
    (array,) = blanks([TensorShape((2, 2), 'float32')])
    (view,) = host_views([array])
    view[0, :] = 0.0
    view[1, :] = 3.0
    return bool(mx.array_equal(array + 1, mx.array([[1.0, 1.0], [4.0, 4.0]])).item())
