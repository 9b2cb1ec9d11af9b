"""Laws of the sample order and of the pieces that a step is cut into."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.app.errors import ConfigError
from common.training.sampler import Sampler, cut_to, epoch_order, split_by_budget


@given(samples=st.integers(1, 200), share=st.integers(1, 10), world=st.integers(1, 4), epoch=st.integers(0, 5),
       seed=st.integers(0, 2**32 - 1))
def test_an_epoch_takes_each_sample_at_most_once_and_leaves_out_less_than_a_batch(
    samples: int, share: int, world: int, epoch: int, seed: int
) -> None:
    batch = share * world
    if batch > samples:
        return
    sampler = Sampler(samples, batch, seed, world)
    steps = range(epoch * sampler.steps_per_epoch, (epoch + 1) * sampler.steps_per_epoch)
    taken = np.concatenate([sampler.step_ids(step) for step in steps])
    assert len(set(taken)) == len(taken) == samples - samples % batch
    assert set(taken) <= set(range(samples))
    assert sorted(epoch_order(samples, seed, epoch)) == list(range(samples))


def test_the_ids_of_a_step_follow_from_seed_and_step_alone() -> None:
    steps = [17, 3, 200, 3, 17]
    one, two = Sampler(50, 8, seed=3), Sampler(50, 8, seed=3)
    forwards = {step: one.step_ids(step).tolist() for step in steps}
    epoch_order.cache_clear()
    assert forwards == {step: two.step_ids(step).tolist() for step in reversed(steps)}
    assert Sampler(50, 8, seed=4).step_ids(3).tolist() != forwards[3]
    assert epoch_order(50, 3, 0).tolist() != epoch_order(50, 3, 1).tolist()


@pytest.mark.parametrize("world", [1, 2, 4])
def test_ranks_share_a_step_without_overlap_in_the_order_of_one_process(world: int) -> None:
    alone, together = Sampler(64, 8, seed=0), Sampler(64, 8, seed=0, world_size=world)
    for step in range(20):
        shares = together.shares(step)
        assert shares.shape == (world, 8 // world)
        assert shares.reshape(-1).tolist() == alone.step_ids(step).tolist()


@pytest.mark.parametrize(("samples", "batch", "world", "remedy"),
                         [(7, 8, 1, "at most 7"), (64, 9, 2, "a multiple of the number of processes")])
def test_impossible_batches_are_refused_with_a_remedy(samples: int, batch: int, world: int, remedy: str) -> None:
    with pytest.raises(ConfigError, match=f"trainer.batch_size={batch} .*{remedy}"):
        Sampler(samples, batch, seed=0, world_size=world)


sizes_strategy = st.lists(st.integers(1, 50), min_size=1, max_size=40)


@given(sizes=sizes_strategy, budget=st.none() | st.integers(1, 120), pieces=st.integers(1, 8), data=st.data())
def test_pieces_keep_order_budget_and_number(
    sizes: list[int], budget: int | None, pieces: int, data: st.DataObject
) -> None:
    ids = np.array(data.draw(st.permutations(range(len(sizes)))))
    table = np.array(sizes)
    cut = split_by_budget(ids, table, budget, pieces)
    assert np.concatenate(cut).tolist() == ids.tolist()
    assert all(len(piece) for piece in cut)
    assert len(cut) >= min(pieces, len(ids))
    if budget is None:
        assert len(cut) == min(pieces, len(ids))
        assert max(map(len, cut)) - min(map(len, cut)) <= 1
    else:
        assert all(len(piece) == 1 or table[piece].sum() <= budget for piece in cut)
    if budget is not None and pieces == 1:  # greedy: no piece could have taken the next sample too
        assert all(table[piece].sum() + table[after[0]] > budget for piece, after in pairwise(cut))


@given(sizes=sizes_strategy, budget=st.integers(1, 120), extra=st.integers(0, 40))
def test_cutting_on_reaches_any_number_and_grows_no_piece(sizes: list[int], budget: int, extra: int) -> None:
    table = np.array(sizes)
    pieces = split_by_budget(np.arange(len(sizes)), table, budget)
    count = min(len(pieces) + extra, len(sizes))
    cut = cut_to(pieces, count)
    assert len(cut) == count
    assert np.concatenate(cut).tolist() == list(range(len(sizes)))
    assert all(len(piece) for piece in cut)
    assert all(len(piece) == 1 or table[piece].sum() <= budget for piece in cut)


def test_no_samples_make_no_pieces() -> None:
    for budget in (None, 5):
        assert split_by_budget(np.array([], dtype=np.int64), np.array([3, 4]), budget, pieces=2) == []
