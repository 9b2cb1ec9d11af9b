"""Fold: a compact folder that needs one sequence, and takes an alignment or a language model's states where there are.

Convolutions along the sequence; a sequence encoder of attention and gated convolutions; a trunk in which the pairs of
residues learn from 3 x 3 convolutions (Wang et al., PLoS Comput. Biol. 13, e1005324 (2017),
doi:10.1371/journal.pcbi.1005324) and triangle multiplication; the structure module and the heads of AlphaFold 2 (Jumper
et al., Nature 596, 583 (2021), doi:10.1038/s41586-021-03819-2), with recycling.
Shapes: B batch, N residues, S width of single, C width of pair, E width of what is known besides.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from protein.data.residues import UNKNOWN
from protein.data.states import STATES
from protein.models.attention import Attention, PairBias, key_bias
from protein.models.blocks import through
from protein.models.chunking import collect
from protein.models.confidence_heads import DistogramHead, LDDTHead
from protein.models.esmfold import virtual_c_beta
from protein.models.fold_output import FoldOutput
from protein.models.folding_block import SequenceToPair
from protein.models.linear import linear
from protein.models.pair_convolution import PairConvolution
from protein.models.recycling import Previous, Recycling
from protein.models.relative_position import RelativePosition, Separation
from protein.models.sequence_block import SequenceBlock
from protein.models.sequence_stem import SequenceOutput, SequenceStem
from protein.models.structure_module import StructureModule, StructureModuleConfig
from protein.models.transition import Transition
from protein.models.triangle_attention import TriangleAttention
from protein.models.triangle_multiplication import TriangleMultiplication

ERROR_BINS = 64
RECYCLING_EDGES_A = (3.375, 21.375, 14)
TYPES, MASKED = 22, 21
"""Of residues at the input: the twenty, X, and one that is hidden from the model in training."""

PROFILE = 23
"""Shares of the 22 aligned letters in a column (see `data.alignment`), and of sequences with a deletion before it."""

Stage = Literal["sequence", "distances", "all", "structure"]
"""What is learned: the stem alone, which alone is then run; all but structure module and confidence; everything;
structure module and confidence alone."""

DILATIONS = (1, 2, 4)
"""Of the convolutions of consecutive blocks, over and over."""


@dataclass(frozen=True)
class FoldConfig:
    """The defaults are those of `fold-small`.

    stem_width, stem_blocks  of the convolutions along the sequence; 0 blocks: none
    voters                   further stems, which say nothing but what the secondary structure is; the mean is given
    sequence_blocks, blocks  before the trunk, and of the trunk
    triangle_every           every so manieth block has triangle multiplication
    triangle_heads           of attention around triangles, in the same blocks; 0: none
    profile                  whether the model takes the profile of an alignment
    language                 width of a language model's states; 0: it takes none
    """

    single: int = 128
    pair: int = 32
    stem_width: int = 160
    stem_blocks: int = 5
    voters: int = 0
    sequence_blocks: int = 4
    blocks: int = 8
    heads: int = 8
    triangle_every: int = 2
    triangle_heads: int = 0
    reach: int = 32
    lddt_width: int = 64
    dropout: float = 0.1
    cycles: int = 1
    profile: bool = False
    language: int = 0
    structure: StructureModuleConfig = field(
        default_factory=lambda: StructureModuleConfig(
            single=128, pair=32, heads=8, iterations=4, torsion_width=64, dropout=0.1
        )
    )


class Fold(nn.Module):
    """Types of residues to a structure."""

    config_class = FoldConfig

    def __init__(self, config: FoldConfig) -> None:
        super().__init__()
        self.config, single, pair = config, config.single, config.pair
        self.embed_type = nn.Embedding(TYPES, single)
        self.stem = self.embed_stem = None
        width = config.stem_width
        stems = [
            SequenceStem(TYPES, width, config.stem_blocks, config.dropout, len(STATES))
            for _ in range(1 + config.voters if config.stem_blocks else 0)
        ]
        self.voters = nn.ModuleList(stems[1:])
        if stems:
            self.stem = stems[0]
            self.embed_stem = nn.Sequential(nn.LayerNorm(width), linear(width, single, start="zero"))
        self.embed_profile = linear(PROFILE, single, start="zero") if config.profile else None
        self.embed_language = (
            nn.Sequential(nn.LayerNorm(config.language), linear(config.language, single)) if config.language else None
        )
        self.sequence = nn.ModuleList(
            SequenceBlock(single, config.heads, config.reach, config.dropout) for _ in range(config.sequence_blocks)
        )
        self.position, self.separation = RelativePosition(pair, config.reach), Separation(pair)
        self.recycling = Recycling(single, pair, RECYCLING_EDGES_A)
        self.blocks = nn.ModuleList(FoldBlock(config, number) for number in range(config.blocks))
        self.structure = StructureModule(config.structure)
        self.lddt = LDDTHead(config.structure.single, config.lddt_width)
        self.distogram = DistogramHead(pair)
        self.aligned_error = linear(pair, ERROR_BINS, start="zero")
        self.secondary = nn.Sequential(nn.LayerNorm(single), linear(single, len(STATES)))
        self.residue = nn.Sequential(nn.LayerNorm(single), linear(single, TYPES - 1))

    def forward(
        self,
        types: Tensor,
        mask: Tensor | None = None,
        residue_index: Tensor | None = None,
        cycles: int | None = None,
        chunk: int | None = None,
        recompute: bool = False,
        profile: Tensor | None = None,
        language: Tensor | None = None,
        learn: Stage = "all",
    ) -> FoldOutput | list[SequenceOutput]:
        """Predict; all cycles but the last are without gradients.

        types          [B, N] int64, see `protein.data.residues`; MASKED where a residue is hidden
        mask           [B, N] bool, False for padding, which stands at the end
        residue_index  [B, N] int64; by default 0, 1, ...
        cycles         how often the trunk is run; None: as configured
        chunk          rows of pairs at a time, see `memory_plan`
        recompute      keep nothing of a block for the backward pass but what enters it
        profile        [B, N, 23] of an alignment, if the model takes one
        language       [B, N, E] states of a language model, if the model takes them
        learn          what gradients reach: see `Stage`; for "sequence" what each stem gives is returned
        """
        present = torch.ones_like(types, dtype=torch.bool) if mask is None else mask
        trunk, folding = (torch.is_grad_enabled() and learn != one for one in ("structure", "distances"))
        with torch.set_grad_enabled(trunk):
            told = None if self.stem is None else self.stem(types, present)
        if learn == "sequence":
            if told is None:
                raise ValueError("this model has no stem that could learn from the sequence alone")
            return [told, *(voter(types, present) for voter in self.voters)]
        if residue_index is None:
            residue_index = torch.arange(types.shape[1], device=types.device).expand_as(types)
        with torch.set_grad_enabled(trunk):
            initial = self._encoded(types, present, residue_index, told, profile, language)
        previous: Previous | None = None
        cycles = cycles or self.config.cycles
        for cycle in range(cycles):
            last = cycle == cycles - 1
            with torch.set_grad_enabled(trunk and last):
                single = initial + self.recycling.single(previous)
                pair = self._initial_pair(residue_index, previous, chunk)
                previous = None  # its pairs are not needed any more
                single, pair = through(self.blocks, (single, pair), present, chunk, recompute=recompute)
            with torch.set_grad_enabled(folding and last):
                structure = self.structure(single, pair, types.clamp(max=UNKNOWN), mask)
                previous = Previous(single, pair, virtual_c_beta(structure.atom14))
        # Ranks that train together wait for a gradient of all that an output with a gradient depends on.
        with torch.set_grad_enabled(folding):
            confidence, aligned_error = self.lddt(structure.single), self.aligned_error(pair)
        with torch.set_grad_enabled(trunk):
            distogram, language, secondary = self.distogram(pair), self.residue(single), self.secondary(single)
            if told is not None:
                language, secondary = language + told.language, secondary + told.secondary
            if not self.training:
                secondary = voted([secondary, *(voter(types, present).secondary for voter in self.voters)])
        return FoldOutput(
            structure=structure,
            single=single,
            pair=pair,
            mask=present,
            lddt=confidence,
            distogram=distogram,
            aligned_error=aligned_error,
            language=language,
            secondary=secondary,
        )

    def _encoded(
        self,
        types: Tensor,
        mask: Tensor,
        residue_index: Tensor,
        told: SequenceOutput | None,
        profile: Tensor | None,
        language: Tensor | None,
    ) -> Tensor:
        """What the sequence itself, and what is known besides, says of each residue [B, N, S]."""
        single = self.embed_type(types)
        if told is not None and self.embed_stem is not None:
            single = single + self.embed_stem(told.features)
        for layer, given, name in (
            (self.embed_profile, profile, "profile"),
            (self.embed_language, language, "language"),
        ):
            if (layer is None) != (given is None):
                raise ValueError(f"this model takes {'a' if layer else 'no'} {name}; it was given {given is not None}")
            if layer is not None:
                single = single + layer(given)
        bias = key_bias(mask)
        for block in self.sequence:
            single = block(single, mask, residue_index, bias)
        return single

    def _initial_pair(self, residue_index: Tensor, previous: Previous | None, chunk: int | None) -> Tensor:
        kind = residue_index.device.type
        # What is added to pairs later has this type: a sum of both would have the wider, and be cast for every layer.
        dtype = torch.get_autocast_dtype(kind) if torch.is_autocast_enabled(kind) else None

        def start(rows: Tensor, where: slice) -> Tensor:
            along = self.position(rows, residue_index) + self.separation(rows, residue_index)
            return (along + self.recycling(previous, where)).to(dtype)

        return collect(start, residue_index, chunk, 1)


def voted(logits: Sequence[Tensor]) -> Tensor:
    """Logits of the mean of the probabilities."""
    return logits[0] if len(logits) == 1 else torch.stack([one.log_softmax(-1) for one in logits]).logsumexp(0)


class FoldBlock(nn.Module):
    """single [B, N, S] and pair [B, N, N, C], each updated.

    Blocks take turns at which two edges of a triangle inform the third, and how far their convolution reaches.
    """

    def __init__(self, config: FoldConfig, number: int) -> None:
        super().__init__()
        self.dropout = config.dropout
        single, pair = config.single, config.pair
        with_triangles, turn = (number + 1) % config.triangle_every == 0, number // config.triangle_every % 2 == 1
        self.bias = PairBias(pair, config.heads)
        self.norm = nn.LayerNorm(single)
        self.attention = Attention(single, config.heads, single // config.heads)
        self.transition = Transition(single, 2)
        self.to_pair = SequenceToPair(single, pair)
        self.convolution = PairConvolution(pair, DILATIONS[number % len(DILATIONS)], config.dropout)
        heads = config.triangle_heads
        self.triangle = TriangleMultiplication(pair, pair, not turn, config.dropout) if with_triangles else None
        self.triangle_attention = (
            TriangleAttention(pair, heads, pair // heads, turn, config.dropout) if with_triangles and heads else None
        )
        self.pair_transition = Transition(pair, 2)

    def forward(self, single: Tensor, pair: Tensor, mask: Tensor, chunk: int | None = None) -> tuple[Tensor, Tensor]:
        """mask [B, N] bool; chunk in rows of pairs. Without gradients `pair` itself is changed."""
        found = self.attention(self.norm(single)[:, None], self.bias(pair, mask))[:, 0]
        single = single + functional.dropout(found, self.dropout, self.training)
        single = self.transition(single[:, None])[:, 0]
        pair = self.to_pair(single, pair, chunk)
        pair = self.convolution(pair, mask, chunk)
        if self.triangle is not None:
            pair = self.triangle(pair, mask, chunk)
        if self.triangle_attention is not None:
            pair = self.triangle_attention(pair, mask, chunk)
        return single, self.pair_transition(pair, chunk)
