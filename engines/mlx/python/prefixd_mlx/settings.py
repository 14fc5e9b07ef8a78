"""Settings of this engine in the service's `hello`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, cast

from prefixd_mlx.errors import model_error
from prefixd_mlx.messages import Reuse

Dtype = Literal['auto', 'float32', 'bfloat16', 'stored']

_DTYPES = ('auto', 'float32', 'bfloat16', 'stored')
_KV_BITS = (None, 4, 8)
_REUSES = ('token', 'block')
_NAMES = ('adapter', 'blas', 'dtype', 'kvBits', 'kvGroupSize')


@dataclass(frozen=True)
class EngineSettings:
    # Bits of a stored number; None: as the model computes.
    kv_bits: int | None
    kv_group_size: int
    # A folder with `adapters.safetensors` and `adapter_config.json`.
    adapter: str | None
    dtype: Dtype
    # Was a BLAS library preloaded, so that float32 is the fast way?
    blas: str | None


@dataclass(frozen=True)
class WorkerOptions:
    model_path: str
    # 0: the length that the model was trained for.
    context_tokens: int
    sequences: int
    threads: int
    block_tokens: int
    reuse: Reuse
    engine: EngineSettings


def read_options(options: dict[str, Any]) -> WorkerOptions:
    """Raises PREFIXD_E_ENGINE_MODEL naming the setting that is wrong."""
    try:
        return WorkerOptions(
            model_path=str(options['modelPath']),
            context_tokens=int(options['contextTokens']),
            sequences=max(1, int(options['sequences'])),
            threads=int(options['threads']),
            block_tokens=int(options['blockTokens']),
            reuse=_read_reuse(options['reuse']),
            engine=_read_engine(options['engine']),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise model_error(f'The options of the worker cannot be read: {error!r}.') from error


def _read_reuse(reuse: Any) -> Reuse:
    if reuse not in _REUSES:
        raise model_error(f'`reuse` is {reuse}; use one of {", ".join(_REUSES)}.')
    return cast(Reuse, reuse)


def _read_engine(given: dict[str, Any]) -> EngineSettings:
    unknown = sorted(set(given) - set(_NAMES))
    if unknown:
        raise model_error(
            f'The MLX engine has no setting `{unknown[0]}`; it has {", ".join(_NAMES)}.'
        )
    kv_bits = given.get('kvBits')
    if kv_bits not in _KV_BITS:
        raise model_error(f'`kvBits` is {kv_bits}; use 8 or 4, or leave it out.')
    dtype = given.get('dtype', 'auto')
    if dtype not in _DTYPES:
        raise model_error(f'`dtype` is {dtype}; use one of {", ".join(_DTYPES)}.')
    return EngineSettings(
        kv_bits=kv_bits,
        kv_group_size=int(given.get('kvGroupSize', 64)),
        adapter=given.get('adapter'),
        dtype=cast(Dtype, dtype),
        blas=given.get('blas'),
    )
