"""Our CGCNN against the authors' code, same published weights, same graphs.

    git clone https://github.com/txie-93/cgcnn
    cp cgcnn/data/sample-regression/atom_init.json cgcnn/pre-trained
    python -m tests.benchmarks.cgcnn_parity official=cgcnn weights=cgcnn/pre-trained [n=500]

on crystals of the validation split of mp2018 (`trifold data fetch mp2018` gets it; TRIFOLD_DATA says where it lies)
prints the largest and mean difference in eV/atom on full graphs and on graphs of symmetry-distinct nodes, in float32
and float64, and both codes' mean absolute error. `golden=<file>` writes instead the authors' predictions for a few
small structures, which the tests compare with.

The authors' model class is imported from the checkout and gets tensors; their reader of structures, which needs
pymatgen, is not used. It differs from ours where the graph is not unique: which of several equally distant atoms is
the twelfth neighbour is arbitrary there, and an atom with fewer than twelve neighbours gets atom 0 of the crystal at
9 angstrom as the others, ours itself with no bond at all.
"""

from __future__ import annotations

import json
import platform
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from materials.convert_cgcnn import convert_cgcnn
from materials.data.crystals import Crystals
from materials.data.graphs import CrystalGraphs, k_nearest_graphs
from materials.data.mp2018 import load
from materials.data.symmetry import collapse
from materials.predictor import PropertyPredictor

OfficialInputs = tuple[torch.Tensor, torch.Tensor, torch.Tensor, list[torch.Tensor]]

CHECKPOINT = "formation-energy-per-atom"
GOLDEN = (CHECKPOINT, "band-gap", "semi-metal-classification")
GOLDEN_CRYSTALS, GOLDEN_ATOMS = 20, 8
"""How many, and of at most how many atoms: the file stays small."""


def options(**defaults: str) -> dict[str, str]:
    """The command line's `name=value` over the defaults; what has the default '' must be given."""
    values = dict(defaults)
    for argument in sys.argv[1:]:
        name, _, values[name] = argument.partition("=")
    if set(values) != set(defaults) or not all(values.values()):
        raise SystemExit(f"expected {' '.join(f'{name}={value or chr(46) * 3}' for name, value in defaults.items())}")
    return values


def val_crystals(count: int, seed: int = 0) -> Crystals:
    """Crystals of mp2018_val drawn at random."""
    crystals = load("val")
    return crystals.subset(np.random.default_rng(seed).permutation(len(crystals))[:count])


def official_model(checkout: str, width: int = 64, layers: int = 4, readout: int = 32, outputs: int = 1) -> Any:
    """The authors' network, of random weights."""
    sys.path.insert(0, str(Path(checkout).resolve()))
    try:
        from cgcnn.model import CrystalGraphConvNet  # pyright: ignore[reportMissingImports]
    finally:
        sys.path.pop(0)
    return CrystalGraphConvNet(92, 41, width, layers, readout, 1, classification=outputs == 2)


def official_inputs(graphs: CrystalGraphs, atom_init: Path, dtype: torch.dtype = torch.float32) -> OfficialInputs:
    """Element features, expanded distances, neighbours and the atoms of each crystal, as the authors batch them."""
    table = {int(z): values for z, values in json.loads(atom_init.read_text()).items()}
    features = torch.zeros(max(table) + 1, 92, dtype=dtype)
    for z, values in table.items():
        features[z] = torch.tensor(values, dtype=dtype)
    start = np.repeat(np.cumsum(graphs.n_nodes) - graphs.n_nodes, graphs.n_nodes)
    distances = np.where(np.isinf(graphs.distances), 9.0, graphs.distances.astype(np.float64))
    expanded = np.exp(-((distances[..., None] - np.arange(0, 8.2, 0.2)) ** 2) / 0.2**2)
    return (
        features[torch.from_numpy(graphs.numbers.astype(np.int64))],
        torch.from_numpy(expanded).to(dtype),
        torch.from_numpy(graphs.neighbours + start[:, None]).long(),
        list(torch.arange(len(graphs.numbers)).split(graphs.n_nodes.tolist())),
    )


