"""The MLX worker of prefixd."""
