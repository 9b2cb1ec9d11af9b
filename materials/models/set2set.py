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
            read = _answer(query[0], members, owner)
        return read


class ForgetfulSet2Set(nn.Module):
    """The form in MEGNet of 2018: members are narrowed to W' first, and a query follows from the last answer alone.

    Its recurrent cell never carries its memory on (megnet 0.2 to 1.3), and its gates are piecewise linear.
    """

    def __init__(self, width: int, narrow: int, steps: int) -> None:
        super().__init__()
        self.steps, self.narrow = steps, narrow
        self.member = nn.Linear(width, narrow)
        self.gates = nn.Linear(2 * narrow, 3 * narrow)

    def forward(self, members: Tensor, owner: Tensor, sets: int) -> Tensor:
        """[N, W] -> [B, 2 W']"""
        members = self.member(members)
        read = members.new_zeros(sets, 2 * self.narrow)
        for _ in range(self.steps):
            taken, new, shown = self.gates(read).chunk(3, dim=1)
            query = _hard_sigmoid(shown) * torch.tanh(_hard_sigmoid(taken) * torch.tanh(new))
            read = _answer(query, members, owner)
        return read


def _answer(query: Tensor, members: Tensor, owner: Tensor) -> Tensor:
    """The query of each set [B, W] beside the mean of its members [N, W], weighted by how well they fit it."""
    sets = len(query)
    score = (members * query.index_select(0, owner)).sum(dim=1)
    highest = score.new_zeros(sets).scatter_reduce(0, owner, score, "amax", include_self=False)
    weight = torch.exp(score - highest.index_select(0, owner))
    share = weight / sum_rows(weight, owner, sets).index_select(0, owner)
    return torch.cat([query, sum_rows(members * share[:, None], owner, sets)], dim=1)


def _hard_sigmoid(x: Tensor) -> Tensor:
    """As Keras has it."""
    return (0.2 * x + 0.5).clamp(0, 1)
