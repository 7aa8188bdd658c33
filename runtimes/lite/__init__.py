"""Paddle Lite, which lives in another Python: its program, and the process that runs it."""
