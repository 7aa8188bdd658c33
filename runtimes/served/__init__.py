"""Models behind a server of the Open Inference Protocol: asked, and started for a first try."""
