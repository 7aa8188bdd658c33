"""Accuracy over the machines of a cluster: images in shards, to whoever is free; one record, as of one machine."""
