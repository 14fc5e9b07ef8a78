"""One request: prefill on the grid, decode, export. The same loop as engines/generate-loop.ts.

The grid: prefill calls end at absolute multiples of the block, at a boundary that the service
wants, or at the end of the prompt. Restoring whole blocks that no boundary has cut is then
bit-identical to computing them.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, Protocol

import mlx.core as mx
import numpy as np

from prefixd_mlx.caches import SequenceCache
from prefixd_mlx.errors import EngineError, protocol_error
from prefixd_mlx.export_queue import ExportOutlet, ExportQueue, ExportSpan
from prefixd_mlx.exporter import Announced, Exporter
from prefixd_mlx.logprobs import logprobs_of
from prefixd_mlx.messages import Generate
from prefixd_mlx.model import Model
from prefixd_mlx.prefill_calls import Bounds, check_input, next_call_end
from prefixd_mlx.sampling import Sampler
from prefixd_mlx.steps import Step, Steps
from prefixd_mlx.text_stream import TextStream

FinishReason = Literal['stop', 'length', 'aborted']


@dataclass(frozen=True)
class Done:
    finish_reason: FinishReason
    restored_tokens: int
    computed_tokens: int
    decoded_tokens: int
    prefill_ms: float
    decode_ms: float
    export_ms: float


class Outlet(ExportOutlet, Protocol):
    def prefill(self, processed_tokens: int, total_tokens: int) -> None: ...
    def token(
        self, token: int, text: str, logits: bytes | None, logprobs: dict[str, object] | None
    ) -> None: ...


@dataclass(frozen=True)
class _Sampled:
    token: int
    # Those that the token was sampled from, where the request wants to hear of them.
    logits: mx.array | None


class Generation:
    """Where one request stands. `steps` runs it; whoever runs that decides whose turn it is."""

    def __init__(
        self,
        message: Generate,
        model: Model,
        sequence: SequenceCache,
        bounds: Bounds,
        outlet: Outlet,
    ) -> None:
        self.message = message
        self.sequence = sequence
        # Tokens that stand in the engine; those of a batch are not in the sequence yet.
        self.standing = sequence.token_count
        # Aborted: nothing is computed any more.
        self.stopped = False
        # What went wrong in a step that several requests took together.
        self.failure: Exception | None = None
        # Brings what a batch has computed back into the sequence; set by the batch.
        self.settle: Callable[[], None] = lambda: None
        self._model = model
        self._bounds = bounds
        self._outlet = outlet
        self._ids = list(message.tokens)
        self._queue = ExportQueue(sequence, outlet, self._slice, self._settled)
        self._exporter = Exporter(sequence, model.layout, self._queue, self._settled)
        on_grid = message.restored_on_grid and message.compute_from % bounds.block_tokens == 0
        # Tokens before it are as a cold prefill on the grid computes them; -1: none are.
        starts_on_grid = message.compute_from == 0 or on_grid
        self._grid_end = message.compute_from if starts_on_grid else -1
        self._sampler: Sampler | None = None
        self._sampled: _Sampled | None = None
        self._prompt_end = message.compute_from
        self._decoded_tokens = 0
        self._prefill_ms = 0.0
        self._decode_ms = 0.0

    def steps(self) -> Steps[Done]:
        """The last sampled token is not in the KV cache. `decoded_tokens` counts every sampled
        token, an end-of-generation token included; that one is sent without its text.
        """
        check_input(self.message, self.sequence.token_count, self._bounds)
        if not self.sequence.is_complete():
            raise protocol_error(
                f'what belongs behind the {self.standing} tokens of the sequence is not restored'
            )
        try:
            # Before the first call, so that a grammar that is refused costs no prefill.
            self._sampler = self._open_sampler()
            yield from self._prefill()
            reason = yield from self._decode()
            yield from self._export_end()
        except Exception:
            yield from self._queue.drop()
            raise
        return self._done(reason)

    @property
    def token(self) -> int:
        """What the next decoding step feeds."""
        return self._ids[-1]

    def take_logits(self, logits: mx.array) -> None:
        """A decoding step has computed `token`. Never raises: others are in the same step."""
        self.standing += 1
        try:
            self._sample(logits)
        except Exception as error:
            self.failure = error

    def took_step(self, started: float) -> None:
        """A step that several took together lasted as long for each of them."""
        self._decode_ms += _ms_since(started)

    @property
    def sampled_token(self) -> int:
        return 0 if self._sampled is None else self._sampled.token

    def _open_sampler(self) -> Sampler | None:
        message = self.message
        if message.max_tokens == 0:
            return None
        held = None if message.grammar is None else self._model.hold(message.grammar)
        return Sampler(message.tokens, message.sampling, message.logit_bias, held)

    def _prefill(self) -> Steps[None]:
        message, block_tokens = self.message, self._bounds.block_tokens
        prompt_tokens = len(message.tokens)
        start = message.compute_from
        while start < prompt_tokens:
            end = next_call_end(start, message, block_tokens)
            grid = start == self._grid_end and end.stop - start == block_tokens
            announced = self._announce(end.stop, grid, end.at_boundary)
            yield Step.PREFILL
            if self.stopped:
                if announced is not None:
                    announced.cancelled()
                return
            started = time.perf_counter()
            want_logits = end.stop == prompt_tokens and message.max_tokens > 0
            tokens = message.tokens[start : end.stop]
            logits = self._model.compute(self.sequence, tokens, want_logits)
            self.standing = end.stop
            if logits is not None:
                self._sample(logits)
            self._prefill_ms += _ms_since(started)
            self._prompt_end = end.stop
            if grid:
                self._grid_end = end.stop
            if announced is not None:
                # Room was answered during the call: a block that is computed leaves now, and not
                # when another one is.
                yield Step.HEARD
                yield from announced.computed()
            self._outlet.prefill(end.stop, prompt_tokens)
            start = end.stop

    def _decode(self) -> Steps[FinishReason]:
        message, text = self.message, TextStream()
        while True:
            if self.stopped:
                return 'aborted'
            if self._sampled is None:
                return 'length'
            token = self._sampled.token
            self._decoded_tokens += 1
            ended = token in self._model.vocabulary.ends and not message.ignore_end
            full = self.standing >= self._bounds.context_tokens
            last = ended or full or self._decoded_tokens == message.max_tokens
            piece = b'' if ended else self._model.vocabulary.piece(token)
            self._report(self._sampled, text.push(piece, last))
            if last:
                return 'stop' if ended else 'length'
            self._ids.append(token)
            announced = self._announce(self.standing + 1, False, False)
            stepped = yield Step.DECODE
            if not stepped:
                if announced is not None:
                    announced.cancelled()
                return 'aborted'
            if self.failure is not None:
                raise self.failure
            if announced is not None:
                yield from announced.computed()

    def _sample(self, logits: mx.array) -> None:
        if self._sampler is None:
            return
        reports = self.message.logits or self.message.top_logprobs is not None
        self._sampled = _Sampled(self._sampler.sample(logits), logits if reports else None)

    def _report(self, sampled: _Sampled, text: str) -> None:
        """What the request wants to hear of the logits that a token was sampled from."""
        logits, logprobs = None, None
        if sampled.logits is not None:
            row = np.array(sampled.logits)
            top_count = self.message.top_logprobs
            logits = row.tobytes() if self.message.logits else None
            if top_count is not None:
                piece = self._model.vocabulary.piece
                logprobs = logprobs_of(row, sampled.token, top_count, piece)
        self._outlet.token(sampled.token, text, logits, logprobs)

    def _announce(self, stop: int, grid: bool, at_boundary: bool) -> Announced | None:
        """Asks for room for what ends at `stop`, while it is computed; None: it is not stored."""
        at_boundary = at_boundary and self._exporter.has_boundaries
        start = self._block_start(stop)
        is_block = stop - start == self._bounds.block_tokens
        if not self._saves() or not (is_block or at_boundary):
            return None
        if self._bounds.reuse == 'block' and not grid:
            return None
        return self._exporter.announce(ExportSpan(start, stop, grid), at_boundary)

    def _export_end(self) -> Steps[None]:
        """Where the sequence ends now the next turn goes on. A tail is never on the grid: a longer
        prompt computes its tokens in another call.
        """
        self._settled()
        stop = self.standing
        if self._saves() and self._bounds.reuse == 'token' and stop > self.message.compute_from:
            span = ExportSpan(self._block_start(stop), stop, False)
            yield from self._exporter.end(span, self._bounds.block_tokens)
        yield from self._queue.drain(0)

    def _saves(self) -> bool:
        return self.message.save and len(self._model.layout.kinds) > 0

    def _block_start(self, stop: int) -> int:
        """First token of the block that ends at `stop` or is cut there."""
        return stop - 1 - (stop - 1) % self._bounds.block_tokens

    def _slice(self, start: int, stop: int) -> list[int]:
        return self._ids[start:stop]

    def _settled(self) -> None:
        self.settle()
        if self.sequence.token_count != self.standing:
            raise EngineError(
                'PREFIXD_E_ENGINE_COMPUTE',
                f'The engine counts {self.sequence.token_count} tokens where '
                f'{self.standing} were computed. The sequence is cleared; send the request again.',
            )

    def _done(self, reason: FinishReason) -> Done:
        return Done(
            finish_reason=reason,
            restored_tokens=self.message.compute_from,
            computed_tokens=self._prompt_end - self.message.compute_from,
            decoded_tokens=self._decoded_tokens,
            prefill_ms=self._prefill_ms,
            decode_ms=self._decode_ms,
            export_ms=self._queue.export_ms,
        )


def _ms_since(started: float) -> float:
    return (time.perf_counter() - started) * 1000
