"""Writes a family's model, as mlx-lm loads it."""

from __future__ import annotations

import json
from pathlib import Path

import mlx.core as mx
from mlx_lm.utils import _get_classes

from mlx_families.configs import family_config, family_names
from mlx_families.vocabulary import end_token, vocabulary_size, write_tokenizer
from mlx_families.weights import noise_weights

dtypes = {'float32': mx.float32, 'bfloat16': mx.bfloat16}


def write_family(name: str, dtype: str, folder: Path) -> None:
    """Some MB: config.json, model.safetensors, and the tokenizer with its template."""
    config = family_config(name, vocabulary_size(), end_token())
    model_class, settings_class = _get_classes(config)
    model = model_class(settings_class.from_dict(config))
    drawn = noise_weights(model, seed=1 + family_names.index(name))
    typed = {key: value.astype(dtypes[dtype]) for key, value in drawn.items()}
    folder.mkdir(parents=True, exist_ok=True)
    mx.save_safetensors(str(folder / 'model.safetensors'), typed, {'format': 'mlx'})
    config_text = json.dumps({**config, 'torch_dtype': dtype}, indent=1)
    (folder / 'config.json').write_text(config_text, encoding='utf-8')
    write_tokenizer(folder)
