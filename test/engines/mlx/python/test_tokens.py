"""Tokenizers: text to tokens and back, whatever kind of vocabulary it is."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from mlx_families.vocabulary import write_tokenizer
from prefixd_mlx.errors import EngineError
from prefixd_mlx.tokens import Vocabulary
from transformers import AutoTokenizer

text = 'Der Fluß war  breit — 河は広い.\n🚣'


def added(token: int, content: str, special: bool = True) -> dict[str, Any]:
    flags = {'single_word': False, 'lstrip': False, 'rstrip': False, 'normalized': False}
    return {'id': token, 'content': content, 'special': special, **flags}


def load(folder: Path, tokenizer: dict[str, Any], settings: dict[str, Any]) -> Any:
    (folder / 'tokenizer.json').write_text(json.dumps(tokenizer))
    kind = {'tokenizer_class': 'PreTrainedTokenizerFast', **settings}
    (folder / 'tokenizer_config.json').write_text(json.dumps(kind))
    return AutoTokenizer.from_pretrained(folder)


@pytest.fixture
def byte_level(tmp_path: Path) -> Vocabulary:
    write_tokenizer(tmp_path)
    tokenizer = AutoTokenizer.from_pretrained(tmp_path)
    return Vocabulary(tokenizer, [], len(tokenizer) + 5)


def sentencepiece_like(folder: Path) -> Any:
    """Bytes for what has no piece, as Llama 2's and Gemma's."""
    pieces = ['<unk>', '<s>', '</s>', *(f'<0x{byte:02X}>' for byte in range(256))]
    pieces += ['▁', '▁the', '▁river', '▁▁', 't', 'h', 'e', 'x', '<tool>']
    replace = {'type': 'Replace', 'pattern': {'String': '▁'}, 'content': ' '}
    insert = {'type': 'Replace', 'pattern': {'String': ' '}, 'content': '▁'}
    merges = [['t', 'h'], ['th', 'e']]
    pieces += ['th', 'the']
    tokenizer = {
        'version': '1.0',
        'added_tokens': [added(0, '<unk>'), added(1, '<s>'), added(2, '</s>'),
                         added(pieces.index('<tool>'), '<tool>', special=False)],
        'normalizer': insert,
        'post_processor': {
            'type': 'TemplateProcessing',
            'single': [{'SpecialToken': {'id': '<s>', 'type_id': 0}},
                       {'Sequence': {'id': 'A', 'type_id': 0}}],
            'pair': [{'Sequence': {'id': 'A', 'type_id': 0}},
                     {'Sequence': {'id': 'B', 'type_id': 0}}],
            'special_tokens': {'<s>': {'id': '<s>', 'ids': [1], 'tokens': ['<s>']}},
        },
        'decoder': {'type': 'Sequence',
                    'decoders': [replace, {'type': 'ByteFallback'}, {'type': 'Fuse'}]},
        'model': {'type': 'BPE', 'unk_token': '<unk>', 'byte_fallback': True, 'fuse_unk': True,
                  'vocab': {piece: at for at, piece in enumerate(pieces)}, 'merges': merges},
    }  # fmt: skip
    return load(folder, tokenizer, {'bos_token': '<s>', 'eos_token': '</s>'})


def test_byte_level_tokens_are_the_bytes_of_the_text(byte_level: Vocabulary) -> None:
    tokens = byte_level.tokenize(text, add_special=False, parse_special=False)
    assert byte_level.detokenize(tokens) == text
    assert b''.join(byte_level.piece(token) for token in tokens) == text.encode()


def test_sentencepiece_tokens_are_the_bytes_of_the_text(tmp_path: Path) -> None:
    vocabulary = Vocabulary(sentencepiece_like(tmp_path), [], 300)
    tokens = vocabulary.tokenize('the  riverß', add_special=False, parse_special=False)
    assert vocabulary.detokenize(tokens) == 'the  riverß'
    assert vocabulary.piece(3 + 0x0A) == b'\n'
    assert vocabulary.piece(vocabulary.tokenize(' ', False, False)[0]) == b' '


def test_what_looks_special_is_text_unless_it_is_asked_for(byte_level: Vocabulary) -> None:
    word = '<|im_end|>'
    as_text = byte_level.tokenize(word, add_special=False, parse_special=False)
    parsed = byte_level.tokenize(word, add_special=False, parse_special=True)
    assert len(as_text) > 1
    assert len(parsed) == 1
    assert byte_level.detokenize(as_text) == byte_level.detokenize(parsed) == word


def test_a_beginning_that_is_written_out_is_not_added_again(tmp_path: Path) -> None:
    vocabulary = Vocabulary(sentencepiece_like(tmp_path), [], 300)
    assert vocabulary.tokenize('x', add_special=True, parse_special=True)[0] == 1
    written = vocabulary.tokenize('<s>x', add_special=True, parse_special=True)
    assert written == vocabulary.tokenize('x', add_special=True, parse_special=True)
    assert vocabulary.tokenize('<s>x', add_special=True, parse_special=False).count(1) == 1


def test_two_beginnings_stay_where_the_tokenizer_adds_none(tmp_path: Path) -> None:
    """As llama.cpp has it: chats of some models begin with the token that is named as one."""
    write_tokenizer(tmp_path)
    content = json.loads((tmp_path / 'tokenizer.json').read_text())
    tokenizer = load(tmp_path, content, {'bos_token': '<|im_end|>'})
    vocabulary = Vocabulary(tokenizer, [], len(content['model']['vocab']) + 10)
    assert len(vocabulary.tokenize('<|im_end|><|im_end|>', True, True)) == 2


def test_tokens_of_the_users_of_a_vocabulary_are_parsed_always(tmp_path: Path) -> None:
    """Not special: llama.cpp's user-defined ones, which are parsed in any text."""
    vocabulary = Vocabulary(sentencepiece_like(tmp_path), [], 300)
    assert len(vocabulary.tokenize('<tool>', add_special=False, parse_special=False)) == 1


