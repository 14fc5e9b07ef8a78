"""Turns the bytes of tokens, one after the other, into text that only has complete characters."""

from __future__ import annotations

import codecs


class TextStream:
    def __init__(self) -> None:
        self._decoder = codecs.getincrementaldecoder('utf-8')('replace')

    def push(self, piece: bytes, last: bool) -> str:
        """Text that became complete. `last` also flushes what never will be, as U+FFFD."""
        return self._decoder.decode(piece, last)
