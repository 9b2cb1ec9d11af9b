"""Makes scores.npz: a small ensemble and what `scores` 2.7.0 and `xskillscore` 0.0.29 make of it.

python -m venv venv && venv/bin/pip install scores==2.7.0 xskillscore==0.0.29
venv/bin/python -m tests.weather.golden.make_scores
"""

from pathlib import Path

import numpy as np

from tests.weather.peer_scores import fields, peer_scores


def main() -> None:
    data = fields(seed=0)
    inputs = {f"input/{name}": data[name].values for name in data}
    np.savez_compressed(Path(__file__).with_name("scores.npz"), **inputs, **peer_scores(data))


if __name__ == "__main__":
    main()
