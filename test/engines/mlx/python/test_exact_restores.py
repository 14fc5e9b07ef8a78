"""A restored sequence goes on as a cold one does: the same logits to the last bit."""

from __future__ import annotations

import copy
from collections.abc import Sequence

import mlx.core as mx
import pytest
from family_runs import (
    FamilyCase,
    SavedRecord,
    block_tokens,
    cases_with_types,
    export_one,
    family_case,
    import_one,
    likeliest,
    noise_tokens,
    restore,
)

prompt_tokens = 200
cuts = range(block_tokens, prompt_tokens, block_tokens)

cases = [pytest.param(*each, id='-'.join(each)) for each in cases_with_types]


@pytest.fixture
def case(name: str, dtype: str) -> FamilyCase:
    return family_case(name, dtype)


def same_bits(found: Sequence[mx.array], wanted: Sequence[mx.array]) -> bool:
    return all(bool(mx.array_equal(a, b).item()) for a, b in zip(found, wanted, strict=True))


@pytest.mark.parametrize(('name', 'dtype'), cases)
def test_a_prompt_goes_on_from_any_block_of_another_one_as_cold(case: FamilyCase) -> None:
    """What stands there cold is a copy of the live caches, which no record has touched."""
    tokens = noise_tokens(prompt_tokens, seed=1)
    saved: list[SavedRecord] = []
    first = case.sequence()
    said: set[int] = set()
    assert len(cuts) == 12
    # Every second one: each costs a cold run and a warm one.
    for cut in cuts[::2]:
        case.prefill(first, tokens[:cut], saved)
        cold = case.sequence()
        cold.adopt(copy.deepcopy(first.caches), cut)
        warm = case.sequence()
        restore(warm, saved, cut)
        assert warm.token_count == cut
        assert warm.is_complete()
        other = tokens[:cut] + noise_tokens(3 * block_tokens - 5, seed=cut)
        answer = case.answer(cold, other, decode_tokens=4)
        assert same_bits(case.answer(warm, other, decode_tokens=4), answer)
        said |= {likeliest(logits) for logits in answer}
    # A model that says one token for ever would prove nothing.
    assert len(said) > 10


@pytest.mark.parametrize(('name', 'dtype'), cases)
def test_a_restored_prompt_has_the_logits_of_a_run_from_its_start(case: FamilyCase) -> None:
    tokens = noise_tokens(prompt_tokens, seed=6)
    saved: list[SavedRecord] = []
    cold = case.answer(case.sequence(), tokens, saved)
    sequence = case.sequence()
    restore(sequence, saved, cuts[-1])
    assert same_bits(case.answer(sequence, tokens), cold)


@pytest.mark.parametrize(('name', 'dtype'), cases)
def test_what_stands_during_decode_goes_on_in_the_same_bits(case: FamilyCase) -> None:
    """A ring that decode has turned is written to in its middle, not at its end."""
    sequence = case.sequence()
    case.answer(sequence, noise_tokens(129, seed=2))
    records = case.export(sequence, 0)
    following = noise_tokens(5, seed=3)
    restored = case.sequence()
    for record in records:
        import_one(restored, record)
    single = [case.compute(sequence, [token]) for token in following]
    assert same_bits([case.compute(restored, [token]) for token in following], single)
    records = case.export(sequence, 0)
    restored = case.sequence()
    for record in records:
        import_one(restored, record)
    many = case.compute(sequence, following)
    assert same_bits([case.compute(restored, following)], [many])


@pytest.mark.parametrize(('name', 'dtype'), cases)
def test_records_of_a_restored_sequence_are_those_it_was_restored_from(case: FamilyCase) -> None:
    saved: list[SavedRecord] = []
    case.prefill(case.sequence(), noise_tokens(128, seed=4), saved)
    sequence = case.sequence()
    restore(sequence, saved, 128)
    again = [
        export_one(sequence, record.kind, record.start, record.stop)
        for record in saved
        if record.kind == 'kv' or record.stop == 128
    ]
    assert again == [it for it in saved if it.kind == 'kv' or it.stop == 128]


# A last bit may move a quantised number to the next of its 256 levels.
@pytest.mark.parametrize(
    ('name', 'dtype', 'tolerance'),
    [
        ('llama', 'float32', 1e-3),
        ('deepseek-v32', 'float32', 1e-3),
        ('llama-8-bit-rows', 'float32', 0.1),
    ],
)
def test_rows_are_restored_to_any_token_and_say_the_same(
    case: FamilyCase, tolerance: float
) -> None:
    """Off the grid calls have other lengths, and float32 other last bits."""
    tokens = noise_tokens(prompt_tokens, seed=5)
    saved: list[SavedRecord] = []
    cold = case.answer(case.sequence(), tokens, saved)
    for keep_to in (1, 15, 17, 100, 191):
        sequence = case.sequence()
        for record in saved:
            if record.start < keep_to:
                import_one(sequence, record, min(keep_to, record.stop))
        assert sequence.token_count == keep_to
        warm = case.answer(sequence, tokens)
        for found, wanted in zip(warm, cold, strict=True):
            assert mx.allclose(found, wanted, rtol=0, atol=tolerance).item()
        assert [likeliest(it) for it in warm] == [likeliest(it) for it in cold]
