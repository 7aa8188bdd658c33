"""`python -m scripts.fuzz`: good files of every kind that vitbench reads, changed at random."""
