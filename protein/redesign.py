"""Other sequences that the training chains could have: which residue types fit each place of a fold.

Chains are few and their sequences are soon learned by heart. A small inverse folding network, which learns from these
same chains, tells which types fit where; a folder that sees a part of each sequence drawn anew from them cannot
recognise a chain and has to learn what the drawn ones share.
"""

from __future__ import annotations

import hashlib
import shutil
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from common.app.config import OptimizerConfig, RunConfig, ScheduleConfig, TrainerConfig
from common.data.cache import cached_arrays
from common.data.locations import cache_folder
from common.data.packed import PackedTensors, RaggedBatch
from common.results.metrics import Value
from common.training.distributed import ALONE
from common.training.draws import uniform
from common.training.precision import mixed_seed
from common.training.run_directory import RunDirectory
from common.training.task import Forward, Task
from common.training.trainer import Trainer
from protein.data.chains import MISSING, UNIT_A, Chains
from protein.data.cluster_draw import ClusterDraw
from protein.data.residues import UNKNOWN
from protein.geometry.frames import Frames
from protein.models.inverse_folding import MASKED, InverseFolding, InverseFoldingConfig

VERSION = "1"
"""Raise it when probabilities come out otherwise: cached ones are then made again."""

NEIGHBOURS = 20
LEAST_HIDDEN = 0.3
"""Of a chain's residues in training; up to all are."""

MEMBER, SHARE, HIDDEN = range(3)
"""What random numbers are drawn for."""

HALVES_SEED = 2
CHAINS_AT_ONCE = 8

RECIPE = RunConfig(
    experiment="inverse-folding",
    resume="auto",
    optimizer=OptimizerConfig(learning_rate=2e-3, weight_decay=0.02, clip_norm=1.0),
    schedule=ScheduleConfig(warmup_fraction=0.05),
    trainer=TrainerConfig(
        epochs=8,
        batch_size=12,
        precision="bf16",
        ema_decay=0.995,
        evaluate_every=8,
        checkpoint_every_steps=200,
        select="last",
    ),
)


def fitting_types(train: Chains, val: Chains, device: torch.device) -> np.ndarray:
    """Probabilities of the twenty types [R, 20] float16 in each place of the training chains; zero without C-alpha.

    Each half of a chain's residues is judged knowing the other half. The network learns when this is first asked for
    these chains, some 15 minutes on one core (a run that was stopped goes on), and the result is cached.
    """
    digest = hashlib.sha256()
    for chains in (train, val):
        for array in (chains.lengths, chains.cluster, chains.types, chains.atom14[:, 1]):
            digest.update(np.ascontiguousarray(array).tobytes())
    key = {"chains": digest.hexdigest()}
    folder = cache_folder() / "inverse-folding" / f"{VERSION}-{key['chains'][:24]}"
    return cached_arrays("fitting", key, VERSION, lambda: {"fitting": _learned(train, val, device, folder)})["fitting"]


def _learned(train: Chains, val: Chains, device: torch.device, folder: Path) -> np.ndarray:
    torch.manual_seed(RECIPE.seed)
    task = InverseFoldingTask(InverseFolding(InverseFoldingConfig()), train, val, device)
    folder.mkdir(parents=True, exist_ok=True)
    trainer = Trainer(task, RECIPE, RunDirectory(folder), ALONE, device)
    trainer.fit()
    assert trainer.average is not None
    with trainer.average.swapped():
        fitting = task.fitting("train")
    shutil.rmtree(folder)
    return fitting


def graph(chains: Chains) -> PackedTensors:
    """Rows: `types` uint8, `ca` [R, 3] in Å, `rotation` [R, 3, 3], `framed` and `known` bool, `near` [R, K] int64.

    A residue has a frame between two others with C-alpha atoms; its neighbours are counted from its chain's start.
    """
    stored = chains.atom14[:, 1]
    known = torch.from_numpy((stored != MISSING).all(-1))
    ca = torch.where(known[:, None], torch.from_numpy(stored * np.float32(UNIT_A)), torch.nan)
    starts = torch.zeros(len(ca), dtype=torch.bool)
    starts[torch.from_numpy(chains.offsets[:-1])] = True
    before, after = ca - ca.roll(1, 0), ca.roll(-1, 0) - ca
    framed = (before + after).isfinite().all(-1) & ~starts & ~starts.roll(-1, 0)
    frames = Frames.from_axes(ca, before + after, after - before)
    near = torch.full((len(ca), NEIGHBOURS), -1)
    for first, last in zip(chains.offsets[:-1], chains.offsets[1:], strict=True):
        within = torch.nonzero(known[first:last]).squeeze(-1)
        points = ca[first:last][within]
        count = min(NEIGHBOURS, len(within) - 1)
        if count > 0:
            distance = torch.cdist(points, points).fill_diagonal_(torch.inf)
            near[first + within, :count] = within[distance.topk(count, largest=False).indices]
    rows = {
        "types": torch.from_numpy(chains.types),
        "ca": ca.nan_to_num(),
        "rotation": torch.where(framed[:, None, None], frames.rotation, 0.0),
        "framed": framed,
        "known": known,
        "near": near,
    }
    return PackedTensors(rows, torch.from_numpy(chains.lengths))


