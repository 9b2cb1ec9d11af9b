"""Hydra config groups of the weather domain: one root for each verb."""
