"""Everything that changes KV bytes, for the namespace of the cache."""

from __future__ import annotations

import hashlib
from importlib.metadata import version
from pathlib import Path
from typing import Any

import mlx.core as mx

from prefixd_mlx.caches import CacheLayout
from prefixd_mlx.loading import Loaded
from prefixd_mlx.settings import EngineSettings

# Rises when records of the same model would have other bytes.
_STATE_FORMAT = 'mlx-rows/1'


def fingerprint_of(loaded: Loaded, settings: EngineSettings, layout: CacheLayout) -> dict[str, Any]:
    """Last bits of float32 depend on the BLAS and its threads, so these are in it too."""
    kv_types = loaded.dtype
    if layout.kv_bytes_per_token == 0:
        kv_types = 'none'
    elif settings.kv_bits is not None:
        kv_types = f'q{settings.kv_bits} g{settings.kv_group_size}'
    return {
        'engine': 'mlx',
        'build': f'mlx {version("mlx")}, mlx-lm {version("mlx-lm")}',
        'stateFormat': _STATE_FORMAT,
        'architecture': str(loaded.config.get('model_type', 'unknown')),
        'kvTypes': kv_types,
        # mlx has one kernel for attention, and stores values as it stores keys.
        'flashAttention': True,
        'settings': {
            'adapter': _digest_of_folder(settings.adapter),
            'blas': loaded.blas or "mlx's own",
            'device': device_words(),
            'dtype': loaded.dtype,
            'layout': layout.description,
            'quantisation': loaded.stored,
        },
    }


def device_words() -> str:
    """For the fingerprint: kernels of other devices round otherwise."""
    device = mx.default_device()
    kind = 'CPU' if device == mx.Device(mx.cpu) else 'Metal' if mx.metal.is_available() else 'CUDA'
    name = mx.device_info(device).get('device_name')
    return kind if name is None else f'{kind}, {name}'


def computing_words(blas: str | None) -> str:
    """For people only: with the threads of a BLAS that stands in front of mlx's own."""
    return device_words() if blas is None else f'{device_words()}, {blas.rsplit(", ", 1)[-1]}'


def _digest_of_folder(path: str | None) -> str:
    if path is None:
        return 'none'
    digest = hashlib.sha256()
    for name in ('adapter_config.json', 'adapters.safetensors'):
        digest.update((Path(path) / name).read_bytes())
    return digest.hexdigest()
