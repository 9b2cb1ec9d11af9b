"""Config root of `trifold protein predict`."""
