"""AlphaFold 2, monomer, without templates: structure from an alignment.

Jumper et al., Nature 596, 583 (2021), doi:10.1038/s41586-021-03819-2, supplement, algorithm 2.
Shapes: B batch, S sequences of the alignment, E further ("extra") ones, N residues, M width of the alignment,
C of pairs.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn
from torch.nn import functional

from protein.data.residues import COLUMN14, TYPE_OF_LETTER
from protein.models.chunking import collect
from protein.models.confidence_heads import DistogramHead, LDDTHead
from protein.models.evoformer import EXTRA, Evoformer, EvoformerConfig
from protein.models.fold_output import FoldOutput
from protein.models.linear import linear
from protein.models.recycling import Previous, Recycling
from protein.models.relative_position import RelativePosition
from protein.models.structure_module import StructureModule, StructureModuleConfig

RECYCLING_EDGES_A = (3.25, 20.75, 15)
TARGET_FEATURES, MSA_FEATURES, EXTRA_FEATURES, MSA_TYPES = 22, 49, 25, 23
ERROR_BINS = 64


@dataclass(frozen=True)
class AlphaFoldConfig:
    """The defaults are those of model_3..5; `aligned_error` is what the _ptm models have besides."""

    evoformer: EvoformerConfig = field(default_factory=EvoformerConfig)
    extra: EvoformerConfig = EXTRA
    structure: StructureModuleConfig = field(default_factory=StructureModuleConfig)
    reach: int = 32
    lddt_width: int = 128
    aligned_error: bool = True


@dataclass(frozen=True)
class AlignmentFeatures:
    """What AlphaFold 2 sees of a sequence and its alignment in one cycle; see `protein.models.alignment_features`.

    types          [B, N] int64
    residue_index  [B, N] int64
    msa            [B, S, N, 49] the first sequence is the query itself
    extra          [B, E, N, 25]
    mask           [B, N] bool, residues that are no padding; None: all
    msa_rows       [B, S] bool, sequences that are no padding; None: all
    extra_rows     [B, E] bool
    """

    types: Tensor
    residue_index: Tensor
    msa: Tensor
    extra: Tensor
    mask: Tensor | None = None
    msa_rows: Tensor | None = None
    extra_rows: Tensor | None = None


class AlphaFold(nn.Module):
    """Features of an alignment to a structure."""

    config_class = AlphaFoldConfig

    def __init__(self, config: AlphaFoldConfig) -> None:
        super().__init__()
        self.config, msa, pair = config, config.evoformer.msa, config.evoformer.pair
        self.embed_target_left = linear(TARGET_FEATURES, pair)
        self.embed_target_right = linear(TARGET_FEATURES, pair)
        self.embed_target_msa = linear(TARGET_FEATURES, msa)
        self.embed_msa = linear(MSA_FEATURES, msa)
        self.embed_extra = linear(EXTRA_FEATURES, config.extra.msa)
        self.position = RelativePosition(pair, config.reach)
        self.recycling = Recycling(msa, pair, RECYCLING_EDGES_A)
        self.extra = Evoformer(config.extra)
        self.evoformer = Evoformer(config.evoformer)
        self.to_single = linear(msa, config.structure.single)
        self.structure = StructureModule(config.structure)
        self.lddt = LDDTHead(config.structure.single, config.lddt_width)
        self.distogram = DistogramHead(pair)
        self.masked_msa = linear(msa, MSA_TYPES, start="zero")
        self.resolved = linear(config.structure.single, 37, start="zero")
        self.aligned_error = linear(pair, ERROR_BINS, start="zero") if config.aligned_error else None

    def forward(
        self, features: Sequence[AlignmentFeatures], chunk: int | None = None, recompute: bool = False
    ) -> FoldOutput:
        """Predict in as many cycles as there are features; all but the last are without gradients.

        chunk      rows of pairs, sequences and columns at a time, see `memory_plan`
        recompute  keep nothing of a block for the backward pass but what enters it
        """
        previous: Previous | None = None
        for cycle, seen in enumerate(features):
            last = cycle == len(features) - 1
            with torch.set_grad_enabled(torch.is_grad_enabled() and last):
                msa, pair = self._embed(seen, previous, chunk)
                previous = None  # its pairs are not needed any more
                extra = self.embed_extra(seen.extra)
                _, pair = self.extra(extra, pair, seen.mask, seen.extra_rows, chunk, recompute)
                del extra
                msa, pair = self.evoformer(msa, pair, seen.mask, seen.msa_rows, chunk, recompute)
                single = self.to_single(msa[:, 0])
                structure = self.structure(single, pair, seen.types, seen.mask)
                previous = Previous(msa[:, 0].clone(), pair, c_beta(seen.types, structure.atom14))
        return FoldOutput(
            structure=structure,
            single=single,
            pair=pair,
            mask=torch.ones_like(seen.types, dtype=torch.bool) if seen.mask is None else seen.mask,
            lddt=self.lddt(structure.single),
            distogram=self.distogram(pair),
            aligned_error=None if self.aligned_error is None else self.aligned_error(pair),
            resolved=self.resolved(single),
            language=self.masked_msa(msa),
        )

    def _embed(self, seen: AlignmentFeatures, previous: Previous | None, chunk: int | None) -> tuple[Tensor, Tensor]:
        """The alignment [B, S, N, M] and pairs [B, N, N, C] as they enter the first block."""
        # The first feature tells whether a residue starts another domain, which is never so.
        target = functional.pad(functional.one_hot(seen.types, TARGET_FEATURES - 1), (1, 0)).to(seen.msa.dtype)
        msa = self.embed_msa(seen.msa) + self.embed_target_msa(target)[:, None]
        query = msa[:, 0] + self.recycling.single(previous)
        msa = torch.cat([query[:, None], msa[:, 1:]], 1)
        left, right = self.embed_target_left(target), self.embed_target_right(target)

        def rows(numbers: Tensor, where: slice) -> Tensor:
            pair = self.position(numbers, seen.residue_index) + self.recycling(previous, where)
            return pair + left[:, where, None] + right[:, None]

        return msa, collect(rows, seen.residue_index, chunk, 1)


def c_beta(types: Tensor, atom14: Tensor) -> Tensor:
    """C-beta atoms [B, N, 3], C-alpha of glycine, of [B, N, 14, 3]."""
    glycine = types == TYPE_OF_LETTER["G"]
    columns = COLUMN14[TYPE_OF_LETTER["A"]]
    return torch.where(glycine[..., None], atom14[..., columns["CA"], :], atom14[..., columns["CB"], :])
