"""Serves one model on fd 3 until the service says `shutdown` or goes away."""

from __future__ import annotations

import queue
import signal
import socket
from typing import NoReturn

from prefixd_mlx.deep_thread import start_deep_thread
from prefixd_mlx.messages import TextCall
from prefixd_mlx.worker import Inbox, Worker, read_frames

_CONTROL_FD = 3


def main() -> NoReturn:
    # The service decides when to end: a Ctrl-C in its terminal must not cut a drain short.
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    control = socket.socket(fileno=_CONTROL_FD)
    inbox: Inbox = queue.SimpleQueue()
    texts: queue.SimpleQueue[TextCall] = queue.SimpleQueue()
    start_deep_thread(Worker(control, inbox, texts).run)
    read_frames(control, inbox, texts)


if __name__ == '__main__':
    main()
