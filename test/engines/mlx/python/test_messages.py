"""Messages of the service: every field is there and of its type, or the worker ends."""

from __future__ import annotations

import struct
from typing import Any

import pytest
from prefixd_mlx import messages as m
from prefixd_mlx.errors import EngineError

sampling = {
    'temperature': 0,
    'topP': 1.0,
    'topK': 5.0,
    'minP': 0,
    'repeatPenalty': 1,
    'frequencyPenalty': 0,
    'presencePenalty': 0,
    'seed': 7,
}
generate: dict[str, object] = {
    'type': 'generate',
    'id': 3,
    'sequence': 0,
    'tokens': struct.pack('<3I', 1, 2, 70_000),
    'computeFrom': 1,
    'restoredOnGrid': True,
    'boundaries': [2],
    'maxTokens': 4,
    'sampling': sampling,
    'grammar': None,
    'logitBias': [{'token': 5, 'bias': -100}],
    'topLogprobs': None,
    'save': True,
    'ignoreEnd': False,
    'logits': False,
}
record = {
    'kind': 'kv',
    'from': 0,
    'to': 32,
    'keepTo': 30,
    'offset': float(2**40),
    'sizeBytes': 9,
    'generation': 1,
    'crc32s': [2**32 - 1],
    'verified': False,
}


def test_reads_a_request_with_all_it_says() -> None:
    message = m.read_message(generate)
    assert isinstance(message, m.Generate)
    assert message.tokens == [1, 2, 70_000]
    assert message.compute_from == 1
    assert message.sampling.top_k == 5
    assert message.logit_bias == [m.TokenBias(5, -100)]
    assert message.grammar is None


def test_reads_integers_that_arrive_as_float64() -> None:
    message = m.read_message(
        {'type': 'restore', 'id': 1, 'sequence': 0, 'expectedTokens': 30.0, 'records': [record]}
    )
    assert isinstance(message, m.Restore)
    only = message.records[0]
    assert (only.start, only.stop, only.keep_to, only.offset) == (0, 32, 30, 2**40)


@pytest.mark.parametrize(
    ('change', 'words'),
    [
        ({'id': -1}, '`id` of `generate` must be an integer'),
        ({'id': True}, '`id` of `generate` must be an integer'),
        ({'id': 1.5}, '`id` of `generate` must be an integer'),
        ({'tokens': [1, 2]}, '`tokens` of `generate` must be token ids'),
        ({'tokens': b'123'}, '`tokens` of `generate` must be token ids'),
        ({'save': 1}, '`save` of `generate` must be a boolean'),
        ({'grammar': 5}, '`grammar` of `generate` must be a string'),
        ({'sampling': {}}, '`sampling` of `generate` must be a number'),
        ({'boundaries': 'ab'}, '`boundaries` of `generate` must be an array'),
        ({'logitBias': [{'token': 1}]}, '`logitBias` of `generate` must be a number'),
        ({'type': 'generated'}, 'unknown message `generated`'),
    ],
)
def test_what_has_another_type_is_a_protocol_error(change: dict[str, Any], words: str) -> None:
    with pytest.raises(EngineError, match=words) as caught:
        m.read_message({**generate, **change})
    assert caught.value.code == 'PREFIXD_E_ENGINE_PROTOCOL'


@pytest.mark.parametrize('name', [name for name in generate if name != 'type'])
def test_no_field_may_be_missing(name: str) -> None:
    with pytest.raises(EngineError, match=f'`{name}` of `generate` is missing'):
        m.read_message({key: value for key, value in generate.items() if key != name})


def test_an_unknown_kind_of_record_is_a_protocol_error() -> None:
    records = [{**record, 'kind': 'rows'}]
    with pytest.raises(EngineError, match='`records` of `restore`'):
        m.read_message(
            {'type': 'restore', 'id': 1, 'sequence': 0, 'expectedTokens': 32, 'records': records}
        )
