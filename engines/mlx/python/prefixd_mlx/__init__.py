"""The MLX worker of prefixd: docs/engine-protocol.md, spoken by mlx-lm's models."""
