"""Architectures and their parts, one a file."""
