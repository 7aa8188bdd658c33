"""Bugs of runtimes that parity found, each in a script of its own that needs nothing of vitbench."""
