"""The data sets of this domain."""

from __future__ import annotations

from common.app.registry import Registry

DATASETS = Registry("data set", {"mp2018": "materials.data.mp2018:MP2018"})
"""Name -> common.data.datasets.Dataset."""
