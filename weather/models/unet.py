"""U-Net on a latitude-longitude plane, Ronneberger et al. 2015, arXiv:1505.04597, with residual blocks.

What comes up is added to what was there, not put beside it, which takes less arithmetic.
Every convolution sees the other side of the seam and of the poles on a globe, and the repeated edge around a region.
Shapes: B samples, C channels, H latitudes, W longitudes, D length of the conditioning vector.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from common.app.errors import ConfigError
from weather.models.boundary import Boundary, pad
from weather.models.neural_operator import Modulation, check_condition


@dataclass(frozen=True)
class UNetConfig:
    """
    levels     resolutions, each half of the one above; channels double at each
    blocks     residual blocks at each level, downwards and again upwards
    dropout    share of feature maps that a block leaves out in training
    networks   whose mean is given, each trained on its part of every batch: each errs in its own way. The members of an
               ensemble take turns at them, so that they differ in what the networks do not agree on, too
    """

    in_channels: int
    out_channels: int
    height: int
    width: int
    boundary: Boundary = "globe"
    channels: int = 32
    levels: int = 3
    blocks: int = 1
    dropout: float = 0.0
    networks: int = 1
    condition: int = 0


class BoundedConvolution(nn.Conv2d):
    """3 x 3, with the boundary's values beyond the edge."""

    def __init__(self, inputs: int, outputs: int, boundary: Boundary) -> None:
        super().__init__(inputs, outputs, 3)
        self.boundary: Boundary = boundary

    def forward(self, input: Tensor) -> Tensor:
        return super().forward(pad(input, 1, 1, self.boundary))


class ConvolutionBlock(nn.Module):
    """Two convolutions around a skip, scaled and shifted in between by a conditioning vector where there is one.

    Nothing is normalised: the size of a field is not lost, and a network that is told nothing can learn to be.
    """

    def __init__(self, inputs: int, outputs: int, boundary: Boundary, condition: int, dropout: float) -> None:
        super().__init__()
        self.first = BoundedConvolution(inputs, outputs, boundary)
        self.second = BoundedConvolution(outputs, outputs, boundary)
        self.modulation = Modulation(condition, outputs) if condition else None
        self.dropout = nn.Dropout2d(dropout)
        self.skip = nn.Conv2d(inputs, outputs, 1) if inputs != outputs else nn.Identity()

    def forward(self, x: Tensor, condition: Tensor | None) -> Tensor:
        y = self.first(x)
        if self.modulation is not None and condition is not None:
            scale, shift = self.modulation(condition)
            y = y * scale[:, :, None, None] + shift[:, :, None, None]
        return self.skip(x) + self.second(self.dropout(F.gelu(y)))


class UNet(nn.Module):
    """[B, C_in, H, W] -> [B, C_out, H, W]; any H and W of at least 2 ^ levels."""

    config_class = UNetConfig

    def __init__(self, config: UNetConfig) -> None:
        super().__init__()
        coarsest = min(config.height, config.width) / 2 ** (config.levels - 1)
        if config.levels < 1 or config.blocks < 1 or coarsest < 2:
            raise ConfigError(
                f"a U-Net of {config.levels} levels and {config.blocks} blocks on {config.height} by {config.width} "
                "points: expected at least one of each, and two points left on the coarsest level"
            )
        self.config = config
        self.networks = nn.ModuleList(OneUNet(config) for _ in range(config.networks))

    def forward(self, state: Tensor, condition: Tensor | None = None, member: Tensor | None = None) -> Tensor:
        """state [B, C_in, H, W], condition [B, D] where the model has one -> [B, C_out, H, W]

        member  [B] int64, which member of an ensemble each is
        """
        check_condition(self.config.condition, condition)
        count = len(self.networks)
        if self.training:
            conditions = [None] * count if condition is None else condition.tensor_split(count)
            parts = zip(self.networks, state.tensor_split(count), conditions, strict=True)
            return torch.cat([network(part, told) for network, part, told in parts])
        if member is None:
            return torch.stack([network(state, condition) for network in self.networks]).mean(dim=0)
        turn = member % count
        found = [
            network(state[turn == number], None if condition is None else condition[turn == number])
            for number, network in enumerate(self.networks)
            if (turn == number).any()
        ]
        return torch.cat(found)[turn.argsort(stable=True).argsort()]


class OneUNet(nn.Module):
    """One of the networks."""

    def __init__(self, config: UNetConfig) -> None:
        super().__init__()
        self.config = config
        widths = [config.channels * 2**level for level in range(config.levels)]
        self.first = BoundedConvolution(config.in_channels, widths[0], config.boundary)
        self.down = nn.ModuleList(self._level(widths[max(i - 1, 0)], width) for i, width in enumerate(widths))
        self.lift = nn.ModuleList(nn.Conv2d(coarse, fine, 1) for fine, coarse in pairwise(widths))
        self.up = nn.ModuleList(self._level(width, width) for width in widths[:-1])
        self.last = BoundedConvolution(widths[0], config.out_channels, config.boundary)

    def _level(self, inputs: int, outputs: int) -> nn.ModuleList:
        config = self.config
        return nn.ModuleList(
            ConvolutionBlock(outputs if i else inputs, outputs, config.boundary, config.condition, config.dropout)
            for i in range(config.blocks)
        )

    def forward(self, state: Tensor, condition: Tensor | None) -> Tensor:
        # Channels last is the order in which convolutions are fastest, above all in 16 bits.
        x, skips = self.first(state.contiguous(memory_format=torch.channels_last)), []
        for level, stage in enumerate(self.down):
            if level:
                x = F.avg_pool2d(x, 2, ceil_mode=True)
            x = self._run(stage, x, condition)
            skips.append(x)
        for skip, lift, stage in zip(reversed(skips[:-1]), reversed(self.lift), reversed(self.up), strict=True):
            x = skip + F.interpolate(lift(x), size=skip.shape[2:], mode="nearest")
            x = self._run(stage, x, condition)
        return self.last(x)

    def _run(self, stage: nn.Module, x: Tensor, condition: Tensor | None) -> Tensor:
        for block in stage.children():
            x = block(x, condition)
        return x
