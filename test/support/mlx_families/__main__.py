"""`python -m mlx_families <folder>` writes every family into a folder of its name.

All at once, since most of the time goes into mlx-lm's imports."""

import sys
from pathlib import Path

from mlx_families.configs import family_names
from mlx_families.folder import write_family

(folder,) = sys.argv[1:]
for name in family_names:
    write_family(name, 'float32', Path(folder) / name)
