"""Laws of numbers that belong to a sample: of no batch, distributed as they should be, each purpose its own."""

import torch

from common.training.draws import normal, uniform
from common.training.precision import mixed_seed

IDS = torch.arange(500)


def test_a_number_depends_on_seed_sample_and_place_alone():
    whole = uniform(7, IDS, 40)
    order = torch.randperm(len(IDS))
    assert torch.equal(uniform(7, IDS[order], 30), whole[order, :30])
    assert torch.equal(uniform(7, IDS, 4, 10).flatten(1), whole)
    assert torch.equal(uniform(7, IDS), whole[:, 0])
    assert not torch.equal(uniform(8, IDS, 40), whole)


def test_numbers_are_uniform_and_normal_and_do_not_repeat():
    drawn = uniform(mixed_seed(0, 3), IDS, 200).double().flatten()
    count = len(drawn)
    assert drawn.min() >= 0 and drawn.max() < 1
    shares = torch.histc(drawn, 10, 0, 1) / count
    assert (shares - 0.1).abs().max() < 4 * (0.09 / count) ** 0.5
    assert len(drawn.unique()) > count - 3 * count**2 / 2**25  # of 2^24 numbers, some by chance
    bell = normal(mixed_seed(0, 3), IDS, 200).double().flatten()
    for power, moment, spread in ((1, 0, 1), (2, 1, 2), (3, 0, 15), (4, 3, 96)):
        assert abs(float(bell.pow(power).mean()) - moment) < 4 * (spread / count) ** 0.5


def test_samples_places_and_seeds_are_not_correlated():
    first = uniform(1, IDS, 200).double() - 0.5
    for other in (first.roll(1, 0), first.roll(1, 1), uniform(2, IDS, 200).double() - 0.5):
        assert abs(float((first * other).mean())) < 4 / 12 / first.numel() ** 0.5
