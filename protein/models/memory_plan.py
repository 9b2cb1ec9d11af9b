"""How much memory a prediction takes, and how many rows at a time keep it within a limit.

Counted is what lives at once in the most expensive step of a cycle, in 32-bit numbers: pairs, and what a step needs
beside them. Weights are not. Shapes: B batch, N residues, S sequences of an alignment, C width of pairs.
"""

from __future__ import annotations

from dataclasses import dataclass

from protein.models.alphafold import AlphaFoldConfig
from protein.models.confidence_heads import DISTANCE_BINS
from protein.models.esmfold import ESMFoldConfig
from protein.models.fold import FoldConfig

BYTES, GB = 4, 1e9

CHUNKS = (32, 16, 8, 4, 2, 1)
"""Rows at a time that are tried; more are no faster, because the values of these still fit into a processor's cache."""


@dataclass(frozen=True)
class TrunkShape:
    """Widths that memory depends on; those of an alignment are 0 where a model has none."""

    pair: int
    triangle: int
    structure_pair: int
    structure_heads: int
    copies_for_structure: int
    """Of the pairs, beside those that the heads read later."""
    msa: int = 0
    extra: int = 0
    product: int = 0

    @classmethod
    def of(cls, config: FoldConfig | ESMFoldConfig | AlphaFoldConfig) -> TrunkShape:
        """Of an architecture."""
        structure = config.structure
        if isinstance(config, FoldConfig):
            return cls(config.pair, config.pair, structure.pair, structure.heads, 1)
        if isinstance(config, ESMFoldConfig):
            return cls(config.pair, config.pair, structure.pair, structure.heads, 2)
        trunk = config.evoformer
        return cls(trunk.pair, trunk.triangle_width, structure.pair, structure.heads, 1,
                   trunk.msa, config.extra.msa, max(trunk.product_width, config.extra.product_width))  # fmt: skip


@dataclass(frozen=True)
class MemoryPlan:
    """What `plan` chose."""

    chunk: int
    peak_gb: float
    limit_gb: float | None

    @property
    def fits(self) -> bool:
        return self.limit_gb is None or self.peak_gb <= self.limit_gb

    def __str__(self) -> str:
        limit = "" if self.limit_gb is None else f" of {self.limit_gb:.2f} GB"
        return f"{self.peak_gb:.2f} GB{limit} for activations, {self.chunk} rows at a time"


def plan(
    shape: TrunkShape,
    residues: int,
    limit_gb: float | None = None,
    batch: int = 1,
    sequences: int = 0,
    extra_sequences: int = 0,
) -> MemoryPlan:
    """The largest chunk that keeps a prediction within the limit; the smallest if none does, see `MemoryPlan.fits`."""
    plans = [
        MemoryPlan(chunk, peak_bytes(shape, residues, chunk, batch, sequences, extra_sequences) / GB, limit_gb)
        for chunk in CHUNKS
        if chunk < 2 * residues
    ]
    return next((found for found in plans if found.fits), plans[-1])


def peak_bytes(
    shape: TrunkShape, residues: int, chunk: int, batch: int = 1, sequences: int = 0, extra_sequences: int = 0
) -> int:
    """An upper estimate for `chunk` rows at a time."""
    pairs, rows = residues**2, min(chunk, residues) * residues
    # Triangle multiplication holds two edges of a triangle beside the pairs, and some channels of their product.
    triangles = pairs * (shape.pair + 2 * shape.triangle + 32) + rows * max(8 * shape.triangle, 7 * shape.pair)
    structure = pairs * (shape.pair + shape.copies_for_structure * shape.structure_pair + 5 * shape.structure_heads)
    heads = pairs * (shape.pair + 4 * DISTANCE_BINS)
    msa, extra = residues * sequences * shape.msa, residues * extra_sequences * shape.extra
    # The embedding adds up two terms, beside what is left of the last cycle; a mean of products norms the alignment.
    embedding = 4 * msa
    deepest = residues * max(sequences, extra_sequences)
    columns = min(chunk, residues) * max(sequences, extra_sequences) * 9 * max(shape.msa, shape.extra)
    products = max(msa, extra) + 5 * deepest * shape.product + 3 * rows * shape.product**2
    alignment = msa + extra + pairs * shape.pair + max(columns, products)
    return BYTES * batch * max(embedding, alignment, msa + extra + triangles, msa + structure, msa + heads)
