"""Losses: those of ensembles are the scores they are named after, and teach what they should.

Shapes: B samples, T steps, M members, C channels, H latitudes, W longitudes.
"""

import pytest
import torch
from torch import Tensor

from weather.losses import LOSSES, fair_crps, spectral_loss
from weather.metrics import crps


def draws(members: int) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(members)
    forecast = torch.randn(2, 3, members, 2, 4, 8, generator=generator, dtype=torch.float64)
    return forecast, torch.randn(2, 3, 2, 4, 8, generator=generator, dtype=torch.float64)


@pytest.mark.parametrize("members", [2, 3, 4, 7])
def test_the_fair_crps_trained_on_is_the_one_reported(members: int) -> None:
    forecast, truth = draws(members)
    reported = crps(forecast, truth, keep=range(truth.ndim), members=2)
    torch.testing.assert_close(fair_crps(forecast, truth), reported)


def test_the_gradient_of_the_fair_crps_is_its_slope() -> None:
    forecast, truth = (field[:1, :1] for field in draws(3))
    assert torch.autograd.gradcheck(lambda x: fair_crps(x, truth).sum(), forecast.requires_grad_())


@pytest.mark.parametrize("name", ["mse", "l1"])
def test_plain_losses_are_means_over_members(name: str) -> None:
    forecast, truth = draws(3)
    alone = [LOSSES[name](forecast[:, :, [m]], truth) for m in range(3)]
    torch.testing.assert_close(LOSSES[name](forecast, truth), torch.stack(alone).mean(dim=0))
    assert LOSSES[name](truth[:, :, None], truth).abs().max() == 0


def test_members_trained_on_the_fair_crps_take_the_spread_of_the_truth() -> None:
    """Mean and spread of a Gaussian are learned from draws; trained on the absolute error all members are alike."""
    torch.manual_seed(0)
    learned = {}
    for name in ("crps", "l1"):
        mean, spread = torch.nn.Parameter(torch.zeros(())), torch.nn.Parameter(torch.tensor(0.5))
        optimizer = torch.optim.Adam([mean, spread], lr=0.05)
        for _ in range(150):
            forecast = mean + spread * torch.randn(1, 1, 2, 1, 20, 20)
            loss = LOSSES[name](forecast, 3 + 2 * torch.randn(1, 1, 1, 20, 20)).mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        learned[name] = float(mean.detach()), abs(float(spread.detach()))
    assert learned["crps"] == pytest.approx((3, 2), abs=0.15)
    assert learned["l1"][1] < 0.3


def test_the_spectral_loss_sees_smoothness_but_no_place() -> None:
    forecast, truth = draws(2)
    turned = truth.roll(3, dims=-1)[:, :, None]
    assert spectral_loss(turned, truth).max() < 1e-20
    smooth = (truth + truth.roll(1, dims=-1))[:, :, None] / 2
    assert (spectral_loss(smooth, truth) > 0.01).all()
    assert spectral_loss(forecast, truth).shape == (2, 3, 2)
