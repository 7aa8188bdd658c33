"""Which one to ship: a budget goes in, a proven choice comes out."""
