"""Where a converted model stops being the Paddle model: the first operator whose output leaves its bound."""
