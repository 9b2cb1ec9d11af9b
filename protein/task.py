"""Training of a folder as the trainer sees it: crops of chains, a curriculum, weighted losses.

Shapes: B samples, N residues of a crop, T iterations of the structure module.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from common.results.metrics import Value
from common.training.draws import uniform
from common.training.precision import mixed_seed
from common.training.task import Forward, Task
from protein.config import Curriculum, LossWeights
from protein.data.batches import ChainBatch, crop_rows, cropped, pack
from protein.data.chains import Chains
from protein.data.cluster_draw import ClusterDraw
from protein.data.residues import UNKNOWN
from protein.geometry.all_atom import frames_of_atoms
from protein.geometry.atom_layout import atom14_to_atom37
from protein.geometry.frames import Frames
from protein.geometry.residue_tables import look_up
from protein.geometry.torsions import torsions_of_chain
from protein.geometry.trace import c_beta_of_trace
from protein.losses import (
    aligned_error_loss,
    backbone_fape,
    ca_fape,
    distogram_loss,
    masked_msa_loss,
    most_probable,
    plddt_loss,
    secondary_loss,
    side_chain_fape,
    smooth_lddt_loss,
    torsion_loss,
    violation_loss,
)
from protein.losses.distogram import contact_probability
from protein.losses.naming import Truth, best_naming
from protein.metrics import contact_precision, lddt, q3
from protein.models.fold import MASKED, Fold, Stage
from protein.models.fold_output import FoldOutput
from protein.models.sequence_stem import SequenceOutput

N, CA, C, CB = 0, 1, 2, 4
"""Columns of atom14."""

FRAME_RESIDUES = 32
"""From whose frames side chains are seen in a step: a random part, because all pairs of frames and atoms cost as much
as the rest of a step."""

MEMBER, CROP, HIDDEN, CYCLES, FRAMES, SHARE, CHANGED, DRAWN = range(8)
"""What random numbers are drawn for."""


@dataclass(frozen=True)
class Native:
    """What a batch's chains truly are.

    batch     the crops
    beta      [B, N, 3] C-beta atoms in Å, or where they must be, or C-alpha atoms
    beta_known  [B, N] bool
    frames    [B, N] backbones
    frames_known  [B, N] bool
    all_atom  [B] bool: not only C-alpha atoms are known
    """

    batch: ChainBatch
    beta: Tensor
    beta_known: Tensor
    frames: Frames
    frames_known: Tensor
    all_atom: Tensor

    @classmethod
    def of(cls, batch: ChainBatch) -> Native:
        atoms, present = batch.atom14, batch.present
        trace, between = c_beta_of_trace(atoms[:, :, CA], batch.follows & present[:, :, CA])
        has_beta = look_up("has_atom14", batch.types)[..., CB]
        known = present[:, :, CB] & has_beta
        only_trace = ~present[:, :, [N, C]].flatten(1).any(1)
        guess = torch.where((between & has_beta & only_trace[:, None])[..., None], trace, atoms[:, :, CA])
        return cls(
            batch,
            torch.where(known[..., None], atoms[:, :, CB], guess),
            known | present[:, :, CA],
            Frames.of_backbone(atoms[:, :, N], atoms[:, :, CA], atoms[:, :, C]),
            present[:, :, [N, CA, C]].all(-1),
            ~only_trace,
        )


class FoldTask(Task):
    """A training sample is a cluster of similar chains, of which one is drawn each time; a validation sample a chain.

    First secondary structure may be learned from the sequence alone, then distances, then structures too; see
    `config.Curriculum`. What is random (which chain, which crop, which residues are hidden) is drawn when the loss is
    computed, from the seed of the step and the sample: the same on any number of processes.
    """

    monitor = "loss"
    skips_parameters = True

    def __init__(
        self,
        model: Fold,
        train: Chains,
        val: Chains,
        curriculum: Curriculum,
        weights: LossWeights,
        device: torch.device,
        fitting: np.ndarray | None = None,
    ) -> None:
        """fitting: probabilities of residue types in the training chains' places [R, 20], zero where none is known."""
        self.model: Fold = model
        self.blocks = tuple(model.blocks)
        self.curriculum, self.weights, self.device = curriculum, weights, device
        self.packed = {"train": pack(train).to(device), "val": pack(val).to(device)}
        self.ids = {"train": train.ids, "val": val.ids}
        self._fitting = None if fitting is None else torch.as_tensor(fitting, device=device).float().cumsum(-1)
        self.clusters = ClusterDraw(train.cluster, device)
        self.begin(0.0)

    def begin(self, progress: float, seed: int = 0) -> None:
        self._progress, self._seed = progress, seed

    def sizes(self, split: str) -> np.ndarray:
        """Residues squared."""
        if split == "train":
            return np.full(len(self.clusters), self.curriculum.crop**2)
        lengths = self.packed[split].counts.cpu().numpy()
        return np.minimum(lengths, self.curriculum.validation_crop) ** 2

    def names(self, split: str, ids: np.ndarray) -> list[str]:
        if split == "train":
            clusters = self.clusters
            ids = clusters.members[clusters.first[torch.as_tensor(ids, device=self.device)]].cpu().numpy()
        return [str(self.ids[split][i]) for i in ids]

    def batch(self, split: str, ids: np.ndarray) -> Tensor:
        """Which clusters or chains; their residues are gathered where they are used."""
        return torch.as_tensor(ids, device=self.device)

    def loss(self, forward: Forward, batch: Tensor) -> Tensor:
        seeds = [mixed_seed(self._seed, purpose) for purpose in (MEMBER, CROP, HIDDEN)]
        chains, where = self.clusters.draw(batch, seeds[0]), uniform(seeds[1], batch)
        crops = self._crops("train", chains, where)
        if self._fitting is not None and self.stage in ("sequence", "distances"):
            crops = replace(crops, types=self._redesigned(batch, crops, chains, where))
        hidden = (uniform(seeds[2], batch, crops.types.shape[1]) < self.curriculum.hidden) & crops.mask
        cycles = 1 + mixed_seed(self._seed, CYCLES) % self.model.config.cycles
        types = torch.where(hidden, MASKED, crops.types)
        output = forward(types, crops.mask, crops.place, cycles=cycles, learn=self.stage)
        if self.stage == "sequence":
            return torch.stack([self._sequence_loss(one, crops, hidden) for one in output]).mean(0)
        native = Native.of(crops)
        if self.stage == "structure":
            return self._structure_loss(output, native)
        distances = distogram_loss(output.distogram, native.beta, native.beta_known, self.weights.near)
        total = self.weights.distogram * distances + self._sequence_loss(output, crops, hidden)
        return total + self._structure_loss(output, native) if self.stage == "all" else total

    def metrics(self, forward: Forward, batch: Tensor) -> dict[str, Value]:
        """`loss` of distances and secondary structure, and scores of crops from the middle of chains."""
        crops = self._crops("val", batch, torch.full((len(batch),), 0.5, device=self.device))
        output: FoldOutput = forward(crops.types, crops.mask, crops.place)
        native = Native.of(crops)
        ca = crops.present[:, :, CA]
        distance = torch.cdist(native.beta, native.beta)
        precision = contact_precision(contact_probability(output.distogram.softmax(-1)), distance, native.beta_known)
        assert output.secondary is not None
        scores = {
            "distogram": distogram_loss(output.distogram, native.beta, native.beta_known),
            "precision": precision,
            "q3": q3(most_probable(output.secondary), crops.states),
            "lddt": lddt(output.structure.atom14[:, :, CA].float(), crops.atom14[:, :, CA], ca),
        }
        loss = scores["distogram"] + self.weights.secondary * secondary_loss(output.secondary, crops.states)
        return {"loss": loss, **{name: (value, ~value.isnan()) for name, value in scores.items()}}

    def _crops(self, split: str, chains: Tensor, where: Tensor) -> ChainBatch:
        """Crops of chains [B], from their start (`where` [B] = 0) to their end (1)."""
        return cropped(self.packed[split], chains, *self._extent(split, chains, where))

    def _extent(self, split: str, chains: Tensor, where: Tensor) -> tuple[Tensor, int]:
        """The first residue of each crop [B], and how many follow at most."""
        counts = self.packed[split].counts[chains]
        longest = self.curriculum.crop if split == "train" else self.curriculum.validation_crop
        length = min(longest, int(counts.max()))
        room = (counts - length).clamp_min(0)
        return (where * (room + 1)).long().minimum(room), length

    def _redesigned(self, batch: Tensor, crops: ChainBatch, chains: Tensor, where: Tensor) -> Tensor:
        """Types [B, N] of which, in a share `redesigned` of the samples, some part was drawn from those that fit."""
        assert self._fitting is not None
        share, changed, drawn = (mixed_seed(self._seed, purpose) for purpose in (SHARE, CHANGED, DRAWN))
        chosen, part = uniform(share, batch, 2).unbind(-1)
        part = torch.where(chosen < self.curriculum.redesigned, part, 0.0)[:, None]
        rows, _ = crop_rows(self.packed["train"], chains, *self._extent("train", chains, where))
        fitting, length = self._fitting[rows], crops.types.shape[1]
        types = (fitting < uniform(drawn, batch, length)[..., None] * fitting[..., -1:]).sum(-1)
        known = crops.mask & (crops.types < UNKNOWN) & (fitting[..., -1] > 0)
        return torch.where(known & (uniform(changed, batch, length) < part), types, crops.types)

    @property
    def stage(self) -> Stage:
        """What is learned now."""
        if self._progress < self.curriculum.pairs_from:
            return "sequence"
        if self._progress < self.curriculum.structure_from:
            return "distances"
        return "all" if self._progress < self.curriculum.trunk_until else "structure"

    def _sequence_loss(self, output: FoldOutput | SequenceOutput, crops: ChainBatch, hidden: Tensor) -> Tensor:
        assert output.secondary is not None and output.language is not None
        guessed = masked_msa_loss(output.language[:, None], crops.types[:, None], hidden[:, None])
        return self.weights.secondary * secondary_loss(output.secondary, crops.states) + self.weights.residue * guessed

    def _structure_loss(self, output: FoldOutput, native: Native) -> Tensor:
        batch, weights, structure = native.batch, self.weights, output.structure
        ca, true_ca, known = structure.atom14[:, :, CA], batch.atom14[:, :, CA], batch.present[:, :, CA]
        last = Frames(structure.frames.rotation[-1], structure.frames.translation[-1])
        everywhere = backbone_fape(structure.frames, native.frames, native.frames_known).mean(0)
        trace = ca_fape(structure.frames.translation, true_ca, known, batch.follows).mean(0)
        total = weights.fape * torch.where(native.all_atom, everywhere, trace)
        total = total + weights.smooth_lddt * smooth_lddt_loss(structure.frames.translation, true_ca, known).mean(0)
        total = total + self._all_atom_loss(output, native)
        total = total + weights.lddt * plddt_loss(output.lddt, ca, true_ca, known)
        assert output.aligned_error is not None
        errors = aligned_error_loss(output.aligned_error, last, native.frames, native.frames_known)
        total = total + weights.aligned_error * errors
        if self._progress >= self.curriculum.violations_from:
            atoms = look_up("has_atom14", batch.types) & batch.mask[..., None]
            total = total + weights.violation * violation_loss(structure.atom14, atoms, batch.types, batch.follows)
        return total

    def _all_atom_loss(self, output: FoldOutput, native: Native) -> Tensor:
        """Side chains and torsions [B], zero for chains of which C-alpha atoms alone are known."""
        chosen = torch.nonzero(native.all_atom).squeeze(-1)
        batch, structure = native.batch, output.structure
        types, follows = batch.types[chosen], batch.follows[chosen]
        atom14, present = batch.atom14[chosen], batch.present[chosen]
        atom37 = atom14_to_atom37(types, atom14)
        mask37 = atom14_to_atom37(types, present[..., None])[..., 0].bool()
        groups, defined = frames_of_atoms(types, atom37, mask37)
        truth = best_naming(structure.atom14[chosen], Truth(atom14, present, groups, defined), types)
        order = uniform(mixed_seed(self._seed, FRAMES), types.new_zeros(1), types.shape[1])
        seen_from = order.masked_fill(~batch.mask[chosen], 1.0).argsort(1)[:, :FRAME_RESIDUES]
        row = torch.arange(len(chosen), device=self.device)[:, None]
        found, frames = (
            Frames(one.rotation[row, seen_from], one.translation[row, seen_from])
            for one in (Frames(structure.groups.rotation[chosen], structure.groups.translation[chosen]), truth.frames)
        )
        side_chains = side_chain_fape(
            found, frames, truth.frame_mask[row, seen_from], structure.atom14[chosen], truth.atom14, truth.atom_mask
        )  # fmt: skip
        torsions, known = torsions_of_chain(types, atom37, mask37, follows)
        angles = torsion_loss(structure.raw_torsions[:, chosen], torsions, known, batch.mask[chosen], types).mean(0)
        total = structure.atom14.new_zeros(len(batch.types))
        return total.index_add(0, chosen, self.weights.fape * side_chains + self.weights.torsion * angles)
