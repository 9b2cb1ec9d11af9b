"""Published weights: how the official files become our models. Nothing that is in a file is ever run."""
