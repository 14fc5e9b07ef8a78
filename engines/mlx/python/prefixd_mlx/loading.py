"""Loads a folder of an MLX model, in the type of numbers that this device computes best."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import mlx.core as mx
from mlx.utils import tree_flatten
from mlx_lm.utils import dequantize_model, load

from prefixd_mlx.blas import preloaded_blas
from prefixd_mlx.caches.tensors import dtype_name
from prefixd_mlx.errors import model_error
from prefixd_mlx.settings import EngineSettings, WorkerOptions


@dataclass(frozen=True)
class Loaded:
    network: Any
    tokenizer: Any
    config: dict[str, Any]
    # How the file has its weights, e.g. `4 bits, groups of 64`, and what they are computed in.
    stored: str
    dtype: str
    blas: str | None


def load_folder(options: WorkerOptions) -> Loaded:
    """Raises PREFIXD_E_ENGINE_MODEL. Nothing is ever fetched: a name of the hub is no folder."""
    settings = options.engine
    blas = preloaded_blas()
    if settings.blas is not None and blas is None:
        raise model_error(
            f'The worker was to have {settings.blas} preloaded, and has not. Check that the file '
            'exists and can be loaded, or start without it.'
        )
    _check_folders(options)
    try:
        network, tokenizer, config = load(
            options.model_path, adapter_path=settings.adapter, return_config=True
        )
    except Exception as error:
        raise model_error(
            f'mlx-lm cannot load {options.model_path}: {type(error).__name__}: {error}. Check that '
            'the folder is whole and that this version of mlx-lm knows its architecture.'
        ) from error
    stored = _stored_words(config)
    _convert(network, settings, blas)
    return Loaded(network, tokenizer, config, stored, _dtype_words(network), blas)


def weights_of(network: Any) -> list[mx.array]:
    flat: Any = tree_flatten(network.parameters())
    return [weight for _, weight in flat]


def _check_folders(options: WorkerOptions) -> None:
    folder = Path(options.model_path)
    if not (folder / 'config.json').is_file() or not any(folder.glob('*.safetensors')):
        raise model_error(
            f'{folder} is no folder of an MLX model: it must have config.json and '
            '*.safetensors files.'
        )
    adapter = options.engine.adapter
    if adapter is not None and not (Path(adapter) / 'adapter_config.json').is_file():
        raise model_error(
            f'{adapter} is no adapter of mlx-lm: it must be a folder with adapter_config.json and '
            'adapters.safetensors.'
        )


def _convert(network: Any, settings: EngineSettings, blas: str | None) -> None:
    """Through OpenBLAS float32 is 20 times as fast as everything else that a CPU computes."""
    wanted = settings.dtype
    if wanted == 'auto':
        on_blas = blas is not None and mx.default_device() == mx.Device(mx.cpu)
        wanted = 'float32' if on_blas else 'stored'
    if wanted == 'stored':
        return
    if wanted == 'float32':
        # First, or the products of steps and scales would be rounded to the type of the scales.
        network.set_dtype(mx.float32)
        dequantize_model(network)
    network.set_dtype(mx.float32 if wanted == 'float32' else mx.bfloat16)
    mx.eval(network.parameters())
    mx.clear_cache()


def _stored_words(config: dict[str, Any]) -> str:
    quantization = config.get('quantization')
    if not isinstance(quantization, dict):
        return 'not quantised'
    mode = quantization.get('mode', 'affine')
    bits, group_size = quantization.get('bits'), quantization.get('group_size')
    return f'{mode}, {bits} bits, groups of {group_size}'


def _dtype_words(network: Any) -> str:
    """Of the floating point weights; scales of quantised ones say what is computed in."""
    dtypes = {
        dtype_name(weight)
        for weight in weights_of(network)
        if mx.issubdtype(weight.dtype, mx.floating)
    }
    return ' and '.join(sorted(dtypes))
