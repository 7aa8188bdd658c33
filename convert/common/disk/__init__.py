"""What is written to a disk: whole or absent, by one process at a time, and swept when its owner is dead."""
