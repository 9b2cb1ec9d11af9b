"""The Gaussian likelihood against torch.distributions, and what beta changes."""

import torch
from torch.distributions import Normal

from materials.losses import gaussian_nll


def test_without_weight_it_is_the_negative_log_likelihood() -> None:
    mean, log_variance, target = torch.randn(3, 50, 2, dtype=torch.float64) * 2
    expected = -Normal(mean, (0.5 * log_variance).exp()).log_prob(target)
    torch.testing.assert_close(gaussian_nll(mean, log_variance, target, beta=0), expected)


def test_with_beta_one_errors_of_the_mean_weigh_as_in_the_squared_error() -> None:
    mean, log_variance, target = torch.randn(3, 50, dtype=torch.float64).unbind()
    mean.requires_grad_()
    (gradient,) = torch.autograd.grad(gaussian_nll(mean, log_variance, target, beta=1).sum(), mean)
    torch.testing.assert_close(gradient, (mean - target).detach())


def test_every_beta_is_least_at_the_true_mean_and_variance() -> None:
    target = 3 + 0.5 * torch.randn(1000, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    for beta in (0.0, 0.5, 1.0):
        guess = torch.zeros(2, dtype=torch.float64, requires_grad=True)  # mean, log variance
        optimizer = torch.optim.Adam([guess], lr=0.1)
        for _ in range(400):
            optimizer.zero_grad()
            gaussian_nll(guess[0], guess[1], target, beta).mean().backward()
            optimizer.step()
        torch.testing.assert_close(guess.detach(), torch.stack([target.mean(), target.var().log()]), atol=0.03, rtol=0)
