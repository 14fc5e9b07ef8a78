"""How long a text a model was trained for, by its config.json. `src/models/mlx-trained-length.ts`
plans the memory with the same rule; test/engines/mlx/trained-lengths.json holds both to it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeGuard

_LENGTHS = ('max_position_embeddings', 'n_positions', 'max_seq_len')
# What these reach is their factor times the length before; of the others `_LENGTHS` has it.
_STRETCHED = ('yarn', 'deepseek_yarn', 'telechat3-yarn')


def trained_length(config: Mapping[str, Any]) -> int | None:
    """In tokens; None: the file does not say it."""
    for place in (config, config.get('text_config')):
        if not isinstance(place, Mapping):
            continue
        length = next((place[name] for name in _LENGTHS if _is_length(place.get(name))), None)
        if length is not None:
            return max(int(length), _stretched(place))
    return None


def _stretched(place: Mapping[str, Any]) -> int:
    """0: not stretched."""
    scaling = place.get('rope_scaling') or place.get('rope_parameters')
    if not isinstance(scaling, Mapping):
        return 0
    kind = scaling.get('type') or scaling.get('rope_type')
    first, factor = scaling.get('original_max_position_embeddings'), scaling.get('factor')
    if kind not in _STRETCHED or not _is_length(first) or not isinstance(factor, (int, float)):
        return 0
    return int(first * factor)


def _is_length(value: Any) -> TypeGuard[int]:
    return isinstance(value, int) and not isinstance(value, bool) and value > 0
