"""Config root of `trifold weather train`."""
