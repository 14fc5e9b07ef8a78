"""Decoding steps that several requests take together, in mlx-lm's batch."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

import mlx.core as mx
from mlx_lm.generate import GenerationBatch, StopSequences
from mlx_lm.sample_utils import greedy_sampler

from prefixd_mlx.errors import compute_error
from prefixd_mlx.generation import Generation
from prefixd_mlx.limits import CLEAR_EVERY_TOKENS
from prefixd_mlx.model import Model, check_numbers

# More than any answer has: when a request ends is for the request to say.
_NO_LIMIT = 2**31


class Decoder:
    """A request that decodes alone does so in its own sequence. Several are copied into a batch,
    and each comes back out of it when its tokens are stored, and when it ends.
    """

    def __init__(self, model: Model, batches: bool) -> None:
        """`batches` False: everybody alone. A batch sums in another order, so that the last bits
        of its logits are not those of the same request alone.
        """
        self._model = model
        self._batches = batches and model.layout.batches
        self._batch: _Batch | None = None

    def step(self, ready: Sequence[Generation]) -> None:
        """Feeds the newest token of each, and samples the next one."""
        if not self._batches or (len(ready) == 1 and not self._is_batched(ready[0])):
            for generation in ready:
                self._step_alone(generation)
            return
        self._step_together(ready)

    def leave(self, generation: Generation) -> None:
        """It ended, and so has nothing to come back for."""
        if self._batch is not None:
            self._batch.remove(generation)
            self._forget_empty()

    def _is_batched(self, generation: Generation) -> bool:
        return self._batch is not None and generation in self._batch.members

    def _step_alone(self, generation: Generation) -> None:
        started = time.perf_counter()
        try:
            logits = self._model.compute(generation.sequence, [generation.token], True)
            assert logits is not None
        except Exception as error:
            generation.failure = error
            return
        generation.take_logits(logits)
        generation.took_step(started)

    def _step_together(self, ready: Sequence[Generation]) -> None:
        batch = self._batch
        if batch is None:
            batch = self._batch = _Batch(self._model)
        concerned = {*batch.members, *ready}
        try:
            # Who waits for the service must not hold up the others: it comes back later.
            for generation in [it for it in batch.members if it not in ready]:
                generation.settle()
                batch.remove(generation)
            newcomers = [it for it in ready if it not in batch.members]
            started = time.perf_counter()
            batch.step()
            for generation in batch.members:
                generation.took_step(started)
            for generation in newcomers:
                started = time.perf_counter()
                batch.join(generation)
                generation.took_step(started)
        except Exception as error:
            # One exception leaves the whole batch in no defined state.
            self._batch = None
            for generation in concerned:
                generation.settle = lambda: None
                generation.failure = compute_error(
                    f'A decoding step of {len(ready)} requests failed: {error}. Send it again.'
                )
        self._forget_empty()

    def _forget_empty(self) -> None:
        if self._batch is not None and not self._batch.members:
            self._batch = None
            mx.clear_cache()


class _Batch:
    """mlx-lm's GenerationBatch. It feeds the tokens that its samplers gave it, so what a sampler
    is asked is the answer to a step: nothing stands in the caches that was not sent already.
    """

    def __init__(self, model: Model) -> None:
        self._model = model
        self._batch: Any = GenerationBatch.empty(model.network, greedy_sampler)
        self.members: list[Generation] = []
        self._uids = 0
        self._steps = 0

    def step(self) -> None:
        if not self.members:
            return
        self._batch.next()
        self._evaluate(self._batch)
        self._steps += 1
        if self._steps % CLEAR_EVERY_TOKENS == 0:
            mx.clear_cache()

    def join(self, generation: Generation) -> None:
        """Computes its step by itself, and puts it beside the others."""
        caches = [type(cache).merge([cache]) for cache in generation.sequence.caches]
        row = _Row(generation)
        self._uids += 1
        newcomer = GenerationBatch(
            model=self._model.network,
            uids=[self._uids],
            inputs=mx.array([generation.token]),
            prompt_cache=caches,
            tokens=[[]],
            samplers=[row.sample],
            fallback_sampler=greedy_sampler,
            logits_processors=[[row.take_logits]],
            stop_sequences=[StopSequences()],
            max_tokens=[_NO_LIMIT],
        )
        self._evaluate(newcomer)
        self._batch.extend(newcomer)
        self.members.append(generation)
        generation.settle = lambda: self._settle(generation)

    def remove(self, generation: Generation) -> None:
        if generation not in self.members:
            return
        at = self.members.index(generation)
        self.members.pop(at)
        self._batch.filter([it for it in range(len(self.members) + 1) if it != at])
        generation.settle = lambda: None

    def _settle(self, generation: Generation) -> None:
        """The sequence gets a copy of its rows; the batch goes on."""
        if generation.sequence.token_count == generation.standing:
            return
        caches = self._batch.extract_cache(self.members.index(generation))
        mx.eval([cache.state for cache in caches])
        generation.sequence.adopt(caches, generation.standing)

    def _evaluate(self, batch: Any) -> None:
        mx.eval([cache.state for cache in batch.prompt_cache])


class _Row:
    """One request's place in a batch, as mlx-lm calls it: first with raw logits, then with their
    log-softmax, of which the request samples nothing.
    """

    def __init__(self, generation: Generation) -> None:
        self._generation = generation

    def take_logits(self, _: mx.array, logits: mx.array) -> mx.array:
        row = logits[0].astype(mx.float32)
        try:
            check_numbers(row)
        except Exception as error:
            self._generation.failure = error
            self._generation.standing += 1
        else:
            self._generation.take_logits(row)
        return logits

    def sample(self, logprobs: mx.array) -> mx.array:
        return mx.array([self._generation.sampled_token])
