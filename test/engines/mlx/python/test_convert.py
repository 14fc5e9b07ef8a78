"""GGUF files become folders that mlx-lm loads, without a number changed, or are refused by name."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import mlx.core as mx
import numpy as np
import pytest
from gguf_files import Gguf, llama, noise
from mlx_lm.utils import load, load_model
from prefixd_mlx.convert import weights
from prefixd_mlx.convert.__main__ import convert
from prefixd_mlx.convert.errors import ConvertError
from prefixd_mlx.convert.rope import rope_scaling
from prefixd_mlx.convert.tensor_types import dense, packed, tensor_type
from tokenizers import Tokenizer

QUANTISED = [('Q4_0', 2), ('Q4_1', 3), ('Q8_0', 8)]


def converted(gguf: Gguf, folder: Path, dtype: Any = 'stored') -> Path:
    made = folder / 'made'
    made.mkdir()
    convert(gguf.write(folder / 'model.gguf'), made, dtype, lambda _: None)
    return made


def arrays_in(path: Path) -> dict[str, mx.array]:
    arrays: Any = mx.load(str(path), format=path.suffix[1:])
    found: dict[str, mx.array] = arrays
    return found


def logits_of(folder: Path) -> mx.array:
    model, _ = load_model(folder)
    model.set_dtype(mx.float32)
    logits: mx.array = model(mx.array([[1, 5, 9, 27, 30, 2]]))
    return logits


def refusal(gguf: Gguf, folder: Path) -> ConvertError:
    with pytest.raises(ConvertError) as caught:
        converted(gguf, folder)
    assert caught.value.next_step
    return caught.value


@pytest.mark.parametrize(('kind', 'number'), QUANTISED)
def test_quantised_rows_mean_what_they_meant(kind: str, number: int) -> None:
    data = np.frombuffer(noise((8, 128), kind, 3), np.uint8)
    type_ = tensor_type('x', number)
    groups = packed(data, (8, 128), type_)
    scales, biases = (
        mx.array(halves).astype(mx.float32) for halves in (groups.scales, groups.biases)
    )
    ours = mx.dequantize(mx.array(groups.weight), scales, biases, group_size=32, bits=type_.bits)
    np.testing.assert_allclose(np.array(ours), dense(data, (8, 128), type_), rtol=0, atol=2e-7)


@pytest.mark.parametrize('kind', [kind for kind, _ in QUANTISED])
def test_quantised_rows_are_those_that_mlx_reads_itself(tmp_path: Path, kind: str) -> None:
    gguf = llama('qwen3', kind)
    made = arrays_in(converted(gguf, tmp_path) / 'model.safetensors')
    theirs = arrays_in(tmp_path / 'model.gguf')
    for part in ('weight', 'scales', 'biases'):
        mine = made[f'model.layers.1.mlp.down_proj.{part}']
        assert mx.array_equal(mine, theirs[f'blk.1.ffn_down.{part}']).item(), part


def test_rows_of_six_bits_are_those_that_mlx_reads_itself(tmp_path: Path) -> None:
    gguf = Gguf()
    gguf.metadata['general.architecture'] = 'llama'
    gguf.add('x', (4, 512), 'Q6_K', 5)
    theirs = arrays_in(gguf.write(tmp_path / 'x.gguf'))['x']
    data = np.frombuffer(gguf.tensors['x'][2], np.uint8)
    ours = dense(data, (4, 512), tensor_type('x', 14))
    assert np.abs(ours).max() > 1
    read: Any = np.array(theirs.astype(mx.float32))
    np.testing.assert_allclose(ours, read, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize('kind', ['F32', 'F16', 'BF16', 'Q4_0', 'Q4_1', 'Q8_0'])
def test_stored_and_float32_compute_the_same(tmp_path: Path, kind: str) -> None:
    folders = [tmp_path / dtype for dtype in ('stored', 'float32')]
    made = []
    for folder in folders:
        folder.mkdir()
        gguf = llama('llama', kind)
        # Norms are float32 in GGUF; these are numbers that each type holds.
        for name, (shape, type_name, _) in gguf.tensors.items():
            if len(shape) == 1:
                gguf.tensors[name] = (shape, type_name, np.full(shape, 1.5, np.float32).tobytes())
        made.append(logits_of(converted(gguf, folder, folder.name)))
    assert np.abs(np.array(made[1])).max() > 0.1
    assert mx.allclose(made[0], made[1], rtol=1e-4, atol=1e-4).item()


def test_float16_is_asked_for_and_refused_where_a_number_is_too_large(tmp_path: Path) -> None:
    config = converted(llama(), tmp_path, 'float16')
    made = arrays_in(config / 'model.safetensors')
    assert {str(array.dtype) for array in made.values()} == {'mlx.core.float16'}
    gguf = llama()
    data = np.full((64,), 1e6, np.float32).tobytes()
    gguf.tensors['output_norm.weight'] = ((64,), 'F32', data)
    with pytest.raises(ConvertError, match='float16 cannot hold'):
        convert(gguf.write(tmp_path / 'large.gguf'), config, 'float16', lambda _: None)


def test_parts_in_several_types_keep_their_own(tmp_path: Path) -> None:
    gguf = llama(kind='Q4_0')
    gguf.add('token_embd.weight', (40, 64), 'Q8_0')
    gguf.add('output.weight', (40, 64), 'F16')
    folder = converted(gguf, tmp_path)
    config = json.loads((folder / 'config.json').read_text())
    assert config['quantization'] == {
        'group_size': 32,
        'bits': 4,
        'model.embed_tokens': {'group_size': 32, 'bits': 8},
    }
    assert config['tie_word_embeddings'] is False
    assert logits_of(folder).shape == (1, 6, 40)


def test_rows_of_heads_are_put_in_order_for_llama_only(tmp_path: Path) -> None:
    """GGUF has pairs of a head side by side: rows 0, 8, 1, 9 … of 16."""
    for name in ('llama', 'qwen2'):
        (tmp_path / name).mkdir()
        gguf = llama(name)
        rows = np.arange(64, dtype=np.float32)[:, None] * np.ones((1, 64), np.float32)
        gguf.tensors['blk.0.attn_q.weight'] = ((64, 64), 'F32', rows.tobytes())
        made = arrays_in(converted(gguf, tmp_path / name) / 'model.safetensors')
        first = np.array(made['model.layers.0.self_attn.q_proj.weight'])[:16, 0]
        paired = [*range(0, 16, 2), *range(1, 16, 2)]
        assert first.tolist() == (paired if name == 'llama' else list(range(16)))


def test_large_models_are_written_in_shards(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / 'whole').mkdir()
    whole = logits_of(converted(llama(), tmp_path / 'whole'))
    monkeypatch.setattr(weights, '_SHARD_BYTES', 60_000)
    folder = converted(llama(), tmp_path)
    shards = sorted(path.name for path in folder.glob('*.safetensors'))
    assert len(shards) > 2
    assert shards[0] == f'model-00001-of-{len(shards):05}.safetensors'
    listing = json.loads((folder / 'model.safetensors.index.json').read_text())
    assert sorted(set(listing['weight_map'].values())) == shards
    assert mx.array_equal(whole, logits_of(folder)).item()


def test_progress_ends_where_the_weights_end(tmp_path: Path) -> None:
    seen: list[int] = []
    gguf = llama()
    (tmp_path / 'made').mkdir()
    convert(gguf.write(tmp_path / 'x.gguf'), tmp_path / 'made', 'stored', seen.append)
    assert seen == sorted(seen)
    assert seen[-1] == sum(len(data) for _, _, data in gguf.tensors.values())


def test_the_tokenizer_is_one_that_transformers_loads(tmp_path: Path) -> None:
    gguf = llama()
    gguf.metadata['tokenizer.ggml.bos_token_id'] = 29
    gguf.metadata['tokenizer.ggml.add_bos_token'] = True
    folder = converted(gguf, tmp_path)
    _, tokenizer = load(str(folder))
    assert tokenizer.chat_template == '{{ messages }}'
    assert tokenizer.eos_token_ids == {29}
    backend = Tokenizer.from_file(str(folder / 'tokenizer.json'))
    assert backend.encode('the a', add_special_tokens=True).ids == [29, 27, 5, 28]
    # The token of control is text unless it is asked for; the one of the user never is.
    assert backend.encode('<end>', add_special_tokens=False).ids == [29]
    backend.encode_special_tokens = True
    assert backend.encode('<end><tool>', add_special_tokens=False).ids == [5, 14, 4, 30]


@pytest.mark.parametrize(
    ('key', 'value', 'words'),
    [
        ('general.architecture', 'mamba', 'architecture mamba'),
        ('llama.expert_count', 8, 'llama.expert_count is 8'),
        ('llama.attention.value_length', 32, 'values 32'),
        ('llama.rope.dimension_count', 8, '8 are rotated'),
        ('llama.rope.scaling.type', 'yarn', 'yarn'),
        ('llama.attention.head_count_kv', [2, 1], 'one whole number'),
        ('tokenizer.ggml.model', 'llama', 'tokenizer is llama'),
        ('tokenizer.ggml.pre', 'deepseek-v3', 'deepseek-v3'),
    ],
)
def test_what_is_not_understood_is_refused(
    tmp_path: Path, key: str, value: Any, words: str
) -> None:
    gguf = llama()
    gguf.metadata[key] = value
    error = refusal(gguf, tmp_path)
    assert error.code == 'PREFIXD_E_MODEL_CONVERT'
    assert words in error.message


def test_tensors_that_are_not_known_are_refused(tmp_path: Path) -> None:
    gguf = llama()
    gguf.add('blk.0.ffn_gate_exps.weight', (4, 64))
    assert 'blk.0.ffn_gate_exps.weight' in refusal(gguf, tmp_path).message
    gguf = llama()
    gguf.add('output.weight', (40, 256), 'Q5_K')
    (tmp_path / 'other').mkdir()
    error = refusal(gguf, tmp_path / 'other')
    assert 'GGUF type 13' in error.message
    assert 'Q8_0' in error.next_step


def test_a_part_of_a_model_is_refused(tmp_path: Path) -> None:
    gguf = llama()
    gguf.metadata['split.count'] = 3
    assert 'one of 3 parts' in refusal(gguf, tmp_path).message
    gguf = llama()
    del gguf.tensors['blk.1.ffn_up.weight']
    (tmp_path / 'other').mkdir()
    error = refusal(gguf, tmp_path / 'other')
    assert error.code == 'PREFIXD_E_MODEL_FILE'
    assert 'lacks blk.1.ffn_up.weight' in error.message


def test_files_that_are_cut_are_refused_as_broken(tmp_path: Path) -> None:
    whole = llama().write(tmp_path / 'whole.gguf').read_bytes()
    for size in (3, 10, 500, len(whole) - 100):
        cut = tmp_path / 'cut.gguf'
        cut.write_bytes(whole[:size])
        with pytest.raises(ConvertError) as caught:
            convert(cut, tmp_path, 'stored', lambda _: None)
        assert caught.value.code == 'PREFIXD_E_MODEL_FILE'


def test_stretched_rotations_are_found_again() -> None:
    def factors(stretch: float) -> Any:
        frequencies = 500_000.0 ** -(np.arange(0, 64, 2) / 64)
        waves = 2 * np.pi / frequencies
        smooth = (8192 / waves - 1) / 3
        between = 1 / ((1 - smooth) / stretch + smooth)
        return np.where(waves > 8192, stretch, np.where(waves < 2048, 1.0, between)).astype('f4')

    metadata = {'llama.rope.freq_base': 500_000.0}
    for stretch in (8.0, 32.0):
        scaling = rope_scaling(metadata, 'llama', 64, factors(stretch))
        assert scaling is not None
        assert (scaling['rope_type'], scaling['factor']) == ('llama3', stretch)
    with pytest.raises(ConvertError):
        rope_scaling(metadata, 'llama', 64, factors(5.0))
    linear = {'llama.rope.scaling.type': 'linear', 'llama.rope.scaling.factor': 4.0}
    assert rope_scaling(linear, 'llama', 64, None) == {
        'rope_type': 'linear',
        'type': 'linear',
        'factor': 4.0,
    }
    assert rope_scaling({}, 'llama', 64, None) is None
