"""What a runtime computes in, for those that do not say."""
