"""Two sets of results held against each other, cell by cell."""
