"""Where the milliseconds go: by block and by operator, from each runtime's own profiler."""
