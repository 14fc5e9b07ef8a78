"""A tokenizer out of GGUF's metadata that cuts text into the tokens that llama.cpp cuts it into.

Texts are not normalised, since llama.cpp does not: a model that was trained with NFC sees
decomposed letters here as it sees them there.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer

from prefixd_mlx.convert.errors import ANOTHER_FILE, broken_file, not_convertible
from prefixd_mlx.convert.pre_tokenizers import PreTokenizer, pre_tokenizer_of

# As GGUF numbers the kinds of tokens.
_UNKNOWN, _CONTROL, _USER_DEFINED = 2, 3, 4
_ROLES = {
    'bos_token': 'bos_token_id',
    'eos_token': 'eos_token_id',
    'pad_token': 'padding_token_id',
    'unk_token': 'unknown_token_id',
}


class GgufTokenizer:
    """Raises PREFIXD_E_MODEL_CONVERT for another kind than byte-level BPE."""

    def __init__(self, metadata: Mapping[str, Any]) -> None:
        self._metadata = metadata
        model = self._at('model')
        if model != 'gpt2':
            raise not_convertible(
                f'Its tokenizer is {model}; only byte-level BPE (gpt2) can be converted.',
                ANOTHER_FILE,
            )
        self._pre: PreTokenizer = pre_tokenizer_of(self._at('pre'))
        self._texts: list[str] = self._texts_of('tokens')
        self._merges = [_pair(merge) for merge in self._texts_of('merges')]

    def eos_tokens(self) -> list[int]:
        """Tokens that end an answer: of the text, and of one's turn."""
        named = (self._token_id(name) for name in ('eos_token_id', 'eot_token_id'))
        return sorted({token for token in named if token is not None})

    def bos_token(self) -> int | None:
        return self._token_id('bos_token_id')

    def write(self, folder: Path, context_tokens: int) -> None:
        text = json.dumps(self._tokenizer_json(), ensure_ascii=False)
        try:
            Tokenizer.from_str(text)
        except Exception as error:
            raise broken_file(f'has a vocabulary that is none: {error}') from error
        (folder / 'tokenizer.json').write_text(text, encoding='utf-8')
        settings = json.dumps(self._settings(context_tokens), ensure_ascii=False, indent=2)
        (folder / 'tokenizer_config.json').write_text(f'{settings}\n', encoding='utf-8')

    def _tokenizer_json(self) -> dict[str, Any]:
        return {
            'version': '1.0',
            'truncation': None,
            'padding': None,
            'added_tokens': self._added_tokens(),
            'normalizer': None,
            'pre_tokenizer': self._pre.as_json(),
            'post_processor': self._post_processor(),
            'decoder': {
                'type': 'ByteLevel',
                'add_prefix_space': True,
                'trim_offsets': True,
                'use_regex': True,
            },
            'model': {
                'type': 'BPE',
                'dropout': None,
                'unk_token': None,
                'continuing_subword_prefix': None,
                'end_of_word_suffix': None,
                'fuse_unk': False,
                'byte_fallback': False,
                'ignore_merges': self._pre.whole_pieces,
                'vocab': {text: token for token, text in enumerate(self._texts)},
                'merges': self._merges,
            },
        }

    def _added_tokens(self) -> list[dict[str, Any]]:
        """Found before anything is cut; those of control only where a text may have them."""
        kinds = self._metadata.get('tokenizer.ggml.token_type') or []
        return [
            {
                'id': token,
                'content': self._texts[token],
                'single_word': False,
                'lstrip': False,
                'rstrip': False,
                'normalized': False,
                'special': kind != _USER_DEFINED,
            }
            for token, kind in enumerate(kinds[: len(self._texts)])
            if kind in (_UNKNOWN, _CONTROL, _USER_DEFINED) and self._texts[token]
        ]

    def _post_processor(self) -> dict[str, Any] | None:
        adds_bos = self._metadata.get('tokenizer.ggml.add_bos_token', self._pre.adds_bos)
        around = [
            self._token_id('bos_token_id') if adds_bos else None,
            self._token_id('eos_token_id')
            if self._metadata.get('tokenizer.ggml.add_eos_token')
            else None,
        ]
        if adds_bos and around[0] is None:
            raise broken_file('does not say which token begins a text')
        first, last = ([] if token is None else [token] for token in around)
        if not first and not last:
            return None
        # A second text, of which tokenizers want to hear too, is put behind the first one.
        sequences = {
            'single': [*first, {'Sequence': {'id': 'A', 'type_id': 0}}, *last],
            'pair': [
                *(*first, {'Sequence': {'id': 'A', 'type_id': 0}}),
                *({'Sequence': {'id': 'B', 'type_id': 0}}, *last),
            ],
        }
        return {
            'type': 'TemplateProcessing',
            **{name: [self._piece(part) for part in parts] for name, parts in sequences.items()},
            'special_tokens': {
                self._texts[token]: {
                    'id': self._texts[token],
                    'ids': [token],
                    'tokens': [self._texts[token]],
                }
                for token in (*first, *last)
            },
        }

    def _piece(self, part: Any) -> dict[str, Any]:
        if isinstance(part, int):
            return {'SpecialToken': {'id': self._texts[part], 'type_id': 0}}
        piece: dict[str, Any] = part
        return piece

    def _settings(self, context_tokens: int) -> dict[str, Any]:
        named = {role: self._token_id(key) for role, key in _ROLES.items()}
        return {
            'tokenizer_class': 'PreTrainedTokenizerFast',
            'clean_up_tokenization_spaces': False,
            'model_max_length': context_tokens,
            **{role: self._texts[token] for role, token in named.items() if token is not None},
            **self._chat_template(),
        }

    def _chat_template(self) -> dict[str, Any]:
        standard = self._metadata.get('tokenizer.chat_template')
        names = self._metadata.get('tokenizer.chat_templates') or []
        others = {name: self._metadata.get(f'tokenizer.chat_template.{name}') for name in names}
        if not others:
            return {} if standard is None else {'chat_template': standard}
        listed = {'default': standard, **others}
        return {
            'chat_template': [
                {'name': name, 'template': template}
                for name, template in listed.items()
                if template is not None
            ]
        }

    def _token_id(self, key: str) -> int | None:
        token = self._at(key)
        return token if isinstance(token, int) and 0 <= token < len(self._texts) else None

    def _texts_of(self, key: str) -> list[str]:
        texts = self._at(key)
        if not isinstance(texts, list) or not all(isinstance(text, str) for text in texts):
            raise broken_file(f'has no tokenizer.ggml.{key}')
        return texts

    def _at(self, key: str) -> Any:
        return self._metadata.get(f'tokenizer.ggml.{key}')


def _pair(merge: str) -> list[str]:
    """The first character may be a space itself."""
    at = merge.find(' ', 1)
    if at < 0:
        raise broken_file(f'has a merge that is no pair ({merge[:40]!r})')
    return [merge[:at], merge[at + 1 :]]
