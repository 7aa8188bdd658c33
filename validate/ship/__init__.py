"""Ways out: an artifact that passed parity as a folder to ship, with proof that travels."""
