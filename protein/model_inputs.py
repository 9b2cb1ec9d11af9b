"""From sequences and alignments to what each architecture takes.

Shapes: B chains, N residues of the longest, E width of a language model's states.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from protein.batching import Size
from protein.data.alignment import ALIGNED_LETTERS, Alignment
from protein.data.residues import UNKNOWN, types_of
from protein.models.alignment_features import FeatureOptions, alignment_features, profile
from protein.models.alphafold import AlignmentFeatures, AlphaFold
from protein.models.esm2 import ESM2, tokens_of
from protein.models.fold import Fold
from protein.models.fold_output import FoldOutput

SEED = 0
"""Of what AlphaFold 2 draws from an alignment: a sequence is predicted the same every time."""


class Query(NamedTuple):
    """A chain to be predicted.

    id         its name
    sequence   of the twenty letters and X
    alignment  whose first sequence is this one
    place      [L] int64, places in the molecule where residues are left out; None: 0, 1, ...
    changes    what was read as something else, in words
    """

    id: str
    sequence: str
    alignment: Alignment | None = None
    place: np.ndarray | None = None
    changes: tuple[str, ...] = ()


def takes_alignments(model: nn.Module) -> bool:
    """Whether the model reads an alignment; it is given the sequence alone where there is none."""
    return isinstance(model, AlphaFold) or (isinstance(model, Fold) and model.config.profile)


def language_width(model: nn.Module) -> int:
    """Width of the language model's states that the model takes besides; 0: it takes none, or has its own."""
    return model.config.language if isinstance(model, Fold) else 0


def one_at_a_time(model: nn.Module) -> bool:
    """Whether the model predicts a single chain at once."""
    return isinstance(model, AlphaFold)


def size_of(model: nn.Module, query: Query) -> Size:
    """What its memory depends on."""
    if not one_at_a_time(model):
        return Size(len(query.sequence))
    depth, options = len(query.alignment or ()) or 1, FeatureOptions()
    shown = min(depth, options.sequences)
    return Size(len(query.sequence), shown, max(1, min(depth - shown, options.extra)))


def run(
    model: nn.Module, queries: Sequence[Query], cycles: int, chunk: int | None, language: ESM2 | None = None
) -> FoldOutput:
    """Predict a batch; of AlphaFold 2 it is one chain."""
    like = next(model.parameters())
    if isinstance(model, AlphaFold):
        return model(_alphafold_features(queries[0], cycles, like), chunk=chunk)
    types, mask, place = (_moved(value, like) for value in padded(queries))
    more: dict[str, Any] = {}
    if takes_alignments(model):
        more["profile"] = _moved(profiles(queries), like)
    if language is not None:
        more["language"] = language(tokens_of(types, mask))[:, 1:-1]
    return model(types, mask, place, cycles=cycles, chunk=chunk, **more)


def padded(queries: Sequence[Query]) -> tuple[Tensor, Tensor, Tensor]:
    """Types, mask and places [B, N]; where a chain has ended UNKNOWN, False and 0."""
    longest = max(len(query.sequence) for query in queries)
    types = torch.full((len(queries), longest), UNKNOWN)
    mask, place = torch.zeros_like(types, dtype=torch.bool), torch.zeros_like(types)
    for row, query in enumerate(queries):
        length = len(query.sequence)
        types[row, :length] = torch.from_numpy(types_of(query.sequence))
        mask[row, :length] = True
        place[row, :length] = torch.arange(length) if query.place is None else torch.from_numpy(query.place)
    return types, mask, place


def profiles(queries: Sequence[Query]) -> Tensor:
    """[B, N, 23]: shares of the 22 aligned letters in each column, and of sequences with a deletion before it."""
    longest = max(len(query.sequence) for query in queries)
    result = torch.zeros(len(queries), longest, len(ALIGNED_LETTERS) + 1)
    for row, query in enumerate(queries):
        alignment = query.alignment or alone(query)
        deleted = torch.from_numpy(alignment.deletions > 0).float().mean(0)
        shares = torch.cat([profile(torch.from_numpy(alignment.letters).long()), deleted[:, None]], -1)
        result[row, : len(shares)] = shares
    return result


def alone(query: Query) -> Alignment:
    """The alignment of a sequence without relatives."""
    letters = types_of(query.sequence).astype(np.uint8)[None]
    return Alignment((query.id,), letters, np.zeros(letters.shape, np.int32))


def _alphafold_features(query: Query, cycles: int, like: Tensor) -> list[AlignmentFeatures]:
    """Each cycle sees another draw."""
    generator, alignment = torch.Generator().manual_seed(SEED), query.alignment or alone(query)
    _, _, place = padded([query])
    drawn = (replace(alignment_features(alignment, generator), residue_index=place) for _ in range(cycles))
    return [
        replace(one, **{name: _moved(value, like) for name, value in vars(one).items() if value is not None})
        for one in drawn
    ]


def _moved(value: Tensor, like: Tensor) -> Tensor:
    """On the device of `like`; numbers with a fraction also of its type."""
    return value.to(like) if value.is_floating_point() else value.to(like.device)
