"""Config root of `trifold protein evaluate`."""
