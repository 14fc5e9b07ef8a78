"""How a model's rotation is stretched beyond the length that it was first trained for."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from prefixd_mlx.convert.errors import ANOTHER_FILE, not_convertible

FREQUENCIES = 'rope_freqs.weight'

# Llama 3.1 and 3.2 as their config.json has them. GGUF keeps the factors that come out of it, one
# for each pair of numbers, and not these.
_LOW_FACTOR, _HIGH_FACTOR, _FIRST_CONTEXT = 1.0, 4.0, 8192
_STRETCHES = (8.0, 32.0)


def rope_scaling(
    metadata: Mapping[str, Any],
    architecture: str,
    head_numbers: int,
    factors: NDArray[np.float32] | None,
) -> dict[str, Any] | None:
    """Of config.json; None: the rotation is as it is. Raises PREFIXD_E_MODEL_CONVERT."""
    kind = metadata.get(f'{architecture}.rope.scaling.type', 'none')
    factor = float(metadata.get(f'{architecture}.rope.scaling.factor', 1.0))
    if factors is not None and kind == 'none':
        base = float(metadata.get(f'{architecture}.rope.freq_base', 10_000.0))
        return _llama3(factors, base, head_numbers)
    if kind == 'linear' and factors is None:
        return {'rope_type': 'linear', 'type': 'linear', 'factor': factor}
    if kind == 'none' and factor == 1.0:
        return None
    raise not_convertible(
        f'Its rotation is stretched in a way that cannot be converted ({kind}, factor {factor:g}).',
        ANOTHER_FILE,
    )


def _llama3(factors: NDArray[np.float32], base: float, head_numbers: int) -> dict[str, Any]:
    for stretch in _STRETCHES:
        expected = _llama3_factors(stretch, base, head_numbers)
        if factors.shape == expected.shape and np.allclose(factors, expected, rtol=1e-5, atol=0):
            return {
                'rope_type': 'llama3',
                'type': 'llama3',
                'factor': stretch,
                'low_freq_factor': _LOW_FACTOR,
                'high_freq_factor': _HIGH_FACTOR,
                'original_max_position_embeddings': _FIRST_CONTEXT,
            }
    raise not_convertible(
        f'{FREQUENCIES} has other factors than Llama 3.1 and 3.2 have.', ANOTHER_FILE
    )


def _llama3_factors(stretch: float, base: float, head_numbers: int) -> NDArray[np.float32]:
    frequencies = base ** -(np.arange(0, head_numbers, 2, dtype=np.float64) / head_numbers)
    turns = _FIRST_CONTEXT * frequencies / (2 * math.pi)
    smooth = np.clip((turns - _LOW_FACTOR) / (_HIGH_FACTOR - _LOW_FACTOR), 0, 1)
    return (1 / ((1 - smooth) / stretch + smooth)).astype(np.float32)
