"""From a molecule's vector to its properties: what every molecular network ends with.

Shapes: B molecules, M members of an ensemble, T properties, D descriptors.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn


class MemberLinear(nn.Module):
    """A linear layer for each member of an ensemble: [B, M, inputs] -> [B, M, outputs], or from [B, inputs]."""

    def __init__(self, members: int, inputs: int, outputs: int, bias: bool = True) -> None:
        super().__init__()
        bound = 1 / math.sqrt(inputs)
        self.weight = nn.Parameter(torch.empty(members, inputs, outputs).uniform_(-bound, bound))
        # A vector, so that the optimiser takes it for a bias: no weight decay.
        self.bias = nn.Parameter(torch.empty(members * outputs).uniform_(-bound, bound)) if bias else None

    def forward(self, x: Tensor) -> Tensor:
        members, inputs, outputs = self.weight.shape
        if members == 1:
            result = (x.reshape(-1, inputs) @ self.weight[0])[:, None]
        elif x.ndim == 2:
            result = torch.einsum("bi,mio->bmo", x, self.weight)
        else:
            result = torch.einsum("bmi,mio->bmo", x, self.weight)
        return result if self.bias is None else result + self.bias.view(members, outputs)


class TargetScale(nn.Module):
    """From a network's outputs to the properties' units; the identity for classes."""

    mean: Tensor
    scale: Tensor

    def __init__(self, properties: int) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(properties))
        self.register_buffer("scale", torch.ones(properties))

    def fit(self, target: Tensor) -> None:
        """Mean and standard deviation of the known values of target [N, T]; NaN is unknown.

        Outputs beyond T, such as predicted log variances, stay as they are.
        """
        properties = target.shape[1]
        known = ~target.isnan()
        count = known.sum(dim=0).clamp(min=1)
        self.mean[:properties].copy_(target.nan_to_num().double().sum(dim=0) / count)
        deviation = torch.where(known, target - self.mean[:properties], 0.0).double().square().sum(dim=0) / count
        self.scale[:properties].copy_(torch.where(deviation > 0, deviation.sqrt(), 1.0))

    def forward(self, output: Tensor) -> Tensor:
        """[..., T] -> [..., T], at least in float32 whatever the network computes in."""
        return output.to(torch.promote_types(output.dtype, torch.float32)) * self.scale + self.mean


class MolecularHead(nn.Module):
    """[B, M, C] and descriptors [B, D] -> [B, M, T] in the properties' units, or as logits of classes."""

    descriptor_mean: Tensor
    descriptor_scale: Tensor

    def __init__(
        self, members: int, inputs: int, width: int, properties: int, descriptors: int, dropout: float
    ) -> None:
        super().__init__()
        self.register_buffer("descriptor_mean", torch.zeros(descriptors))
        self.register_buffer("descriptor_scale", torch.ones(descriptors))
        self.hidden = MemberLinear(members, inputs + descriptors, width)
        self.dropout = nn.Dropout(dropout)
        self.output = MemberLinear(members, width, properties)
        self.scale = TargetScale(properties)

    def fit(self, target: Tensor, descriptors: Tensor) -> None:
        """Take the scales of targets [N, T] and descriptors [N, D] from the training data."""
        self.scale.fit(target)
        if not len(self.descriptor_mean):
            return
        self.descriptor_mean.copy_(descriptors.mean(dim=0))
        deviation = descriptors.std(dim=0, correction=0)
        self.descriptor_scale.copy_(torch.where(deviation > 0, deviation, 1.0))

    def forward(self, molecule: Tensor, descriptors: Tensor) -> Tensor:
        if len(self.descriptor_mean):
            # A descriptor far outside of what was trained on must not run away with the prediction.
            scaled = ((descriptors - self.descriptor_mean) / self.descriptor_scale).clamp(-5, 5)
            molecule = torch.cat([molecule, scaled[:, None].expand(-1, molecule.shape[1], -1)], dim=2)
        return self.scale(self.output(self.dropout(self.hidden(molecule).relu())))
