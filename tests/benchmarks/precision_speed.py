"""Training steps in 16 bits over those in 32, of the networks of the shipped models, with random inputs.

    python -m tests.benchmarks.precision_speed [device=cpu] [threads=1] [rounds=5]

Forward and backward pass of 16 forecasts over North America (U-Net), of distances in a chain of 256 residues (fold) and
of 64 perovskites of five atoms (residual CGCNN), each in turn by trainer.precision=fp32 and bf16.
"""

from __future__ import annotations

import torch
from torch import nn

from common.training.precision import keep_freed_memory
from materials.models.crystal_graph import CrystalGraphBatch
from materials.models.residual_cgcnn import ResidualCGCNN, ResidualCGCNNConfig
from protein.models.fold import Fold, FoldConfig
from tests.benchmarks.passes import Pass, Program
from tests.benchmarks.turns import settings, take_turns
from weather.models.unet import UNet, UNetConfig

HEIGHT, WIDTH, STATES, CHANNELS, LEADS = 25, 53, 16, 10, 6
RESIDUES = 256
CRYSTALS, ATOMS, NEIGHBOURS = 64, 5, 12


def forecast(device: torch.device) -> tuple[nn.Module, Program]:
    network = UNet(UNetConfig(CHANNELS, LEADS, HEIGHT, WIDTH, "region", channels=24, dropout=0.2))
    states = torch.randn(STATES, CHANNELS, HEIGHT, WIDTH, device=device)
    return network, lambda: network(states)


def distances(device: torch.device) -> tuple[nn.Module, Program]:
    network = Fold(FoldConfig())
    types = torch.randint(0, 20, (1, RESIDUES), device=device)
    return network, lambda: network(types, learn="distances").distogram


def energies(device: torch.device) -> tuple[nn.Module, Program]:
    network = ResidualCGCNN(ResidualCGCNNConfig(message_width=128))
    nodes = CRYSTALS * ATOMS
    crystal = torch.arange(CRYSTALS, device=device).repeat_interleave(ATOMS)
    batch = CrystalGraphBatch(
        torch.randint(1, 90, (nodes,), device=device),
        torch.ones(nodes, device=device),
        crystal,
        CRYSTALS,
        crystal[:, None] * ATOMS + torch.randint(0, ATOMS, (nodes, NEIGHBOURS), device=device),
        2 + 4 * torch.rand(nodes, NEIGHBOURS, device=device),
    )
    return network, lambda: network(batch)


def main() -> None:
    chosen = settings(device="cpu", threads="1", rounds="5")
    device = torch.device(chosen["device"])
    torch.set_num_threads(int(chosen["threads"]))
    keep_freed_memory()
    for make in (forecast, distances, energies):
        network, forward = make(device)
        network.to(device).train()
        steps = [Pass(device, precision, backward=True).of(forward) for precision in ("fp32", "bf16")]
        turns = take_turns(steps, int(chosen["rounds"]))
        wide, narrow = 1000 * turns.seconds
        ratio = turns.ratio[1]
        print(f"{make.__name__:10s} fp32 {wide:5.0f} ms, bf16 {narrow:5.0f} ms: {ratio:.2f} x as fast", flush=True)


if __name__ == "__main__":
    main()
