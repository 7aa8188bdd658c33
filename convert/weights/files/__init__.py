"""What a checkpoint file holds, found out in a process of its own, and its tensors read by their place in the file."""
