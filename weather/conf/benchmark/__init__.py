"""Config root of `trifold weather benchmark`."""
