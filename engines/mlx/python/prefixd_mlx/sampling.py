"""Picks the next token by mlx-lm's own samplers, with a key for each request.

mlx-lm draws from one state of the process. Here every request has its own, so that the same seed
gives the same answer whatever else is running.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import mlx.core as mx
import numpy as np
from mlx_lm.sample_utils import apply_min_p, apply_top_k, apply_top_p, make_logits_processors
from numpy.typing import NDArray

from prefixd_mlx.gbnf import grammar_error
from prefixd_mlx.grammar import HeldTokens
from prefixd_mlx.limits import PENALTY_WINDOW_TOKENS
from prefixd_mlx.messages import Sampling, TokenBias

Processor = Callable[[mx.array, mx.array], mx.array]


class Sampler:
    """One request's; it has seen the prompt for its penalties."""

    def __init__(
        self,
        prompt: Sequence[int],
        sampling: Sampling,
        biases: Sequence[TokenBias],
        held: HeldTokens | None,
    ) -> None:
        self._sampling = sampling
        self._held = held
        self._key = mx.random.key(sampling.seed % 2**32)
        self._recent = list(prompt[-PENALTY_WINDOW_TOKENS:])
        self._processors = _processors(sampling, biases)

    def sample(self, logits: mx.array) -> int:
        """The next token, which counts as taken; `logits` are float32, one for each token.

        A grammar looks at one token in microseconds, and at a whole vocabulary in milliseconds.
        So the choice is made without it first, and again only where it refuses that token.
        """
        token = self._choose(logits)
        if self._held is not None:
            if not self._held.allows(token):
                token = self._choose(_only(logits, self._held.allowed()))
            self._held.accept(token)
        self._recent = [*self._recent, token][-PENALTY_WINDOW_TOKENS:]
        return token

    def _choose(self, logits: mx.array) -> int:
        row = logits[None]
        if self._processors:
            # They write into what they get.
            row = mx.array(row)
            recent = mx.array(self._recent)
            for process in self._processors:
                row = process(recent, row)
        if self._sampling.temperature <= 0:
            return _number(mx.argmax(row, axis=-1))
        return self._draw(row)

    def _draw(self, row: mx.array) -> int:
        """In the order of llama-server, so that both engines read settings alike."""
        sampling = self._sampling
        logprobs = row - mx.logsumexp(row, axis=-1, keepdims=True)
        if 0 < sampling.top_k < row.shape[-1]:
            logprobs = apply_top_k(logprobs, sampling.top_k)
        if 0 < sampling.top_p < 1:
            logprobs = apply_top_p(logprobs, sampling.top_p)
        if sampling.min_p > 0:
            logprobs = apply_min_p(logprobs, min(sampling.min_p, 1.0))
        self._key, key = mx.random.split(self._key)
        drawn = mx.random.categorical(logprobs * (1 / sampling.temperature), key=key)
        return _number(drawn)


def _number(token: mx.array) -> int:
    number: Any = token.item()
    return int(number)


def _processors(sampling: Sampling, biases: Sequence[TokenBias]) -> list[Processor]:
    repeats = sampling.repeat_penalty
    processors: list[Processor] = make_logits_processors(
        logit_bias=_sum_of(biases),
        repetition_penalty=None if repeats == 1 else repeats,
        repetition_context_size=PENALTY_WINDOW_TOKENS,
        presence_penalty=sampling.presence_penalty,
        presence_context_size=PENALTY_WINDOW_TOKENS,
        frequency_penalty=sampling.frequency_penalty,
        frequency_context_size=PENALTY_WINDOW_TOKENS,
    )
    return processors


def _sum_of(biases: Sequence[TokenBias]) -> dict[int, float]:
    """A token may be named more than once."""
    total: dict[int, float] = {}
    for bias in biases:
        total[bias.token] = total.get(bias.token, 0.0) + bias.bias
    return total


def _only(logits: mx.array, allowed: NDArray[np.bool_]) -> mx.array:
    if not allowed.any():
        raise grammar_error(
            'No token of this model goes on where the answer stands in the grammar. Allow other '
            'characters there, or let the answer end.'
        )
    return mx.where(mx.array(allowed), logits, -mx.inf)
