"""Spherical Fourier neural operator, Bonev et al. 2023, arXiv:2306.03838.

Convolutions are products with the degrees of a spherical harmonic transform, which has no poles and no seam. The first
goes from the data's grid to a coarser Gaussian one, the last back. With `block="gated"`, one grid and `encoder_ratio`
it is the SFNO of the neuraloperator package. Shapes: B samples, C channels, H latitudes from south to north,
W longitudes.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

from common.app.errors import ConfigError
from weather.models.neural_operator import Block, NeuralOperator
from weather.models.sphere.legendre import SphereGrid
from weather.models.sphere.spherical_convolution import SphericalConvolution
from weather.models.sphere.spherical_transform import SphericalTransform


@dataclass(frozen=True)
class SFNOConfig:
    """
    scale             the inner grid has H / scale latitudes and W / scale longitudes
    inner_grid        its latitudes; None: those of `grid`
    degrees, orders   of the convolutions; 0: all that the inner grid resolves below half its longitudes
    """

    in_channels: int
    out_channels: int
    height: int
    width: int
    grid: SphereGrid = "equiangular"
    inner_grid: SphereGrid | None = "gaussian"
    scale: int = 1
    channels: int = 64
    layers: int = 4
    degrees: int = 0
    orders: int = 0
    block: Block = "residual"
    mlp_ratio: float = 2.0
    encoder_ratio: float = 0.0
    instance_norm: bool = True
    latitude_embedding: bool = True
    condition: int = 0


class SFNO(NeuralOperator):
    """[B, C_in, H, W] -> [B, C_out, H, W]; turning the globe by whole columns turns the output alike."""

    config_class = SFNOConfig

    def __init__(self, config: SFNOConfig) -> None:
        if config.layers < 1:
            raise ConfigError(f"layers={config.layers} of an SFNO: expected 1 or more")
        height, width = (config.height - 1) // config.scale + 1, config.width // config.scale
        degrees = config.degrees or min(height, width // 2)
        modes = degrees, config.orders or min(degrees, width // 2)
        outer = SphericalTransform(config.height, config.width, config.grid, *modes)
        inner = SphericalTransform(height, width, config.inner_grid or config.grid, *modes)
        grids = [outer, *[inner] * (config.layers - 1), outer]
        channels = config.channels
        super().__init__(
            config.in_channels,
            config.out_channels,
            channels,
            [SphericalConvolution(*pair, channels, channels) for pair in pairwise(grids)],
            config.block,
            config.mlp_ratio,
            config.encoder_ratio,
            config.instance_norm,
            config.height if config.latitude_embedding else 0,
            config.condition,
        )
        self.config = config
