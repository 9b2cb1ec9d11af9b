"""States of secondary structure and their order, as of Kabsch & Sander, Biopolymers 22, 2577 (1983),
doi:10.1002/bip.360221211."""

from __future__ import annotations

STATES = "HBEGITSC"
"""Alpha helix, isolated bridge, strand, 3-10 helix, pi helix, turn, bend, and none of these."""

THREE_STATES = {"H": "H", "G": "H", "I": "H", "E": "E", "B": "E", "T": "C", "S": "C", "C": "C"}
"""Helix, strand and coil."""

UNKNOWN_STATE = -1
