"""The calls of the service, carried out on one loaded model.

One thread computes, another one answers for tokenizer and template, and one only reads frames, so
that it hears of the service's end while the first one is inside of MLX.
"""

from __future__ import annotations

import os
import queue
import signal
import socket
import threading
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NoReturn

from prefixd_mlx import messages as m
from prefixd_mlx.arena import Arena
from prefixd_mlx.deep_thread import start_deep_thread
from prefixd_mlx.errors import EngineError, protocol_error
from prefixd_mlx.frames import Bytes, read_frame, write_frame
from prefixd_mlx.settings import read_options

if TYPE_CHECKING:
    from prefixd_mlx.calls import Calls
    from prefixd_mlx.text_calls import TextInbox

PROTOCOL_VERSION = 1
_ARENA_FD = 4

Inbox = queue.SimpleQueue[tuple[m.Message, memoryview]]


def read_frames(control: socket.socket, inbox: Inbox, texts: TextInbox) -> NoReturn:
    """Hands on what the service says, until it goes away."""
    while True:
        try:
            frame = read_frame(control)
            if frame is None:
                die('the service has gone away')
            message = m.read_message(frame.header)
            if isinstance(message, m.TextCall):
                texts.put(message)
            else:
                inbox.put((message, frame.payload))
        except OSError:
            # Whoever is killed resets the socket; that is an end like any other.
            die('the service has gone away')
        except Exception as error:
            die(str(error))


def die(reason: str) -> NoReturn:
    """A thread that computes must not outlive the service, and no exit would wait for less."""
    os.write(2, f'prefixd worker ends: {reason}\n'.encode())
    os.kill(os.getpid(), signal.SIGKILL)
    raise SystemExit(1)


class Worker:
    """The life of a worker: greeting, loading, calls, end."""

    def __init__(self, control: socket.socket, inbox: Inbox, texts: TextInbox) -> None:
        self._control = control
        self._inbox = inbox
        self._texts = texts
        # Frames of two threads must not get into each other.
        self._sending = threading.Lock()

    def run(self) -> NoReturn:
        try:
            self._live()
        except Exception as error:
            die(str(error))

    def _live(self) -> NoReturn:
        self._send({'type': 'hello', 'protocol': PROTOCOL_VERSION})
        hello, _ = self._inbox.get()
        if not isinstance(hello, m.Hello):
            raise protocol_error(f'`{type(hello).__name__.lower()}` before `hello`')
        try:
            calls = self._load(hello)
        except Exception as error:
            code = error.code if isinstance(error, EngineError) else 'PREFIXD_E_ENGINE_MODEL'
            self._send({'type': 'failed', 'code': code, 'message': str(error)})
            self._exit()
        while True:
            # Everything that has been said is heard before the next step begins.
            while not calls.has_work or not self._inbox.empty():
                message, payload = self._inbox.get()
                if isinstance(message, m.Shutdown):
                    self._exit()
                calls.handle(message, payload)
            calls.step()

    def _load(self, hello: m.Hello) -> Calls:
        if hello.protocol != PROTOCOL_VERSION:
            raise protocol_error(
                f'the service speaks version {hello.protocol}, this worker {PROTOCOL_VERSION}'
            )
        options = read_options(hello.options)
        arena = None if hello.arena_bytes is None else Arena(_ARENA_FD, hello.arena_bytes)
        # It takes seconds to bring MLX into the process, and the greeting should not wait for it.
        from prefixd_mlx.calls import Calls
        from prefixd_mlx.model import Model
        from prefixd_mlx.text_calls import TextCalls

        model = Model(options, self._report_progress)
        text_calls = TextCalls(model.vocabulary, model.template, self._send)
        text_calls.rehearse()
        start_deep_thread(lambda: text_calls.serve(self._texts))
        self._send({'type': 'ready', 'info': model.info()})
        return Calls(model, options, arena, self._send)

    def _report_progress(self, fraction: float) -> None:
        self._send({'type': 'loading', 'fraction': fraction})

    def _send(self, header: dict[str, Any], payload: Sequence[Bytes] = ()) -> None:
        try:
            with self._sending:
                write_frame(self._control, header, payload)
        except OSError:
            die('the service has gone away')

    def _exit(self) -> NoReturn:
        """What is still computing, and the interpreter's own end, are waited for by nobody."""
        self._control.close()
        os._exit(0)
