"""Several machines: a running Ray cluster, what its nodes are, and work that is done on one of them."""
