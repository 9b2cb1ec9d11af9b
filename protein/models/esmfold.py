"""ESMFold: structure from one sequence, through the states of a language model.

Lin et al., Science 379, 1123 (2023), doi:10.1126/science.ade2574.
Shapes: B batch, N residues, S width of single, C width of pair.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from protein.models.blocks import through
from protein.models.chunking import collect
from protein.models.confidence_heads import DistogramHead, LDDTHead
from protein.models.esm2 import ESM2, SIZES, ESM2Config, tokens_of
from protein.models.fold_output import FoldOutput
from protein.models.folding_block import FoldingBlock
from protein.models.linear import linear
from protein.models.recycling import Previous, Recycling
from protein.models.relative_position import RelativePosition
from protein.models.structure_module import StructureModule, StructureModuleConfig

RECYCLING_EDGES_A = (3.375, 21.375, 14)
TYPES = 23
"""The twenty residues, X, and two that were kept for masks."""

C_BETA = (-0.54067466, 0.56802827, -0.58273431)
"""Where a C-beta stands: coordinates along C - CA, CA - N and their cross product, from CA."""


@dataclass(frozen=True)
class ESMFoldConfig:
    """The defaults are those of esmfold_v1."""

    language: ESM2Config = SIZES["esm2_t36_3B_UR50D"]
    single: int = 1024
    pair: int = 128
    blocks: int = 48
    single_heads: int = 32
    pair_heads: int = 4
    reach: int = 32
    lddt_width: int = 128
    dropout: float = 0.0
    structure: StructureModuleConfig = field(default_factory=StructureModuleConfig)


class ESMFold(nn.Module):
    """Types of residues to a structure."""

    config_class = ESMFoldConfig

    def __init__(self, config: ESMFoldConfig) -> None:
        super().__init__()
        self.config, single, pair = config, config.single, config.pair
        self.language = ESM2(config.language, head=False).requires_grad_(False)
        self.state_weight = nn.Parameter(torch.zeros(config.language.layers + 1))
        self.embed_state = nn.Sequential(
            nn.LayerNorm(config.language.width),
            linear(config.language.width, single),
            nn.ReLU(),
            linear(single, single),
        )
        self.embed_type = nn.Embedding(TYPES, single)
        self.position = RelativePosition(pair, config.reach)
        self.recycling = Recycling(single, pair, RECYCLING_EDGES_A)
        self.blocks = nn.ModuleList(
            FoldingBlock(single, pair, config.single_heads, config.pair_heads, config.dropout)
            for _ in range(config.blocks)
        )
        self.to_single = linear(single, config.structure.single)
        self.to_pair = linear(pair, config.structure.pair)
        self.structure = StructureModule(config.structure)
        self.lddt = LDDTHead(config.structure.single, config.lddt_width, atoms=37, relu=False)
        self.distogram = DistogramHead(pair)
        self.aligned_error = linear(pair, 64)
        self.residue = linear(single, TYPES)

    def forward(
        self,
        types: Tensor,
        mask: Tensor | None = None,
        residue_index: Tensor | None = None,
        cycles: int = 4,
        chunk: int | None = None,
        recompute: bool = False,
    ) -> FoldOutput:
        """Predict; all cycles but the last are without gradients.

        types          [B, N] int64, see `protein.data.residues`
        mask           [B, N] bool, False for padding, which stands at the end
        residue_index  [B, N] int64; by default 0, 1, ...
        chunk          rows of pairs at a time, see `memory_plan`
        recompute      keep nothing of a block for the backward pass but what enters it
        """
        present = torch.ones_like(types, dtype=torch.bool) if mask is None else mask
        if residue_index is None:
            residue_index = torch.arange(types.shape[1], device=types.device).expand_as(types)
        initial = self.embed_state(self.language_states(types, present)) + self.embed_type(types)
        previous: Previous | None = None
        for cycle in range(cycles):
            last = cycle == cycles - 1
            with torch.set_grad_enabled(torch.is_grad_enabled() and last):
                single = initial + self.recycling.single(previous)
                pair = self._initial_pair(residue_index, previous, chunk)
                previous = None  # its pairs are not needed any more
                single, pair = through(self.blocks, (single, pair), mask, chunk, recompute=recompute)
                structure = self.structure(self.to_single(single), self.to_pair(pair), types, mask)
                previous = Previous(single, pair, virtual_c_beta(structure.atom14))
        return FoldOutput(
            structure=structure,
            single=single,
            pair=pair,
            mask=present,
            lddt=self.lddt(structure.single),
            distogram=self.distogram(pair),
            aligned_error=self.aligned_error(pair),
            language=self.residue(single),
        )

    def language_states(self, types: Tensor, mask: Tensor) -> Tensor:
        """The language model's states [B, N, width], averaged over layers with learned weights."""
        tokens, total = tokens_of(types, mask), torch.zeros((), device=types.device)
        for weight, state in zip(self.state_weight.softmax(0), self.language.states(tokens), strict=True):
            total = total + weight * state[:, 1:-1]
        return total

    def _initial_pair(self, residue_index: Tensor, previous: Previous | None, chunk: int | None) -> Tensor:
        return collect(
            lambda rows, where: self.position(rows, residue_index) + self.recycling(previous, where),
            residue_index, chunk, 1,
        )  # fmt: skip


def virtual_c_beta(atom14: Tensor) -> Tensor:
    """[..., N, 3] where C-beta atoms ideally stand, of any residue, from N, CA and C of [..., N, 14, 3]."""
    n, ca, c = atom14[..., :3, :].unbind(-2)
    first, second = ca - n, c - ca
    along_c, along_n, across = C_BETA
    return ca + along_c * second + along_n * first + across * torch.linalg.cross(first, second)
