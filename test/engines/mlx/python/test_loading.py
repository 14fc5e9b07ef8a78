"""Models as they are loaded: the type of numbers, adapters, and what the namespace hears of it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import mlx.core as mx
import numpy as np
import pytest
from mlx.utils import tree_flatten
from mlx_families.folder import write_family
from mlx_lm.tuner.utils import linear_to_lora_layers
from mlx_lm.utils import load_model, quantize_model
from prefixd_mlx.fingerprint import computing_words, device_words
from prefixd_mlx.limits import KEPT_BYTES
from prefixd_mlx.loading import load_folder
from prefixd_mlx.model import Model, keep_freed_memory
from prefixd_mlx.settings import WorkerOptions, read_options

prompt = [5, 6, 7, 8, 9]


def options_for(folder: Path, **engine: Any) -> WorkerOptions:
    return read_options({
        'modelPath': str(folder), 'contextTokens': 0, 'sequences': 1, 'threads': 1,
        'blockTokens': 32, 'reuse': 'token', 'engine': engine,
    })  # fmt: skip


def loaded(folder: Path, **engine: Any) -> Model:
    return Model(options_for(folder, **engine), lambda fraction: None)


def logits_of(model: Model) -> np.ndarray[Any, np.dtype[np.float32]]:
    logits = model.compute(model.open_sequence(), prompt, True)
    assert logits is not None
    return np.array(logits)


def settings_of(model: Model) -> dict[str, str]:
    settings: dict[str, str] = model.info()['fingerprint']['settings']
    return settings


@pytest.fixture(scope='module')
def quantised(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """4 bits in groups of 64, scales in bfloat16."""
    folder = tmp_path_factory.mktemp('quantised')
    write_family('llama', 'bfloat16', folder)
    network, config = load_model(folder)
    network, config = quantize_model(network, config, group_size=64, bits=4)
    weights = dict(tree_flatten(network.parameters()))
    mx.save_safetensors(str(folder / 'model.safetensors'), weights, {'format': 'mlx'})
    (folder / 'config.json').write_text(json.dumps(config))
    return folder


@pytest.fixture(scope='module')
def adapter(quantised: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp('adapter')
    network, _ = load_model(quantised)
    lora = {'rank': 4, 'scale': 10.0, 'dropout': 0.0}
    linear_to_lora_layers(network, 3, lora)
    flat: Any = tree_flatten(network.parameters())
    added = {
        name: mx.random.normal(weight.shape, key=mx.random.key(at))
        for at, (name, weight) in enumerate(flat)
        if 'lora_' in name
    }
    mx.save_safetensors(str(folder / 'adapters.safetensors'), added)
    config = {'fine_tune_type': 'lora', 'num_layers': 3, 'lora_parameters': lora}
    (folder / 'adapter_config.json').write_text(json.dumps(config))
    return folder


def test_float32_weights_are_those_of_the_file_to_the_last_bit(quantised: Path) -> None:
    """Products in the type of the scales would have eight bits here."""
    stored: Any = mx.load(str(quantised / 'model.safetensors'))
    name = 'model.layers.0.mlp.up_proj'
    scales, biases = (stored[f'{name}.{part}'].astype(mx.float32) for part in ('scales', 'biases'))
    exact = mx.dequantize(stored[f'{name}.weight'], scales, biases, group_size=64, bits=4)
    weights: Any = tree_flatten(
        load_folder(options_for(quantised, dtype='float32')).network.parameters()
    )
    assert mx.array_equal(dict(weights)[f'{name}.weight'], exact).item()


def test_weights_are_computed_as_they_are_stored_unless_something_else_is_wanted(
    quantised: Path,
) -> None:
    stored = settings_of(loaded(quantised))
    assert stored['dtype'] == 'bfloat16'
    assert stored['quantisation'] == 'affine, 4 bits, groups of 64'
    assert stored['adapter'] == 'none'
    assert stored['blas'] == "mlx's own"


def test_float32_computes_the_same_model_without_its_quantised_arrays(quantised: Path) -> None:
    model = loaded(quantised, dtype='float32')
    stored = loaded(quantised)
    assert settings_of(model)['dtype'] == 'float32'
    assert settings_of(model)['quantisation'] == 'affine, 4 bits, groups of 64'
    assert model.info()['weightsBytes'] > 4 * stored.info()['weightsBytes']
    assert model.info()['layout']['kvBytesPerToken'] == 2 * stored.layout.kv_bytes_per_token
    exact, rounded = logits_of(model), logits_of(stored)
    assert not np.array_equal(exact, rounded)
    assert np.corrcoef(exact, rounded)[0, 1] > 0.99


def test_an_adapter_changes_logits_and_namespace(quantised: Path, adapter: Path) -> None:
    plain, adapted = loaded(quantised), loaded(quantised, adapter=str(adapter))
    assert np.abs(logits_of(plain) - logits_of(adapted)).max() > 0.1
    digest = settings_of(adapted)['adapter']
    assert len(digest) == 64
    whole = loaded(quantised, adapter=str(adapter), dtype='float32')
    assert settings_of(whole)['adapter'] == digest
    assert np.corrcoef(logits_of(whole), logits_of(adapted))[0, 1] > 0.99
    assert np.corrcoef(logits_of(whole), logits_of(plain))[0, 1] < 0.9


def test_quantised_rows_are_a_type_of_their_own(quantised: Path) -> None:
    plain, rows = loaded(quantised), loaded(quantised, kvBits=8)
    assert plain.info()['fingerprint']['kvTypes'] == 'bfloat16'
    assert rows.info()['fingerprint']['kvTypes'] == 'q8 g64'
    assert rows.layout.kv_bytes_per_token < plain.layout.kv_bytes_per_token


def test_a_context_that_nobody_asks_for_is_the_one_of_the_training(quantised: Path) -> None:
    assert loaded(quantised).info()['contextTokens'] == 8192


def test_the_limit_of_kept_memory_is_raised_and_never_lowered() -> None:
    usual = mx.set_cache_limit(1 << 20)
    try:
        keep_freed_memory(1 << 24)
        keep_freed_memory(1 << 22)
        assert mx.set_cache_limit(0) == 1 << 24
        keep_freed_memory(1 << 40)
        assert mx.set_cache_limit(0) == KEPT_BYTES
    finally:
        mx.set_cache_limit(usual)


def test_people_hear_of_the_threads_of_a_blas_that_stands_in_front() -> None:
    assert computing_words('OpenBLAS 0.3.33 Haswell, 2 threads') == f'{device_words()}, 2 threads'
    assert computing_words(None) == device_words()
