"""Config root of `trifold protein benchmark`."""
