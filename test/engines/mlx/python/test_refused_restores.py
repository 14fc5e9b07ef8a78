"""Nothing that does not belong where it is put gets into a cache: mlx-lm itself would take it."""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import mlx.core as mx
import msgpack
import pytest
from family_runs import (
    FamilyCase,
    SavedRecord,
    block_tokens,
    case_with,
    export_one,
    family_case,
    import_one,
    noise_tokens,
    restore,
)
from mlx_families.configs import window_tokens
from mlx_lm.models.cache import RotatingKVCache
from prefixd_mlx.caches import CacheFault, ImportRefused, SequenceCache

boundary_cases = ['gemma3', 'llama-keeping-window', 'qwen35', 'mamba2', 'llama4', 'falcon-h1']
cut = 160


def saved_records(case: FamilyCase, tokens: list[int]) -> list[SavedRecord]:
    saved: list[SavedRecord] = []
    case.prefill(case.sequence(), tokens, saved)
    return saved


def boundary_at(saved: list[SavedRecord], stop: int) -> SavedRecord:
    return next(it for it in saved if it.kind != 'kv' and it.stop == stop)


def with_rows(case: FamilyCase, saved: list[SavedRecord], stop: int) -> SequenceCache:
    sequence = case.sequence()
    restore(sequence, [it for it in saved if it.kind == 'kv'], stop)
    return sequence


