"""A worker's life as a process: greeting, loading, calls, and every way to end."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from mlx_families.folder import write_family
from prefixd_mlx.frames import read_frame, write_frame
from scripted_service import greedy

package = Path(__file__).parents[4] / 'engines/mlx/python'
sampling = {
    'temperature': greedy.temperature, 'topP': 1, 'topK': 0, 'minP': 0, 'repeatPenalty': 1,
    'frequencyPenalty': 0, 'presencePenalty': 0, 'seed': 1,
}  # fmt: skip


@pytest.fixture(scope='module')
def model_path(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp('family')
    write_family('llama', 'float32', folder)
    return str(folder)


class Process:
    """Fd 3 is one end of a socket pair, as the service makes it."""

    def __init__(self) -> None:
        self.socket, theirs = socket.socketpair()
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, '-m', 'prefixd_mlx'],
                # Our fds 3 and 4 are anybody's, so the child gets its own before it begins.
                preexec_fn=lambda: os.dup2(theirs.fileno(), 3),
                pass_fds=[3],
                stderr=subprocess.PIPE,
                env={**os.environ, 'PYTHONPATH': str(package)},
            )
        self.pid = self._process.pid

    def say(self, type: str, **fields: Any) -> None:
        write_frame(self.socket, {'type': type, **fields})

    def hear(self, *, until: str) -> dict[str, Any]:
        while (frame := read_frame(self.socket)) is not None:
            if frame.header['type'] == until:
                return frame.header
        raise AssertionError(f'it ended before `{until}`: {self.last_words()}')

    def greet(self, model_path: str, **changes: Any) -> None:
        options = {
            'modelPath': model_path, 'contextTokens': 0, 'sequences': 1, 'threads': 1,
            'blockTokens': 32, 'reuse': 'token', 'engine': {}, **changes,
        }  # fmt: skip
        self.hear(until='hello')
        self.say('hello', protocol=1, options=options, arenaBytes=None)

    def last_words(self) -> str:
        assert self._process.stderr is not None
        return self._process.stderr.read().decode()

    def end(self) -> int:
        return self._process.wait(30)

    def close(self) -> None:
        self.socket.close()
        if self._process.poll() is None:
            self._process.kill()
        self._process.wait(30)
        if self._process.stderr is not None:
            self._process.stderr.close()


@pytest.fixture
def worker() -> Iterator[Process]:
    process = Process()
    yield process
    process.close()


def test_greets_loads_answers_and_ends_when_it_is_told_to(worker: Process, model_path: str) -> None:
    worker.greet(model_path)
    info = worker.hear(until='ready')['info']
    assert info['fingerprint']['engine'] == 'mlx'
    assert info['fingerprint']['build'].startswith('mlx 0.')
    assert info['layout']['kinds'] == ['kv']
    assert info['contextTokens'] == info['trainedContextTokens'] == 8192
    assert info['parameterCount'] > 100_000
    worker.say('tokenize', id=5, text='abc', addSpecial=False, parseSpecial=False)
    assert worker.hear(until='tokens')['id'] == 5
    worker.say('shutdown')
    assert worker.end() == 0


def test_ends_at_once_when_its_service_goes_away_in_the_middle_of_a_prompt(
    worker: Process, model_path: str
) -> None:
    worker.greet(model_path)
    worker.hear(until='ready')
    worker.say('open', id=1, sequence=0)
    worker.say(
        'generate', id=2, sequence=0, tokens=bytes(4 * 8000), computeFrom=0, restoredOnGrid=False,
        boundaries=[], maxTokens=100, sampling=sampling, grammar=None, logitBias=[],
        topLogprobs=None, save=False, ignoreEnd=True, logits=False,
    )  # fmt: skip
    worker.hear(until='prefill')
    worker.socket.close()
    started = time.monotonic()
    assert worker.end() == -signal.SIGKILL
    # The whole prompt takes longer than the end may: it is 250 calls.
    assert time.monotonic() - started < 5
    assert 'the service has gone away' in worker.last_words()


@pytest.mark.parametrize('number', [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_leaves_it_to_the_service_when_to_end(
    worker: Process, model_path: str, number: signal.Signals
) -> None:
    worker.hear(until='hello')
    os.kill(worker.pid, number)
    options = {'modelPath': str(Path(model_path) / 'none'), 'contextTokens': 0, 'sequences': 1,
               'threads': 1, 'blockTokens': 32, 'reuse': 'token', 'engine': {}}  # fmt: skip
    worker.say('hello', protocol=1, options=options, arenaBytes=None)
    assert worker.hear(until='failed')['code'] == 'PREFIXD_E_ENGINE_MODEL'


@pytest.mark.parametrize(
    ('changes', 'words'),
    [
        ({'engine': {'nonsense': 1}}, 'has no setting `nonsense`'),
        ({'engine': {'kvBits': 5}}, '`kvBits` is 5; use 8 or 4'),
        ({'reuse': 'tokens'}, '`reuse` is tokens; use one of token, block'),
        ({'engine': {'dtype': 'float8'}}, '`dtype` is float8'),
        ({'engine': {'adapter': '/nowhere'}}, 'no adapter of mlx-lm'),
        ({'engine': {'blas': 'openblas 1.0'}}, 'was to have openblas 1.0 preloaded'),
        ({'modelPath': 'mlx-community/some-model'}, 'no folder of an MLX model'),
    ],
)
def test_what_it_cannot_load_is_said_before_it_ends(
    worker: Process, model_path: str, changes: dict[str, Any], words: str
) -> None:
    worker.greet(model_path, **changes)
    failed = worker.hear(until='failed')
    assert failed['code'] == 'PREFIXD_E_ENGINE_MODEL'
    assert words in failed['message']
    assert worker.end() == 0


def test_another_version_of_the_protocol_is_refused(worker: Process) -> None:
    worker.hear(until='hello')
    worker.say('hello', protocol=2, options={}, arenaBytes=None)
    assert worker.hear(until='failed')['code'] == 'PREFIXD_E_ENGINE_PROTOCOL'


@pytest.mark.parametrize(
    ('header', 'words'),
    [
        ({'type': 'nonsense'}, 'unknown message `nonsense`'),
        ({'type': 'tokenize', 'id': 1}, '`text` of `tokenize` is missing'),
        ({'type': 'open', 'id': 1, 'sequence': 0}, '`open` before `hello`'),
    ],
)
def test_what_the_protocol_does_not_allow_ends_it(
    worker: Process, header: dict[str, Any], words: str
) -> None:
    worker.hear(until='hello')
    write_frame(worker.socket, header)
    assert worker.end() == -signal.SIGKILL
    assert words in worker.last_words()
