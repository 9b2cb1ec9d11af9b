"""Training epochs of our D-MPNN and of chemprop's: same network, molecules, batches and threads, one process.

    python -m tests.benchmarks.dmpnn_speed molecules=<csv with a SMILES column> [threads=1] [rounds=3] [batch=64]

Run where chemprop is installed beside this package. Both have the default network of chemprop (318,000 parameters) and
begin with featurised molecules in memory: chemprop's data set with its cache on and its own loader, without Lightning,
which would add to its time; ours with packed environments, and making the batch counts. A step is forward, squared
error, backward and a fused Adam step. The two take turns; the figures are medians, the ratio that of a round, so that
other work on the machine hits both alike; the ratio of processor time hardly depends on such work. The last line
compares the outputs for equal weights.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterable

import numpy as np
import torch
from torch import Tensor, nn

from common.app.errors import DataFormatError
from common.training.precision import keep_freed_memory
from materials.data.inputs import Inputs
from materials.data.molecular_graphs import MolecularGraphs
from materials.data.read_molecule import read_molecule
from materials.models.dmpnn import DMPNN, DMPNNConfig

CPU = torch.device("cpu")
PROPERTY = 1.0
"""What is learned does not matter to the time."""


def readable_smiles(path: str) -> list[str]:
    kept = []
    for _, source in Inputs(path, "molecule"):
        try:
            read_molecule(source)
            kept.append(source)
        except DataFormatError:
            continue
    return kept


def train_epoch(model: nn.Module, optimizer: torch.optim.Optimizer, outputs: Iterable[Callable[[], Tensor]]) -> None:
    model.train()
    for output in outputs:
        optimizer.zero_grad()
        (output() - PROPERTY).square().mean().backward()
        optimizer.step()


def our_epoch(smiles: list[str], batch: int) -> tuple[DMPNN, Callable[[], None], Callable[[], Tensor]]:
    model = DMPNN(DMPNNConfig())
    packed = model.pack(MolecularGraphs.from_smiles(smiles))
    optimizer = torch.optim.Adam(model.parameters(), fused=True)

    def outputs() -> Iterable[Callable[[], Tensor]]:
        for ids in torch.randperm(len(packed)).split(batch):
            yield lambda ids=ids: model(packed.gather(ids, CPU))

    return (
        model,
        lambda: train_epoch(model, optimizer, outputs()),
        lambda: model.eval()(packed.gather(torch.arange(batch), CPU))[:, 0],
    )


def their_epoch(smiles: list[str], batch: int) -> tuple[nn.Module, Callable[[], None], Callable[[], Tensor]]:
    from chemprop import data, models
    from chemprop import nn as layers

    dataset = data.MoleculeDataset([data.MoleculeDatapoint.from_smi(one, np.ones(1)) for one in smiles])
    dataset.cache = True
    model = models.MPNN(layers.BondMessagePassing(), layers.NormAggregation(), layers.RegressionFFN())
    optimizer = torch.optim.Adam(model.parameters(), fused=True)
    loader = data.build_dataloader(dataset, batch_size=batch, num_workers=0)
    first = next(iter(data.build_dataloader(dataset, batch_size=batch, num_workers=0, shuffle=False)))

    def outputs() -> Iterable[Callable[[], Tensor]]:
        for one in loader:
            yield lambda graph=one.bmg: model(graph)

    return model, lambda: train_epoch(model, optimizer, outputs()), lambda: model.eval()(first.bmg)


def copy_weights(ours: DMPNN, theirs: nn.Module) -> None:
    state = theirs.state_dict()
    atom, reached = state["message_passing.W_o.weight"].split([72, 300], dim=1)
    weights = {
        "first": state["message_passing.W_i.weight"],
        "message": state["message_passing.W_h.weight"],
        "atom": atom,
        "reached": reached,
        "head.hidden": state["predictor.ffn.0.0.weight"],
        "head.output": state["predictor.ffn.1.2.weight"],
    }
    biases = {
        "atom": state["message_passing.W_o.bias"],
        "head.hidden": state["predictor.ffn.0.0.bias"],
        "head.output": state["predictor.ffn.1.2.bias"],
    }
    copied = {f"{name}.weight": value.T[None] for name, value in weights.items()}
    ours.load_state_dict(copied | {f"{name}.bias": value for name, value in biases.items()}, strict=False)


def seconds(run: Callable[[], None]) -> np.ndarray:
    """By the clock, and of processor time."""
    start = time.perf_counter(), time.process_time()
    run()
    return np.array([time.perf_counter() - start[0], time.process_time() - start[1]])


def main(arguments: list[str]) -> None:
    chosen = {"rounds": "3", "batch": "64", "threads": "1"} | dict(one.split("=", 1) for one in arguments)
    torch.set_num_threads(int(chosen["threads"]))
    keep_freed_memory()
    smiles = readable_smiles(chosen["molecules"])
    ours, our_run, our_output = our_epoch(smiles, int(chosen["batch"]))
    theirs, their_run, their_output = their_epoch(smiles, int(chosen["batch"]))
    our_run(), their_run()  # the first epoch fills their cache
    times = np.array([[seconds(our_run), seconds(their_run)] for _ in range(int(chosen["rounds"]))])
    clock, processor = np.median(times, axis=0).T
    ratio = np.median(times[:, 1] / times[:, 0], axis=0)
    print(f"{len(smiles):,} molecules, batch {chosen['batch']}, {chosen['threads']} threads, torch {torch.__version__}")
    print(f"ours      {clock[0]:6.2f} s an epoch, {processor[0]:6.2f} s of processor time")
    print(f"chemprop  {clock[1]:6.2f} s an epoch, {processor[1]:6.2f} s of processor time")
    print(f"ratio     {ratio[0]:6.2f} by the clock, {ratio[1]:.2f} of processor time")
    copy_weights(ours, theirs)
    with torch.inference_mode():
        print(f"largest difference for equal weights: {float((our_output() - their_output()).abs().max()):.1e}")


if __name__ == "__main__":
    main(sys.argv[1:])