def with_header(
    record: SavedRecord,
    change: Callable[[dict[str, Any]], None],
    values: Mapping[str, object] | None = None,
) -> SavedRecord:
    """The same arrays behind another header."""
    (length,) = struct.unpack('<I', record.data[:4])
    header = msgpack.unpackb(record.data[4 : 4 + length])
    arrays = record.data[-(-(4 + length) // 64) * 64 :]
    change(header)
    header.update(values or {})
    packed = msgpack.packb(header)
    head = struct.pack('<I', len(packed)) + packed
    return replace(record, data=head + bytes(-len(head) % 64) + arrays)


@pytest.mark.parametrize('name', boundary_cases)
@pytest.mark.parametrize('other', [cut - block_tokens, cut + block_tokens])
def test_what_stood_at_another_token_is_refused(name: str, other: int) -> None:
    case = family_case(name, 'float32')
    tokens = noise_tokens(200, seed=1)
    saved = saved_records(case, tokens)
    wrong = boundary_at(saved, other)
    sequence = with_rows(case, saved, cut)
    with pytest.raises(ImportRefused, match=f'token {other}'):
        import_one(sequence, wrong)
    with pytest.raises(ImportRefused, match=f'saved at token {other}'):
        import_one(sequence, replace(wrong, stop=cut))
    # Nothing of it stayed: what belongs there goes in, and the answer is the cold one.
    assert not sequence.is_complete()
    assert sequence.token_count == cut
    for record in saved:
        if record.kind != 'kv' and record.stop == cut:
            import_one(sequence, record)
    assert sequence.is_complete()
    cold = case.prefill(case.sequence(), tokens)
    assert mx.array_equal(case.prefill(sequence, tokens), cold).item()


@pytest.mark.parametrize('name', boundary_cases)
def test_a_sequence_without_its_windows_and_states_computes_nothing(name: str) -> None:
    case = family_case(name, 'float32')
    saved = saved_records(case, noise_tokens(200, seed=1))
    sequence = with_rows(case, saved, cut)
    assert not sequence.is_complete()
    with pytest.raises(CacheFault, match=f'behind {cut} tokens is not restored'):
        _ = sequence.caches


@pytest.mark.parametrize('name', boundary_cases)
def test_rows_behind_a_window_or_state_make_it_one_of_the_past(name: str) -> None:
    case = family_case(name, 'float32')
    saved = saved_records(case, noise_tokens(200, seed=1))
    sequence = case.sequence()
    restore(sequence, saved, cut)
    import_one(sequence, next(it for it in saved if it.kind == 'kv' and it.start == cut))
    assert sequence.token_count == cut + block_tokens
    assert not sequence.is_complete()


@pytest.mark.parametrize('name', boundary_cases)
def test_a_record_that_is_cut_short_or_too_long_is_refused(name: str) -> None:
    case = family_case(name, 'float32')
    saved = saved_records(case, noise_tokens(200, seed=1))
    record = boundary_at(saved, cut)
    sequence = with_rows(case, saved, cut)
    for size in (0, 3, 4, 40, len(record.data) // 2, len(record.data) - 1):
        with pytest.raises(ImportRefused):
            import_one(sequence, replace(record, data=record.data[:size]))
    with pytest.raises(ImportRefused, match='bytes'):
        import_one(sequence, replace(record, data=record.data + bytes(64)))


@pytest.mark.parametrize('name', boundary_cases)
def test_a_record_without_a_header_is_refused(name: str) -> None:
    case = family_case(name, 'float32')
    saved = saved_records(case, noise_tokens(200, seed=1))
    record = boundary_at(saved, cut)
    sequence = with_rows(case, saved, cut)
    size = len(record.data)
    for data in (
        bytes(size),
        b'\xff' * size,
        record.data[64:] + bytes(64),
        struct.pack('<I', 1) + b'\xc1' + bytes(size - 5),
        struct.pack('<I', 1) + b'\x80' + bytes(size - 5),
    ):
        with pytest.raises(ImportRefused):
            import_one(sequence, replace(record, data=data))


@pytest.mark.parametrize('name', boundary_cases)
def test_every_word_of_a_header_has_to_be_what_the_model_says(name: str) -> None:
    case = family_case(name, 'float32')
    saved = saved_records(case, noise_tokens(200, seed=1))
    record = boundary_at(saved, cut)
    sequence = with_rows(case, saved, cut)

    def changed(key: str) -> Callable[[dict[str, Any]], None]:
        def change(header: dict[str, Any]) -> None:
            fields = header['caches'][-1]
            value = fields[key]
            fields[key] = value + '?' if isinstance(value, str) else value + 1000

        return change

    fields: list[str] = []
    with_header(record, lambda header: fields.extend(header['caches'][-1]))
    assert len(fields) >= 3
    for key in fields:
        with pytest.raises(ImportRefused, match=f'the {key} of a'):
            import_one(sequence, with_header(record, changed(key)))
    others: list[dict[str, object]] = [
        {'caches': []},
        {'caches': 7},
        {'kind': 'kv'},
        {'format': 'older'},
    ]
    for other in others:
        with pytest.raises(ImportRefused):
            import_one(sequence, with_header(record, lambda header: None, other))
    import_one(sequence, with_header(record, lambda header: None))


def test_a_state_that_was_left_empty_is_refused() -> None:
    case = family_case('qwen35', 'float32')
    saved = saved_records(case, noise_tokens(200, seed=1))
    sequence = with_rows(case, saved, cut)

    def empty(header: dict[str, Any]) -> None:
        header['caches'][0]['slots'] = 'nothing, nothing'

    with pytest.raises(ImportRefused, match='slots'):
        import_one(sequence, with_header(boundary_at(saved, cut), empty))


def test_a_window_of_another_length_is_refused() -> None:
    model = family_case('llama-keeping-window', 'float32').model

    def case_of(max_size: int, keep: int) -> FamilyCase:
        layers = len(model.layers)
        return case_with(model, lambda: [RotatingKVCache(max_size, keep) for _ in range(layers)])

    saved = saved_records(case_of(window_tokens, 4), noise_tokens(200, seed=1))
    for other, word in ((case_of(window_tokens + 1, 4), 'maxSize'), (case_of(100, 0), 'keep')):
        sequence = with_rows(other, saved, cut)
        with pytest.raises(ImportRefused, match=word):
            import_one(sequence, boundary_at(saved, cut))


@pytest.mark.parametrize('name', ['gemma3', 'qwen35'])
def test_numbers_of_another_type_are_refused(name: str) -> None:
    case = family_case(name, 'float32')
    saved = saved_records(family_case(name, 'bfloat16'), noise_tokens(200, seed=1))
    with pytest.raises(ImportRefused, match='bytes'):
        import_one(case.sequence(), saved[0])
    own = saved_records(case, noise_tokens(200, seed=1))
    sequence = with_rows(case, own, cut)
    with pytest.raises(ImportRefused, match='float32'):
        import_one(sequence, boundary_at(saved, cut))


def test_the_states_of_another_model_are_refused() -> None:
    saved = saved_records(family_case('falcon-h1', 'float32'), noise_tokens(200, seed=1))
    case = family_case('mamba2', 'float32')
    own = saved_records(case, noise_tokens(200, seed=1))
    sequence = with_rows(case, own, cut)
    with pytest.raises(ImportRefused, match='holds 2 caches, this model has 3'):
        import_one(sequence, boundary_at(saved, cut))
    with pytest.raises(ImportRefused, match='no window'):
        import_one(sequence, replace(boundary_at(saved, cut), kind='window'))


def test_rows_that_do_not_begin_where_the_sequence_ends_are_refused() -> None:
    case = family_case('llama', 'float32')
    saved = saved_records(case, noise_tokens(64, seed=1))
    sequence = case.sequence()
    with pytest.raises(ImportRefused, match='begins at token 16, and the sequence has 0'):
        import_one(sequence, saved[1])
    import_one(sequence, saved[0])
    for record in (saved[0], saved[2]):
        with pytest.raises(ImportRefused, match='begins at token'):
            import_one(sequence, record)
    for keep_to in (16, 33):
        with pytest.raises(ImportRefused, match='are not in'):
            import_one(sequence, saved[1], keep_to)
    for data in (saved[1].data[:-1], saved[1].data + b'x', b''):
        with pytest.raises(ImportRefused, match='bytes'):
            import_one(sequence, replace(saved[1], data=data))
    assert sequence.token_count == block_tokens
    import_one(sequence, saved[1])
    assert sequence.token_count == 2 * block_tokens


def test_windows_and_states_are_exported_only_where_they_stand() -> None:
    case = family_case('gemma3', 'float32')
    sequence = case.sequence()
    case.prefill(sequence, noise_tokens(64, seed=1))
    with pytest.raises(CacheFault, match='stands at token 64 only'):
        export_one(sequence, 'window', 32, 48)
    with pytest.raises(CacheFault, match='not in the 64'):
        export_one(sequence, 'kv', 48, 80)
    with pytest.raises(CacheFault, match='no state'):
        export_one(sequence, 'state', 48, 64)
