"""The bench over the machines of a cluster: which of them measures what, and their records in one results folder."""
