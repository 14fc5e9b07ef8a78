"""The BLAS library in front of MLX's own, as this process really has it.

On Linux the CPU wheel brings reference BLAS, which takes 20 times as long. The service preloads
OpenBLAS for the worker; bits in float32 depend on its build and threads, so both are said here.
"""

from __future__ import annotations

import ctypes
import os
from pathlib import Path
from typing import Any


def preloaded_blas() -> str | None:
    """E.g. `OpenBLAS 0.3.33 … Haswell, 1 thread`; None where none is in front."""
    for path in os.environ.get('LD_PRELOAD', '').replace(' ', ':').split(':'):
        if 'openblas' in Path(path).name and _is_mapped(path):
            return _words(ctypes.CDLL(path))
    return None


def _is_mapped(path: str) -> bool:
    # The loader goes on without a library that it cannot load.
    try:
        mapped = Path('/proc/self/maps').read_text()
    except OSError:
        return False
    return os.path.realpath(path) in mapped


def _words(library: ctypes.CDLL) -> str:
    texts = [_text(library, 'get_config'), _text(library, 'get_corename')]
    read_threads = _function(library, 'get_num_threads')
    threads = None if read_threads is None else int(read_threads())
    unit = 'thread' if threads == 1 else 'threads'
    return f'{" ".join(text for text in texts if text)}, {threads} {unit}'


def _text(library: ctypes.CDLL, name: str) -> str:
    read = _function(library, name)
    if read is None:
        return ''
    read.restype = ctypes.c_char_p
    value: bytes | None = read()
    return '' if value is None else value.decode('ascii', 'replace').strip()


def _function(library: ctypes.CDLL, name: str) -> Any:
    """None where it is not there. Builds of SciPy's have a prefix before every name."""
    for prefix in ('openblas_', 'scipy_openblas_'):
        if hasattr(library, prefix + name):
            return getattr(library, prefix + name)
    return None
