"""What a model's caches need is read from them; what is not known exactly is not stored."""

from __future__ import annotations

from typing import Any

import mlx.core as mx
import pytest
from family_runs import FamilyCase, case_with, family_case, noise_tokens
from mlx_lm.models.cache import ArraysCache, CacheList, ConcatenateKVCache, KVCache
from mlx_lm.models.deepseek_v41 import LayerCache
from prefixd_mlx.caches import CacheFault, probe_layout

kinds = {
    'llama': ('kv',),
    'llama-8-bit-rows': ('kv',),
    'llama-4-bit-rows': ('kv',),
    'llama-keeping-window': ('kv', 'window'),
    'gemma3': ('kv', 'window'),
    'gpt-oss': ('kv', 'window'),
    'qwen35': ('kv', 'state'),
    'qwen3-next': ('kv', 'state'),
    'mamba2': ('kv', 'state'),
    'llama4': ('kv', 'window'),
    'deepseek-v32': ('kv',),
    'lfm2': ('kv', 'state'),
    'recurrent-gemma': ('kv', 'window', 'state'),
    'falcon-h1': ('kv', 'state'),
}
# mlx-lm's batch has no such class, or forgets what it is to keep.
alone = {'llama-8-bit-rows', 'llama-4-bit-rows', 'llama-keeping-window', 'llama4'}


@pytest.mark.parametrize('name', kinds)
def test_a_layout_has_the_kinds_that_its_classes_need(name: str) -> None:
    layout = family_case(name, 'float32').layout
    assert layout.kinds == kinds[name]
    assert layout.refusal is None
    assert layout.batches == (name not in alone)


def test_a_layout_says_what_changes_the_bytes_of_a_record() -> None:
    texts = [
        family_case(name, dtype).layout.description
        for name, dtype in (
            ('llama', 'float32'),
            ('llama', 'bfloat16'),
            ('llama-8-bit-rows', 'float32'),
            ('llama-4-bit-rows', 'float32'),
            ('llama-keeping-window', 'float32'),
            ('gemma3', 'float32'),
        )
    ]
    assert len(set(texts)) == len(texts)
    assert texts[0] == '3 KVCache (1x64 float32, 1x64 float32)'


class OwnCache(KVCache):  # type: ignore[misc]
    """Derived from a class that is known: it may do anything."""


class FakeModel:
    """Calls the caches as a model does, with what a test gives it."""

    def __init__(self, touch: Any) -> None:
        self.touch = touch

    def __call__(self, tokens: mx.array, cache: list[Any]) -> mx.array:
        for each in cache:
            self.touch(each, tokens.shape[1])
        return mx.zeros((1, tokens.shape[1], 8))


def add_rows(cache: Any, count: int, dtype: mx.Dtype = mx.float32) -> None:
    rows = mx.ones((1, 2, count, 4), dtype=dtype)
    cache.update_and_fetch(rows, rows)


def add_window(cache: Any, count: int) -> None:
    cache.update_window(mx.ones((1, count, 4)))


def grow(cache: Any, count: int) -> None:
    held = 0 if cache[0] is None else cache[0].shape[1]
    cache[0] = mx.zeros((1, held + count))


@pytest.mark.parametrize(
    ('make', 'touch', 'reason'),
    [
        (ConcatenateKVCache, add_rows, 'the cache class ConcatenateKVCache of mlx-lm'),
        (lambda: LayerCache(8), add_window, 'the cache class LayerCache of mlx-lm'),
        (OwnCache, add_rows, 'the cache class OwnCache of mlx-lm'),
        (lambda: ArraysCache(1), grow, 'shapes change with the number of tokens'),
    ],
)
def test_what_is_not_known_is_refused_by_name(make: Any, touch: Any, reason: str) -> None:
    layout = probe_layout(FakeModel(touch), lambda: [make()])
    assert layout.kinds == ()
    assert layout.refusal is not None
    assert reason in layout.refusal


def test_numbers_of_a_type_that_is_not_stored_are_refused_by_name() -> None:
    model = FakeModel(lambda cache, count: add_rows(cache, count, mx.complex64))
    assert 'complex64' in (probe_layout(model, lambda: [KVCache()]).refusal or '')


def test_a_model_that_is_not_stored_is_served_all_the_same() -> None:
    model = FakeModel(add_rows)
    case = FamilyCase(model, lambda: [OwnCache()], probe_layout(model, lambda: [OwnCache()]))
    sequence = case.sequence()
    case.prefill(sequence, noise_tokens(20, seed=1))
    assert sequence.token_count == 20
    assert sequence.is_complete()
    with pytest.raises(CacheFault, match='served without cache'):
        sequence.record_bytes('kv', 0, 16)
    with pytest.raises(CacheFault, match='cannot be cut'):
        sequence.trim(3)
    sequence.trim(0)
    assert sequence.caches[0].offset == 0


def test_a_cache_that_the_model_does_not_use_stays_as_it_is() -> None:
    def first_only(cache: Any, count: int) -> None:
        add_rows(cache[0], count)

    case = case_with(FakeModel(first_only), lambda: [CacheList(KVCache(), KVCache())])
    assert case.layout.kinds == ('kv',)
    assert not case.layout.batches
    sequence = case.sequence()
    case.prefill(sequence, noise_tokens(20, seed=1))
    record = case.export(sequence, 0)[0]
    restored = case.sequence()
    restored.import_record('kv', 0, 20, 20, memoryview(record.data))
    used, unused = restored.caches[0].caches
    assert used.offset == 20
    assert unused.empty()


@pytest.mark.parametrize('name', ['gemma3', 'llama4', 'qwen35', 'recurrent-gemma', 'llama'])
def test_a_layout_says_how_much_a_boundary_takes_with_a_full_window(name: str) -> None:
    case = family_case(name, 'float32')
    sequence = case.sequence()
    tokens = noise_tokens(160, seed=3)
    case.prefill(sequence, tokens, [])
    boundary = [kind for kind in case.layout.kinds if kind != 'kv']
    stored = sum(sequence.record_bytes(kind, 0, sequence.token_count) for kind in boundary)
    header_bytes = 8192 * len(boundary)
    assert case.layout.boundary_bytes <= stored <= case.layout.boundary_bytes + header_bytes
