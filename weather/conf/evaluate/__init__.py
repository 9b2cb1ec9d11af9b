"""Config root of `trifold weather evaluate`."""
