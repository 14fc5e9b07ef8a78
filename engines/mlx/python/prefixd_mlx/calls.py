"""Calls that compute: most are answered at once, requests take turns."""

from __future__ import annotations

from typing import Any

from prefixd_mlx import messages as m
from prefixd_mlx.arena import Arena
from prefixd_mlx.caches import SequenceCache
from prefixd_mlx.decoding import Decoder
from prefixd_mlx.errors import compute_error, error_message, protocol_error
from prefixd_mlx.generation import Done, Generation
from prefixd_mlx.model import Model
from prefixd_mlx.outlet import Send, ServiceOutlet
from prefixd_mlx.prefill_calls import Bounds
from prefixd_mlx.restoring import bytes_of, restore_records
from prefixd_mlx.settings import WorkerOptions
from prefixd_mlx.turns import Running, Turns


class Calls:
    def __init__(
        self, model: Model, options: WorkerOptions, arena: Arena | None, send: Send
    ) -> None:
        self._model = model
        self._options = options
        self._arena = arena
        self._send = send
        self._sequences: dict[int, SequenceCache] = {}
        self._running: dict[int, tuple[Running, ServiceOutlet]] = {}
        self._bounds = Bounds(
            context_tokens=model.context_tokens,
            vocabulary_size=model.vocabulary.size,
            block_tokens=options.block_tokens,
            reuse=options.reuse,
        )
        # With `--reuse block` answers are bit for bit the same whatever else is running.
        self._turns = Turns(Decoder(model, batches=options.reuse == 'token'))

    @property
    def has_work(self) -> bool:
        return self._turns.has_work

    def step(self) -> None:
        self._turns.step()

    def handle(self, message: m.Message, payload: memoryview) -> None:
        """Starts a call, or hands an answer to a running one. Raises on what the protocol forbids:
        the worker then ends.
        """
        if isinstance(message, m.Cancel):
            # The request may have ended while the frame was on its way.
            if message.id in self._running:
                self._running[message.id][0].generation.stopped = True
        elif isinstance(message, m.Reserved):
            self._reserved(message)
        elif isinstance(message, m.Hello | m.Shutdown | m.TextCall):
            raise protocol_error(f'`{type(message).__name__.lower()}` where models compute')
        else:
            self._answer(message, payload)

    def _reserved(self, message: m.Reserved) -> None:
        if message.id not in self._running:
            raise protocol_error('`reserved` for an unknown reservation')
        running, outlet = self._running[message.id]
        outlet.reserved(message)
        self._turns.answered(running)

    def _answer(self, message: m.ComputeCall, payload: memoryview) -> None:
        try:
            if isinstance(message, m.Generate):
                self._generate(message)
                return
            answer = self._answer_at_once(message, payload)
            self._send({'id': message.id, **answer}, [])
        except Exception as error:
            self._refuse(message, error)

    def _generate(self, message: m.Generate) -> None:
        sequence = self._sequence(message.sequence)
        outlet = ServiceOutlet(message.id, self._send, self._arena)
        generation = Generation(message, self._model, sequence, self._bounds, outlet)

        def on_done(done: Done) -> None:
            del self._running[message.id]
            self._send(_done_message(message.id, done), [])

        def on_failed(error: Exception) -> None:
            del self._running[message.id]
            sequence.clear()
            self._refuse(message, error)

        running = Running(generation, on_done, on_failed)
        self._running[message.id] = (running, outlet)
        self._turns.start(running)

    def _refuse(self, message: m.ComputeCall, error: Exception) -> None:
        self._send(error_message(message.id, error, 'PREFIXD_E_ENGINE_COMPUTE'), [])

    def _answer_at_once(self, message: m.ComputeCall, payload: memoryview) -> dict[str, Any]:
        if isinstance(message, m.Restore):
            return self._restore(message, payload)
        if isinstance(message, m.Embed):
            raise compute_error('This model makes no vectors. Use one that was made for it.')
        if isinstance(message, m.Open):
            self._open(message.sequence)
        elif isinstance(message, m.Trim):
            self._trim(self._sequence(message.sequence), message.token_count)
        elif isinstance(message, m.Close):
            self._sequence(message.sequence).clear()
            del self._sequences[message.sequence]
        return {'type': 'ok'}

    def _restore(self, message: m.Restore, payload: memoryview) -> dict[str, Any]:
        sequence = self._sequence(message.sequence)
        data_of = bytes_of(message.records, self._arena, payload)
        sequence.expect(min(message.expected_tokens, self._bounds.context_tokens))
        restore_ms = restore_records(sequence, message.records, data_of, self._arena is None)
        return {
            'type': 'restored',
            'restoredTokens': sequence.token_count,
            'restoreMs': restore_ms,
        }

    def _sequence(self, number: int) -> SequenceCache:
        if number not in self._sequences:
            raise protocol_error(f'sequence {number} is not open')
        return self._sequences[number]

    def _open(self, number: int) -> None:
        if number in self._sequences or len(self._sequences) >= self._options.sequences:
            raise protocol_error(f'sequence {number} is open, or one too many')
        self._sequences[number] = self._model.open_sequence()

    def _trim(self, sequence: SequenceCache, token_count: int) -> None:
        if not 0 <= token_count <= sequence.token_count:
            raise protocol_error(
                f'cannot trim to {token_count} tokens: 0 to {sequence.token_count} are possible'
            )
        try:
            sequence.trim(token_count)
        except Exception as error:
            sequence.clear()
            raise compute_error(
                f'This model cannot be cut back to fewer tokens ({error}); the sequence was '
                'cleared.'
            ) from error


def _done_message(id: int, done: Done) -> dict[str, Any]:
    return {
        'type': 'done',
        'id': id,
        'finishReason': done.finish_reason,
        'restoredTokens': done.restored_tokens,
        'computedTokens': done.computed_tokens,
        'decodedTokens': done.decoded_tokens,
        'prefillMs': done.prefill_ms,
        'decodeMs': done.decode_ms,
        'exportMs': done.export_ms,
    }
