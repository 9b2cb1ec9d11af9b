"""Fourier neural operator on a latitude-longitude plane, Li et al. 2021, arXiv:2010.08895: the baseline of the SFNO.

With `block="gated"` and `encoder_ratio` it is the FNO of the neuraloperator package. A globe is continued beyond its
poles, a region beyond its edges, by `padding` of the grid's size before the transforms, which take the plane for
periodic. Shapes: B samples, I and O channels, H latitudes, W longitudes, K rows and M columns of modes.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from common.app.errors import ConfigError
from weather.models.boundary import Boundary, pad
from weather.models.neural_operator import Block, NeuralOperator


@dataclass(frozen=True)
class FNOConfig:
    """
    boundary             see `boundary.py`
    modes_north_south    rows of modes, half of them negative; 0: two thirds of H
    modes_east_west      columns of modes; 0: a third of W
    padding              rows and columns added on each side, as a share of H and W; longitudes of a globe need none
    """

    in_channels: int
    out_channels: int
    height: int
    width: int
    boundary: Boundary = "globe"
    channels: int = 32
    layers: int = 4
    modes_north_south: int = 0
    modes_east_west: int = 0
    padding: float = 0.125
    block: Block = "residual"
    mlp_ratio: float = 2.0
    encoder_ratio: float = 0.0
    instance_norm: bool = True
    latitude_embedding: bool = True
    condition: int = 0


class PlanarConvolution(nn.Module):
    """A product with the Fourier modes of the plane, [H, W, B, I] -> [H, W, B, O]."""

    def __init__(self, rows: int, columns: int, inputs: int, outputs: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(rows, columns, inputs, outputs, 2) / math.sqrt(inputs))

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """The convolution, and x itself."""
        rows, columns = self.weight.shape[:2]
        height, width, samples, _ = x.shape
        # Frequencies from north to south: -K / 2 to K / 2 - 1.
        frequency = torch.arange(-(rows // 2), rows - rows // 2, device=x.device) % height
        with torch.autocast(x.device.type, enabled=False):
            real = x.to(self.weight.dtype)
            spectrum = torch.fft.rfft2(real, dim=(0, 1), norm="forward")[frequency, :columns]
            product = torch.matmul(spectrum, torch.view_as_complex(self.weight))
            full = product.new_zeros(height, width // 2 + 1, samples, product.shape[3])
            full[frequency, :columns] = product
            return torch.fft.irfft2(full, s=(height, width), dim=(0, 1), norm="forward"), x


class FNO(NeuralOperator):
    """[B, C_in, H, W] -> [B, C_out, H, W]"""

    config_class = FNOConfig

    def __init__(self, config: FNOConfig) -> None:
        rows = config.modes_north_south or config.height * 2 // 3
        columns = config.modes_east_west or config.width // 3
        if config.layers < 1 or rows > config.height or columns > config.width // 2 + 1:
            raise ConfigError(
                f"an FNO with {config.layers} layers, {rows} by {columns} modes: expected at least 1 layer and at most "
                f"{config.height} by {config.width // 2 + 1} modes on a grid of {config.height} by {config.width}"
            )
        channels = config.channels
        super().__init__(
            config.in_channels,
            config.out_channels,
            channels,
            [PlanarConvolution(rows, columns, channels, channels) for _ in range(config.layers)],
            config.block,
            config.mlp_ratio,
            config.encoder_ratio,
            config.instance_norm,
            config.height if config.latitude_embedding else 0,
            config.condition,
        )
        self.config = config

    def operate(self, x: Tensor, condition: Tensor | None) -> Tensor:
        height, width = x.shape[:2]
        rows = round(height * self.config.padding)
        columns = round(width * self.config.padding) if self.config.boundary == "region" else 0
        x = pad(x.permute(2, 3, 0, 1), rows, columns, self.config.boundary).permute(2, 3, 0, 1)
        x = super().operate(x, condition)
        return x[rows : rows + height, columns : columns + width]
