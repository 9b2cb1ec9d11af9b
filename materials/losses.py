"""Regression losses: [B] predictions and targets in units of the targets' spread -> [B]."""

from __future__ import annotations

from functools import partial

import torch.nn.functional as F

LOSSES = {
    "l1": partial(F.l1_loss, reduction="none"),
    "mse": partial(F.mse_loss, reduction="none"),
    "huber": partial(F.huber_loss, reduction="none", delta=1.0),  # doi:10.1214/aoms/1177703732
}
