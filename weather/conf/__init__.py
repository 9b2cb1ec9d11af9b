"""Hydra config groups of the materials domain: one root for each verb."""
