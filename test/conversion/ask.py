"""What mlx-lm makes of a converted model: tokens of texts, or logits behind each token.

`ask.py FOLDER tokens` and `ask.py FOLDER logits FILE` read JSON from standard input; the logits go
as float32 into FILE.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import mlx.core as mx
import numpy as np
from mlx_lm.utils import dequantize_model, load_model
from prefixd_mlx.tokens import Vocabulary
from transformers import AutoTokenizer


def tokens_of(folder: str, asked: list[tuple[str, bool]]) -> list[list[int]]:
    """By the worker's own class, with special tokens read or taken for text."""
    tokenizer = AutoTokenizer.from_pretrained(folder)
    vocabulary = Vocabulary(tokenizer, [], len(tokenizer))
    return [vocabulary.tokenize(text, special, special) for text, special in asked]


def logits_of(folder: str, tokens: list[int]) -> Any:
    model, _ = load_model(Path(folder))
    model.set_dtype(mx.float32)
    dequantize_model(model)
    return np.array(model(mx.array([tokens]))[0])


if __name__ == '__main__':
    folder, what, *rest = sys.argv[1:]
    given = json.load(sys.stdin)
    if what == 'tokens':
        print(json.dumps(tokens_of(folder, given)))
    else:
        logits_of(folder, given).astype(np.float32).tofile(rest[0])
