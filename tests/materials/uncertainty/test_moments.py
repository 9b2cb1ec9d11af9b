"""Moments of an ensemble against torch's mixture distributions, and the law of total variance."""

import torch
from torch.distributions import Categorical, MixtureSameFamily, Normal

from materials.uncertainty.moments import class_moments, regression_moments

B, M, T = 7, 4, 3


def test_moments_are_those_of_the_mixture_of_the_members_gaussians() -> None:
    torch.manual_seed(0)
    value, log_variance, unit = torch.randn(B, M, T) * 3, torch.randn(B, M, T), torch.tensor([0.5, 2.0, 10.0])
    mean, std = regression_moments(torch.cat([value, log_variance], dim=2), unit)
    components = Normal(value.movedim(1, 2), (0.5 * log_variance).exp().movedim(1, 2) * unit[:, None])
    mixture = MixtureSameFamily(Categorical(torch.ones(B, T, M)), components)
    torch.testing.assert_close(mean, mixture.mean)
    torch.testing.assert_close(std, mixture.variance.sqrt())


def test_without_variances_only_disagreement_remains() -> None:
    value = torch.randn(B, M, T, dtype=torch.float64)
    certain = torch.cat([value, torch.full_like(value, -80.0)], dim=2)
    torch.testing.assert_close(regression_moments(value), regression_moments(certain, torch.ones(T).double()))


def test_a_single_member_has_its_own_variance_or_none() -> None:
    value, log_variance = torch.randn(2, B, 1, T)
    assert regression_moments(value).std.isnan().all() and class_moments(value).std.isnan().all()
    std = regression_moments(torch.cat([value, log_variance], dim=2), torch.full((T,), 2.0)).std
    torch.testing.assert_close(std, 2 * (0.5 * log_variance[:, 0]).exp())


def test_the_variance_of_a_class_splits_into_disagreement_and_the_members_own() -> None:
    logits = torch.randn(B, M, T, dtype=torch.float64) * 2
    p, disagreement = class_moments(logits)
    own = (logits.sigmoid() * (-logits).sigmoid()).mean(dim=1)
    torch.testing.assert_close(p * (1 - p), own + disagreement.square())
