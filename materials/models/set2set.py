"""Set2Set: attention that reads a set several times and remembers what it has read.

Vinyals et al., arXiv:1511.06391. Shapes: N members of B sets, W features.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from materials.models.atomic_graph import sum_rows


class Set2Set(nn.Module):
    """members [N, W] -> [B, 2 W]: the last query beside what it read."""

    def __init__(self, width: int, steps: int, layers: int = 1) -> None:
        super().__init__()
        self.steps = steps
        self.lstm = nn.LSTM(2 * width, width, layers)

    def forward(self, members: Tensor, owner: Tensor, sets: int) -> Tensor:
        """owner [N] int64 says which set a member belongs to; a set without members reads zeros."""
        state = members.new_zeros(self.lstm.num_layers, sets, members.shape[1])
        memory = (state, state)
        read = members.new_zeros(sets, 2 * members.shape[1])
        for _ in range(self.steps):
            query, memory = self.lstm(read[None], memory)
            score = (members * query[0].index_select(0, owner)).sum(dim=1)
            highest = score.new_zeros(sets).scatter_reduce(0, owner, score, "amax", include_self=False)
            weight = torch.exp(score - highest.index_select(0, owner))
            share = weight / sum_rows(weight, owner, sets).index_select(0, owner)
            read = torch.cat([query[0], sum_rows(members * share[:, None], owner, sets)], dim=1)
        return read
