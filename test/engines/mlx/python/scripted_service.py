"""The service's side of a request, scripted: what it hears, and when it answers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from mlx_families.folder import write_family
from prefixd_mlx.caches import SequenceCache
from prefixd_mlx.decoding import Decoder
from prefixd_mlx.export_queue import ExportRequest, Reservation
from prefixd_mlx.generation import Done, Generation
from prefixd_mlx.messages import Generate, RecordBytes, Sampling, TokenBias
from prefixd_mlx.model import Model
from prefixd_mlx.prefill_calls import Bounds
from prefixd_mlx.settings import read_options
from prefixd_mlx.turns import Running, Turns

block_tokens = 4
context_tokens = 64

greedy = Sampling(0, 1, 0, 0, 1, 0, 0, 1)
request = Generate(
    id=1, sequence=0, tokens=[], compute_from=0, restored_on_grid=False, boundaries=[],
    max_tokens=0, sampling=greedy, grammar=None, logit_bias=[], top_logprobs=None, save=True,
    ignore_end=True, logits=False,
)  # fmt: skip


def asking(tokens: list[int], **changes: Any) -> Generate:
    return replace(request, tokens=tokens, **changes)


def forced(tokens: list[int], token: int, **changes: Any) -> Generate:
    """Answers with one token for ever."""
    return asking(tokens, logit_bias=[TokenBias(token, 1000)], **changes)


@lru_cache
def family_model(name: str) -> Model:
    with TemporaryDirectory(prefix='prefixd-mlx-family-') as folder:
        write_family(name, 'float32', Path(folder))
        options = {
            'modelPath': folder, 'contextTokens': context_tokens, 'sequences': 3, 'threads': 1,
            'blockTokens': block_tokens, 'reuse': 'token', 'engine': {},
        }  # fmt: skip
        return Model(read_options(options), lambda fraction: None)


class Service:
    """An outlet that writes down what it hears."""

    def __init__(self, room: Callable[[ExportRequest], bool], answers_at_once: bool) -> None:
        self.log: list[str] = []
        self.open: list[tuple[ExportRequest, Reservation]] = []
        self.text = ''
        self._room = room
        self._answers_at_once = answers_at_once
        self._requests: dict[int, ExportRequest] = {}

    def prefill(self, processed_tokens: int, total_tokens: int) -> None:
        self.log.append(f'prefill {processed_tokens}')

    def token(
        self, token: int, text: str, logits: bytes | None, logprobs: dict[str, object] | None
    ) -> None:
        self.log.append(f'token {token}')
        self.text += text

    def reserve(self, request: ExportRequest) -> Reservation:
        reservation = Reservation(len(self._requests) + 1)
        self._requests[reservation.number] = request
        self.log.append(f'reserve {_words(request)}')
        self.open.append((request, reservation))
        if self._answers_at_once:
            self.answer()
        return reservation

    def answer(self) -> None:
        """Answers all that it was asked."""
        for number, (request, reservation) in enumerate(self.open):
            size_bytes = request.size_bytes
            reservation.answered = True
            if self._room(request):
                reservation.bytes = RecordBytes(0, size_bytes, number)
        self.open.clear()

    def memory(self, bytes: RecordBytes) -> memoryview:
        return memoryview(bytearray(bytes.size_bytes))

    def exported(self, reservation: Reservation, crc32s: list[int], written: memoryview) -> None:
        request = self._requests[reservation.number]
        self.log.append(f'export {_words(request)}')

    def said(self, *verbs: str) -> list[str]:
        return [line for line in self.log if line.split()[0] in verbs]

    def abandon(self, reservation: Reservation) -> None:
        self.log.append(f'abandon {_words(self._requests[reservation.number])}')


def _words(request: ExportRequest) -> str:
    span = request.span
    grid = ' grid' if span.grid else ''
    return f'{request.kind} {span.start}-{span.stop}{grid}'


class Run:
    """Requests to one model, and the steps that they take."""

    def __init__(self, family: str = 'llama', reuse: str = 'token', batches: bool = True) -> None:
        self.model = family_model(family)
        self.decoder = Decoder(self.model, batches)
        self.turns = Turns(self.decoder)
        self.bounds = Bounds(
            context_tokens=context_tokens,
            vocabulary_size=self.model.vocabulary.size,
            block_tokens=block_tokens,
            reuse='block' if reuse == 'block' else 'token',
        )

    def start(
        self,
        message: Generate,
        sequence: SequenceCache | None = None,
        room: Callable[[ExportRequest], bool] = lambda request: True,
        answers_at_once: bool = True,
    ) -> Request:
        service = Service(room, answers_at_once)
        where = self.model.open_sequence() if sequence is None else sequence
        return Request(self, service, where, message)

    def finish(self) -> None:
        while self.turns.has_work:
            self.turns.step()

    def whole(self, message: Generate, sequence: SequenceCache | None = None) -> Request:
        one = self.start(message, sequence)
        self.finish()
        return one


class Request:
    def __init__(
        self, run: Run, service: Service, sequence: SequenceCache, message: Generate
    ) -> None:
        self.service = service
        self.sequence = sequence
        self.ended: Done | Exception | None = None
        self.generation = Generation(message, run.model, sequence, run.bounds, service)
        self._turns = run.turns
        self.running = Running(self.generation, self._end, self._end)
        run.turns.start(self.running)

    @property
    def done(self) -> Done:
        assert isinstance(self.ended, Done), self.ended
        return self.ended

    @property
    def tokens(self) -> list[int]:
        return [int(line.split()[1]) for line in self.service.said('token')]

    def answer(self) -> None:
        self.service.answer()
        self._turns.answered(self.running)

    def _end(self, ended: Done | Exception) -> None:
        self.ended = ended
