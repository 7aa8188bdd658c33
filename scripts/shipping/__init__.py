"""Whether `vitbench ship` chooses what measuring everything chooses."""
