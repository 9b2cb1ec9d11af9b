"""Makes neuraloperator.npz: small SFNO and FNO of neuraloperator 2.0.0 with their weights, an input and their outputs.

python -m venv venv && venv/bin/pip install -c constraints.txt neuraloperator==2.0.0 torch-harmonics==0.8.0
venv/bin/python tests/weather/golden/make_neuraloperator.py
"""

from pathlib import Path

import numpy as np
import torch
from neuralop.models import FNO, SFNO

SHARED = {"in_channels": 2, "out_channels": 3, "hidden_channels": 4, "n_layers": 2, "positional_embedding": None}


def main() -> None:
    torch.manual_seed(0)
    models = {"sfno": SFNO(n_modes=(6, 12), **SHARED), "fno": FNO(n_modes=(6, 6), **SHARED)}
    x = torch.randn(2, 2, 10, 16)
    arrays = {"input": x.numpy()}
    for name, model in models.items():
        with torch.no_grad():
            arrays[f"{name}/output"] = model(x).numpy()
        for key, value in model.state_dict().items():
            if torch.is_tensor(value):
                arrays[f"{name}/{key}"] = value.numpy()
    np.savez_compressed(Path(__file__).with_name("neuraloperator.npz"), **arrays)


if __name__ == "__main__":
    main()
