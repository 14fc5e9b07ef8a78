"""Text to tokens and back, by the model's own tokenizer, and what its tokens mean."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from threading import Lock
from typing import Any

from prefixd_mlx.errors import compute_error, model_error

# Names of tokens that end a message or an answer, besides those that the model's files name.
_END_TEXTS = (
    '<|im_end|>', '<|endoftext|>', '<|eot_id|>', '<|eom_id|>', '<|end_of_text|>', '<|end|>',
    '<|eot|>', '<|return|>', '<|call|>', '<|end_of_turn|>', '<end_of_turn>', '<turn|>', '<EOT>',
    '<|END_OF_TURN_TOKEN|>', '<|end▁of▁sentence|>', '<｜end▁of▁sentence｜>', '</s>',
)  # fmt: skip

# Those between which a prompt puts what comes before a gap, and what comes behind it.
_GAP_TEXTS = {
    'prefix': ('<|fim_prefix|>', '<fim_prefix>', '<fim-prefix>', '<｜fim▁begin｜>', '<PRE>',
               '▁<PRE>', '<|code_prefix|>'),
    'suffix': ('<|fim_suffix|>', '<fim_suffix>', '<fim-suffix>', '<｜fim▁hole｜>', '<SUF>',
               '▁<SUF>', '<|code_suffix|>'),
    'middle': ('<|fim_middle|>', '<fim_middle>', '<fim-middle>', '<｜fim▁end｜>', '<MID>',
               '▁<MID>', '<|code_middle|>'),
}  # fmt: skip


class Vocabulary:
    """`tokenizer` is what transformers loads; `size` is the number of the model's logits."""

    def __init__(self, tokenizer: Any, end_tokens: Sequence[int], size: int) -> None:
        backend = getattr(tokenizer, 'backend_tokenizer', None)
        if backend is None:
            raise model_error(
                f'The tokenizer {type(tokenizer).__name__} has no tokenizer.json, which prefixd '
                'reads. Use a folder of the model that has one.'
            )
        self.size = size
        self._backend = backend
        # Grammars are read where models compute, texts in another thread.
        self._encoding = Lock()
        backend.no_truncation()
        backend.no_padding()
        bos: int | None = tokenizer.bos_token_id
        self._added_bos = (
            bos if backend.encode('', add_special_tokens=True).ids[:1] == [bos] else None
        )
        texts: dict[str, int] = backend.get_vocab(with_added_tokens=True)
        self.pieces = _pieces_of(backend, texts, size)
        named = (texts[text] for text in _END_TEXTS if text in texts)
        self.ends = sorted(token for token in {*end_tokens, *named} if 0 <= token < size)
        self.gap = _gap_of(texts)

    def tokenize(self, text: str, add_special: bool, parse_special: bool) -> list[int]:
        with self._encoding:
            self._backend.encode_special_tokens = not parse_special
            ids: list[int] = self._backend.encode(text, add_special_tokens=add_special).ids
        # Templates write the beginning-of-text token out, and the tokenizer adds it again.
        doubled = add_special and len(ids) > 1 and ids[0] == ids[1] == self._added_bos
        return ids[1:] if doubled else ids

    def piece(self, token: int) -> bytes:
        """Special tokens written out; a token may be a part of a character."""
        if not 0 <= token < self.size:
            raise compute_error(
                f'Token {token} is not in the vocabulary: ids are whole numbers from 0 to '
                f'{self.size - 1}.'
            )
        return self.pieces[token]

    def detokenize(self, tokens: Sequence[int]) -> str:
        return b''.join(self.piece(token) for token in tokens).decode('utf-8', 'replace')


def _pieces_of(backend: Any, texts: Mapping[str, int], size: int) -> list[bytes]:
    added: dict[int, Any] = backend.get_added_tokens_decoder()
    read = _reader_of(backend)
    pieces = [b''] * size
    for text, token in texts.items():
        if token < size:
            pieces[token] = text.encode() if token in added else read(text)
    return pieces


def _reader_of(backend: Any) -> Callable[[str], bytes]:
    """How this kind of tokenizer writes bytes as text; its decoder says which kind it is."""
    decoder = repr(backend.decoder)
    if 'ByteLevel' in decoder:
        byte_of = _bytes_of_byte_level()
        # Letters that stand for no byte are in no text: such a token is what it says.
        return lambda text: (
            bytes(byte_of[char] for char in text)
            if all(char in byte_of for char in text)
            else text.encode()
        )
    if 'ByteFallback' in decoder or '▁' in decoder:
        return _sentencepiece_bytes
    raise model_error(
        f"The bytes of this tokenizer's tokens cannot be read: its decoder is {decoder[:100]}. "
        'Byte-level and sentencepiece tokenizers are known; use another model.'
    )


def _bytes_of_byte_level() -> dict[str, int]:
    """GPT-2's letters for bytes: printable ones are themselves, others come from 256 on."""
    printable = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = [byte for byte in range(256) if byte not in printable]
    letters = {chr(byte): byte for byte in printable}
    letters.update({chr(256 + at): byte for at, byte in enumerate(others)})
    return letters


def _sentencepiece_bytes(text: str) -> bytes:
    if len(text) == 6 and text.startswith('<0x') and text.endswith('>'):
        try:
            return bytes([int(text[3:5], 16)])
        except ValueError:
            pass
    return text.replace('▁', ' ').encode()


def _gap_of(texts: Mapping[str, int]) -> dict[str, int] | None:
    gap: dict[str, int] = {}
    for place, names in _GAP_TEXTS.items():
        found = next((texts[name] for name in names if name in texts), None)
        if found is None:
            return None
        gap[place] = found
    return gap
