"""Tiny models of each family of mlx-lm's caches, as folders that mlx-lm loads.

Their weights are noise, fixed by a seed: the texts make no sense, but logits are reproducible and
depend on every byte that a restore puts back."""
