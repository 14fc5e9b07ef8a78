"""Renders a chat by the template that came with the model's tokenizer."""

from __future__ import annotations

from typing import Any

from transformers.utils.chat_template_utils import _compile_jinja_template

from prefixd_mlx.errors import EngineError


class ChatTemplate:
    """`tokenizer` is mlx-lm's: a few models have a template in Python instead of Jinja."""

    def __init__(self, tokenizer: Any) -> None:
        self._tokenizer = tokenizer
        template = tokenizer.chat_template
        by_name = template if isinstance(template, dict) else {'default': template}
        self._standard: str | None = by_name.get('default')
        self._tool_use: str | None = by_name.get('tool_use')
        self._python = tokenizer._chat_template

    @property
    def source(self) -> str | None:
        """Of two, the one for requests with tools: by it the service knows how calls look."""
        return self._tool_use or self._standard

    @property
    def exists(self) -> bool:
        return self._python is not None or self._standard is not None

    def render(self, given: dict[str, Any]) -> str:
        """Raises PREFIXD_E_ENGINE_TEMPLATE for what the template refuses."""
        tools = given.get('tools') or None
        template = (self._tool_use if tools else None) or self._standard
        if self._python is None and template is None:
            raise _template_error(
                'The model has no chat template. Use /v1/completions with a prompt that you '
                'rendered yourself, or a model whose tokenizer_config.json has a chat_template.'
            )
        chat = {'tools': tools, 'add_generation_prompt': given.get('addGenerationPrompt')}
        arguments = given.get('templateArgs') or {}
        messages = given.get('messages')
        try:
            if self._python is not None:
                return str(self._python(messages, **{**arguments, **chat}))
            names = {
                'documents': given.get('documents'),
                **self._tokenizer.special_tokens_map,
                **arguments,
                **chat,
                'messages': messages,
            }
            return str(_compile_jinja_template(template).render(**names))
        except Exception as error:
            raise _template_error(
                f"The model's chat template refuses these messages: {error}"
            ) from error


def _template_error(message: str) -> EngineError:
    return EngineError('PREFIXD_E_ENGINE_TEMPLATE', message)
