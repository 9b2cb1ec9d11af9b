"""What can be said without looking at a sequence: how often residues so far apart in it touch."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pandas as pd

from protein.data.chains import Chains
from protein.metrics.contacts import CONTACT_A
from protein.scoring import beta_positions, contact_scores


def contacts_by_separation(chains: Chains) -> np.ndarray:
    """Share of pairs in contact at each separation in sequence [S]; zero where no pair is that far apart."""
    furthest = int(chains.place().max()) + 1
    pairs, touching = np.zeros(furthest, np.int64), np.zeros(furthest, np.int64)
    for points, place in _known(chains):
        close = np.linalg.norm(points[:, None] - points[None], axis=-1) < CONTACT_A
        apart = np.abs(place[:, None] - place[None])
        pairs += np.bincount(apart.ravel(), minlength=furthest)
        touching += np.bincount(apart[close], minlength=furthest)
    return touching / np.maximum(pairs, 1)


def score_separation(train: Chains, test: Chains) -> pd.DataFrame:
    """`scoring.contact_scores` of the shares of `train` as probabilities: one row a chain of `test`, in order."""
    shares, place, offsets = contacts_by_separation(train), test.place(), test.offsets
    rows = []
    for index in range(len(test)):
        native, own = test.chain(index), place[offsets[index] : offsets[index + 1]]
        apart = np.abs(own[:, None] - own[None])
        rows.append(contact_scores(shares[apart.clip(max=len(shares) - 1)], native.atom37, native.types, own))
    return pd.DataFrame(rows)


def _known(chains: Chains) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """C-beta atoms [K, 3] of each chain, as contacts are defined, and the place [K] of their residues."""
    place, offsets = chains.place(), chains.offsets
    for index in range(len(chains)):
        chain = chains.chain(index)
        points = beta_positions(chain.atom37, chain.types)
        known = np.isfinite(points[:, 0])
        yield points[known], place[offsets[index] : offsets[index + 1]][known]
