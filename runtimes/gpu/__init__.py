"""What runtimes on NVIDIA GPUs share: memory, streams and events, copies that are timed, and what a precision needs."""
