"""CB513 and TS115: sequences with secondary structure, no coordinates."""

from __future__ import annotations

import csv
from typing import NamedTuple

import numpy as np

from common.app.errors import ConfigError, DataFormatError
from common.app.registry import did_you_mean
from common.data.datasets import fetch
from protein.data.datasets import DATASETS
from protein.data.sequence import clean_sequence
from protein.data.states import STATES

SETS = ("cb513", "ts115")
COLUMNS = ("id", "seq", "dssp3", "dssp8", "ordered_mask", "eval_mask", "train_homolog")


class LabelledSequence(NamedTuple):
    """One sequence of L residues.

    states         [L] letters of the eight states H B E G I T S C
    scored         [L] bool, residues that count
    has_homologue  whether pdb5k's training set has a homologue: score the others for a clean number
    """

    id: str
    sequence: str
    states: str
    scored: np.ndarray
    has_homologue: bool


def load(name: str, offline: bool = False) -> list[LabelledSequence]:
    """All sequences of "cb513" or "ts115". Raises ConfigError for another name, DataFormatError for a damaged file."""
    if name not in SETS:
        raise ConfigError(f"no such set of secondary structure: '{name}'. {did_you_mean(name, list(SETS))}")
    path = next(iter(fetch(DATASETS[name], offline=offline).values()))
    with path.open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    return [_row(row, f"{path}, row {number}") for number, row in enumerate(rows, 1)]


def _row(row: dict[str, str], where: str) -> LabelledSequence:
    if any(row.get(column) is None for column in COLUMNS):
        raise DataFormatError(f"{where}: columns are missing; expected {', '.join(COLUMNS)}")
    sequence, states, scored = clean_sequence(row["seq"]).sequence, row["dssp8"].upper(), row["eval_mask"]
    if not len(sequence) == len(states) == len(scored):
        raise DataFormatError(
            f"{where}: {len(sequence)} residues, {len(states)} states, {len(scored)} marks; expected one each"
        )
    unknown = set(states) - set(STATES)
    if unknown:
        raise DataFormatError(f"{where}: state '{min(unknown)}'; expected one of {STATES}")
    return LabelledSequence(
        row["id"], sequence, states, np.array([mark == "1" for mark in scored]), row["train_homolog"] == "1"
    )
