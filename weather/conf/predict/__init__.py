"""Config root of `trifold materials predict`."""
