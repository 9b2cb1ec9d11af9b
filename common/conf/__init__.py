"""Hydra config groups that all domains share."""
