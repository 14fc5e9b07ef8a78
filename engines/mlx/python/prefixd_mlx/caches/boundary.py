"""Records of kind `window` and `state`: a header that says everything which has to agree, then
the arrays.

    u32 LE header length, msgpack header, then each array on a multiple of 64 bytes
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass

import mlx.core as mx
import msgpack
import numpy as np

from prefixd_mlx.caches.errors import ImportRefused
from prefixd_mlx.caches.parts import BoundaryPart, Fields, Kind, ModelCache
from prefixd_mlx.caches.tensors import TensorShape, blanks, finished, host_views, shape_of

_format = 'prefixd boundary 1'
_alignment = 64

Pairs = Sequence[tuple[BoundaryPart, ModelCache]]


def _aligned(size_bytes: int) -> int:
    return -(-size_bytes // _alignment) * _alignment


@dataclass(frozen=True)
class Boundary:
    """A record that was read: copies of its arrays, by the part that they belong to."""

    parts: Sequence[BoundaryPart]
    fields: Sequence[Fields]
    arrays: Sequence[Sequence[mx.array]]
    position: int

    def install(self, caches: Sequence[ModelCache]) -> None:
        for part, cache, fields, arrays in zip(
            self.parts, caches, self.fields, self.arrays, strict=True
        ):
            part.install(cache, fields, arrays, self.position)


def _header_bytes(kind: Kind, position: int, pairs: Pairs) -> bytes:
    fields = [part.fields(cache, position) for part, cache in pairs]
    header = {'format': _format, 'kind': kind, 'position': position, 'caches': fields}
    packed: bytes = msgpack.packb(header)
    return struct.pack('<I', len(packed)) + packed


def _arrays_of(pairs: Pairs, position: int) -> list[mx.array]:
    return [array for part, cache in pairs for array in part.arrays(cache, position)]


def boundary_bytes(kind: Kind, position: int, pairs: Pairs) -> int:
    """Size of the record of what stands in the caches now."""
    tensors = [shape_of(array) for array in _arrays_of(pairs, position)]
    header = _aligned(len(_header_bytes(kind, position, pairs)))
    return header + sum(_aligned(it.size_bytes) for it in tensors)


def write_boundary(kind: Kind, position: int, pairs: Pairs, into: memoryview) -> None:
    """Fills exactly `boundary_bytes`, gaps included: the same state gives the same bytes."""
    header = _header_bytes(kind, position, pairs)
    at = _fill(into, 0, header)
    for view in host_views(_arrays_of(pairs, position)):
        host = np.frombuffer(into[at : at + view.nbytes], dtype=view.dtype)
        np.copyto(host.reshape(view.shape), view)
        at = _zero_gap(into, at + view.nbytes)


def _fill(into: memoryview, at: int, data: bytes) -> int:
    into[at : at + len(data)] = data
    return _zero_gap(into, at + len(data))


def _zero_gap(into: memoryview, at: int) -> int:
    end = _aligned(at)
    into[at:end] = bytes(end - at)
    return end


def read_boundary(
    kind: Kind, position: int, parts: Sequence[BoundaryPart], data: memoryview
) -> Boundary:
    """Checks the whole record against the model and the position, and only then copies it."""
    header, at = _read_header(data)
    if header.get('format') != _format or header.get('kind') != kind:
        raise ImportRefused(f'its header is not that of a {kind} record')
    if header.get('position') != position:
        raise ImportRefused(
            f'it was saved at token {header.get("position")}, the sequence stands at {position}'
        )
    fields = _fields_in(header, len(parts))
    wanted = [part.expected(each, position) for part, each in zip(parts, fields, strict=True)]
    flat = [tensor for tensors in wanted for tensor in tensors]
    size_bytes = at + sum(_aligned(it.size_bytes) for it in flat)
    if len(data) != size_bytes:
        raise ImportRefused(f'it has {len(data)} bytes, what its header names takes {size_bytes}')
    arrays = iter(_read_arrays(data, at, flat))
    return Boundary(parts, fields, [[next(arrays) for _ in it] for it in wanted], position)


def _read_arrays(data: memoryview, at: int, tensors: Sequence[TensorShape]) -> list[mx.array]:
    """Copies of what lies there, one behind the other."""
    arrays = blanks(tensors)
    for tensor, view in zip(tensors, host_views(arrays), strict=True):
        host = np.frombuffer(data[at : at + tensor.size_bytes], dtype=view.dtype)
        np.copyto(view, host.reshape(tensor.shape))
        at += _aligned(tensor.size_bytes)
    return finished(arrays, [tensor.dtype for tensor in tensors])


def _read_header(data: memoryview) -> tuple[Fields, int]:
    """The header, and where the arrays begin."""
    if len(data) < 4:
        raise ImportRefused('it is too short to have a header')
    (length,) = struct.unpack('<I', data[:4])
    if not 0 < length <= len(data) - 4:
        raise ImportRefused('its header is longer than the record')
    try:
        header = msgpack.unpackb(data[4 : 4 + length])
    except (ValueError, msgpack.exceptions.UnpackException) as error:
        raise ImportRefused('its header cannot be read') from error
    if not isinstance(header, dict):
        raise ImportRefused('its header is no map')
    return header, _aligned(4 + length)


def _fields_in(header: Fields, count: int) -> list[Fields]:
    fields = header.get('caches')
    if not isinstance(fields, list) or not all(isinstance(it, dict) for it in fields):
        raise ImportRefused('its header names no caches')
    if len(fields) != count:
        raise ImportRefused(f'it holds {len(fields)} caches, this model has {count}')
    return fields
