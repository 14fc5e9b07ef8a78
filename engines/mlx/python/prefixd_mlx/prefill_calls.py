"""Which calls of the engine a prompt is computed in, and what a request must be for that."""

from __future__ import annotations

from dataclasses import dataclass

from prefixd_mlx.errors import compute_error, protocol_error
from prefixd_mlx.messages import Generate, Reuse


@dataclass(frozen=True)
class CallEnd:
    # One past the last token of the call.
    stop: int
    # Must the sequence stand exactly there, so that its window and state can be exported?
    at_boundary: bool


def next_call_end(start: int, message: Generate, block_tokens: int) -> CallEnd:
    """Where the call ends that begins at `start`: at the grid, a boundary, or the prompt's end."""
    grid_end = start - start % block_tokens + block_tokens
    boundary = next((it for it in message.boundaries if it > start), None)
    stop = min(grid_end, len(message.tokens))
    if boundary is None or boundary > stop:
        return CallEnd(stop, False)
    return CallEnd(boundary, True)


@dataclass(frozen=True)
class Bounds:
    """What limits requests of this worker."""

    context_tokens: int
    vocabulary_size: int
    block_tokens: int
    reuse: Reuse


def check_input(message: Generate, standing_tokens: int, bounds: Bounds) -> None:
    """Raises EngineError for what this sequence cannot compute, before anything is."""
    prompt_tokens = len(message.tokens)
    if prompt_tokens > bounds.context_tokens:
        raise compute_error(
            f'The prompt has {prompt_tokens} tokens, the context holds {bounds.context_tokens}. '
            'Send a shorter prompt or start with a larger --ctx.'
        )
    size = bounds.vocabulary_size
    wrong = next((token for token in message.tokens if token >= size), None)
    if wrong is not None:
        raise compute_error(f'Token {wrong} is not in the vocabulary: ids go from 0 to {size - 1}.')
    outside = next((bias.token for bias in message.logit_bias if bias.token >= size), None)
    if outside is not None:
        raise protocol_error(f'`logitBias` names token {outside}; this model has {size}')
    start = message.compute_from
    if start >= prompt_tokens or start != standing_tokens:
        raise protocol_error(
            f'`computeFrom` is {start} with {standing_tokens} tokens in the sequence and '
            f'{prompt_tokens} in the prompt; it must be what was restored, and less than the prompt'
        )
    _check_boundaries(message, bounds)


def _check_boundaries(message: Generate, bounds: Bounds) -> None:
    before = message.compute_from
    for boundary in message.boundaries:
        is_rising = before < boundary < len(message.tokens)
        if not is_rising or (bounds.reuse == 'block' and boundary % bounds.block_tokens != 0):
            raise protocol_error(
                f'`boundaries` has {boundary}; they must rise from {message.compute_from} to less '
                f'than {len(message.tokens)}, and be multiples of {bounds.block_tokens} with '
                '`--reuse block`'
            )
        before = boundary
