"""Engines of TensorRT: built, kept, and read."""
