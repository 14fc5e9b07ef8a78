"""Writes small GGUF files of noise, in any type of tensor."""

from __future__ import annotations

import struct
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

# Numbers of a block, bytes of a block, and where in it the float16 scales stand.
BLOCKS = {
    'F32': (0, 1, 4, []),
    'F16': (1, 1, 2, []),
    'Q4_0': (2, 32, 18, [0]),
    'Q4_1': (3, 32, 20, [0, 2]),
    'Q8_0': (8, 32, 34, [0]),
    'Q6_K': (14, 256, 210, [208]),
    'BF16': (30, 1, 2, []),
    'Q5_K': (13, 256, 176, [0, 2]),
}
LAYERS, WIDTH, HIDDEN, HEADS, KV_HEADS, VOCABULARY = 2, 64, 96, 4, 2, 40


@dataclass
class Gguf:
    """What is in a file; tests change it before it is written."""

    metadata: dict[str, Any] = field(default_factory=dict)
    # Name, shape with rows first, type, bytes.
    tensors: dict[str, tuple[tuple[int, ...], str, bytes]] = field(default_factory=dict)

    def add(self, name: str, shape: tuple[int, ...], kind: str = 'F32', seed: int = 0) -> None:
        self.tensors[name] = (shape, kind, noise(shape, kind, seed))

    def write(self, path: Path) -> Path:
        head = b'GGUF' + struct.pack('<IQQ', 3, len(self.tensors), len(self.metadata))
        for key, value in self.metadata.items():
            head += _text(key) + _value(value)
        body = b''
        for name, (shape, kind, data) in self.tensors.items():
            head += _text(name) + struct.pack('<I', len(shape))
            head += b''.join(struct.pack('<Q', length) for length in reversed(shape))
            head += struct.pack('<IQ', BLOCKS[kind][0], len(body))
            body += data + bytes(-len(data) % 32)
        path.write_bytes(head + bytes(-len(head) % 32) + body)
        return path


def noise(shape: tuple[int, ...], kind: str, seed: int) -> bytes:
    random = np.random.default_rng(seed)
    _, numbers, size, scales_at = BLOCKS[kind]
    count = int(np.prod(shape)) // numbers
    if kind in ('F32', 'F16', 'BF16'):
        values: NDArray[np.float32] = random.standard_normal(count).astype(np.float32)
        if kind == 'BF16':
            return (values.view(np.uint32) >> 16).astype(np.uint16).tobytes()
        return values.astype(np.float32 if kind == 'F32' else np.float16).tobytes()
    blocks = random.integers(0, 256, (count, size), dtype=np.uint8)
    for at in scales_at:
        scales = random.uniform(-0.02, 0.02, (count, 1)).astype(np.float16)
        blocks[:, at : at + 2] = scales.view(np.uint8)
    return blocks.tobytes()


def llama(architecture: str = 'llama', kind: str = 'F32') -> Gguf:
    """A whole model with a vocabulary of letters."""
    gguf = Gguf(_metadata(architecture))
    head = WIDTH // HEADS
    gguf.add('token_embd.weight', (VOCABULARY, WIDTH), kind)
    gguf.add('output_norm.weight', (WIDTH,))
    for layer in range(LAYERS):
        rows = {'attn_q': WIDTH, 'attn_k': KV_HEADS * head, 'attn_v': KV_HEADS * head}
        rows |= {'attn_output': WIDTH, 'ffn_gate': HIDDEN, 'ffn_up': HIDDEN}
        for seed, (name, count) in enumerate(rows.items()):
            gguf.add(f'blk.{layer}.{name}.weight', (count, WIDTH), kind, seed)
        gguf.add(f'blk.{layer}.ffn_down.weight', (WIDTH, HIDDEN), kind)
        for norm in ('attn_norm', 'ffn_norm'):
            gguf.add(f'blk.{layer}.{norm}.weight', (WIDTH,))
        if architecture == 'qwen2':
            for name in ('attn_q', 'attn_k', 'attn_v'):
                gguf.add(f'blk.{layer}.{name}.bias', (rows[name],), seed=7)
    return gguf


def _metadata(architecture: str) -> dict[str, Any]:
    letters = ['Ġ', *(chr(ord('a') + at) for at in range(26)), 'th', 'Ġa', '<end>', '<tool>']
    tokens = letters + [f'[{at}]' for at in range(VOCABULARY - len(letters))]
    own = {
        'block_count': LAYERS,
        'context_length': 512,
        'embedding_length': WIDTH,
        'feed_forward_length': HIDDEN,
        'attention.head_count': HEADS,
        'attention.head_count_kv': KV_HEADS,
        'attention.layer_norm_rms_epsilon': 1e-5,
        'rope.freq_base': 10_000.0,
    }
    return {
        'general.architecture': architecture,
        **{f'{architecture}.{key}': value for key, value in own.items()},
        'tokenizer.ggml.model': 'gpt2',
        'tokenizer.ggml.pre': 'qwen2',
        'tokenizer.ggml.tokens': tokens,
        'tokenizer.ggml.token_type': [
            {'<end>': 3, '<tool>': 4}.get(text, 5 if text.startswith('[') else 1) for text in tokens
        ],
        'tokenizer.ggml.merges': ['t h', 'Ġ a'],
        'tokenizer.ggml.eos_token_id': tokens.index('<end>'),
        'tokenizer.chat_template': '{{ messages }}',
    }


def _text(text: str) -> bytes:
    return struct.pack('<Q', len(text.encode())) + text.encode()


def _value(value: Any) -> bytes:
    if isinstance(value, bool):
        return struct.pack('<I?', 7, value)
    if isinstance(value, int):
        return struct.pack('<II', 4, value)
    if isinstance(value, float):
        return struct.pack('<If', 6, value)
    if isinstance(value, str):
        return struct.pack('<I', 8) + _text(value)
    kind, write = (8, _text) if isinstance(value[0], str) else (5, lambda at: struct.pack('<i', at))
    items: list[bytes] = [write(item) for item in value]
    return struct.pack('<IIQ', 9, kind, len(items)) + b''.join(items)
