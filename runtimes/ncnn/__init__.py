"""ncnn's own files of an artifact."""
