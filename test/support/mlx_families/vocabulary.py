"""The byte-level vocabulary of `byte-vocabulary.ts`, as transformers reads it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

_special = ('<|endoftext|>', '<|im_start|>', '<|im_end|>')
_end = '<|im_end|>'

_template = (
    "{% for m in messages %}<|im_start|>{{ m['role'] }}\n{{ m['content'] }}<|im_end|>\n"
    '{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}'
)


def _byte_letters() -> list[str]:
    """Every byte, in the letters that GPT-2's tokenizers write bytes with."""
    plain = {*range(33, 127), *range(161, 173), *range(174, 256)}
    moved = iter(range(256, 512))
    return [chr(byte) if byte in plain else chr(next(moved)) for byte in range(256)]


def _pairs() -> list[tuple[str, str]]:
    letters = 'etaoinshrdlucm'
    return [(first, second) for first in letters for second in letters]


def _tokens() -> list[str]:
    return [*_byte_letters(), *(first + second for first, second in _pairs()), *_special]


def vocabulary_size() -> int:
    return len(_tokens())


def end_token() -> int:
    return _tokens().index(_end)


def _tokenizer() -> dict[str, Any]:
    byte_level = {'type': 'ByteLevel', 'add_prefix_space': False, 'trim_offsets': True}
    tokens = _tokens()
    return {
        'version': '1.0',
        'added_tokens': [_added(tokens.index(token), token) for token in _special],
        'pre_tokenizer': {**byte_level, 'use_regex': True},
        'decoder': {**byte_level, 'use_regex': True},
        'model': {
            'type': 'BPE',
            'vocab': {token: index for index, token in enumerate(tokens)},
            'merges': [list(pair) for pair in _pairs()],
        },
    }


def _added(index: int, token: str) -> dict[str, Any]:
    return {
        'id': index,
        'content': token,
        'single_word': False,
        'lstrip': False,
        'rstrip': False,
        'normalized': False,
        'special': True,
    }


def write_tokenizer(folder: Path) -> None:
    settings = {
        'tokenizer_class': 'PreTrainedTokenizerFast',
        'bos_token': '<|endoftext|>',
        'eos_token': _end,
        'chat_template': _template,
        'clean_up_tokenization_spaces': False,
        'model_max_length': 8192,
    }
    _write_json(folder / 'tokenizer.json', _tokenizer())
    _write_json(folder / 'tokenizer_config.json', settings)


def _write_json(path: Path, content: dict[str, Any]) -> None:
    path.write_text(json.dumps(content, ensure_ascii=False), encoding='utf-8')
