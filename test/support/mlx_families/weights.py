"""Noise as weights, scaled so that what a model has seen shows in its logits."""

from __future__ import annotations

import math
from typing import Any

import mlx.core as mx
import numpy as np
from mlx.utils import tree_flatten

# What multiplies a matrix that keeps the scale of its input.
_gains = (('lm_head', 3.0), ('q_proj', 2.0), ('k_proj', 2.0))
# States that forget within a few tokens would make every restore look right.
_ranges = (('dt_bias', -3.0, -1.0), ('A_log', -2.3, 0.0), ('rg_lru.recurrent_param', 0.0, 1.0))


def noise_weights(model: Any, seed: int) -> dict[str, mx.array]:
    """An array for every parameter of the model, the same for a seed, in float32."""
    random = np.random.default_rng(seed)
    parameters: dict[str, mx.array] = dict(tree_flatten(model.parameters()))
    return {name: mx.array(_draw(random, name, parameters[name])) for name in sorted(parameters)}


def _draw(random: np.random.Generator, name: str, value: mx.array) -> np.ndarray[Any, Any]:
    shape = tuple(value.shape)
    for ending, low, high in _ranges:
        if name.endswith(ending):
            return random.uniform(low, high, shape).astype(np.float32)
    if value.ndim == 1:
        # Around what the model begins with: some multiply by a norm's weight, some by one more.
        noise = random.uniform(-0.1, 0.1, shape)
        return (np.array(value.astype(mx.float32)) + noise).astype(np.float32)
    if 'embed' in name and 'embed_q' not in name:
        # Rows are looked up, not summed: their scale has nothing to do with their length. Larger
        # ones would make a model whose output is its embedding say the last token again.
        return (random.standard_normal(shape) * 0.1).astype(np.float32)
    gain = next((each for part, each in _gains if part in name), 1.0)
    inputs = shape[1] if 'conv' in name and value.ndim == 3 else shape[-1]
    drawn = random.standard_normal(shape) * gain / math.sqrt(inputs)
    return drawn.astype(np.float32)
