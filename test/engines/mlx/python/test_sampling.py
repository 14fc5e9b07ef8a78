"""Samplers: what a request asks of its tokens, and the same seed for the same answer."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import replace

import mlx.core as mx
import numpy as np
import pytest
from prefixd_mlx.errors import EngineError
from prefixd_mlx.grammar import GrammarVocabulary, HeldTokens
from prefixd_mlx.logprobs import logprobs_of
from prefixd_mlx.messages import Sampling, TokenBias
from prefixd_mlx.sampling import Sampler

greedy = Sampling(0, 1, 0, 0, 1, 0, 0, 1)
hot = replace(greedy, temperature=1.0)


def sampler(
    sampling: Sampling,
    prompt: Sequence[int] = (),
    biases: Sequence[TokenBias] = (),
    held: HeldTokens | None = None,
) -> Sampler:
    return Sampler(prompt, sampling, biases, held)


def noise(size: int = 50, seed: int = 3) -> mx.array:
    return mx.array(np.random.default_rng(seed).normal(size=size).astype(np.float32))


def drawn(sampling: Sampling, logits: mx.array, count: int = 200) -> list[int]:
    one = sampler(sampling)
    return [one.sample(logits) for _ in range(count)]


def test_greedy_takes_the_largest_and_the_first_of_equals() -> None:
    assert sampler(greedy).sample(mx.array([1.0, 3.0, 2.0, 3.0])) == 1


def test_draws_as_often_as_the_softmax_says() -> None:
    logits = mx.array([0.0, 1.0, 2.0])
    counts = np.bincount(drawn(hot, logits, 3000), minlength=3) / 3000
    wanted = np.exp([0, 1, 2]) / np.exp([0, 1, 2]).sum()
    assert np.abs(counts - wanted).max() < 0.03


def test_the_same_seed_gives_the_same_tokens_whoever_draws_between() -> None:
    logits = noise()
    alone = drawn(hot, logits)
    first, other = sampler(hot), sampler(replace(hot, seed=2))
    mixed = [(first.sample(logits), other.sample(logits)) for _ in alone]
    assert [it for it, _ in mixed] == alone
    assert [it for _, it in mixed] != alone


@pytest.mark.parametrize('seed', [-1, 2**32 + 1, 2**52])
def test_every_seed_that_a_client_can_send_is_one(seed: int) -> None:
    assert len(set(drawn(replace(hot, seed=seed), noise(), 20))) > 1


def test_top_k_top_p_and_min_p_keep_the_likeliest() -> None:
    logits = mx.log(mx.array([0.5, 0.3, 0.15, 0.05]))
    assert set(drawn(replace(hot, top_k=2), logits)) == {0, 1}
    assert set(drawn(replace(hot, top_k=9), logits)) == {0, 1, 2, 3}
    assert set(drawn(replace(hot, top_p=0.75), logits)) == {0, 1}
    assert set(drawn(replace(hot, min_p=0.25), logits)) == {0, 1, 2}
    assert set(drawn(replace(hot, min_p=2.0), logits)) == {0}


def test_biases_of_one_token_add_up() -> None:
    logits = mx.array([1.0, 0.0, 0.0])
    biases = [TokenBias(2, 0.6), TokenBias(2, 0.6), TokenBias(1, 1.1)]
    assert sampler(greedy, biases=biases).sample(logits) == 2


def test_penalties_look_at_the_prompt_and_at_the_answer() -> None:
    logits = mx.array([2.0, 1.5, 1.0, -4.0])
    repeating = replace(greedy, repeat_penalty=3.0)
    one = sampler(repeating, prompt=[0])
    assert [one.sample(logits) for _ in range(2)] == [1, 2]
    present = sampler(replace(greedy, presence_penalty=0.8), prompt=[0, 0])
    assert present.sample(logits) == 1
    frequent = sampler(replace(greedy, frequency_penalty=0.3), prompt=[0, 0])
    assert frequent.sample(logits) == 1


def test_penalties_forget_what_is_64_tokens_back() -> None:
    logits = mx.array([2.0, 1.0, 0.0])
    present = replace(greedy, presence_penalty=5.0)
    assert sampler(present, prompt=[0] + [2] * 63).sample(logits) == 1
    assert sampler(present, prompt=[0] + [2] * 64).sample(logits) == 0


def test_the_logits_that_are_reported_stay_as_they_were() -> None:
    logits = noise()
    before = np.array(logits)
    sampling = replace(greedy, repeat_penalty=2, presence_penalty=1, frequency_penalty=1)
    sampler(sampling, prompt=[1, 2, 3], biases=[TokenBias(1, 5)]).sample(logits)
    assert np.array_equal(np.array(logits), before)


def test_a_grammar_chooses_again_only_where_it_refuses() -> None:
    pieces = [bytes([byte]) for byte in range(128)]
    vocabulary = GrammarVocabulary(pieces, [0], lambda text: list(text.encode()))
    logits = mx.zeros(128)
    logits[ord('z')] = 3.0
    logits[ord('b')] = 2.0
    held = sampler(greedy, held=HeldTokens('root ::= [a-c] [x-z]', vocabulary))
    assert [held.sample(logits) for _ in range(3)] == [ord('b'), ord('z'), 0]


def test_a_grammar_that_no_token_can_follow_is_an_error() -> None:
    vocabulary = GrammarVocabulary([b'', b'a'], [0], lambda text: [1] * len(text))
    held = sampler(greedy, held=HeldTokens('root ::= "ab"', vocabulary))
    logits = mx.zeros(2)
    assert held.sample(logits) == 1
    with pytest.raises(EngineError, match=r'[Nn]o token of this model') as caught:
        held.sample(logits)
    assert caught.value.code == 'PREFIXD_E_ENGINE_GRAMMAR'


def test_logprobs_are_the_log_softmax_with_the_likeliest_first() -> None:
    row = np.array([1.0, 3.0, 3.0, -np.inf, 2.0], dtype=np.float32)
    found = logprobs_of(row, 4, 3, lambda token: b'%d' % token)
    top = found['top']
    assert isinstance(top, list)
    assert [it['token'] for it in top] == [1, 2, 4]
    sums = np.log(np.exp(row.astype(np.float64)).sum())
    assert [it['logprob'] for it in top] == pytest.approx([3 - sums, 3 - sums, 2 - sums])
    assert found['bytes'] == b'4'
    assert found['logprob'] == pytest.approx(2 - sums)
    assert logprobs_of(row, 0, 0, bytes)['top'] == []
    sizes = [len(logprobs_of(row, 0, count, bytes)['top']) for count in (1, 5, 50)]  # type: ignore[arg-type]
    assert sizes == [1, 5, 5]


def test_equal_logits_are_counted_once_each() -> None:
    row = np.zeros(8, dtype=np.float32)
    for count in range(1, 9):
        top = logprobs_of(row, 0, count, lambda token: b'')['top']
        assert isinstance(top, list)
        tokens = [it['token'] for it in top]
        assert tokens == list(range(count))
    assert all(a < b for a, b in itertools.pairwise(tokens))
