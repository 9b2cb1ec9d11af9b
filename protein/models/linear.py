"""Linear layers as AlphaFold 2 starts them.

Jumper et al., Nature 596, 583 (2021), doi:10.1038/s41586-021-03819-2, supplement 1.11.4.
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import nn

Start = Literal["lecun", "relu", "glorot", "gate", "zero"]

TRUNCATED_DEVIATION = 0.8796256610342398
"""Standard deviation of a standard normal distribution cut at two standard deviations."""


def linear(inputs: int, outputs: int, bias: bool = True, start: Start = "lecun") -> nn.Linear:
    """A linear layer.

    start  "lecun", "relu" (He), "glorot": random, by the rule of that name; "gate": a sigmoid of the output is 0.73
           whatever the input; "zero": the layer adds nothing to a residual stream before it has learned
    """
    layer = nn.Linear(inputs, outputs, bias)
    with torch.no_grad():
        if bias:
            layer.bias.fill_(1.0 if start == "gate" else 0.0)
        if start in ("gate", "zero"):
            layer.weight.zero_()
        elif start == "glorot":
            nn.init.xavier_uniform_(layer.weight)
        else:
            deviation = ((2.0 if start == "relu" else 1.0) / inputs) ** 0.5 / TRUNCATED_DEVIATION
            nn.init.trunc_normal_(layer.weight, std=deviation, a=-2 * deviation, b=2 * deviation)
    return layer
