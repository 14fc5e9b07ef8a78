"""Makes a folder of an MLX model out of a GGUF file; runs apart from any worker."""
