"""One request: the same grid, exports and endings as engines/generate-loop.ts has."""

from __future__ import annotations

from dataclasses import replace

import pytest
from prefixd_mlx.errors import EngineError
from prefixd_mlx.export_queue import ExportRequest
from scripted_service import Run, asking, context_tokens, forced

ten = list(range(1, 11))


def spans(run: Run, *, compute_from: int = 0, on_grid: bool = False, **more: object) -> list[str]:
    """What a request exports whose first tokens stand in the sequence already."""
    sequence = run.model.open_sequence()
    if compute_from > 0:
        run.model.compute(sequence, ten[:compute_from], False)
    message = asking(ten, compute_from=compute_from, restored_on_grid=on_grid, **more)
    return run.whole(message, sequence).service.said('export')


def test_prefill_calls_end_at_absolute_multiples_of_the_block_wherever_they_begin() -> None:
    run = Run()
    sequence = run.model.open_sequence()
    run.model.compute(sequence, ten[:3], False)
    service = run.whole(asking(ten, compute_from=3), sequence).service
    assert service.said('prefill') == ['prefill 4', 'prefill 8', 'prefill 10']


def test_blocks_after_restored_ones_are_on_the_grid_only_behind_a_whole_grid() -> None:
    run = Run()
    assert spans(run, compute_from=4, on_grid=True) == ['export kv 4-8 grid', 'export kv 8-10']
    assert spans(run, compute_from=4, on_grid=False) == ['export kv 4-8', 'export kv 8-10']
    assert spans(run, compute_from=3, on_grid=True) == [
        'export kv 0-4',
        'export kv 4-8',
        'export kv 8-10',
    ]


def test_reuse_by_blocks_exports_the_grid_alone() -> None:
    run = Run(reuse='block')
    assert spans(run, max_tokens=8) == ['export kv 0-4 grid', 'export kv 4-8 grid']
    assert spans(run, compute_from=5, on_grid=True) == []


def test_room_is_asked_for_before_a_block_is_computed_and_filled_after_its_call() -> None:
    assert Run().whole(asking(ten)).service.log == [
        *('reserve kv 0-4 grid', 'export kv 0-4 grid', 'prefill 4'),
        *('reserve kv 4-8 grid', 'export kv 4-8 grid', 'prefill 8'),
        *('prefill 10', 'reserve kv 8-10', 'export kv 8-10'),
    ]


def test_the_engine_does_not_wait_for_the_service_and_keeps_the_order() -> None:
    run = Run()
    request = run.start(asking(ten), answers_at_once=False)
    run.finish()
    assert request.service.said('prefill')[-1] == 'prefill 10'
    assert request.service.said('export') == []
    assert request.ended is None
    request.answer()
    assert request.service.said('export') == [
        'export kv 0-4 grid',
        'export kv 4-8 grid',
        'export kv 8-10',
    ]
    assert request.done.computed_tokens == 10


def test_a_block_leaves_before_the_next_one_is_computed() -> None:
    run = Run()
    request = run.start(asking(ten), answers_at_once=False)
    while run.turns.has_work:
        run.turns.step()
        # The answer comes during the call, and is heard before the next step.
        request.service.answer()
    assert request.service.said('reserve', 'export')[:5] == [
        'reserve kv 0-4 grid',
        'export kv 0-4 grid',
        'reserve kv 4-8 grid',
        'export kv 4-8 grid',
        'reserve kv 8-10',
    ]


def test_at_most_eight_records_wait_for_the_service() -> None:
    run = Run()
    request = run.start(asking(list(range(60))), answers_at_once=False)
    run.finish()
    # The ninth block has been computed, and waits for the oldest answer.
    assert request.service.said('prefill')[-1] == 'prefill 32'
    assert len(request.service.said('reserve')) == 9
    request.answer()
    run.finish()
    request.answer()
    assert request.done.computed_tokens == 60
    assert len(request.service.said('export')) == 15


def test_decoding_exports_whole_blocks_then_the_tail_without_the_last_token() -> None:
    request = Run().whole(forced([1, 2, 3], 65, max_tokens=4))
    assert request.service.said('export') == ['export kv 0-4', 'export kv 4-6']
    assert request.done.finish_reason == 'length'
    assert request.done.decoded_tokens == 4
    assert request.sequence.token_count == 6
    assert request.service.log.index('export kv 0-4') < len(request.service.log) - 3


def test_what_the_service_has_no_room_for_is_left_out() -> None:
    run = Run()

    def room(request: ExportRequest) -> bool:
        return request.span.start != 0

    request = run.start(asking(ten), room=room)
    run.finish()
    assert request.service.said('export') == ['export kv 4-8 grid', 'export kv 8-10']


def test_nothing_is_asked_for_where_nothing_is_to_be_saved() -> None:
    assert Run().whole(asking(ten, save=False)).service.said('reserve') == []


def test_a_boundary_ends_a_call_and_exports_what_stands_there() -> None:
    request = Run('qwen35').whole(asking(ten, boundaries=[6, 8]))
    service = request.service
    assert service.said('prefill') == ['prefill 4', 'prefill 6', 'prefill 8', 'prefill 10']
    assert service.said('export') == [
        'export kv 0-4 grid',
        *('export kv 4-6', 'export state 4-6'),
        *('export kv 4-8', 'export state 4-8'),
        *('export kv 8-10', 'export state 8-10'),
    ]


