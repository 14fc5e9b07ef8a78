"""How text is cut before pairs are merged: what llama.cpp does for each `tokenizer.ggml.pre`.

The expressions are those of llama.cpp (src/llama-vocab.cpp), so that a converted model sees the
tokens that it saw there; a name that is not here is refused, since a wrong one costs quality
without a sign.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from prefixd_mlx.convert.errors import ANOTHER_FILE, not_convertible

_GPT2 = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"
_ENDINGS = r"(?:'[sS]|'[tT]|'[rR][eE]|'[vV][eE]|'[mM]|'[lL][lL]|'[dD])"
_WORDS = r'[^\r\n\p{L}\p{N}]?\p{L}+'
_REST = r' ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+'
_LLAMA3 = rf'{_ENDINGS}|{_WORDS}|\p{{N}}{{1,3}}|{_REST}'
_QWEN2 = rf'{_ENDINGS}|{_WORDS}|\p{{N}}|{_REST}'
_DIGIT = r'\p{N}'


@dataclass(frozen=True)
class PreTokenizer:
    expressions: tuple[str, ...]
    # A piece that is a token as a whole is taken as one, whatever the merges would make of it.
    whole_pieces: bool = False
    # Where the metadata does not say whether the beginning-of-text token is put in front.
    adds_bos: bool = False

    def as_json(self) -> dict[str, Any]:
        """The `pre_tokenizer` of tokenizer.json."""
        splits = [
            {
                'type': 'Split',
                'pattern': {'Regex': expression},
                'behavior': 'Isolated',
                'invert': False,
            }
            for expression in self.expressions
        ]
        letters = {
            'type': 'ByteLevel',
            'add_prefix_space': False,
            'trim_offsets': True,
            'use_regex': False,
        }
        return {'type': 'Sequence', 'pretokenizers': [*splits, letters]}


_gpt2 = PreTokenizer((_GPT2,))
_digits = PreTokenizer((_DIGIT, _GPT2))
_qwen2 = PreTokenizer((_QWEN2,))
_llama3 = PreTokenizer((_LLAMA3,), whole_pieces=True, adds_bos=True)

_BY_NAME = {
    **dict.fromkeys(('gpt-2', 'phi-2', 'mpt', 'olmo', 'jais', 'mellum', 'exaone4'), _gpt2),
    **dict.fromkeys(
        ('smollm', 'starcoder', 'refact', 'command-r', 'codeshell', 'exaone', 'minerva-7b'),
        _digits,
    ),
    **dict.fromkeys(
        ('qwen2', 'deepseek-r1-qwen', 'kormo', 'f2llmv2', 'megrez', 'stablelm2', 'hunyuan'),
        _qwen2,
    ),
    **dict.fromkeys(('llama-bpe', 'llama3', 'llama-v3', 'falcon3', 'pixtral', 'midm-2.0'), _llama3),
    **dict.fromkeys(('smaug-bpe', 'dbrx'), PreTokenizer((_LLAMA3,))),
}


def pre_tokenizer_of(name: Any) -> PreTokenizer:
    known = _BY_NAME.get(str(name))
    if known is not None:
        return known
    raise not_convertible(
        f'tokenizer.ggml.pre is {name}, which cannot be converted; these can: '
        f'{", ".join(sorted(_BY_NAME))}.',
        ANOTHER_FILE,
    )
