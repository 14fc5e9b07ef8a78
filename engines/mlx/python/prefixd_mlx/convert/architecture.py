"""Names and settings of a model's parts: what GGUF calls them, and what mlx-lm does.

Every key and tensor that is not understood is refused: what is left out would change the answers.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from prefixd_mlx.convert.errors import ANOTHER_FILE, broken_file, not_convertible
from prefixd_mlx.convert.rope import FREQUENCIES, rope_scaling

# GGUF's `llama` keeps the rows of queries and keys in the order of the original rotation: pairs lie
# side by side. The others are as mlx-lm has them already.
_PAIRED_ROWS = {'llama': True, 'qwen2': False, 'qwen3': False}

_WHOLE = {
    'token_embd': 'model.embed_tokens',
    'output_norm': 'model.norm',
    'output': 'lm_head',
}
_LAYER = {
    'attn_norm': 'input_layernorm',
    'attn_q': 'self_attn.q_proj',
    'attn_k': 'self_attn.k_proj',
    'attn_v': 'self_attn.v_proj',
    'attn_output': 'self_attn.o_proj',
    'attn_q_norm': 'self_attn.q_norm',
    'attn_k_norm': 'self_attn.k_norm',
    'ffn_norm': 'post_attention_layernorm',
    'ffn_gate': 'mlp.gate_proj',
    'ffn_up': 'mlp.up_proj',
    'ffn_down': 'mlp.down_proj',
}
_NEEDED = [name for name in _LAYER if name not in ('attn_q_norm', 'attn_k_norm')]
# Of the `llama` family of metadata; those are of others.
_FOREIGN_KEYS = re.compile(
    r'\.(expert_|ssm\.|attention\.(sliding_window|shared_kv|scale|temperature|q_lora|kv_lora|clamp)'
    r'|logit_scale|residual_scale|embedding_scale|attn_logit|final_logit|router_logit'
    r'|swin_norm|rescale_every|interleave_moe|moe_every|nextn_predict)'
)


@dataclass(frozen=True)
class Part:
    """Where a tensor goes, and in how many heads its rows have to be put in another order."""

    module: str
    kind: str
    paired_heads: int | None


class Architecture:
    def __init__(self, metadata: Mapping[str, Any], shapes: Mapping[str, tuple[int, ...]]) -> None:
        self.name = str(metadata.get('general.architecture'))
        if self.name not in _PAIRED_ROWS:
            raise not_convertible(
                f'The architecture {self.name} cannot be converted; these can: '
                f'{", ".join(_PAIRED_ROWS)}.',
                ANOTHER_FILE,
            )
        self._metadata = metadata
        self._shapes = shapes
        self._refuse_foreign_keys()
        self._refuse_parts()
        self.heads = self._number('attention.head_count')
        self.kv_heads = self._number('attention.head_count_kv', self.heads)
        self.layers = self._number('block_count')
        self.embedding = self._number('embedding_length')
        self.head_numbers = self._number('attention.key_length', self.embedding // self.heads)
        self._refuse_odd_heads()

    def part_of(self, tensor: str) -> Part | None:
        """None: it says nothing that config.json does not."""
        if tensor == FREQUENCIES:
            return None
        match = re.fullmatch(r'(?:blk\.(\d+)\.)?(\w+)\.(weight|bias)', tensor)
        layer, name, kind = match.groups() if match else (None, '', '')
        module = _WHOLE.get(name) if layer is None else _LAYER.get(name)
        if module is None or (layer is not None and int(layer) >= self.layers):
            raise not_convertible(
                f'The tensor {tensor} is none that a model of the architecture {self.name} is '
                'known to have.',
                ANOTHER_FILE,
            )
        if layer is None:
            return Part(module, kind, None)
        paired = {'attn_q': self.heads, 'attn_k': self.kv_heads} if self._is_paired else {}
        return Part(f'model.layers.{layer}.{module}', kind, paired.get(name))

    @property
    def _is_paired(self) -> bool:
        return _PAIRED_ROWS[self.name]

    def config(self) -> dict[str, Any]:
        """What mlx-lm reads of config.json, quantisation and tokens aside."""
        if 'token_embd.weight' not in self._shapes:
            raise broken_file('has no token embeddings')
        has_bias = {name: f'blk.0.{name}.bias' in self._shapes for name in _LAYER}
        config: dict[str, Any] = {
            'model_type': self.name,
            'architectures': [f'{self.name.capitalize()}ForCausalLM'],
            'hidden_size': self.embedding,
            'num_hidden_layers': self.layers,
            'intermediate_size': self._number('feed_forward_length'),
            'num_attention_heads': self.heads,
            'num_key_value_heads': self.kv_heads,
            'head_dim': self.head_numbers,
            'hidden_act': 'silu',
            'rms_norm_eps': self._decimal('attention.layer_norm_rms_epsilon'),
            'vocab_size': self._shapes['token_embd.weight'][0],
            'max_position_embeddings': self._number('context_length'),
            'rope_theta': self._decimal('rope.freq_base', 10_000.0),
            'tie_word_embeddings': 'output.weight' not in self._shapes,
        }
        if self.name == 'llama':
            config['attention_bias'] = has_bias['attn_q']
            config['mlp_bias'] = has_bias['ffn_gate']
        return config

    def frequencies_config(self, factors: Any) -> dict[str, Any]:
        """How the rotation is stretched; `factors` is the tensor of it, or None."""
        scaling = rope_scaling(self._metadata, self.name, self.head_numbers, factors)
        return {} if scaling is None else {'rope_scaling': scaling}

    def _refuse_foreign_keys(self) -> None:
        for key, value in self._metadata.items():
            if _FOREIGN_KEYS.search(key) and key.startswith(f'{self.name}.') and value:
                raise not_convertible(
                    f'{key} is {str(value)[:40]}, which has no place in config.json of '
                    f'{self.name}.',
                    ANOTHER_FILE,
                )

    def _refuse_parts(self) -> None:
        count = self._metadata.get('split.count', 1)
        if count > 1:
            raise not_convertible(
                f'The file is one of {count} parts of a model; only whole files can be converted.',
                'Put the parts together with `llama-gguf-split --merge`, and convert that file.',
            )
        layers = range(self._number('block_count'))
        needed = [f'blk.{layer}.{name}.weight' for layer in layers for name in _NEEDED]
        missing = next((name for name in needed if name not in self._shapes), None)
        if missing is not None:
            raise broken_file(f'lacks {missing}')

    def _refuse_odd_heads(self) -> None:
        values = self._number('attention.value_length', self.head_numbers)
        rotated = self._number('rope.dimension_count', self.head_numbers)
        if values != self.head_numbers or rotated != self.head_numbers:
            raise not_convertible(
                f'Keys have {self.head_numbers} numbers a head, of which {rotated} are rotated, '
                f'and values {values}; only models with one and the same number can be converted.',
                ANOTHER_FILE,
            )

    def _number(self, key: str, default: int | None = None) -> int:
        value = self._metadata.get(f'{self.name}.{key}', default)
        if not isinstance(value, int) or value < 1:
            raise not_convertible(
                f'{self.name}.{key} is {str(value)[:40]}; it has to be one whole number for all '
                'layers.',
                ANOTHER_FILE,
            )
        return value

    def _decimal(self, key: str, default: float | None = None) -> float:
        value = self._metadata.get(f'{self.name}.{key}', default)
        if not isinstance(value, int | float):
            raise broken_file(f'does not say {self.name}.{key}')
        return _shortest(float(value))


def _shortest(value: float) -> float:
    """Written as float32: 1e-05 and not 9.999999747378752e-06."""
    return float(str(np.float32(value)))
