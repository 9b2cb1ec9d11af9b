"""The training core that Trifold's three domains share: it knows no domain."""

TRIFOLD_MARKER = "trifold"
"""Proves to a domain package that the imported `common` is this one and not a user's `common.py`."""

__version__ = "0.1.0"