def test_a_boundary_of_a_plain_model_cuts_the_grid_and_exports_nothing_more() -> None:
    service = Run().whole(asking(ten, boundaries=[6])).service
    assert service.said('prefill') == ['prefill 4', 'prefill 6', 'prefill 8', 'prefill 10']
    assert service.said('export') == ['export kv 0-4 grid', 'export kv 4-8', 'export kv 8-10']


def test_the_end_of_an_answer_is_a_boundary_also_where_it_completes_a_block() -> None:
    service = Run('mamba2').whole(forced([1, 2, 3], 65, max_tokens=2)).service
    assert service.said('export') == ['export kv 0-4', 'export state 0-4']


def test_an_abort_between_two_calls_keeps_the_blocks_before_it() -> None:
    run = Run()
    request = run.start(asking(ten, max_tokens=5))
    run.turns.step()
    request.generation.stopped = True
    run.finish()
    assert request.done.finish_reason == 'aborted'
    assert request.done.computed_tokens == 4
    assert request.service.said('export', 'abandon') == [
        'export kv 0-4 grid',
        'abandon kv 4-8 grid',
    ]


def test_an_abort_while_decoding_ends_within_a_token_and_keeps_the_tail() -> None:
    run = Run()
    request = run.start(forced([1, 2, 3], 65, max_tokens=50))
    while len(request.tokens) < 3:
        run.turns.step()
    request.generation.stopped = True
    run.finish()
    assert len(request.tokens) == 3
    assert request.done.finish_reason == 'aborted'
    assert request.service.said('export')[-1] == 'export kv 4-5'


def test_text_has_whole_characters_and_flushes_what_never_became_one() -> None:
    run = Run()
    text = 'é'.encode()
    first = run.whole(forced([1, 2, 3], text[0], max_tokens=2))
    assert first.service.text == '\ufffd\ufffd'
    grammar = run.whole(asking([1, 2, 3], grammar='root ::= "🚣"{9}', max_tokens=9))
    assert grammar.service.text in ('🚣🚣\ufffd', '🚣' * 9)


def test_an_end_token_stops_the_answer_and_counts_without_its_text() -> None:
    run = Run()
    end = run.model.vocabulary.ends[0]
    request = run.whole(forced(ten, end, max_tokens=5, ignore_end=False))
    assert request.done.finish_reason == 'stop'
    assert request.done.decoded_tokens == 1
    assert request.service.text == ''
    assert request.tokens == [end]
    assert len(run.whole(forced(ten, end, max_tokens=3)).tokens) == 3


def test_a_full_context_ends_the_answer_with_length() -> None:
    request = Run().whole(forced(list(range(context_tokens - 2)), 65, max_tokens=50))
    assert request.done.finish_reason == 'length'
    assert request.sequence.token_count == context_tokens


@pytest.mark.parametrize(
    ('changes', 'code'),
    [
        ({'tokens': [1] * (context_tokens + 1)}, 'PREFIXD_E_ENGINE_COMPUTE'),
        ({'tokens': [1, 99_999]}, 'PREFIXD_E_ENGINE_COMPUTE'),
        ({'compute_from': 4}, 'PREFIXD_E_ENGINE_PROTOCOL'),
        ({'tokens': []}, 'PREFIXD_E_ENGINE_PROTOCOL'),
        ({'boundaries': [6, 6]}, 'PREFIXD_E_ENGINE_PROTOCOL'),
        ({'boundaries': [10]}, 'PREFIXD_E_ENGINE_PROTOCOL'),
        ({'grammar': 'root ::= ('}, 'PREFIXD_E_ENGINE_GRAMMAR'),
    ],
)
def test_what_cannot_be_computed_is_refused_before_anything_is(
    changes: dict[str, object], code: str
) -> None:
    request = Run().whole(asking(**{'tokens': ten, 'max_tokens': 3, **changes}))  # type: ignore[arg-type]
    assert isinstance(request.ended, EngineError)
    assert request.ended.code == code
    assert request.service.log == []


def test_boundaries_off_the_grid_are_refused_with_reuse_by_blocks() -> None:
    request = Run(reuse='block').whole(asking(ten, boundaries=[6]))
    assert isinstance(request.ended, EngineError)


def test_a_model_that_is_not_stored_is_served_all_the_same(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    run = Run()
    plain = run.whole(asking(ten, max_tokens=9)).tokens
    refused = replace(run.model.layout, kinds=(), parts=(), refusal='unknown', batches=False)
    monkeypatch.setattr(run.model, 'layout', refused)
    request = run.whole(asking(ten, max_tokens=9, boundaries=[6]))
    assert request.tokens == plain
    assert request.service.said('reserve', 'export') == []
    assert request.sequence.token_count == 18


def test_a_failed_export_gives_back_what_was_reserved(monkeypatch: pytest.MonkeyPatch) -> None:
    run = Run()
    request = run.start(asking(ten), answers_at_once=False)
    monkeypatch.setattr(request.sequence, 'record_bytes', lambda *span: 5)
    run.finish()
    request.answer()
    assert isinstance(request.ended, EngineError)
    assert 'report this model' in request.ended.message
    assert request.service.said('export') == []
    assert len(request.service.said('abandon')) == 3
