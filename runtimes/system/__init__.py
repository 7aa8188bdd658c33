"""The machine, as far as it can change a number: processor, container, environment variables."""
