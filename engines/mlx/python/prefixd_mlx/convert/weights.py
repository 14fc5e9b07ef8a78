"""Tensors under mlx-lm's names, in files that a machine can hold in memory one by one."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Literal

import mlx.core as mx
import numpy as np

from prefixd_mlx.convert.architecture import Architecture, Part
from prefixd_mlx.convert.errors import not_convertible
from prefixd_mlx.convert.gguf_file import GgufFile, Tensor
from prefixd_mlx.convert.tensor_types import GROUP_SIZE, dense, packed

Dtype = Literal['stored', 'float32', 'float16']
Progress = Callable[[int], None]

_SHARD_BYTES = 4 << 30
_DENSE_TYPES = {'F32': mx.float32, 'F16': mx.float16, 'BF16': mx.bfloat16}
_FLOAT16_MAX = 65504


def write_weights(
    file: GgufFile, architecture: Architecture, dtype: Dtype, folder: Path, on_bytes: Progress
) -> dict[str, Any] | None:
    """Returns `quantization` of config.json; None where nothing is quantised.

    `on_bytes` is told how many bytes of the GGUF file are done.
    """
    writer = _ShardWriter(folder)
    bits_of: dict[str, int] = {}
    beside = _beside_dtype(file, dtype)
    done = 0
    for tensor, part in _parts(file, architecture):
        arrays, bits = _arrays_of(tensor, part, dtype, beside)
        if bits is not None:
            bits_of[part.module] = bits
        writer.add(arrays)
        done += tensor.data.nbytes
        on_bytes(done)
    writer.finish()
    return _quantization(bits_of)


def _parts(file: GgufFile, architecture: Architecture) -> Iterator[tuple[Tensor, Part]]:
    for tensor in file.tensors.values():
        part = architecture.part_of(tensor.name)
        if part is not None:
            yield tensor, part


def _beside_dtype(file: GgufFile, dtype: Dtype) -> mx.Dtype:
    """Of norms and of what MLX cannot keep quantised: GGUF has float32 there, whatever the model
    computes in, and one float32 array makes mlx compute everything behind it in float32."""
    if dtype != 'stored':
        return mx.float32 if dtype == 'float32' else mx.float16
    embeddings = file.tensors['token_embd.weight'].type.name
    return _DENSE_TYPES.get(embeddings, mx.float16)


def _arrays_of(
    tensor: Tensor, part: Part, dtype: Dtype, beside: mx.Dtype
) -> tuple[dict[str, mx.array], int | None]:
    def rows(array: Any) -> Any:
        return array if part.paired_heads is None else _unpaired(array, part.paired_heads)

    bits = tensor.type.bits
    if dtype == 'stored' and bits is not None and len(tensor.shape) == 2:
        groups = packed(tensor.data, tensor.shape, tensor.type)
        return {
            f'{part.module}.weight': mx.array(rows(groups.weight)),
            f'{part.module}.scales': _finite(tensor, mx.array(rows(groups.scales))),
            f'{part.module}.biases': _finite(tensor, mx.array(rows(groups.biases))),
        }, bits
    numbers = rows(dense(tensor.data, tensor.shape, tensor.type))
    if beside == mx.float16 and np.abs(numbers).max(initial=0) > _FLOAT16_MAX:
        raise _too_large(tensor)
    return {f'{part.module}.{part.kind}': mx.array(numbers).astype(beside)}, None


def _unpaired(rows: Any, heads: int) -> Any:
    """Rows of each head: first the first ones of all pairs, then the second ones."""
    pairs = rows.shape[0] // heads // 2
    return rows.reshape(heads, pairs, 2, *rows.shape[1:]).swapaxes(1, 2).reshape(rows.shape)


def _finite(tensor: Tensor, halves: mx.array) -> mx.array:
    if not mx.all(mx.isfinite(halves)).item():
        raise _too_large(tensor)
    return halves


def _too_large(tensor: Tensor) -> Exception:
    return not_convertible(
        f'{tensor.name} has numbers that float16 cannot hold.', 'Convert it with --dtype float32.'
    )


def _quantization(bits_of: dict[str, int]) -> dict[str, Any] | None:
    if not bits_of:
        return None
    [(usual, _)] = Counter(bits_of.values()).most_common(1)
    others = {
        module: {'group_size': GROUP_SIZE, 'bits': bits}
        for module, bits in bits_of.items()
        if bits != usual
    }
    return {'group_size': GROUP_SIZE, 'bits': usual, **others}


class _ShardWriter:
    """Holds one file's arrays at a time; names are known only when all of them are written."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._open: dict[str, mx.array] = {}
        self._shards: list[list[str]] = []
        self._total_bytes = 0

    def add(self, arrays: dict[str, mx.array]) -> None:
        held = sum(array.nbytes for array in self._open.values())
        if self._open and held + sum(array.nbytes for array in arrays.values()) > _SHARD_BYTES:
            self._flush()
        self._open.update(arrays)

    def finish(self) -> None:
        self._flush()
        count = len(self._shards)
        if count == 1:
            self._draft(0).rename(self._folder / 'model.safetensors')
            return
        weight_map: dict[str, str] = {}
        for index, names in enumerate(self._shards):
            name = f'model-{index + 1:05}-of-{count:05}.safetensors'
            self._draft(index).rename(self._folder / name)
            weight_map.update(dict.fromkeys(names, name))
        listing = {'metadata': {'total_size': self._total_bytes}, 'weight_map': weight_map}
        text = json.dumps(listing, indent=1, sort_keys=True)
        (self._folder / 'model.safetensors.index.json').write_text(f'{text}\n')

    def _flush(self) -> None:
        mx.save_safetensors(
            str(self._draft(len(self._shards))), self._open, metadata={'format': 'mlx'}
        )
        self._total_bytes += sum(array.nbytes for array in self._open.values())
        self._shards.append(list(self._open))
        self._open = {}
        mx.clear_cache()

    def _draft(self, index: int) -> Path:
        return self._folder / f'draft-{index}.safetensors'
