"""Published weights: what is known of each, where it lies, and how its official file becomes one of our models."""
