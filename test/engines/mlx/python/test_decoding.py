"""Steps that several requests take together: nobody's fault is another one's."""

from __future__ import annotations

import time

import mlx.core as mx
import pytest
from prefixd_mlx import decoding
from prefixd_mlx.errors import EngineError
from prefixd_mlx.model import check_numbers
from scripted_service import Request, Run, asking

prompts = [[5, 6, 7, 8, 9, 10, 11], [12, 13, 14], [20, 21, 22, 23, 24]]


def together(run: Run, count: int = 3, max_tokens: int = 12) -> list[Request]:
    requests = [run.start(asking(prompt, max_tokens=max_tokens)) for prompt in prompts[:count]]
    while any(len(it.tokens) < 2 for it in requests):
        run.turns.step()
    return requests


def batched(run: Run) -> int:
    batch = run.decoder._batch
    return 0 if batch is None else len(batch.members)


@pytest.mark.parametrize('family', ['llama', 'gemma3', 'qwen35', 'mamba2'])
def test_several_requests_share_a_batch_and_leave_nothing_of_it(family: str) -> None:
    alone = [Run(family).whole(asking(prompt, max_tokens=12)).tokens for prompt in prompts]
    run = Run(family)
    requests = together(run)
    assert batched(run) == 3
    run.finish()
    assert [it.tokens for it in requests] == alone
    assert batched(run) == 0
    ends = [len(prompt) + 11 for prompt in prompts]
    assert [it.sequence.token_count for it in requests] == ends


def test_a_request_alone_uses_no_batch() -> None:
    run = Run()
    request = together(run, count=1)[0]
    assert batched(run) == 0
    run.finish()
    assert request.done.decoded_tokens == 12


@pytest.mark.parametrize(('family', 'batches'), [('llama', False), ('llama4', True)])
def test_where_batches_are_not_wanted_or_not_possible_everybody_is_alone(
    family: str, batches: bool
) -> None:
    run = Run(family, batches=batches)
    requests = together(run)
    assert batched(run) == 0
    run.finish()
    assert all(it.done.decoded_tokens == 12 for it in requests)


def test_a_batch_gives_the_decoded_rows_back_for_every_block() -> None:
    run = Run()
    requests = together(run, max_tokens=14)
    run.finish()
    for request, prompt in zip(requests, prompts, strict=True):
        ends = [int(line.split('-')[1].split()[0]) for line in request.service.said('export')]
        whole = list(range(4, len(prompt) + 14, 4))
        assert [it for it in ends if it % 4 == 0] == whole


def test_who_waits_for_the_service_leaves_the_batch_and_comes_back() -> None:
    run = Run()
    alone = [Run().whole(asking(prompt, max_tokens=45)).tokens for prompt in prompts]
    slow = run.start(asking(prompts[0], max_tokens=45), answers_at_once=False)
    quick = [run.start(asking(prompt, max_tokens=45)) for prompt in prompts[1:]]
    run.finish()
    assert slow.ended is None
    assert all(it.done.decoded_tokens == 45 for it in quick)
    while slow.ended is None:
        slow.answer()
        run.finish()
    assert [it.tokens for it in (slow, *quick)] == alone


def test_a_request_that_fails_in_a_step_fails_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    run = Run()
    alone = [Run().whole(asking(prompt, max_tokens=12)).tokens for prompt in prompts]
    requests = together(run)

    def refuse(logits: object) -> int:
        raise EngineError('PREFIXD_E_ENGINE_GRAMMAR', 'no way on')

    monkeypatch.setattr(requests[1].generation._sampler, 'sample', refuse)
    run.finish()
    assert isinstance(requests[1].ended, EngineError)
    assert requests[1].ended.code == 'PREFIXD_E_ENGINE_GRAMMAR'
    assert [requests[0].tokens, requests[2].tokens] == [alone[0], alone[2]]


def test_a_batch_that_fails_ends_its_requests_and_the_next_ones_work(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    run = Run()
    requests = together(run)
    assert run.decoder._batch is not None
    monkeypatch.setattr(run.decoder._batch._batch, 'next', lambda: 1 / 0)
    run.finish()
    for request in requests:
        assert isinstance(request.ended, EngineError)
        assert request.ended.code == 'PREFIXD_E_ENGINE_COMPUTE'
    again = together(run)
    run.finish()
    assert all(it.done.decoded_tokens == 12 for it in again)


def test_logits_that_are_not_numbers_end_their_request_and_no_other(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    run = Run()
    requests = together(run, count=2)
    assert run.decoder._batch is not None
    first = run.decoder._batch.members[0]
    good, bad = sorted(requests, key=lambda it: it.generation is not first)
    rows: list[mx.array] = []

    def check(row: mx.array) -> mx.array:
        rows.append(row)
        return check_numbers(row * mx.nan if len(rows) == 2 else row)

    monkeypatch.setattr(decoding, 'check_numbers', check)
    run.finish()
    assert good.done.decoded_tokens == 12
    assert isinstance(bad.ended, EngineError)
    assert 'not numbers' in bad.ended.message


def test_a_step_that_several_take_is_charged_to_each_of_them(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    run = Run()
    requests = together(run)
    assert run.decoder._batch is not None
    batch = run.decoder._batch._batch
    next_step, clock = batch.next, [0.0]

    def step_for_a_second() -> object:
        clock[0] += 1
        return next_step()

    before = [it.generation._decode_ms for it in requests]
    steps = [12 - len(it.tokens) for it in requests]
    monkeypatch.setattr(batch, 'next', step_for_a_second)
    monkeypatch.setattr(time, 'perf_counter', lambda: clock[0])
    run.finish()
    took = [it.done.decode_ms - ms for it, ms in zip(requests, before, strict=True)]
    assert took == pytest.approx([1000 * count for count in steps])


def test_steps_that_nobody_shares_are_charged_to_their_request_alone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    run = Run(batches=False)
    requests = together(run)
    compute, clock = run.model.compute, [0.0]

    def compute_for_a_second(*args: object) -> object:
        clock[0] += 1
        return compute(*args)  # type: ignore[arg-type]

    before = [it.generation._decode_ms for it in requests]
    steps = [12 - len(it.tokens) for it in requests]
    monkeypatch.setattr(run.model, 'compute', compute_for_a_second)
    monkeypatch.setattr(time, 'perf_counter', lambda: clock[0])
    run.finish()
    took = [it.done.decode_ms - ms for it, ms in zip(requests, before, strict=True)]
    assert took == pytest.approx([1000 * count for count in steps])


def test_a_long_prompt_holds_up_nobody_by_more_than_a_call() -> None:
    run = Run()
    talking = run.start(asking(prompts[0], max_tokens=30))
    while not talking.tokens:
        run.turns.step()
    before = len(talking.tokens)
    run.start(asking(list(range(40)), max_tokens=0))
    for _ in range(10):
        run.turns.step()
    assert len(talking.tokens) == before + 10


def test_prompts_of_several_requests_are_computed_in_turn() -> None:
    run = Run()
    long = run.start(asking(list(range(40)), max_tokens=0))
    short = run.start(asking([1, 2, 3, 4, 5], max_tokens=0))
    for _ in range(4):
        run.turns.step()
    assert short.done.computed_tokens == 5
    assert long.ended is None
