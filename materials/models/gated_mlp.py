"""A perceptron with a gate: act(core(x)) * sigmoid(gate(x)), for inputs made of several parts.

The input of an edge or angle is a concatenation of features of its atoms and bonds. Its first layer is linear, so it
falls into one matrix for each part, which acts on the few atoms and bonds before they are spread over the many edges.

Shapes: N rows, W hidden width.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class GatedMLP(nn.Module):
    """Core and gate, each with layers of the given widths and SiLU between them.

    parts     widths of the parts of the input, in order
    widths    of the layers, the last is the output's
    norm      normalise core and gate (LayerNorm) before the last activation
    activate  apply SiLU to the core's output
    """

    def __init__(
        self, parts: Sequence[int], widths: Sequence[int], bias: bool = True, norm: bool = False, activate: bool = True
    ) -> None:
        super().__init__()
        self.parts = tuple(parts)
        self.activate = activate
        self.first = nn.Linear(sum(parts), 2 * widths[0], bias)
        self.core = nn.ModuleList(nn.Linear(a, b, bias) for a, b in pairwise(widths))
        self.gate = nn.ModuleList(nn.Linear(a, b, bias) for a, b in pairwise(widths))
        self.core_norm = nn.LayerNorm(widths[-1]) if norm else nn.Identity()
        self.gate_norm = nn.LayerNorm(widths[-1]) if norm else nn.Identity()

    def project(self, part: int, features: Tensor) -> Tensor:
        """One part's share of the first layer, [..., parts[part]] -> [..., 2 W]; the shares add up.

        The bias is in the share of part 0.
        """
        start = sum(self.parts[:part])
        weight = self.first.weight[:, start : start + self.parts[part]]
        return F.linear(features, weight, self.first.bias if part == 0 else None)

    def finish(self, hidden: Tensor) -> Tensor:
        """What follows the first layer: [N, 2 W] -> [N, widths[-1]]."""
        core, gate = hidden.chunk(2, dim=-1)
        for core_layer, gate_layer in zip(self.core, self.gate, strict=True):
            core, gate = core_layer(F.silu(core)), gate_layer(F.silu(gate))
        core, gate = self.core_norm(core), self.gate_norm(gate)
        return (F.silu(core) if self.activate else core) * torch.sigmoid(gate)

    def forward(self, features: Tensor) -> Tensor:
        """For an input in one piece, [N, sum(parts)] -> [N, widths[-1]]."""
        return self.finish(self.first(features))
