"""The time of each layer, from the profilers that runtimes have themselves."""
