"""Log-probabilities as OpenAI's clients read them, of the logits that a token was sampled from."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray


def logprobs_of(
    logits: NDArray[np.float32], token: int, top_count: int, bytes_of: Callable[[int], bytes]
) -> dict[str, object]:
    """The sampled token and the `top_count` likeliest ones, the likeliest first; of two that are
    equally likely the one with the smaller id.
    """
    exact = logits.astype(np.float64)
    largest = exact.max()
    offset = largest + np.log(np.exp(exact - largest).sum())

    def logprob(each: int) -> dict[str, object]:
        return {'token': each, 'bytes': bytes_of(each), 'logprob': float(exact[each] - offset)}

    sampled = logprob(token)
    top = _likeliest(logits, top_count)
    return {
        'bytes': sampled['bytes'],
        'logprob': sampled['logprob'],
        'top': [logprob(each) for each in top],
    }


def _likeliest(logits: NDArray[np.float32], count: int) -> list[int]:
    if count == 0:
        return []
    count = min(count, logits.size)
    least = np.partition(logits, logits.size - count)[logits.size - count]
    # Several may be as likely as the last one that is wanted.
    found = np.flatnonzero(logits >= least)
    ordered = found[np.lexsort((found, -logits[found]))]
    return [int(token) for token in ordered[:count]]
