"""The training materials that a model sees as most like a new one.

Likeness is distance between the vectors that the model's readout sees. They are kept with a shipped model as a few
principal components in half precision, which leave distances nearly as they were.

Shapes: N training materials, B new ones, C width of a vector, P components, T properties.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from common.app.errors import CheckpointError, ConfigError, DataFormatError
from materials.models.crystal_graph import CrystalNodes

BYTES = 2_000_000
"""What the training materials may add to a shipped model."""

COMPONENTS = 32
"""At most; fewer where that many of all materials would not fit into BYTES."""

SAMPLE = 2_000
"""Training materials that principal components and the unit of distance are taken from."""


class Nearest(NamedTuple):
    """Of B new materials the k training materials that are most like them, nearest first.

    ids [B, k]    target [B, k, T] their known values, NaN where unknown    distance [B, k]
    """

    ids: np.ndarray
    target: np.ndarray
    distance: np.ndarray


@dataclass(frozen=True, eq=False)
class TrainingIndex:
    """The training materials of a model, to be searched.

    ids      [N] text
    target   [N, T] float32
    vectors  [N, P] float16, (v - centre) @ axes of each training vector v
    centre   [C], axes [C, P] float32; axes also hold the unit: the median distance of a training material from its
             nearest neighbour is 1, so that a distance far above it says that nothing in training was alike
    """

    ids: np.ndarray
    target: np.ndarray
    vectors: Tensor
    centre: Tensor
    axes: Tensor

    @classmethod
    def build(cls, ids: Sequence[str] | np.ndarray, vectors: Tensor, target: np.ndarray) -> TrainingIndex:
        """From the training split's vectors [N, C] (`represent`) and targets [N, T]."""
        if not len(ids) == len(vectors) == len(target) >= 2:
            raise DataFormatError(
                f"{len(ids)} ids, {len(vectors)} vectors, {len(target)} targets: expected two or more"
            )
        vectors = vectors.double().cpu()
        own = len("\n".join(map(str, ids)).encode()) + target.size * 4
        width = min(COMPONENTS, vectors.shape[1], max(2, (BYTES - own) // (2 * len(vectors) + 4 * vectors.shape[1])))
        sample = vectors[torch.randperm(len(vectors), generator=torch.Generator().manual_seed(0))[:SAMPLE]]
        centre = sample.mean(dim=0)
        _, axes = torch.linalg.eigh((sample - centre).T @ (sample - centre))  # of ascending variance
        axes = axes[:, -width:].flip(1)
        centre, axes = centre.float(), (axes / _typical_distance((vectors - centre) @ axes)).float()
        place = _place(vectors, centre, axes)
        return cls(np.array([str(one) for one in ids]), target.astype(np.float32), place, centre, axes)

    def nearest(self, vectors: Tensor, k: int = 5) -> Nearest:
        """Of new materials by their vectors [B, C]; fewer than k where there are not as many."""
        if vectors.shape[1] != len(self.centre):
            raise DataFormatError(
                f"vectors of width {vectors.shape[1]}; the training materials' have {len(self.centre)}"
            )
        if k < 1:
            raise ConfigError(f"k={k}: ask for at least one training material")
        place = _place(vectors, self.centre, self.axes)
        # matrix products, which large sets would be compared by, lose the digits of small distances
        distance = torch.cdist(place.float(), self.vectors.float(), compute_mode="donot_use_mm_for_euclid_dist")
        order = distance.sort(dim=1, stable=True)
        index = order.indices[:, :k].numpy()
        return Nearest(self.ids[index], self.target[index], order.values[:, :k].numpy())

    def to_tensors(self) -> dict[str, Tensor]:
        """As a safetensors file holds them; ids are lines of UTF-8."""
        text = np.frombuffer("\n".join(self.ids).encode(), np.uint8)
        parts = {"vectors": self.vectors, "centre": self.centre, "axes": self.axes}
        return {**parts, "target": torch.from_numpy(self.target), "ids": torch.from_numpy(text.copy())}

    @classmethod
    def from_tensors(cls, tensors: Mapping[str, Tensor]) -> TrainingIndex:
        """The inverse of `to_tensors`."""
        try:
            ids = np.array(tensors["ids"].numpy().tobytes().decode().split("\n"))
            found = cls(ids, tensors["target"].numpy(), *(tensors[name] for name in ("vectors", "centre", "axes")))
        except (KeyError, UnicodeDecodeError) as error:
            raise CheckpointError(f"the model's training materials are incomplete or damaged: {error!r}") from error
        if not len(found.ids) == len(found.target) == len(found.vectors):
            counts = f"{len(found.ids)} ids, {len(found.target)} targets, {len(found.vectors)} vectors"
            raise CheckpointError(f"the model's training materials do not fit one another: {counts}")
        return found


@torch.no_grad()
def represent(model: nn.Module, batch: Any) -> Tensor:
    """The vector of each sample that the model's readout sees, an ensemble's members behind one another: [B, C].

    Takes a model with `fingerprint(batch) -> [B, ...]`, or one with a part `readout` of its atoms' vectors.
    """
    if hasattr(model, "fingerprint"):
        return model.fingerprint(batch).flatten(1).float()  # pyright: ignore
    return torch.cat([of.mean(nodes) for _, nodes, of in readouts(model, batch)], dim=1).float()


@torch.no_grad()
def readouts(model: nn.Module, batch: Any) -> list[tuple[nn.Module, Tensor, CrystalNodes]]:
    """The part `readout` of each member, the vectors that it is given [V, C], and the nodes that they are of."""
    parts = [module for name, module in model.named_modules() if name.split(".")[-1] == "readout"]
    unable = ConfigError(f"{type(model).__name__} has no `readout` of its atoms' vectors to look into")
    if not parts:
        raise unable
    seen: list[tuple[Tensor, CrystalNodes]] = []
    hooks = [part.register_forward_pre_hook(lambda _, inputs: seen.append(inputs)) for part in parts]
    try:
        model(batch)
    finally:
        for hook in hooks:
            hook.remove()
    if any(len(inputs) != 2 for inputs in seen):
        raise unable
    return [(part, *inputs) for part, inputs in zip(parts, seen, strict=True)]


def _place(vectors: Tensor, centre: Tensor, axes: Tensor) -> Tensor:
    """[B, C] -> [B, P] float16; new vectors are rounded as stored ones, so that a material finds itself at zero."""
    return ((vectors.cpu().double() - centre.double()) @ axes.double()).half()


def _typical_distance(vectors: Tensor) -> float:
    """Median distance to the nearest other one, over a sample; duplicates do not count."""
    sample = vectors[:: max(1, len(vectors) // (SAMPLE // 4))]
    distance = torch.cdist(sample, vectors)
    nearest = distance.masked_fill(distance <= 1e-6 * distance.max(), torch.inf).min(dim=1).values
    nearest = nearest[nearest.isfinite()]
    return float(nearest.median()) if len(nearest) else 1.0
