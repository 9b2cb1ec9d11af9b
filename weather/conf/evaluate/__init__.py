"""Config root of `trifold materials evaluate`."""
