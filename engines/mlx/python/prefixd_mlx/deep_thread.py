"""A thread with a stack that is deep enough for grammars, whoever wrote them."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable

from prefixd_mlx.limits import RECURSION_MAX, STACK_BYTES


def start_deep_thread(work: Callable[[], object]) -> threading.Thread:
    """The stack of a process's first thread cannot be chosen."""
    sys.setrecursionlimit(RECURSION_MAX)
    usual_bytes = threading.stack_size(STACK_BYTES)
    try:
        thread = threading.Thread(target=work, daemon=True)
        thread.start()
    finally:
        threading.stack_size(usual_bytes)
    return thread
