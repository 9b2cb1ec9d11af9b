"""What a network is shown of its past."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from common.app.errors import CheckpointError
from tests.weather.small import CHANGE, MEAN, STD, forecaster
from weather.forecaster import Forecaster
from weather.stepper import Stepper

DEVIATION = [200.0, 1.5, 1e-4, 1.0]
SCALES = {
    "mean": MEAN, "std": STD, "tendency_std": [CHANGE], "deviation_std": DEVIATION, "nonnegative": [False] * 4
}  # fmt: skip


class Listener(nn.Module):
    """Changes nothing, and keeps what it was shown."""

    def forward(self, seen: Tensor) -> Tensor:
        self.seen = seen
        return torch.zeros_like(seen[:, :4])


@pytest.fixture
def past() -> Tensor:
    """[B, K, C, H, W]"""
    torch.manual_seed(0)
    scale = torch.tensor(CHANGE, dtype=torch.float64)[:, None, None]
    start = torch.tensor(MEAN, dtype=torch.float64)[:, None, None]
    return start + scale * torch.randn(2, 3, 4, 8, 16, dtype=torch.float64)


def test_what_is_shown_tells_every_state_of_the_past(past: Tensor) -> None:
    listener = Listener()
    stepper = Stepper(listener, SCALES, [1], 0).double()
    stepper(past, torch.zeros(2, 1, 1, 8, 16, dtype=torch.float64))
    state, *changes = listener.seen[:, :12].split(4, dim=1)
    assert all(0.5 < change.std() < 2 for change in changes), "of the size of what changes in a step"
    mean, std, change = (x[:, None, None] for x in (stepper.mean, stepper.std, stepper.tendency_std[0]))
    state = state * std + mean
    torch.testing.assert_close(state, past[:, 2])
    torch.testing.assert_close(state - changes[1] * change, past[:, 1])
    torch.testing.assert_close(state - (changes[0] + changes[1]) * change, past[:, 0])


def test_with_a_climate_changes_are_those_of_deviations_and_the_present_is_shown_as_one_too(past: Tensor) -> None:
    listener = Listener()
    stepper = Stepper(listener, SCALES, [1], 0).double()
    climate = past.roll(1, dims=3)
    stepper(past, torch.zeros(2, 1, 1, 8, 16, dtype=torch.float64), climate=torch.cat([climate, climate[:, :1]], dim=1))
    deviation = past - climate
    change, size = (x[:, None, None] for x in (stepper.tendency_std[0], stepper.deviation_std))
    torch.testing.assert_close(listener.seen[:, 4:12].unflatten(1, (2, 4)) * change, deviation.diff(dim=1))
    torch.testing.assert_close(listener.seen[:, -4:] * size, deviation[:, 2])


def test_a_card_of_networks_that_were_told_otherwise_is_refused() -> None:
    good = forecaster(history=2)
    card = {key: value for key, value in good.card.items() if key != "past"}
    with pytest.raises(CheckpointError, match="past=None"):
        Forecaster(good.model, card, "cpu")
