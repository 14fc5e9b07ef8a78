"""Whose step is next: one prefill call of one request, then one decoding step of all of them.

So a long prompt holds up nobody's answer by more than one call, and what the service asks between
two steps (`tokenize`, `cancel`, …) waits for no whole answer.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from prefixd_mlx.decoding import Decoder
from prefixd_mlx.generation import Done, Generation
from prefixd_mlx.steps import Step, Steps


class Running:
    def __init__(
        self,
        generation: Generation,
        on_done: Callable[[Done], None],
        on_failed: Callable[[Exception], None],
    ) -> None:
        self.generation = generation
        self.on_done = on_done
        self.on_failed = on_failed
        self.steps: Steps[Done] = generation.steps()
        # None before the first step, and behind the last one.
        self.waits_for: Step | None = None


class Turns:
    """Requests take their turns in the order in which they came to want one."""

    def __init__(self, decoder: Decoder) -> None:
        self._decoder = decoder
        self._prefilling: deque[Running] = deque()
        self._decoding: list[Running] = []
        self._hearing: list[Running] = []

    @property
    def has_work(self) -> bool:
        return any((self._prefilling, self._decoding, self._hearing))

    def start(self, running: Running) -> None:
        self._advance(running, None)

    def answered(self, running: Running) -> None:
        """The service has answered one of its reservations."""
        if running.waits_for is Step.ANSWER:
            self._advance(running, True)

    def step(self) -> None:
        """Whoever calls it has heard all that the service has said."""
        heard, self._hearing = self._hearing, []
        for running in heard:
            self._advance(running, True)
        if self._prefilling:
            self._advance(self._prefilling.popleft(), True)
        ready, self._decoding = self._decoding, []
        for running in [it for it in ready if it.generation.stopped]:
            self._advance(running, False)
        going = [it for it in ready if not it.generation.stopped]
        if going:
            self._decoder.step([it.generation for it in going])
        for running in going:
            self._advance(running, True)

    def _advance(self, running: Running, answer: bool | None) -> None:
        running.waits_for = None
        try:
            # A generator's first step takes nothing.
            step = next(running.steps) if answer is None else running.steps.send(answer)
        except StopIteration as end:
            self._decoder.leave(running.generation)
            running.on_done(end.value)
            return
        except Exception as error:
            self._decoder.leave(running.generation)
            running.on_failed(error)
            return
        running.waits_for = step
        if step is Step.PREFILL:
            self._prefilling.append(running)
        elif step is Step.DECODE:
            self._decoding.append(running)
        elif step is Step.HEARD:
            self._hearing.append(running)
