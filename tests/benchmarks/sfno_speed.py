"""Seconds of a forward and backward pass of our SFNO, torch-harmonics' and neuraloperator's, in one process.

    python -m tests.benchmarks.sfno_speed [height=64] [channels=32] [batch=4] [threads=1] [device=cpu] [rounds=7]
        [peer=<one of them>]

Runs where torch-harmonics 0.8.0 and neuraloperator 2.0.0 are both installed (a peer that is missing is left out). Each
peer is compared with ours of the same block, sizes, modes and, copied, weights; the largest relative difference of the
outputs is printed. A pair takes turns; ratios are medians of the ratios within a round, so that other work on the
machine hits both alike.
"""

from __future__ import annotations

import importlib.util
import warnings
from collections.abc import Callable

import torch
from torch import Tensor, nn

from common.training.precision import keep_freed_memory
from tests.benchmarks.turns import settings, take_turns
from tests.weather.models.peers import from_neuraloperator, from_torch_harmonics
from weather.models.sfno import SFNO, SFNOConfig

CHANNELS, LAYERS = 3, 4
"""Of the shallow-water task of arXiv:2306.03838."""


def torch_harmonics_pair(height: int, channels: int, scale: int) -> tuple[nn.Module, SFNO]:
    from torch_harmonics.examples.models import SphericalFourierNeuralOperator

    theirs = SphericalFourierNeuralOperator(
        img_size=(height, 2 * height), in_chans=CHANNELS, out_chans=CHANNELS, embed_dim=channels, num_layers=LAYERS,
        grid="legendre-gauss", scale_factor=scale, normalization_layer="instance_norm",
    )  # fmt: skip
    config = SFNOConfig(
        CHANNELS, CHANNELS, height, 2 * height, grid="gaussian", scale=scale, channels=channels, layers=LAYERS,
        latitude_embedding=False,
    )  # fmt: skip
    ours = SFNO(config)
    ours.load_state_dict(from_torch_harmonics(theirs))
    return theirs, ours


def neuraloperator_pair(height: int, channels: int, scale: int) -> tuple[nn.Module, SFNO]:
    from neuralop.models import SFNO as Peer  # pyright: ignore[reportMissingImports]

    degrees = height // scale
    theirs = Peer(
        n_modes=(degrees, 2 * degrees), in_channels=CHANNELS, out_channels=CHANNELS, hidden_channels=channels,
        n_layers=LAYERS, positional_embedding=None,
    )  # fmt: skip
    config = SFNOConfig(
        CHANNELS, CHANNELS, height, 2 * height, grid="equiangular_with_poles", inner_grid=None, channels=channels,
        layers=LAYERS, degrees=degrees, orders=degrees, block="gated", mlp_ratio=0.5, encoder_ratio=2.0,
        instance_norm=False, latitude_embedding=False,
    )  # fmt: skip
    ours = SFNO(config)
    state = {key: value for key, value in theirs.state_dict().items() if torch.is_tensor(value)}
    ours.load_state_dict(from_neuraloperator(state, LAYERS))
    return theirs, ours


PAIRS = {
    "torch-harmonics": ("torch_harmonics", torch_harmonics_pair),
    "neuraloperator": ("neuralop", neuraloperator_pair),
}


def step(model: nn.Module, state: Tensor) -> Callable[[], None]:
    def run() -> None:
        model.zero_grad()
        model(state).square().mean().backward()
        if state.is_cuda:
            torch.cuda.synchronize()

    return run


def main() -> None:
    chosen = settings(height="64", channels="32", batch="4", threads="1", device="cpu", rounds="7", peer="")
    torch.set_num_threads(int(chosen["threads"]))
    keep_freed_memory()
    warnings.simplefilter("ignore")
    torch.manual_seed(0)
    height, channels = int(chosen["height"]), int(chosen["channels"])
    state = torch.randn(int(chosen["batch"]), CHANNELS, height, 2 * height, device=chosen["device"])
    for name, (module, make) in PAIRS.items():
        if chosen["peer"] not in ("", name):
            continue
        if importlib.util.find_spec(module) is None:
            print(f"{name}: not installed here")
            continue
        for scale in (1, 2):
            theirs, ours = (model.to(chosen["device"]) for model in make(height, channels, scale))
            with torch.no_grad():
                expected = theirs(state)
                difference = float((ours(state) - expected).abs().max() / expected.abs().max())
            turns = take_turns([step(theirs, state), step(ours, state)], int(chosen["rounds"]))
            print(
                f"{name:16} {height} x {2 * height}, 1/{scale} of the degrees, {channels} channels: "
                f"{turns.seconds[0]:.3f} s, ours {turns.seconds[1]:.3f} s: {turns.ratio[1]:.2f} x "
                f"({turns.ratio_by_processor[1]:.2f} x by processor time), "
                f"difference {difference:.1e}",
                flush=True,
            )


if __name__ == "__main__":
    main()