@dataclass(frozen=True)
class Places:
    """The residues of some chains [R], as the network takes them, and which of them count."""

    ids: Tensor
    owner: Tensor
    within: Tensor
    types: Tensor
    frames: Frames
    framed: Tensor
    near: Tensor
    scored: Tensor

    @classmethod
    def of(cls, batch: RaggedBatch, ids: Tensor) -> Places:
        rows, start = batch.rows, batch.start[batch.owner]
        near = torch.where(rows["near"] < 0, -1, rows["near"] + start[:, None])
        types = rows["types"].long()
        within = torch.arange(len(types), device=types.device) - start
        frames = Frames(rows["rotation"], rows["ca"])
        return cls(ids, batch.owner, within, types, frames, rows["framed"], near, rows["known"] & (types < UNKNOWN))


class InverseFoldingTask(Task):
    """Guess hidden residues of chains. A training sample is a cluster, of which one chain is drawn each time."""

    skips_parameters = True

    def __init__(self, model: InverseFolding, train: Chains, val: Chains, device: torch.device) -> None:
        self.model: InverseFolding = model
        self.packed = {"train": graph(train).to(device), "val": graph(val).to(device)}
        self.device = device
        self.clusters = ClusterDraw(train.cluster, device)
        self.begin(0.0)

    def begin(self, progress: float, seed: int = 0) -> None:
        self._seed = seed

    def sizes(self, split: str) -> np.ndarray:
        """One each: chains are packed, and few are long."""
        return np.ones(len(self.clusters) if split == "train" else len(self.packed[split]), np.int64)

    def batch(self, split: str, ids: np.ndarray) -> Tensor:
        return torch.as_tensor(ids, device=self.device)

    def loss(self, forward: Forward, batch: Tensor) -> Tensor:
        chains = self.clusters.draw(batch, mixed_seed(self._seed, MEMBER))
        part = LEAST_HIDDEN + (1 - LEAST_HIDDEN) * uniform(mixed_seed(self._seed, SHARE), batch)
        return self._errors(forward, self._places("train", chains), part, mixed_seed(self._seed, HIDDEN))

    def metrics(self, forward: Forward, batch: Tensor) -> dict[str, Value]:
        """`loss`: cross-entropy of half the residues, knowing the others."""
        half = torch.full((len(batch),), 0.5, device=self.device)
        return {"loss": self._errors(forward, self._places("val", batch), half, HALVES_SEED)}

    @torch.no_grad()
    def fitting(self, split: str) -> np.ndarray:
        """Probabilities [R, 20] float16, each half of a chain judged from the other."""
        self.model.eval()
        found = []
        for chains in torch.arange(len(self.packed[split]), device=self.device).split(CHAINS_AT_ONCE):
            places = self._places(split, chains)
            hidden = self._hidden(places, torch.full((len(chains),), 0.5, device=self.device), HALVES_SEED)
            one, other = (self._logits(self.model, places, half).softmax(-1) for half in (hidden, ~hidden))
            found.append((torch.where(hidden[:, None], one, other) * places.scored[:, None]).half().cpu())
        return torch.cat(found).numpy()

    def _places(self, split: str, chains: Tensor) -> Places:
        return Places.of(self.packed[split].gather(chains), chains)

    def _hidden(self, places: Places, part: Tensor, seed: int) -> Tensor:
        longest = int(places.within.max()) + 1
        return uniform(seed, places.ids, longest)[places.owner, places.within] < part[places.owner]

    def _logits(self, forward: Forward, places: Places, hidden: Tensor) -> Tensor:
        types = torch.where(hidden, MASKED, places.types)
        return forward(types, places.frames, places.framed, places.near).float()

    def _errors(self, forward: Forward, places: Places, part: Tensor, seed: int) -> Tensor:
        """Mean cross-entropy of the hidden residues of each chain [B]; zero where none is."""
        hidden = self._hidden(places, part, seed)
        asked = hidden & places.scored
        logits = self._logits(forward, places, hidden)
        target = torch.where(asked, places.types, 0)
        errors = functional.cross_entropy(logits, target, reduction="none") * asked
        total, count = (errors.new_zeros(len(part)).index_add(0, places.owner, x) for x in (errors, asked.float()))
        return total / count.clamp_min(1)
