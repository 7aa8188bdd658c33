"""One file per way out. Each has `TARGETS`; they are found here, not listed."""
