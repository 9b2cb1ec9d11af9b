"""Whether a forecaster stays with weather over 100 days: `python -m tests.benchmarks.long_roll_out [days=100]`.

`swe-sfno` steps on from the first states of the test flows (simulated). Every tenth of the way it prints, channel by
channel, the spread over cells as a ratio to that of the first state: of a network that blows up it grows without
limit, of one that forgets the flow it falls to zero. A state beyond the bounds of the training data ends the roll-out
with an error.
"""

from __future__ import annotations

import sys

import torch

from weather.config import EvaluateConfig
from weather.evaluation import data_of
from weather.forecaster import Forecaster
from weather.samples import open_source

MODEL, FLOWS = "swe-sfno", 4


def main() -> None:
    days = int(dict(part.split("=") for part in sys.argv[1:]).get("days", "100"))
    forecaster = Forecaster.from_pretrained(MODEL, "cpu")
    source = open_source(data_of(forecaster, EvaluateConfig(model=MODEL)), ("train", "test"), offline=True)
    fields = source.splits["test"].fields
    index = forecaster.start_index(fields, "all")
    start, leads = forecaster.start_at(fields, index[:: len(index) // FLOWS]), forecaster.leads(24 * days)
    first = start.states[:, -1].std(dim=(-2, -1)).mean(0)
    print("days  " + "  ".join(channel.label for channel in forecaster.channels))
    for lead, states in forecaster.roll_out(start, leads):
        if lead % (int(leads[-1]) // 10) == 0:
            ratio = states[:, 0].std(dim=(-2, -1)).mean(0) / first
            print(f"{lead * forecaster.step_h / 24:4.0f}  " + "  ".join(f"{value:.2f}" for value in ratio.tolist()))


if __name__ == "__main__":
    torch.set_num_threads(1)
    main()
