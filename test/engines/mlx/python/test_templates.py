"""Templates: the model's own text of a chat, or a typed error."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from prefixd_mlx.errors import EngineError
from prefixd_mlx.template import ChatTemplate

plain = (
    '{{ bos_token }}{% for m in messages %}[{{ m.role }}]{{ m.content }}{% endfor %}'
    '{% if tools is not none %}{{ tools | tojson }}{% endif %}'
    '{% if add_generation_prompt %}[assistant]{% endif %}{{ mood }}'
)
messages = [{'role': 'user', 'content': 'hé'}]
tools = [{'name': 'boat', 'a': 1}]


def template_of(template: Any, python: Any = None) -> ChatTemplate:
    return ChatTemplate(
        SimpleNamespace(
            chat_template=template, special_tokens_map={'bos_token': '<s>'}, _chat_template=python
        )
    )


def test_renders_messages_with_the_tokens_of_the_model() -> None:
    rendered = template_of(plain).render({'messages': messages, 'addGenerationPrompt': True})
    assert rendered == '<s>[user]hé[assistant]'


def test_keeps_the_order_of_keys_and_the_characters_of_tools() -> None:
    given = {'messages': [], 'tools': tools, 'addGenerationPrompt': False}
    assert template_of(plain).render(given) == '<s>[{"name": "boat", "a": 1}]'


def test_arguments_reach_the_template_but_never_replace_the_chat() -> None:
    arguments = {'mood': '!', 'messages': [], 'add_generation_prompt': True, 'tokenize': True}
    given = {'messages': messages, 'addGenerationPrompt': False, 'templateArgs': arguments}
    assert template_of(plain).render(given) == '<s>[user]hé!'


def test_of_two_templates_the_one_for_tools_is_used_with_tools() -> None:
    two = template_of({'default': 'plain', 'tool_use': 'tools'})
    assert two.source == 'tools'
    assert two.render({'messages': messages}) == 'plain'
    assert two.render({'messages': messages, 'tools': tools}) == 'tools'
    assert two.render({'messages': messages, 'tools': []}) == 'plain'


@pytest.mark.parametrize(
    ('template', 'words'),
    [
        ("{{ raise_exception('roles must alternate') }}", 'roles must alternate'),
        ('{{ messages[3].role }}', 'refuses these messages'),
        ('{% for %}', 'refuses these messages'),
        ("{{ ''.__class__.__mro__ }}{{ [].append.__self__.__class__ }}", 'refuses these messages'),
        (None, 'no chat template'),
    ],
)
def test_what_cannot_be_rendered_is_a_typed_error(template: str | None, words: str) -> None:
    with pytest.raises(EngineError, match=words) as caught:
        template_of(template).render({'messages': messages})
    assert caught.value.code == 'PREFIXD_E_ENGINE_TEMPLATE'


def test_a_template_in_python_is_called_with_the_same_things() -> None:
    def python(messages: Any, *, tools: Any, add_generation_prompt: bool, mood: str) -> str:
        return f'{messages[0]["content"]} {tools} {add_generation_prompt} {mood}'

    template = template_of(None, python)
    assert template.exists
    given = {'messages': messages, 'addGenerationPrompt': True, 'templateArgs': {'mood': '!'}}
    assert template.render(given) == 'hé None True !'
