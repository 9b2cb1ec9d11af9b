"""Observed residues placed in the full sequence of the molecule (SEQRES)."""

from __future__ import annotations

import numpy as np

OBSERVED_AT_LEAST = 0.9
"""Share of observed residues that must agree with the full sequence, or it is not believed."""


def places_in_sequence(full: str, observed: str, stated: np.ndarray, numbers: np.ndarray) -> np.ndarray | None:
    """Places [n] of the observed residues in `full`, from 0, ascending; None where they do not fit.

    stated   [n] places as the file gives them, -1 where it does not
    numbers  [n] residue numbers: a shift of them is tried before an alignment, because it tells which side of a gap a
             residue stands on
    """
    if len(observed) > len(full):
        return None
    letters, target = (np.frombuffer(text.encode(), np.uint8) for text in (observed, full))
    candidates = [stated]
    if len(numbers):
        candidates += [numbers - numbers[0] + start for start in _starts(letters, target)]
    for places in candidates:
        ascending = (np.diff(places) > 0).all() and len(places) and places[0] >= 0 and places[-1] < len(full)
        if ascending and (places is stated or (target[places] == letters).all()):
            return places
    return _aligned(full, observed)


def _starts(letters: np.ndarray, target: np.ndarray) -> np.ndarray:
    """Where in the full sequence the first observed residues occur."""
    size = min(4, len(letters))
    windows = np.lib.stride_tricks.sliding_window_view(target, size)
    first = (windows == letters[:size]).all(-1)
    return np.flatnonzero(first) if first.any() else np.flatnonzero(target == letters[0])


def _aligned(full: str, observed: str) -> np.ndarray | None:
    from Bio.Align import PairwiseAligner

    aligner = PairwiseAligner(mode="global", match_score=1.0, mismatch_score=-2.0)
    # The sequence may have what was not seen, at a price for each break; what was seen has to be in the sequence.
    aligner.open_deletion_score, aligner.extend_deletion_score = -1.5, 0.0
    aligner.open_insertion_score = aligner.extend_insertion_score = -100.0
    aligner.open_left_deletion_score = aligner.open_right_deletion_score = 0.0
    alignment = aligner.align(full, observed)[0]
    pairs = [(a, b) for (a, _), (b, _) in zip(*alignment.aligned, strict=True)]
    lengths = [end - start for start, end in alignment.aligned[1]]
    places = np.concatenate([np.arange(a, a + n) for (a, _), n in zip(pairs, lengths, strict=True)])
    if len(places) != len(observed):
        return None
    agree = np.mean([full[place] == letter for place, letter in zip(places, observed, strict=True)])
    return places if agree >= OBSERVED_AT_LEAST else None
