"""Caches of mlx-lm, as records: per class what is stored, and how it comes back bit for bit."""

from prefixd_mlx.caches.errors import CacheFault, ImportRefused
from prefixd_mlx.caches.layout import CacheLayout, MakeCache, probe_layout
from prefixd_mlx.caches.parts import Kind, ModelCache
from prefixd_mlx.caches.sequence import SequenceCache

__all__ = [
    'CacheFault',
    'CacheLayout',
    'ImportRefused',
    'Kind',
    'MakeCache',
    'ModelCache',
    'SequenceCache',
    'probe_layout',
]
