"""`python -m mlx_families <family> <dtype> <folder>`: for tests that are not written in Python."""

import sys
from pathlib import Path

from mlx_families.folder import write_family

name, dtype, folder = sys.argv[1:]
write_family(name, dtype, Path(folder))
