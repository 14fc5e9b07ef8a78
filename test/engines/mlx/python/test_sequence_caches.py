"""The caches of one sequence: what they hold is theirs alone, and is counted."""

from __future__ import annotations

import mlx.core as mx
import numpy as np
import pytest
from family_runs import (
    SavedRecord,
    block_tokens,
    case_names,
    export_one,
    family_case,
    import_one,
    noise_tokens,
    restore,
)
from prefixd_mlx.caches import CacheFault
from prefixd_mlx.caches.unwritten import unwritten


@pytest.mark.parametrize('name', case_names)
def test_records_and_caches_never_share_memory(name: str) -> None:
    case = family_case(name, 'float32')
    tokens = noise_tokens(112, seed=7)
    saved: list[SavedRecord] = []
    cold = case.prefill(case.sequence(), tokens, saved)
    restored = case.sequence()
    for record in saved:
        if record.kind == 'kv' or record.stop == 112:
            data = bytearray(record.data)
            restored.import_record(
                record.kind, record.start, record.stop, record.stop, memoryview(data)
            )
            # The service gives this memory to somebody else.
            data[:] = b'\xff' * len(data)
    other = case.sequence()
    restore(other, saved, 112)
    case.compute(other, noise_tokens(3, seed=8))
    again = case.sequence()
    restore(again, saved, 96)
    assert mx.array_equal(case.prefill(again, tokens), cold).item()
    follow = noise_tokens(2, seed=9)
    live = case.compute(restored, follow)
    assert mx.array_equal(case.compute(again, follow), live).item()


@pytest.mark.parametrize('name', case_names)
def test_a_model_that_did_not_count_on_is_noticed(name: str) -> None:
    case = family_case(name, 'float32')
    sequence = case.sequence()
    case.prefill(sequence, noise_tokens(20, seed=1))
    if name == 'mamba2':
        sequence.caches[0].cache[0] = None
    with pytest.raises(CacheFault):
        sequence.advanced(1)


def test_rows_can_be_cut_and_gone_on_with() -> None:
    case = family_case('llama', 'float32')
    tokens = noise_tokens(96, seed=2)
    saved: list[SavedRecord] = []
    cold = case.prefill(case.sequence(), tokens, saved)
    live = case.sequence()
    case.prefill(live, tokens[:70])
    staged = case.sequence()
    restore(staged, saved, 80)
    for sequence in (live, staged):
        sequence.trim(48)
        assert sequence.token_count == 48
        import_one(sequence, saved[3])
        assert sequence.token_count == 64
        assert mx.array_equal(case.prefill(sequence, tokens), cold).item()
        sequence.trim(0)
        assert mx.array_equal(case.prefill(sequence, tokens), cold).item()
        with pytest.raises(CacheFault, match='there are 96 tokens'):
            sequence.trim(97)


@pytest.mark.parametrize('name', ['gemma3', 'mamba2', 'llama4', 'falcon-h1'])
def test_windows_and_states_are_not_cut(name: str) -> None:
    case = family_case(name, 'float32')
    sequence = case.sequence()
    case.prefill(sequence, noise_tokens(20, seed=1))
    sequence.trim(20)
    with pytest.raises(CacheFault, match='cannot be cut'):
        sequence.trim(19)
    sequence.trim(0)
    assert sequence.token_count == 0


def test_the_next_token_does_not_move_restored_rows() -> None:
    """mlx-lm makes room in steps of 256 tokens and copies all rows then: imports leave room."""
    case = family_case('llama', 'float32')
    saved: list[SavedRecord] = []
    case.prefill(case.sequence(), noise_tokens(256, seed=3), saved)
    for expected in (None, 256):
        sequence = case.sequence()
        if expected is not None:
            sequence.expect(expected)
        restore(sequence, saved, 256)
        room = sequence.caches[0].keys.shape[2]
        assert room == 512
        case.compute(sequence, [1])
        assert sequence.caches[0].keys.shape[2] == room


def test_what_a_batch_gives_back_stands_for_the_sequence() -> None:
    case = family_case('llama', 'float32')
    tokens = noise_tokens(64, seed=4)
    live = case.sequence()
    case.prefill(live, tokens)
    merged = [type(each).merge([each]) for each in live.caches]
    given = case.sequence()
    given.adopt([each.extract(0) for each in merged], 64)
    assert export_one(given, 'kv', 0, 64) == export_one(live, 'kv', 0, 64)
    with pytest.raises(CacheFault, match='holds 64 tokens, the sequence has 65'):
        given.adopt(given.caches, 65)
    with pytest.raises(CacheFault, match='there are 2 caches, the model has 3'):
        given.adopt(given.caches[:2], 64)


@pytest.mark.parametrize('name', case_names)
def test_a_record_has_the_size_that_was_said_before(name: str) -> None:
    case = family_case(name, 'float32')
    saved: list[SavedRecord] = []
    case.prefill(case.sequence(), noise_tokens(64, seed=1), saved)
    for record in saved:
        if record.kind == 'kv':
            assert len(record.data) == block_tokens * case.layout.kv_bytes_per_token
    sequence = case.sequence()
    case.prefill(sequence, noise_tokens(64, seed=1))
    with pytest.raises(CacheFault, match='bytes'):
        sequence.export_record(
            case.layout.kinds[-1], 48, 64, memoryview(bytearray(len(saved[-1].data) + 1))
        )


def test_unwritten_memory_is_there_in_the_shapes_and_types_that_were_asked_for() -> None:
    wanted = [((1, 2, 3), dtype) for dtype in (mx.float32, mx.float16, mx.uint16, mx.uint8)]
    arrays = unwritten([*wanted, ((0, 4), mx.int32), ((5,), mx.uint32)])
    assert [each.shape for each in arrays] == [(1, 2, 3)] * 4 + [(0, 4), (5,)]
    assert [each.dtype for each in arrays] == [*(it for _, it in wanted), mx.int32, mx.uint32]
    np.array(arrays[-1], copy=False)[:] = range(5)
    assert arrays[-1].tolist() == [0, 1, 2, 3, 4]


@pytest.mark.parametrize('name', case_names)
def test_room_that_was_taken_for_records_does_no_harm_whatever_comes(name: str) -> None:
    case = family_case(name, 'float32')
    tokens = noise_tokens(96, seed=3)
    saved: list[SavedRecord] = []
    cold = case.prefill(case.sequence(), tokens, saved)
    nothing_came, less_came = case.sequence(), case.sequence()
    nothing_came.expect(500)
    assert nothing_came.is_complete()
    assert mx.array_equal(case.prefill(nothing_came, tokens), cold).item()
    less_came.expect(500)
    restore(less_came, saved, 80)
    assert mx.array_equal(case.prefill(less_came, tokens), cold).item()