class Pair:
    """The authors' network and ours with the weights of one checkpoint."""

    def __init__(self, checkout: str, weights: str, name: str) -> None:
        self.atom_init = Path(weights) / "atom_init.json"
        path = Path(weights) / f"{name}.pth.tar"
        self.ours = convert_cgcnn(path, self.atom_init)
        config: Any = self.ours.model.config
        self.theirs = official_model(checkout, config.width, config.layers, config.readout_width, config.outputs)
        content = torch.load(path, map_location="cpu", weights_only=False)
        self.theirs.load_state_dict(content["state_dict"])
        self.theirs.eval()
        self.mean, self.std = (float(content["normalizer"][key]) for key in ("mean", "std"))

    @torch.no_grad()
    def official(self, graphs: CrystalGraphs, dtype: torch.dtype = torch.float32) -> np.ndarray:
        output = self.theirs.to(dtype)(*official_inputs(graphs, self.atom_init, dtype))
        if output.shape[1] == 2:  # log-probabilities of the two classes
            return output.exp()[:, 1].double().numpy()
        return output[:, 0].double().numpy() * self.std + self.mean

    def converted(self, graphs: CrystalGraphs, dtype: str = "float32") -> np.ndarray:
        return PropertyPredictor(self.ours.model, self.ours.card, "cpu", dtype).estimate(graphs).value[:, 0]


def compare(pair: Pair, crystals: Crystals) -> None:
    full = k_nearest_graphs(crystals)
    merged = collapse(full)
    missing = np.bincount(np.repeat(np.arange(len(full)), full.n_nodes), np.isinf(full.distances).any(axis=1)) > 0
    print(
        f"{len(crystals)} crystals, {len(full.numbers)} atoms, {len(merged.numbers)} distinct nodes; "
        f"{missing.sum()} crystals with an atom of fewer than 12 neighbours"
    )
    for dtype in (torch.float32, torch.float64):
        name = str(dtype).removeprefix("torch.")
        theirs = pair.official(full, dtype)
        for kind, graphs in (("full graphs", full), ("distinct nodes", merged)):
            difference = np.abs(pair.converted(graphs, name) - theirs)
            print(f"{name:8} {kind:15} largest difference {difference.max():.2e} eV/atom, mean {difference.mean():.2e}")
    target = crystals.targets["e_form"]
    for who, values in (("authors' code", pair.official(full)), ("ours", pair.converted(merged))):
        error = np.abs(values - target)
        print(f"MAE of {who:14} {error.mean():.5f} eV/atom, median {np.median(error):.5f}")


def write_golden(path: Path, checkout: str, weights: str) -> None:
    """The authors' predictions in float64 with the graphs they were made for."""
    crystals = val_crystals(sys.maxsize)
    small = np.flatnonzero(crystals.n_atoms <= GOLDEN_ATOMS)[:GOLDEN_CRYSTALS]
    graphs = k_nearest_graphs(crystals.subset(small))
    graphs = replace(graphs, distances=graphs.distances.round(5))
    commit = subprocess.run(["git", "-C", checkout, "rev-parse", "HEAD"], capture_output=True, text=True).stdout.strip()
    predictions = {name: Pair(checkout, weights, name).official(graphs, torch.float64) for name in GOLDEN}
    content = {
        "made_by": "python -m tests.benchmarks.cgcnn_parity official=... weights=... golden=...",
        "code": f"https://github.com/txie-93/cgcnn at {commit}",
        "versions": {"python": platform.python_version(), "torch": torch.__version__, "numpy": np.__version__},
        "ids": crystals.ids[small].tolist(),
        **{name: getattr(graphs, name).ravel().tolist() for name in ("n_nodes", "numbers", "neighbours")},
        "distances": [round(distance, 5) for distance in graphs.distances.ravel().tolist()],
        "predictions": {name: values.round(7).tolist() for name, values in predictions.items()},
    }
    path.write_text(json.dumps(content) + "\n")


def main() -> None:
    chosen = options(official="", weights="", n="500", golden="none")
    if chosen["golden"] != "none":
        write_golden(Path(chosen["golden"]), chosen["official"], chosen["weights"])
    else:
        compare(Pair(chosen["official"], chosen["weights"], CHECKPOINT), val_crystals(int(chosen["n"])))


if __name__ == "__main__":
    main()
