"""Config root of `trifold protein train`."""
