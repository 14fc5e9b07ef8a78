"""What a request waits for: each is a generator that runs until it cannot go on by itself."""

from __future__ import annotations

from collections.abc import Generator
from enum import Enum
from typing import TypeVar

Result = TypeVar('Result')


class Step(Enum):
    # Its turn to compute a part of its prompt.
    PREFILL = 'prefill'
    # The next decoding step, which several requests take together. False: not any more.
    DECODE = 'decode'
    # The service's answer to a `reserve`.
    ANSWER = 'answer'
    # Nothing but that all is heard which the service has said during a call.
    HEARD = 'heard'


Steps = Generator[Step, bool, Result]
