"""Where tests find the worker's package, and the tiny models."""

import sys
from pathlib import Path

_root = Path(__file__).parents[4]
sys.path[:0] = [str(_root / 'engines/mlx/python'), str(_root / 'test/support')]
