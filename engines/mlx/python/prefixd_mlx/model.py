"""One loaded model: mlx-lm's, with what the service must know of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import mlx.core as mx
import numpy as np
from mlx_lm.models.cache import KVCache, make_prompt_cache
from mlx_lm.utils import get_total_parameters

from prefixd_mlx.caches import CacheLayout, SequenceCache, probe_layout
from prefixd_mlx.errors import compute_error
from prefixd_mlx.fingerprint import computing_words, fingerprint_of
from prefixd_mlx.grammar import GrammarVocabulary, HeldTokens
from prefixd_mlx.limits import CLEAR_EVERY_TOKENS, KEPT_BYTES
from prefixd_mlx.loading import load_folder, weights_of
from prefixd_mlx.settings import WorkerOptions
from prefixd_mlx.template import ChatTemplate
from prefixd_mlx.tokens import Vocabulary
from prefixd_mlx.trained_length import trained_length

# Where neither the settings nor the model's files name a length.
_CONTEXT_TOKENS = 4096


class Model:
    """Computes one call at a time; only the thread that made it may use it."""

    def __init__(self, options: WorkerOptions, progress: Callable[[float], None]) -> None:
        self._options = options
        progress(0.0)
        self._loaded = load_folder(options)
        self.network = self._loaded.network
        progress(0.9)
        self.layout: CacheLayout = probe_layout(self.network, self._make_cache)
        tokenizer = self._loaded.tokenizer
        ends = [int(token) for token in tokenizer.eos_token_ids]
        self.vocabulary = Vocabulary(tokenizer._tokenizer, ends, self._count_logits())
        self.template = ChatTemplate(tokenizer)
        self._trained_tokens = trained_length(self._loaded.config)
        self.context_tokens = self._choose_context(options.context_tokens)
        self._grammars: GrammarVocabulary | None = None
        keep_freed_memory(self.layout.kv_bytes_per_token * self.context_tokens)

    def open_sequence(self) -> SequenceCache:
        return SequenceCache(self.layout, self._make_cache)

    def hold(self, grammar: str) -> HeldTokens:
        """Raises PREFIXD_E_ENGINE_GRAMMAR."""
        if self._grammars is None:
            words = self.vocabulary
            self._grammars = GrammarVocabulary(
                words.pieces, words.ends, lambda text: words.tokenize(text, False, True)
            )
        return HeldTokens(grammar, self._grammars)

    def compute(
        self, sequence: SequenceCache, tokens: Sequence[int], want_logits: bool
    ) -> mx.array | None:
        """Computes `tokens` behind what stands there, in one call; logits of the last one."""
        caches = sequence.caches
        output = self.network(mx.array([list(tokens)]), cache=caches)
        states = [cache.state for cache in caches]
        # Without logits nobody asks for the last layer's, and MLX does not compute them.
        logits = last_logits(output)[0] if want_logits else None
        mx.eval(states if logits is None else [logits, states])
        sequence.advanced(len(tokens))
        # Growing caches leave buffers behind that nothing of a later size can use again.
        if len(tokens) > 1 or sequence.token_count % CLEAR_EVERY_TOKENS == 0:
            mx.clear_cache()
        return None if logits is None else check_numbers(logits)

    def info(self) -> dict[str, Any]:
        layout = self.layout
        return {
            'fingerprint': fingerprint_of(self._loaded, self._options.engine, layout),
            'layout': {
                'kinds': list(layout.kinds),
                'sliceable': layout.kinds == ('kv',),
                'refusal': layout.refusal,
                'kvBytesPerToken': layout.kv_bytes_per_token,
                # Rows have nothing in front of them.
                'kvFixedBytes': 0,
                'rowBytesPerToken': layout.kv_bytes_per_token,
                'boundaryBytes': layout.boundary_bytes,
            },
            'contextTokens': self.context_tokens,
            'trainedContextTokens': self._trained_tokens or 0,
            'vocabularySize': self.vocabulary.size,
            'parameterCount': int(get_total_parameters(self.network)),
            'weightsBytes': sum(weight.nbytes for weight in weights_of(self.network)),
            'generates': True,
            'embedding': None,
            'sequences': self._options.sequences,
            'hasChatTemplate': self.template.exists,
            'chatTemplate': self.template.source,
            'gap': self.vocabulary.gap,
            'endTokens': self.vocabulary.ends,
            'device': computing_words(self._loaded.blas),
        }

    def _make_cache(self) -> list[Any]:
        settings = self._options.engine
        caches: list[Any] = make_prompt_cache(self.network)
        if settings.kv_bits is None:
            return caches
        return [
            cache.to_quantized(group_size=settings.kv_group_size, bits=settings.kv_bits)
            if type(cache) is KVCache
            else cache
            for cache in caches
        ]

    def _count_logits(self) -> int:
        """Padded vocabularies have more than their tokenizer, and `config.json` may say either."""
        output = self.network(mx.array([[0]]), cache=self._make_cache())
        return int(last_logits(output).shape[-1])

    def _choose_context(self, asked: int) -> int:
        """Behind what it was trained for a model writes nonsense, and says nothing of it."""
        trained = self._trained_tokens
        if trained is None:
            return asked or _CONTEXT_TOKENS
        return min(asked, trained) if asked > 0 else trained


def keep_freed_memory(sequence_bytes: int) -> None:
    """What one sequence gives back, the next one takes: page faults are half of a restore. On a CPU
    mlx keeps 33 MB; where it keeps more by itself, that stays."""
    wanted = min(sequence_bytes, KEPT_BYTES)
    usual = mx.set_cache_limit(wanted)
    if usual > wanted:
        mx.set_cache_limit(usual)


def last_logits(output: mx.array) -> mx.array:
    """One row for each request of the batch, in the type that is sampled in."""
    return output[:, -1, :].astype(mx.float32)


def check_numbers(logits: mx.array) -> mx.array:
    """A NaN anywhere in the attended rows goes through the last norm into every logit."""
    row = np.array(logits, copy=False)
    if np.isnan(row[[0, row.size // 2, -1]]).any():
        raise compute_error(
            'The engine computed logits that are not numbers. The sequence was cleared.'
        )
    return logits
