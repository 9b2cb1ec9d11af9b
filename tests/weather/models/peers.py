"""Weights of torch-harmonics' and neuraloperator's networks in ours."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn


def from_torch_harmonics(peer: nn.Module) -> dict[str, Tensor]:
    """State of `SFNO(block="residual", encoder_ratio=0)`; biases the peer lacks are zero."""
    theirs, ours = peer.state_dict(), {}
    linear = {"encoder": "encoder.0", "decoder": "decoder.0"}
    for i in range(len(peer.blocks)):  # pyright: ignore[reportArgumentType]
        prefix = f"blocks.{i}"
        spectral = theirs[f"{prefix}.global_conv.weight"]  # [O, I, L] complex
        ours[f"{prefix}.convolution.weight"] = torch.view_as_real(spectral.permute(2, 1, 0).contiguous())
        for part in ("weight", "bias"):
            ours[f"{prefix}.norm.{part}"] = theirs[f"{prefix}.norm.{part}"]
        linear |= {f"{prefix}.mlp.{j}": f"{prefix}.mlp.fwd.{j}" for j in (0, 2)}
    for to, source in linear.items():
        weight = theirs[f"{source}.weight"].flatten(1)
        ours[f"{to}.weight"] = weight
        ours[f"{to}.bias"] = theirs.get(f"{source}.bias", torch.zeros(len(weight)))
    return ours


def from_neuraloperator(theirs: Mapping[str, Tensor], layers: int) -> dict[str, Tensor]:
    """State of `SFNO` or `FNO` with `block="gated", instance_norm=False`."""
    ours: dict[str, Tensor] = {}
    linear = {
        f"{to}.{2 * j}": f"{of}.fcs.{j}"
        for to, of in (("encoder", "lifting"), ("decoder", "projection"))
        for j in (0, 1)
    }
    for i in range(layers):
        spectral = theirs[f"fno_blocks.convs.{i}.weight.tensor"]  # [I, O, modes ...], complex or in pairs
        spectral = torch.view_as_real(spectral) if spectral.is_complex() else spectral
        ours[f"blocks.{i}.convolution.weight"] = spectral.permute(*range(2, spectral.ndim - 1), 0, 1, spectral.ndim - 1)
        ours[f"blocks.{i}.skip.bias"] = theirs[f"fno_blocks.convs.{i}.bias"].flatten()
        ours[f"blocks.{i}.skip.weight"] = theirs[f"fno_blocks.fno_skips.{i}.conv.weight"].flatten(1)
        ours[f"blocks.{i}.gate"] = theirs[f"fno_blocks.channel_mlp_skips.{i}.weight"].flatten()
        linear |= {f"blocks.{i}.mlp.{2 * j}": f"fno_blocks.channel_mlp.{i}.fcs.{j}" for j in (0, 1)}
    for to, source in linear.items():
        ours[f"{to}.weight"], ours[f"{to}.bias"] = theirs[f"{source}.weight"].flatten(1), theirs[f"{source}.bias"]
    return ours
