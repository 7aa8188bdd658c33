"""What stands behind the ONNX Runtime adapters."""
