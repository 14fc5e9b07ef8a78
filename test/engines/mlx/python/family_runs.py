"""Runs of a family's model that are saved on the grid and restored there."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import mlx.core as mx
import numpy as np
from mlx_families.folder import write_family
from mlx_families.vocabulary import vocabulary_size
from mlx_lm.models.cache import QuantizedKVCache, RotatingKVCache, make_prompt_cache
from mlx_lm.utils import load_model
from prefixd_mlx.caches import CacheLayout, Kind, SequenceCache, probe_layout

block_tokens = 16
keep_tokens = 4

# Families, and caches that a model gets by a setting.
case_names = (
    'llama',
    'llama-8-bit-rows',
    'llama-4-bit-rows',
    'llama-keeping-window',
    'gemma3',
    'gpt-oss',
    'qwen35',
    'qwen3-next',
    'mamba2',
    'llama4',
    'deepseek-v32',
    'lfm2',
    'recurrent-gemma',
    'falcon-h1',
)


# Every class once more: mlx computes experts in float32 only, on CPUs.
_in_bfloat16 = ('llama', 'llama-8-bit-rows', 'gemma3', 'qwen35', 'mamba2', 'lfm2')

cases_with_types = [(name, 'float32') for name in case_names] + [
    (name, 'bfloat16') for name in _in_bfloat16
]


@dataclass(frozen=True)
class SavedRecord:
    kind: Kind
    start: int
    stop: int
    data: bytes


@dataclass(frozen=True)
class FamilyCase:
    """A loaded model, and the caches that it runs with."""

    model: Any
    make_cache: Callable[[], list[Any]]
    layout: CacheLayout

    def sequence(self) -> SequenceCache:
        return SequenceCache(self.layout, self.make_cache)

    def compute(self, sequence: SequenceCache, tokens: Sequence[int]) -> mx.array:
        """One call; the logits of its last token."""
        logits: mx.array = self.model(mx.array([list(tokens)]), cache=sequence.caches)[0, -1]
        mx.eval(logits, [cache.state for cache in sequence.caches])
        sequence.advanced(len(tokens))
        return logits

    def prefill(
        self,
        sequence: SequenceCache,
        tokens: Sequence[int],
        save: list[SavedRecord] | None = None,
    ) -> mx.array:
        """Computes what is missing, in calls that end on the grid; saves every block."""
        logits = mx.array(0.0)
        while sequence.token_count < len(tokens):
            start = sequence.token_count
            stop = min(start - start % block_tokens + block_tokens, len(tokens))
            logits = self.compute(sequence, tokens[start:stop])
            if save is not None and stop % block_tokens == 0:
                save.extend(self.export(sequence, stop - block_tokens))
        return logits

    def answer(
        self,
        sequence: SequenceCache,
        tokens: Sequence[int],
        save: list[SavedRecord] | None = None,
        decode_tokens: int = 16,
    ) -> list[mx.array]:
        """The logits behind the prompt, and of the greedy tokens behind it."""
        logits = [self.prefill(sequence, tokens, save)]
        for _ in range(decode_tokens):
            logits.append(self.compute(sequence, [likeliest(logits[-1])]))
        return logits

    def export(self, sequence: SequenceCache, start: int) -> list[SavedRecord]:
        """Every kind, of what begins at `start` and ends with the sequence."""
        return [
            export_one(sequence, kind, start, sequence.token_count) for kind in self.layout.kinds
        ]


def likeliest(logits: mx.array) -> int:
    return int(np.argmax(np.array(logits.astype(mx.float32))))


def export_one(sequence: SequenceCache, kind: Kind, start: int, stop: int) -> SavedRecord:
    data = bytearray(sequence.record_bytes(kind, start, stop))
    # What is not written would differ from one record to the next.
    data[:] = b'\xff' * len(data)
    sequence.export_record(kind, start, stop, memoryview(data))
    return SavedRecord(kind, start, stop, bytes(data))


def import_one(sequence: SequenceCache, record: SavedRecord, keep_to: int | None = None) -> None:
    kept = record.stop if keep_to is None else keep_to
    data = memoryview(record.data)
    sequence.import_record(record.kind, record.start, record.stop, kept, data)


def restore(sequence: SequenceCache, records: Sequence[SavedRecord], cut: int) -> None:
    """All that a restore to `cut` needs, of those that were saved: rows first."""
    for record in records:
        if record.kind == 'kv' and record.stop <= cut:
            import_one(sequence, record)
    for record in records:
        if record.kind != 'kv' and record.stop == cut:
            import_one(sequence, record)


def noise_tokens(count: int, seed: int) -> list[int]:
    drawn = np.random.default_rng(seed).integers(0, vocabulary_size(), count)
    return [int(token) for token in drawn]


@cache
def family_case(name: str, dtype: str) -> FamilyCase:
    family = 'llama' if name.startswith('llama-') else name
    with tempfile.TemporaryDirectory() as folder:
        write_family(family, dtype, Path(folder))
        model, _ = load_model(Path(folder))
    return case_with(model, _cache_maker(name, model))


def case_with(model: Any, make_cache: Callable[[], list[Any]]) -> FamilyCase:
    return FamilyCase(model, make_cache, probe_layout(model, make_cache))


def _cache_maker(name: str, model: Any) -> Callable[[], list[Any]]:
    layers = len(model.layers)
    if name == 'llama-8-bit-rows':
        return lambda: [QuantizedKVCache(group_size=64, bits=8) for _ in range(layers)]
    if name == 'llama-4-bit-rows':
        return lambda: [QuantizedKVCache(group_size=32, bits=4) for _ in range(layers)]
    if name == 'llama-keeping-window':
        return lambda: [RotatingKVCache(max_size=100, keep=keep_tokens) for _ in range(layers)]
    return lambda: make_prompt_cache(model)
