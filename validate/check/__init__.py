"""A folder to ship, held against the proof that it carries, on the machine that it has come to."""
