"""Clusters of similar chains as training samples, so that large families do not rule."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from common.training.draws import uniform


class ClusterDraw:
    """Samples are clusters; of each one chain is drawn.

    members [C] chains by cluster, first and count [S] where each cluster's begin and how many it has.
    """

    def __init__(self, cluster: np.ndarray, device: torch.device) -> None:
        """cluster: that of each chain [C]."""
        order = np.argsort(cluster, kind="stable")
        _, first, count = np.unique(cluster[order], return_index=True, return_counts=True)
        self.members, self.first, self.count = (
            torch.as_tensor(array, device=device) for array in (order, first, count)
        )

    def __len__(self) -> int:
        return len(self.first)

    def draw(self, samples: Tensor, seed: int) -> Tensor:
        """One chain of each of these clusters [B], by seed and cluster."""
        return self.members[self.first[samples] + (uniform(seed, samples) * self.count[samples]).long()]
