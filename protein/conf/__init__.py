"""Hydra config groups of the protein domain: one root for each verb."""
