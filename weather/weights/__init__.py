"""Published weights, loaded into the architectures here."""
