"""Losses: those of ensembles are the scores they are named after, and teach what they should.

Shapes: B samples, T steps, M members, C channels, H latitudes, W longitudes.
"""

import numpy as np
import pytest
import torch
from torch import Tensor

from common.app.errors import DataFormatError
from weather.data.grid import Grid
from weather.losses import LOSSES, fair_crps, spectral_loss, spherical_spectral_loss, squared_error
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


@pytest.mark.parametrize("members", [2, 5])
def test_the_almost_fair_crps_is_a_mixture_that_feels_every_member(members: int) -> None:
    forecast, truth = draws(members)
    fair, whole = (
        crps(forecast, truth, keep=range(truth.ndim), members=2, estimator=kind) for kind in ("fair", "ecdf")
    )
    torch.testing.assert_close(LOSSES["almost_fair_crps"](forecast, truth), 0.95 * fair + 0.05 * whole)
    # All right but one: for the fair score where that one is makes no difference.
    right = truth[:, :, None].repeat(1, 1, members, 1, 1, 1)
    near, far = right.clone(), right.clone()
    near[:, :, 0] += 1
    far[:, :, 0] += 100
    assert (fair_crps(far, truth) - fair_crps(near, truth)).abs().max() < 1e-10
    assert (LOSSES["almost_fair_crps"](far, truth) > LOSSES["almost_fair_crps"](near, truth) + 0.1).all()


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


def test_the_spherical_spectral_loss_sees_no_turn_of_the_sphere_and_is_no_more_than_the_squared_error() -> None:
    """Degree-2 harmonics about two axes are one pattern turned; the triangle inequality bounds the rest."""
    nodes = np.polynomial.legendre.leggauss(8)[0]
    grid = Grid.of(np.rad2deg(np.arcsin(nodes)), np.arange(16) * 22.5)
    z, angle = torch.from_numpy(nodes)[:, None], torch.arange(16) * (2 * torch.pi / 16)
    x = (1 - z**2).sqrt() * angle.cos()
    about_z, about_x = ((3 * axis.expand(8, 16) ** 2 - 1)[None, None, None] for axis in (z, x))
    loss = spherical_spectral_loss(grid)
    assert loss(about_z[:, :, None], about_x) < 1e-9 < 0.1 < spectral_loss(about_z[:, :, None], about_x)
    forecast, truth = torch.randn(2, 3, 4, 2, 8, 16).double(), torch.randn(2, 3, 2, 8, 16).double()
    error = (squared_error(forecast, truth) * torch.from_numpy(grid.area_weights())).mean(dim=(-2, -1))
    found = loss(forecast, truth)
    assert found.shape == (2, 3, 2) and (found > 0).all() and (found <= error).all()
    smooth = (0.5 * truth)[:, :, None].requires_grad_()
    loss(smooth, truth).sum().backward()
    assert smooth.grad is not None and (smooth.grad * truth[:, :, None]).sum() < 0  # descent brings the power back
    with pytest.raises(DataFormatError, match="does not reach around the globe"):
        spherical_spectral_loss(Grid.of(np.arange(0, 20.0, 2), np.arange(0, 40.0, 2)))
