"""Config root of `trifold materials train`."""
