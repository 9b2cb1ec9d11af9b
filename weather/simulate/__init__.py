"""Flows on the sphere computed instead of observed: an endless source of data that needs no file."""
