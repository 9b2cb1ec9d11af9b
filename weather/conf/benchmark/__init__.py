"""Config root of `trifold materials benchmark`."""