def test_ends_are_those_of_the_files_and_those_with_a_known_name(byte_level: Vocabulary) -> None:
    texts = [byte_level.piece(token) for token in byte_level.ends]
    assert texts == [b'<|endoftext|>', b'<|im_end|>']


def test_tokens_beyond_the_tokenizer_have_no_text(byte_level: Vocabulary) -> None:
    assert byte_level.piece(byte_level.size - 1) == b''
    with pytest.raises(EngineError, match='not in the vocabulary'):
        byte_level.piece(byte_level.size)


def test_a_gap_needs_all_three_of_its_tokens(tmp_path: Path) -> None:
    names = ['<|fim_prefix|>', '<|fim_middle|>', '<|fim_suffix|>']
    for count in (2, 3):
        write_tokenizer(tmp_path)
        content = json.loads((tmp_path / 'tokenizer.json').read_text())
        first = len(content['model']['vocab'])
        content['added_tokens'] += [added(first + at, it) for at, it in enumerate(names[:count])]
        vocabulary = Vocabulary(load(tmp_path, content, {}), [], first + 3)
        wanted = {'prefix': first, 'middle': first + 1, 'suffix': first + 2}
        assert vocabulary.gap == (wanted if count == 3 else None)


def test_a_tokenizer_whose_bytes_cannot_be_read_is_refused(tmp_path: Path) -> None:
    tokenizer = {
        'version': '1.0',
        'added_tokens': [],
        'decoder': {'type': 'WordPiece', 'prefix': '##', 'cleanup': True},
        'model': {'type': 'WordLevel', 'vocab': {'a': 0, '[UNK]': 1}, 'unk_token': '[UNK]'},
    }
    with pytest.raises(EngineError, match='Byte-level and sentencepiece') as caught:
        Vocabulary(load(tmp_path, tokenizer, {}), [], 2)
    assert caught.value.code == 'PREFIXD_E_ENGINE_MODEL'
