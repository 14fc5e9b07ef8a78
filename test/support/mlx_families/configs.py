"""What mlx-lm needs to know of each family; small, and with windows shorter than a prompt."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

Config = dict[str, Any]

_hidden = 128
_inner = 256
_heads = 2
# Quantised rows come in groups of 64.
_head_size = 64
_context = 8192

# A few blocks of the tests, and no multiple of their size.
window_tokens = 100
chunk_tokens = 90


def _decoder(model_type: str, layers: int) -> Config:
    return {
        'model_type': model_type,
        'hidden_size': _hidden,
        'num_hidden_layers': layers,
        'intermediate_size': _inner,
        'num_attention_heads': _heads,
        'num_key_value_heads': 1,
        'head_dim': _head_size,
        'rms_norm_eps': 1e-5,
        'rope_theta': 10_000.0,
        'max_position_embeddings': _context,
        'tie_word_embeddings': False,
    }


def _llama() -> Config:
    return _decoder('llama', 3)


def _gemma3() -> Config:
    """Every third layer sees everything, the others the last tokens."""
    return {
        **_decoder('gemma3_text', 3),
        'query_pre_attn_scalar': _head_size,
        'sliding_window': window_tokens,
        'sliding_window_pattern': 3,
    }


def _gpt_oss() -> Config:
    return {
        **_decoder('gpt_oss', 4),
        'intermediate_size': 64,
        'num_local_experts': 4,
        'num_experts_per_tok': 2,
        'sliding_window': window_tokens,
    }


def _delta_net() -> Config:
    return {
        'linear_num_value_heads': 2,
        'linear_num_key_heads': 1,
        'linear_key_head_dim': 64,
        'linear_value_head_dim': 64,
        'linear_conv_kernel_dim': 4,
        'full_attention_interval': 3,
    }


def _qwen35() -> Config:
    text = {**_decoder('qwen3_5', 3), **_delta_net()}
    return {'model_type': 'qwen3_5', 'text_config': text}


def _qwen3_next() -> Config:
    return {
        **_decoder('qwen3_next', 3),
        **_delta_net(),
        'num_experts': 4,
        'num_experts_per_tok': 2,
        'decoder_sparse_step': 1,
        'mlp_only_layers': [],
        'moe_intermediate_size': 64,
        'shared_expert_intermediate_size': 64,
        'partial_rotary_factor': 0.25,
    }


def _mamba2() -> Config:
    return {
        'model_type': 'mamba2',
        'num_heads': 4,
        'head_dim': 64,
        'hidden_size': _hidden,
        'intermediate_size': _inner,
        'state_size': 64,
        'num_hidden_layers': 3,
        'layer_norm_epsilon': 1e-5,
        'conv_kernel': 4,
        'n_groups': 1,
        'use_bias': False,
        'use_conv_bias': True,
        'tie_word_embeddings': False,
        'time_step_limit': [0.0, 1e9],
        'time_step_rank': 4,
        'max_position_embeddings': _context,
    }


def _llama4() -> Config:
    """Three layers see their chunk, the fourth everything; mlx-lm expects them in this order."""
    text = {
        **_decoder('llama4_text', 4),
        'attention_bias': False,
        'attention_chunk_size': chunk_tokens,
        'interleave_moe_layer_step': 2,
        'intermediate_size_mlp': _inner,
        'num_experts_per_tok': 1,
        'num_local_experts': 2,
        'rope_scaling': None,
        'use_qk_norm': True,
    }
    return {'model_type': 'llama4', 'text_config': text}


def _deepseek_v32() -> Config:
    """Rows of latents in one list with those of an index, which sees more tokens than it picks."""
    return {
        **_decoder('deepseek_v32', 3),
        'num_key_value_heads': _heads,
        'index_head_dim': 64,
        'index_n_heads': 2,
        'index_topk': 64,
        'moe_intermediate_size': 64,
        'n_shared_experts': 1,
        'n_routed_experts': 4,
        'num_experts_per_tok': 2,
        'first_k_dense_replace': 1,
        'kv_lora_rank': 64,
        'q_lora_rank': 64,
        'qk_rope_head_dim': 32,
        'v_head_dim': 64,
        'qk_nope_head_dim': 32,
    }


def _lfm2() -> Config:
    return {
        **_decoder('lfm2', 4),
        'norm_eps': 1e-5,
        'conv_bias': False,
        'conv_L_cache': 3,
        'block_dim': _hidden,
        'block_ff_dim': _inner,
        'block_multiple_of': 64,
        'block_ffn_dim_multiplier': 1.0,
        'block_auto_adjust_ff_dim': False,
        'layer_types': ['conv', 'full_attention', 'conv', 'full_attention'],
    }


def _recurrent_gemma() -> Config:
    """Windows and states, and nothing that is kept of single tokens."""
    return {
        **_decoder('recurrent_gemma', 3),
        'attention_bias': False,
        'conv1d_width': 4,
        'logits_soft_cap': 30.0,
        'attention_window_size': window_tokens,
        'block_types': ['recurrent', 'recurrent', 'attention'],
    }


def _falcon_h1() -> Config:
    """A state and rows in the same list, in every layer."""
    return {
        **_decoder('falcon_h1', 2),
        'mamba_d_conv': 4,
        'mamba_d_head': 64,
        'mamba_d_ssm': 256,
        'mamba_d_state': 64,
        'mamba_n_heads': 4,
    }


_families: Mapping[str, Config] = {
    'llama': _llama(),
    'gemma3': _gemma3(),
    'gpt-oss': _gpt_oss(),
    'qwen35': _qwen35(),
    'qwen3-next': _qwen3_next(),
    'mamba2': _mamba2(),
    'llama4': _llama4(),
    'deepseek-v32': _deepseek_v32(),
    'lfm2': _lfm2(),
    'recurrent-gemma': _recurrent_gemma(),
    'falcon-h1': _falcon_h1(),
}

family_names = tuple(_families)


def family_config(name: str, vocabulary_size: int, end_token: int) -> Config:
    """The family's config.json, for a vocabulary of this size."""
    config = {**_families[name], 'vocab_size': vocabulary_size, 'eos_token_id': end_token}
    if 'text_config' in config:
        config['text_config'] = {**config['text_config'], 'vocab_size': vocabulary_size}
    return config
