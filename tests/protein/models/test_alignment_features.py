"""Features of alignments: equal to OpenFold's for the same split, and drawn as the supplement says."""

from pathlib import Path

import numpy as np
import pytest
import torch

from protein.data.alignment import Alignment
from protein.models.alignment_features import (
    FeatureOptions,
    alignment_features,
    extra_features,
    mask_places,
    msa_features,
    profile,
)

GOLDEN = Path(__file__).parents[1] / "golden" / "openfold_features.npz"


def alignment(count, length, seed=0):
    rng = np.random.default_rng(seed)
    letters = rng.integers(0, 22, (count, length)).astype(np.uint8)
    letters[0] %= 20
    return Alignment(tuple(map(str, range(count))), letters, rng.integers(0, 4, (count, length)).astype(np.int32))


def drawn(of, seed=0, **options):
    return alignment_features(of, torch.Generator().manual_seed(seed), FeatureOptions(**options))


def test_features_of_a_split_equal_those_of_openfold():
    with np.load(GOLDEN) as arrays:
        given = {name: torch.from_numpy(arrays[name]) for name in arrays.files}
    msa, deletions, extra, extra_deletions = (
        given[f"alignment_{name}"] for name in ("msa", "deletion_matrix", "extra_msa", "extra_deletion_matrix")
    )
    found = msa_features(msa, deletions, extra, extra_deletions)
    assert (found - given["features_msa_feat"]).abs().max() < 1e-5
    assert (extra_features(extra, extra_deletions) - given["features_extra_msa_feat"]).abs().max() < 1e-6


def test_all_sequences_are_shown_once_and_the_query_comes_first():
    of = alignment(12, 30)
    found = drawn(of, sequences=5, extra=100, masked_share=0.0)
    shown = torch.cat([found.msa[0, :, :, :23], found.extra[0, :, :, :23]]).argmax(-1)
    assert torch.equal(shown[0], found.types[0])
    assert sorted(map(tuple, shown.tolist())) == sorted(map(tuple, of.letters.tolist()))
    assert (found.msa.shape[1], found.extra.shape[1]) == (5, 7)
    assert drawn(of, sequences=5, extra=3).extra.shape[1] == 3


def test_the_same_seed_draws_the_same_and_another_does_not():
    of = alignment(12, 30)
    one, same, other = (drawn(of, seed, sequences=5) for seed in (1, 1, 2))
    assert torch.equal(one.msa, same.msa)
    assert not torch.equal(one.msa, other.msa)


def test_places_are_hidden_in_the_stated_shares():
    """15 % are chosen: 70 % of them masked; the rest, by thirds, any amino acid, one by the profile, or as it was."""
    letters = torch.full((400, 500), 3)
    found = mask_places(letters, profile(letters), 0.15, torch.Generator().manual_seed(0))
    assert float((found == 22).float().mean()) == pytest.approx(0.15 * 0.7, abs=0.002)
    changed = (found != 3) & (found != 22)
    assert float(changed.float().mean()) == pytest.approx(0.15 * 0.1 * 19 / 20, abs=0.001)
    assert set(found[changed].unique().tolist()) == set(range(20)) - {3}


def test_more_sequences_than_are_compared_at_once_make_no_difference(monkeypatch):
    of = alignment(40, 12)
    whole = drawn(of, sequences=4)
    monkeypatch.setattr("protein.models.alignment_features.OTHERS_AT_A_TIME", 7)
    assert (drawn(of, sequences=4).msa - whole.msa).abs().max() < 1e-6


def test_a_query_alone_can_be_predicted(alphafold):
    found = drawn(alignment(1, 9))
    assert found.extra.shape[1] == 1
    assert not found.extra_rows.any()
    with torch.no_grad():
        assert alphafold([found]).structure.atom14.isfinite().all()
