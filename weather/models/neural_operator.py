"""What neural operators share, whatever their convolution: encoder, blocks, decoder, conditioning.

Fields keep their channels last inside, [H, W, B, C], so that mixing channels is one matrix product, the normalisation
of a sample is one batch normalisation over B C columns, and transforms act on rows.

Shapes: H, W latitudes and longitudes, B samples, C channels, D length of the conditioning vector.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from common.app.errors import ConfigError

Block = Literal["residual", "gated"]


class Perceptron(nn.Sequential):
    """Two layers of width `hidden` and `outputs` on the last axis."""

    def __init__(self, inputs: int, hidden: int, outputs: int) -> None:
        super().__init__(nn.Linear(inputs, hidden), nn.GELU(), nn.Linear(hidden, outputs))


class Modulation(nn.Module):
    """Scale and shift of each channel from a vector, doi:10.1609/aaai.v32i1.11671; nothing at first."""

    def __init__(self, condition: int, channels: int) -> None:
        super().__init__()
        self.linear = nn.Linear(condition, 2 * channels)
        nn.init.zeros_(self.linear.weight)
        nn.init.zeros_(self.linear.bias)

    def forward(self, condition: Tensor) -> tuple[Tensor, Tensor]:
        """[B, D] -> scale, shift [B, C]"""
        scale, shift = self.linear(F.silu(condition)).chunk(2, dim=-1)
        return 1 + scale, shift


class FieldNorm(nn.Module):
    """Instance normalisation of [H, W, B, C], its scale and shift modulated by a vector where there is one."""

    def __init__(self, channels: int, normalise: bool, condition: int) -> None:
        super().__init__()
        self.normalise = normalise
        self.weight = nn.Parameter(torch.ones(channels)) if normalise else None
        self.bias = nn.Parameter(torch.zeros(channels)) if normalise else None
        self.modulation = Modulation(condition, channels) if condition else None

    def forward(self, x: Tensor, condition: Tensor | None) -> Tensor:
        height, width, samples, channels = x.shape
        scale, shift = x.new_ones(samples, channels), x.new_zeros(samples, channels)
        if self.modulation is not None and condition is not None:
            scale, shift = self.modulation(condition)
        elif self.weight is None:
            return x
        if self.weight is None or self.bias is None:
            return x * scale + shift
        # Normalised over a sample's points: each of its channels is a column of its own.
        weight, bias = (self.weight * scale).flatten(), (self.bias * scale + shift).flatten()
        columns = x.reshape(height * width, -1)
        return F.batch_norm(columns, None, None, weight, bias, training=True, eps=1e-6).view(x.shape)


class ResidualBlock(nn.Module):
    """x + MLP(norm(convolution(x))), Bonev et al. 2023, arXiv:2306.03838."""

    def __init__(self, convolution: nn.Module, channels: int, mlp_ratio: float, norm: FieldNorm) -> None:
        super().__init__()
        self.convolution, self.norm = convolution, norm
        self.mlp = Perceptron(channels, round(channels * mlp_ratio), channels)

    def forward(self, x: Tensor, condition: Tensor | None, last: bool) -> Tensor:
        y, x = self.convolution(x)
        return x + self.mlp(self.norm(y, condition).to(x.dtype))


class GatedBlock(nn.Module):
    """y = act(norm(convolution(x)) + A x + b), act(MLP(y) + g x), Kossaifi et al. 2023, arXiv:2310.00120."""

    def __init__(self, convolution: nn.Module, channels: int, mlp_ratio: float, norm: FieldNorm) -> None:
        super().__init__()
        self.convolution, self.norm = convolution, norm
        self.skip = nn.Linear(channels, channels)
        self.mlp = Perceptron(channels, round(channels * mlp_ratio), channels)
        self.gate = nn.Parameter(torch.ones(channels))

    def forward(self, x: Tensor, condition: Tensor | None, last: bool) -> Tensor:
        y, x = self.convolution(x)
        y = self.norm(y, condition) + self.skip(x)
        y = torch.addcmul(self.mlp(y if last else F.gelu(y)), self.gate, x)
        return y if last else F.gelu(y)


BLOCKS: dict[Block, type[ResidualBlock | GatedBlock]] = {"residual": ResidualBlock, "gated": GatedBlock}


class NeuralOperator(nn.Module):
    """[B, C_in, H, W] -> [B, C_out, H, W], one block for each of `convolutions`.

    encoder_ratio        width of the hidden layer of encoder and decoder, in channels; 0: both are linear
    latitude_embedding   learn an offset of each latitude and channel (of the Coriolis force the fields do not tell)
    condition            length of the conditioning vector, 0 for none
    """

    def __init__(
        self,
        inputs: int,
        outputs: int,
        channels: int,
        convolutions: Sequence[nn.Module],
        block: Block,
        mlp_ratio: float,
        encoder_ratio: float,
        instance_norm: bool,
        latitudes: int,
        condition: int,
    ) -> None:
        super().__init__()
        hidden = round(channels * encoder_ratio)
        self.encoder = Perceptron(inputs, hidden, channels) if hidden else nn.Linear(inputs, channels)
        self.embedding = nn.Parameter(torch.zeros(latitudes, 1, 1, channels)) if latitudes else None
        self.blocks = nn.ModuleList(
            BLOCKS[block](convolution, channels, mlp_ratio, FieldNorm(channels, instance_norm, condition))
            for convolution in convolutions
        )
        self.decoder = Perceptron(channels, hidden, outputs) if hidden else nn.Linear(channels, outputs)
        self.condition = condition

    def forward(self, state: Tensor, condition: Tensor | None = None) -> Tensor:
        """state [B, C_in, H, W], condition [B, D] where the model has one -> [B, C_out, H, W]"""
        check_condition(self.condition, condition)
        x = self.encoder(state.permute(2, 3, 0, 1))
        if self.embedding is not None:
            x = x + self.embedding
        x = self.operate(x, condition)
        return self.decoder(x).permute(2, 3, 0, 1).contiguous()

    def operate(self, x: Tensor, condition: Tensor | None) -> Tensor:
        """All blocks, [H, W, B, C] -> [H, W, B, C]."""
        for index, block in enumerate(self.blocks):
            x = block(x, condition, index == len(self.blocks) - 1)
        return x


def check_condition(expected: int, condition: Tensor | None) -> None:
    """Raise ConfigError unless the conditioning vector has the model's length D, or both are absent."""
    found = 0 if condition is None else condition.shape[-1]
    if found != expected:
        raise ConfigError(
            f"a conditioning vector of length {found}, expected {expected} (0: none); "
            "the model's configuration sets it as `condition`"
        )
