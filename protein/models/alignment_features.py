"""What AlphaFold 2 sees of an alignment: some sequences in full, the others summed up in clusters around them.

Jumper et al., Nature 596, 583 (2021), doi:10.1038/s41586-021-03819-2, supplement 1.2.5 to 1.2.9 and table 1.
Shapes: S sequences shown in full, O others, E of these shown as extra, N residues. Letters are indices into
`protein.data.alignment.ALIGNED_LETTERS`; one more stands for a masked place.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from protein.data.alignment import GAP, Alignment
from protein.models.alphafold import MSA_TYPES, AlignmentFeatures

MASKED = MSA_TYPES - 1
AMINO_ACIDS = 20
UNIFORM, PROFILE, SAME = 0.1, 0.1, 0.1
"""Shares of the chosen places that get any amino acid, one by the alignment's profile, or stay; the rest is masked."""

OTHERS_AT_A_TIME = 1024


@dataclass(frozen=True)
class FeatureOptions:
    """The defaults are those of model_3..5 in inference."""

    sequences: int = 512
    extra: int = 5120
    masked_share: float = 0.15


def alignment_features(
    alignment: Alignment, generator: torch.Generator, options: FeatureOptions | None = None
) -> AlignmentFeatures:
    """Features of one cycle, B = 1; which sequences are shown and what is masked is drawn from the generator.

    An alignment of the query alone, with no extra sequence, gets one that is marked as padding.
    """
    options = options or FeatureOptions()
    letters = torch.from_numpy(alignment.letters).long()
    deletions = torch.from_numpy(alignment.deletions).float()
    order = torch.cat([torch.zeros(1, dtype=torch.long), 1 + torch.randperm(len(letters) - 1, generator=generator)])
    shown, others = order[: options.sequences], order[options.sequences :]
    masked = mask_places(letters[shown], profile(letters), options.masked_share, generator)
    msa = msa_features(masked, deletions[shown], letters[others], deletions[others])
    extra = extra_features(letters[others[: options.extra]], deletions[others[: options.extra]])
    if alone := not len(extra):
        extra = extra.new_zeros(1, *extra.shape[1:])
    return AlignmentFeatures(
        types=letters[:1].clamp(max=GAP - 1),
        residue_index=torch.arange(letters.shape[1])[None],
        msa=msa[None],
        extra=extra[None],
        extra_rows=torch.zeros(1, 1, dtype=torch.bool) if alone else None,
    )


def profile(letters: Tensor) -> Tensor:
    """Share of each letter in each column [N, 22], of all sequences [S + O, N]."""
    return torch.stack([(letters == letter).float().mean(0) for letter in range(GAP + 1)], -1)


def mask_places(letters: Tensor, shares: Tensor, masked_share: float, generator: torch.Generator) -> Tensor:
    """Letters [S, N] of which that share of places is hidden, as in training: shares [N, 22] is the profile."""
    chosen = torch.rand(letters.shape, generator=generator) < masked_share
    uniform = functional.pad(torch.full((AMINO_ACIDS,), 1 / AMINO_ACIDS), (0, GAP + 1 - AMINO_ACIDS))
    weights = UNIFORM * uniform + PROFILE * shares + SAME * functional.one_hot(letters, GAP + 1)
    weights = functional.pad(weights, (0, 1), value=1 - UNIFORM - PROFILE - SAME)
    drawn = torch.multinomial(weights.flatten(0, 1), 1, generator=generator).view_as(letters)
    return torch.where(chosen, drawn, letters)


def msa_features(letters: Tensor, deletions: Tensor, others: Tensor, other_deletions: Tensor) -> Tensor:
    """[S, N, 49] of sequences [S, N] and the others [O, N], each of which joins the sequence that it most agrees with.

    In order: letter, is there a deletion, how long, mean letter and mean deletion of the cluster.
    """
    letter = functional.one_hot(letters, MSA_TYPES).float()
    # Only amino acids, X among them, count as agreement.
    known = letter[..., :GAP].flatten(1)
    count = torch.ones(len(letters))
    total, total_deletions = letter.clone(), deletions.clone()
    for start in range(0, len(others), OTHERS_AT_A_TIME):
        part = slice(start, start + OTHERS_AT_A_TIME)
        other = functional.one_hot(others[part], MSA_TYPES).float()
        cluster = (other[..., :GAP].flatten(1) @ known.T).argmax(1)
        count.index_add_(0, cluster, torch.ones(len(other)))
        total.index_add_(0, cluster, other)
        total_deletions.index_add_(0, cluster, other_deletions[part])
    share = 1 / count[:, None]
    return torch.cat(
        [letter, _deletions(deletions), total * share[..., None], _length(total_deletions * share)[..., None]], -1
    )


def extra_features(letters: Tensor, deletions: Tensor) -> Tensor:
    """[E, N, 25]: letter, is there a deletion, how long."""
    return torch.cat([functional.one_hot(letters, MSA_TYPES).float(), _deletions(deletions)], -1)


def _deletions(deletions: Tensor) -> Tensor:
    return torch.stack([deletions.clamp(max=1), _length(deletions)], -1)


def _length(deletions: Tensor) -> Tensor:
    """In 0-1."""
    return torch.atan(deletions / 3) * (2 / math.pi)
