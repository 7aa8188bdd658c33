"""What is fuzzed: a file for each kind of input, with good ones to begin with and what vitbench makes of them."""
