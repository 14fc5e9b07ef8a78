"""Where tests find the worker's package and the tiny models, and the memory that they get."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

import mlx.core as mx
import numpy as np
import pytest

_root = Path(__file__).parents[4]
sys.path[:0] = [str(_root / 'engines/mlx/python'), str(_root / 'test/support')]

from prefixd_mlx.caches import tensors  # noqa: E402
from prefixd_mlx.caches.unwritten import Unwritten, unwritten  # noqa: E402


@pytest.fixture(autouse=True)
def unwritten_memory_holds_no_numbers(monkeypatch: pytest.MonkeyPatch) -> None:
    """A place that is read before it is written makes every answer NaN."""

    def nothing_but_ones(wanted: Sequence[Unwritten]) -> list[mx.array]:
        arrays = unwritten(wanted)
        for array in arrays:
            np.array(array, copy=False).view(np.uint8)[...] = 0xFF
        return arrays

    monkeypatch.setattr(tensors, 'unwritten', nothing_but_ones)
