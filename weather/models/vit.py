"""Vision transformer over patches of a latitude-longitude plane, conditioned by adaptive layer norm as in Stormer.

Dosovitskiy et al. 2020, arXiv:2010.11929; Nguyen et al. 2023, arXiv:2301.10343 (ClimaX) and 2312.03876 (Stormer). A
vector such as the lead time sets scale, shift and gate of every layer; gates start at zero, so that an untrained block
passes its input on (adaLN-Zero, arXiv:2212.09748). Patches are embedded with one point of their surroundings, and a
convolution across their borders ends the network: it can mend the seams between patches, the date line and the poles.
A grid that patches do not divide is continued beyond its edges, see `boundary.py`, and cut back at the end.

Shapes: B samples, C channels, H latitudes, W longitudes, P side of a patch, R rows and S columns of patches, T = R S
tokens, D length of the conditioning vector.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from common.app.errors import ConfigError
from weather.models.boundary import Boundary, pad
from weather.models.neural_operator import Perceptron, check_condition
from weather.models.unet import BoundedConvolution


@dataclass(frozen=True)
class ViTConfig:
    """
    boundary         see `boundary.py`
    patch            side of a patch in grid points
    point_channels   channels of each grid point behind the last block, from which the last convolution forms the output
    condition        length of the conditioning vector, 0 for none: a perceptron embeds it, the blocks share that
    """

    in_channels: int
    out_channels: int
    height: int
    width: int
    boundary: Boundary = "globe"
    patch: int = 2
    channels: int = 192
    layers: int = 6
    heads: int = 6
    mlp_ratio: float = 4.0
    point_channels: int = 32
    condition: int = 0


class AdaptiveNorm(nn.Module):
    """Layer norm with a gate; a vector changes its scale, shift and gate, by nothing at first."""

    def __init__(self, channels: int, condition: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(channels)
        self.gate = nn.Parameter(torch.zeros(channels))
        self.modulation = nn.Linear(condition, 3 * channels) if condition else None
        if self.modulation is not None:
            nn.init.zeros_(self.modulation.weight)
            nn.init.zeros_(self.modulation.bias)

    def forward(self, x: Tensor, condition: Tensor | None) -> tuple[Tensor, Tensor]:
        """x [B, T, C], condition [B, D] -> normalised x [B, T, C], gate [C] or [B, 1, C]"""
        x = self.norm(x)
        if self.modulation is None or condition is None:
            return x, self.gate
        scale, shift, gate = self.modulation(F.silu(condition))[:, None].chunk(3, dim=-1)
        return x * (1 + scale) + shift, self.gate + gate


class Attention(nn.Module):
    """Of all tokens to all, in `heads` heads."""

    def __init__(self, channels: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.project, self.mix = nn.Linear(channels, 3 * channels), nn.Linear(channels, channels)

    def forward(self, x: Tensor) -> Tensor:
        query, key, value = self.project(x).unflatten(-1, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)
        return self.mix(F.scaled_dot_product_attention(query, key, value).transpose(1, 2).flatten(2))


class TransformerBlock(nn.Module):
    """x + gate * attention(norm(x)), then the same with a perceptron."""

    def __init__(self, channels: int, heads: int, mlp_ratio: float, condition: int) -> None:
        super().__init__()
        self.norms = nn.ModuleList(AdaptiveNorm(channels, condition) for _ in range(2))
        self.layers = nn.ModuleList(
            [Attention(channels, heads), Perceptron(channels, round(channels * mlp_ratio), channels)]
        )

    def forward(self, x: Tensor, condition: Tensor | None) -> Tensor:
        for norm, layer in zip(self.norms, self.layers, strict=True):
            y, gate = norm(x, condition)
            x = x + gate * layer(y)
        return x


class ViT(nn.Module):
    """[B, C_in, H, W] -> [B, C_out, H, W]"""

    config_class = ViTConfig

    def __init__(self, config: ViTConfig) -> None:
        super().__init__()
        sizes = config.patch, config.layers, config.heads
        divided = min(sizes) > 0 and config.channels % math.lcm(4, config.heads) == 0
        if not divided or 2 * config.patch > min(config.height, config.width):
            raise ConfigError(
                f"a transformer with patch={config.patch}, layers={config.layers}, heads={config.heads}, "
                f"channels={config.channels} on {config.height} by {config.width} points: expected at least one of "
                "each, channels a multiple of 4 and of the heads, and at least two patches each way"
            )
        self.config = config
        channels, patch = config.channels, config.patch
        rows, columns = math.ceil(config.height / patch), math.ceil(config.width / patch)
        self.embed = nn.Conv2d(config.in_channels, channels, patch + 2, stride=patch)
        self.position = nn.Parameter(position_embedding(rows, columns, channels, config.boundary != "region"))
        self.condition = Perceptron(config.condition, channels, channels) if config.condition else None
        conditioned = channels if config.condition else 0
        self.blocks = nn.ModuleList(
            TransformerBlock(channels, config.heads, config.mlp_ratio, conditioned) for _ in range(config.layers)
        )
        self.norm = nn.LayerNorm(channels)
        self.unpatch = nn.Linear(channels, config.point_channels * patch**2)
        self.last = BoundedConvolution(config.point_channels, config.out_channels, config.boundary)

    def forward(self, state: Tensor, condition: Tensor | None = None) -> Tensor:
        """state [B, C_in, H, W], condition [B, D] where the model has one -> [B, C_out, H, W]"""
        check_condition(self.config.condition, condition)
        height, width = state.shape[2:]
        x = self.embed(self._continued(state)).permute(0, 2, 3, 1) + self.position
        tokens = x.flatten(1, 2)
        vector = self.condition(condition) if self.condition is not None else None
        for block in self.blocks:
            tokens = block(tokens, vector)
        points = self.unpatch(self.norm(tokens)).transpose(1, 2).unflatten(2, x.shape[1:3])
        return self.last(F.pixel_shuffle(points, self.config.patch)[:, :, :height, :width])

    def _continued(self, state: Tensor) -> Tensor:
        """With whole patches, and a point more on each side."""
        patch, (height, width) = self.config.patch, state.shape[2:]
        rows, columns = -height % patch, -width % patch
        x = pad(state, 1 + rows, 1 + columns, self.config.boundary)
        return x[:, :, rows : height + 2 + 2 * rows, columns : width + 2 + 2 * columns]


def position_embedding(rows: int, columns: int, channels: int, periodic: bool) -> Tensor:
    """Sines and cosines of rows and of columns, [R, S, C]: half turns along an axis, whole ones around a globe;
    C a multiple of 4.
    """

    def waves(count: int, turn: float) -> Tensor:
        order = 1 + torch.arange(channels // 4) % (count // 2)
        phase = turn * (torch.arange(count)[:, None] + 0.5) / count * order
        return torch.cat([phase.sin(), phase.cos()], dim=1)

    north = waves(rows, math.pi)[:, None].expand(-1, columns, -1)
    east = waves(columns, 2 * math.pi if periodic else math.pi).expand(rows, -1, -1)
    return torch.cat([north, east], dim=2)
