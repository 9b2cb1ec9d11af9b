"""Makes chemprop.npz: features and outputs of chemprop's own code, for the tests of `materials`.

Run where chemprop 2.3.1 is installed: `python make_chemprop.py`. The default network (BondMessagePassing, sum / 100,
one hidden layer) gets weights that `weights` draws, so that no weights need to be stored.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

FOLDER = Path(__file__).parent
SHAPES = {
    "message_passing.W_h.weight": (300, 300),
    "message_passing.W_i.weight": (300, 86),
    "message_passing.W_o.bias": (300,),
    "message_passing.W_o.weight": (300, 372),
    "predictor.ffn.0.0.bias": (300,),
    "predictor.ffn.0.0.weight": (300, 300),
    "predictor.ffn.1.2.bias": (2,),
    "predictor.ffn.1.2.weight": (2, 300),
}


def weights() -> dict[str, np.ndarray]:
    """Uniform in +-1/sqrt(inputs), as in a fresh network; larger in the last layer, for outputs of order 1."""
    random = np.random.RandomState(0)
    drawn = {name: random.uniform(-1, 1, shape) * shape[-1] ** -0.5 for name, shape in SHAPES.items()}
    drawn["predictor.ffn.1.2.weight"] *= 100
    return {name: value.astype(np.float32) for name, value in drawn.items()}


def main() -> None:
    import torch
    from chemprop import data, featurizers, models, nn
    from rdkit import Chem

    network = models.MPNN(nn.BondMessagePassing(), nn.NormAggregation(), nn.RegressionFFN(n_tasks=2)).eval()
    missing = network.load_state_dict({k: torch.from_numpy(v) for k, v in weights().items()}, strict=False)
    assert not missing.unexpected_keys and all("task_weights" in key for key in missing.missing_keys)
    featurizer = featurizers.SimpleMoleculeMolGraphFeaturizer()

    def graphs(name: str) -> list:
        return [featurizer(Chem.MolFromSmiles(line)) for line in (FOLDER / name).read_text().split()]

    with torch.no_grad():
        output = network(data.BatchMolGraph(graphs("molecules_200.smi"))).numpy()
    diverse = graphs("molecules_diverse.smi")
    edges = [np.asarray(graph.edge_index)[:, ::2].T.reshape(-1, 2) for graph in diverse]
    np.savez_compressed(
        FOLDER / "chemprop.npz",
        output=output,
        atoms=np.concatenate([graph.V for graph in diverse]).astype(np.float32),
        bonds=np.concatenate([graph.E[::2].reshape(-1, 14) for graph in diverse]).astype(np.float32),
        edges=np.concatenate(edges).astype(np.int32),
    )


if __name__ == "__main__":
    main()
