"""Laws of the learning-rate schedules, the parameter groups and the averaged weights."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest
import torch
from torch import nn

from common.app.config import OptimizerConfig, ScheduleConfig
from common.training.ema import AveragedModel
from common.training.optimizer import Schedule, make_optimizer

STEPS = 1000


def schedule(name: str, **values: Any) -> Schedule:
    return Schedule(ScheduleConfig(name=name, **values), peak=2.0, total_steps=STEPS)  # pyright: ignore


@pytest.mark.parametrize("name", ["constant", "cosine", "plateau"])
def test_warm_up_rises_linearly_to_the_peak(name: str) -> None:
    rates = [schedule(name, warmup_fraction=0.1).rate(step) for step in range(101)]
    assert rates[:100] == pytest.approx([2.0 * (step + 1) / 100 for step in range(100)])
    assert rates[99] == rates[100] == 2.0


def test_cosine_ends_at_the_final_fraction_and_is_half_way_in_the_middle() -> None:
    cosine = schedule("cosine", final_fraction=0.1)
    assert cosine.rate(0) == 2.0
    assert cosine.rate(STEPS // 2) == pytest.approx(2.0 * (1 + 0.1) / 2)
    assert cosine.rate(STEPS) == pytest.approx(0.2)
    rates = [cosine.rate(step) for step in range(STEPS)]
    assert rates == sorted(rates, reverse=True)


def test_one_cycle_matches_torch() -> None:
    """torch's OneCycleLR with linear ends differs only in annealing the rise; here the fall is compared with it."""
    ours = schedule("one_cycle", final_fraction=0.01)
    optimizer = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=1.0)
    theirs = torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=2.0, total_steps=STEPS + 1, pct_start=301 / 1001,
                                                 div_factor=25.0, final_div_factor=4.0, three_phase=False)
    expected = []
    for _ in range(STEPS + 1):
        expected.append(theirs.get_last_lr()[0])
        optimizer.step()
        if len(expected) <= STEPS:
            theirs.step()
    assert ours.rate(0) == pytest.approx(expected[0]) == 0.08
    assert [ours.rate(step) for step in range(300, STEPS + 1)] == pytest.approx(expected[300:], rel=1e-9)
    rises = [ours.rate(step + 1) - ours.rate(step) for step in range(300)]
    assert rises == pytest.approx([0.96 * 2.0 / 300] * 300)


def test_plateau_falls_after_patience_and_no_lower_than_the_final_fraction() -> None:
    plateau = schedule("plateau", patience=3, factor=0.5, final_fraction=0.2)
    scores = [5.0, 4.0, 4.0, 4.5, 3.9, 4.0, 4.0, 4.0, 4.0, 4.0, 4.0, 4.0, 4.0, 4.0]
    rates = []
    for score in scores:
        plateau.observe(score)
        rates.append(plateau.rate(0))
    assert rates == [2.0] * 7 + [1.0] * 3 + [0.5] * 3 + [0.4]


def test_plateau_goes_on_from_its_state_as_if_never_stopped() -> None:
    whole, first = schedule("plateau", patience=2), schedule("plateau", patience=2)
    scores = [math.nan, 3.0, 3.0, 2.0, 2.0, 2.0, 2.0]
    for score in scores:
        whole.observe(score)
    for score in scores[:5]:
        first.observe(score)
    second = schedule("plateau", patience=2)
    second.load_state(json.loads(json.dumps(first.state(), allow_nan=False)))
    for score in scores[5:]:
        second.observe(score)
    assert second == whole


def test_an_untouched_schedule_has_a_state_that_json_can_say() -> None:
    fresh = schedule("cosine")
    other = schedule("cosine")
    other.load_state(json.loads(json.dumps(fresh.state(), allow_nan=False)))
    assert other == fresh


def test_only_matrices_decay() -> None:
    model = nn.Sequential(nn.Linear(3, 4), nn.LayerNorm(4), nn.Linear(4, 1))
    model[2].bias.requires_grad_(False)
    frozen = model[2].bias.clone()
    optimizer = make_optimizer(model, OptimizerConfig(learning_rate=0.1, weight_decay=0.5))
    decayed, others = optimizer.param_groups
    assert [p.shape for p in decayed["params"]] == [(4, 3), (1, 4)]
    assert decayed["weight_decay"] == 0.5
    assert len(others["params"]) == 3
    assert others["weight_decay"] == 0.0
    before = {name: p.detach().clone() for name, p in model.named_parameters()}
    for p in model.parameters():
        p.grad = torch.zeros_like(p) if p.requires_grad else None
    optimizer.step()
    for name, p in model.named_parameters():  # without gradient only decay moves a weight: by lr * decay
        assert torch.allclose(p, before[name] * (0.95 if p.ndim == 2 else 1.0)), name
    assert torch.equal(model[2].bias, frozen)


def test_averages_follow_their_formula_also_those_of_running_statistics() -> None:
    model = nn.Sequential(nn.Linear(3, 2), nn.BatchNorm1d(2)).double()
    average = AveragedModel(model, decay=0.9)
    expected = {name: value.clone() for name, value in model.state_dict().items() if value.is_floating_point()}
    assert "1.running_mean" in expected
    for step in range(100):
        with torch.no_grad():
            for p in model.parameters():
                p.add_(torch.randn_like(p))
        model(torch.randn(5, 3).double())
        average.update(step)
        decay = min(0.9, (1 + step) / (10 + step))
        state = model.state_dict()
        expected = {name: decay * value + (1 - decay) * state[name] for name, value in expected.items()}
    assert average.average.keys() == expected.keys()
    for name, value in expected.items():
        assert torch.allclose(average.average[name], value, rtol=1e-12)


def test_swapped_lends_the_averages_and_gives_the_weights_back_also_after_an_error() -> None:
    model = nn.Linear(3, 2)
    average = AveragedModel(model, decay=0.5)
    initial = model.weight.detach().clone()
    with torch.no_grad():
        model.weight.fill_(7.0)
    with pytest.raises(RuntimeError, match="inside"), average.swapped():
        assert torch.equal(model.weight, initial)
        raise RuntimeError("inside")
    assert (model.weight == 7.0).all()
    assert torch.equal(average.average["weight"], initial)
