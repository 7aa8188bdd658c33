"""A state dict from wherever `--weights` points, without Paddle and without torch."""
