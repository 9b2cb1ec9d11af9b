"""Config root of `trifold weather predict`."""
