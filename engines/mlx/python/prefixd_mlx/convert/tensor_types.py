"""How GGUF lays out numbers, and the same numbers as MLX keeps them.

Blocks of Q4_0, Q4_1 and Q8_0 are groups of MLX's affine quantisation: the same steps, the same
scale, and an offset that float16 holds exactly. Nothing is rounded a second time.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from prefixd_mlx.convert.errors import ANOTHER_FILE, broken_file, not_convertible

GROUP_SIZE = 32

Floats = NDArray[np.float32]


@dataclass(frozen=True)
class TensorType:
    name: str
    block_numbers: int
    block_bytes: int
    # Bits of a number, where MLX has the same quantisation.
    bits: int | None = None

    def size_of(self, tensor: str, shape: tuple[int, ...]) -> int:
        if not shape or shape[-1] % self.block_numbers != 0:
            raise broken_file(f'has rows of {shape[-1:]} numbers in {self.name} ({tensor})')
        numbers = 1
        for length in shape:
            numbers *= length
        return numbers // self.block_numbers * self.block_bytes


_TYPES = {
    0: TensorType('F32', 1, 4),
    1: TensorType('F16', 1, 2),
    2: TensorType('Q4_0', 32, 18, 4),
    3: TensorType('Q4_1', 32, 20, 4),
    8: TensorType('Q8_0', 32, 34, 8),
    14: TensorType('Q6_K', 256, 210),
    30: TensorType('BF16', 1, 2),
}


@dataclass(frozen=True)
class Packed:
    """As `mx.quantized_matmul` takes it: a number is `scale * step + bias` of its group."""

    weight: NDArray[np.uint32]
    scales: NDArray[np.float16]
    biases: NDArray[np.float16]


def tensor_type(tensor: str, number: int) -> TensorType:
    known = _TYPES.get(number)
    if known is not None:
        return known
    names = ', '.join(kind.name for kind in _TYPES.values())
    raise not_convertible(
        f'{tensor} is of GGUF type {number}, which cannot be converted; these can: {names}.',
        f'Take a Q8_0 or Q4_0 file of the same model. {ANOTHER_FILE}',
    )


def packed(data: NDArray[np.uint8], shape: tuple[int, ...], kind: TensorType) -> Packed:
    """Only for types that have `bits`."""
    blocks = data.reshape(*shape[:-1], -1, kind.block_bytes)
    scales = _halves(blocks, 0)
    if kind.name == 'Q8_0':
        # MLX counts steps from zero; flipping the highest bit adds 128.
        steps = blocks[..., 2:] ^ np.uint8(0x80)
        return Packed(_words(steps), scales, scales * np.float16(-128))
    if kind.name == 'Q4_0':
        return Packed(_words(_nibbles(blocks[..., 2:])), scales, scales * np.float16(-8))
    return Packed(_words(_nibbles(blocks[..., 4:])), scales, _halves(blocks, 2))


def dense(data: NDArray[np.uint8], shape: tuple[int, ...], kind: TensorType) -> Floats:
    """Any type, as float32; F16 and F32 lose nothing."""
    if kind.name == 'F32':
        return data.view(np.float32).reshape(shape)
    if kind.name == 'F16':
        return data.view(np.float16).reshape(shape).astype(np.float32)
    if kind.name == 'BF16':
        return (data.view(np.uint16).astype(np.uint32) << 16).view(np.float32).reshape(shape)
    blocks = data.reshape(*shape[:-1], -1, kind.block_bytes)
    if kind.name == 'Q6_K':
        return _six_bits(blocks).reshape(shape)
    scales = _halves(blocks, 0).astype(np.float32)[..., None]
    if kind.name == 'Q8_0':
        return (blocks[..., 2:].view(np.int8) * scales).reshape(shape)
    first = 4 if kind.name == 'Q4_1' else 2
    steps = _steps(blocks[..., first:]).astype(np.float32)
    if kind.name == 'Q4_0':
        return ((steps - 8) * scales).reshape(shape)
    biases = _halves(blocks, 2).astype(np.float32)[..., None]
    return (steps * scales + biases).reshape(shape)


def _halves(blocks: NDArray[np.uint8], at: int) -> NDArray[np.float16]:
    halves = np.ascontiguousarray(blocks[..., at : at + 2])
    return halves.view(np.float16)[..., 0]


def _steps(halves: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The first half of a block lies in the lower four bits, the second one in the upper four."""
    return np.concatenate([halves & np.uint8(0x0F), halves >> np.uint8(4)], axis=-1)


def _nibbles(halves: NDArray[np.uint8]) -> NDArray[np.uint8]:
    steps = _steps(halves)
    return steps[..., 0::2] | (steps[..., 1::2] << np.uint8(4))


def _words(steps: NDArray[np.uint8]) -> NDArray[np.uint32]:
    rows = np.ascontiguousarray(steps).reshape(*steps.shape[:-2], -1)
    return rows.view(np.uint32)


def _six_bits(blocks: NDArray[np.uint8]) -> Floats:
    """256 numbers: 128 bytes of lower bits, 64 of upper bits, 16 scales, and their own scale."""
    low = blocks[..., :128].reshape(*blocks.shape[:-1], 2, 2, 32)
    high = blocks[..., 128:192].reshape(*blocks.shape[:-1], 2, 1, 32)
    lower = np.concatenate([low & 0x0F, low >> 4], axis=-2)
    shifts: NDArray[Any] = np.array([0, 2, 4, 6], np.uint8)[:, None]
    steps = (lower | ((high >> shifts) & 3) << 4).astype(np.float32) - 32
    scales = np.ascontiguousarray(blocks[..., 192:208]).view(np.int8).astype(np.float32)
    whole = _halves(blocks, 208).astype(np.float32)[..., None]
    grouped: Floats = steps.reshape(*blocks.shape[:-1], 16, 16)
    return grouped * (scales * whole)[..., None]
