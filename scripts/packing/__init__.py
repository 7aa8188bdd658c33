"""A folder to ship and vitbench itself, in pieces, for a machine that is reached through a narrow door."""
