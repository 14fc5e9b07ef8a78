"""Calls that need the tokenizer or the template only.

They have a thread of their own: a request that comes while a long prompt is computed is tokenised
at once.
"""

from __future__ import annotations

import queue
from contextlib import suppress
from typing import Any, NoReturn

from prefixd_mlx import messages as m
from prefixd_mlx.errors import error_message
from prefixd_mlx.outlet import Send, bin_of
from prefixd_mlx.template import ChatTemplate
from prefixd_mlx.tokens import Vocabulary

TextInbox = queue.SimpleQueue[m.TextCall]

# Like a first request: the template is compiled, and the tokenizer fills its tables of words.
_REHEARSED_WORDS = 2000


class TextCalls:
    def __init__(self, vocabulary: Vocabulary, template: ChatTemplate, send: Send) -> None:
        self._vocabulary = vocabulary
        self._template = template
        self._send = send

    def serve(self, inbox: TextInbox) -> NoReturn:
        while True:
            self.handle(inbox.get())

    def handle(self, message: m.TextCall) -> None:
        try:
            self._send({'id': message.id, **self._answer(message)}, [])
        except Exception as error:
            is_render = isinstance(message, m.Render)
            fallback = 'PREFIXD_E_ENGINE_TEMPLATE' if is_render else 'PREFIXD_E_ENGINE_COMPUTE'
            self._send(error_message(message.id, error, fallback), [])

    def rehearse(self) -> None:
        """Does once what each request needs; the first one would wait for it. What a template does
        not take tells nothing here."""
        text = ' '.join(f'word {at}' for at in range(_REHEARSED_WORDS // 2))
        with suppress(Exception):
            text = self._template.render({'messages': [{'role': 'user', 'content': text}]})
        self._vocabulary.tokenize(text, True, True)

    def _answer(self, message: m.TextCall) -> dict[str, Any]:
        vocabulary = self._vocabulary
        if isinstance(message, m.Render):
            return {'type': 'text', 'text': self._template.render(message.input)}
        if isinstance(message, m.Tokenize):
            tokens = vocabulary.tokenize(message.text, message.add_special, message.parse_special)
            return {'type': 'tokens', 'tokens': bin_of(tokens)}
        if isinstance(message, m.Detokenize):
            return {'type': 'text', 'text': vocabulary.detokenize(message.tokens)}
        pieces = [vocabulary.piece(token) for token in message.tokens]
        return {'type': 'pieces', 'pieces': pieces}
