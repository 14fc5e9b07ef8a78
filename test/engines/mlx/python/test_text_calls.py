"""Calls that need the tokenizer or the template only."""

from __future__ import annotations

import queue
import socket
import sys
import threading
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

import pytest
from prefixd_mlx import messages as m
from prefixd_mlx import worker
from prefixd_mlx.frames import Bytes, write_frame
from prefixd_mlx.text_calls import TextCalls
from scripted_service import family_model

plain = {'addSpecial': False, 'parseSpecial': True}


def answers_to(*calls: m.TextCall) -> list[dict[str, Any]]:
    heard: list[dict[str, Any]] = []

    def send(header: dict[str, Any], payload: Sequence[Bytes]) -> None:
        heard.append(header)

    model = family_model('llama')
    text_calls = TextCalls(model.vocabulary, model.template, send)
    for call in calls:
        text_calls.handle(call)
    return heard


def test_texts_become_tokens_and_texts_again() -> None:
    (tokens,) = answers_to(m.Tokenize(1, 'a b', False, True))
    ids = list(memoryview(tokens['tokens']).cast('I'))
    text, pieces = answers_to(m.Detokenize(2, ids), m.Pieces(3, ids))
    assert text == {'id': 2, 'type': 'text', 'text': 'a b'}
    assert b''.join(pieces['pieces']) == b'a b'


def test_a_call_that_fails_is_answered_and_the_next_one_too() -> None:
    refused, answered = answers_to(m.Pieces(1, [10**9]), m.Tokenize(2, 'a', False, True))
    assert (refused['type'], refused['code']) == ('error', 'PREFIXD_E_ENGINE_COMPUTE')
    assert '1000000000' in refused['message']
    assert answered['type'] == 'tokens'


def test_a_template_that_refuses_says_so() -> None:
    (refused,) = answers_to(m.Render(1, {'messages': 7}))
    assert refused['code'] == 'PREFIXD_E_ENGINE_TEMPLATE'


def test_texts_go_past_whatever_waits_to_be_computed(monkeypatch: pytest.MonkeyPatch) -> None:
    # What ends the worker's process must not end that of the tests.
    monkeypatch.setattr(worker, 'die', lambda reason: sys.exit(reason))
    inbox: worker.Inbox = queue.SimpleQueue()
    texts: queue.SimpleQueue[m.TextCall] = queue.SimpleQueue()
    ours, theirs = socket.socketpair()

    def read() -> None:
        with suppress(SystemExit):
            worker.read_frames(theirs, inbox, texts)

    reading = threading.Thread(target=read, daemon=True)
    with theirs:
        with ours:
            reading.start()
            write_frame(ours, {'type': 'open', 'id': 1, 'sequence': 0})
            write_frame(ours, {'type': 'tokenize', 'id': 2, 'text': 'a', **plain})
            assert texts.get(timeout=10) == m.Tokenize(2, 'a', False, True)
            assert inbox.get(timeout=10)[0] == m.Open(1, 0)
        reading.join(10)
