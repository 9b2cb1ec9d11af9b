"""Laws of training: what is drawn follows from seed and step, the curriculum, the truth has no loss, runs resume."""

import numpy as np
import pytest
import torch

from protein.config import Curriculum, IdealChains, LossWeights
from protein.data.batches import cropped, pack, padded
from protein.data.chains import MISSING
from protein.geometry.trace import c_beta_of_trace
from protein.models.fold import Fold
from protein.samples import nested_subset, open_source, with_states
from protein.task import CA, CB, FoldTask, Native
from tests.protein.models.test_fold import CONFIG


@pytest.fixture(scope="module")
def source():
    return open_source(IdealChains(name="ideal-chains", chains=16), ("train", "val"))


@pytest.fixture
def task(source) -> FoldTask:
    torch.manual_seed(0)
    return task_of(source, Curriculum(crop=32, structure_from=0.5, violations_from=0.9, validation_crop=64))


def task_of(source, curriculum: Curriculum) -> FoldTask:
    train, val = (source.splits[name] for name in ("train", "val"))
    return FoldTask(Fold(CONFIG), train, val, curriculum, LossWeights(), torch.device("cpu"))


def loss_at(task: FoldTask, progress: float, seed: int = 3) -> torch.Tensor:
    task.begin(progress, seed)
    return task.loss(task.model, task.batch("train", np.arange(4)))


def test_what_is_drawn_follows_from_the_seed_of_a_step_alone(task):
    assert torch.equal(loss_at(task, 0.6), loss_at(task, 0.6))
    assert not torch.equal(loss_at(task, 0.6), loss_at(task, 0.6, seed=4))


def test_a_sample_draws_the_same_in_whatever_batch_it_is(task):
    """So that a run does not depend on how many processes share a step."""
    together = loss_at(task, 0.95)
    apart = [task.loss(task.model, task.batch("train", np.array([number]))) for number in range(4)]
    torch.testing.assert_close(torch.cat(apart), together, rtol=1e-5, atol=1e-6)


def test_structures_are_learned_from_their_time_on_and_chemistry_later(task):
    def learned(progress: float) -> bool:
        task.model.zero_grad()
        loss_at(task, progress).mean().backward()
        return any(p.grad is not None and bool(p.grad.any()) for p in task.model.structure.parameters())

    assert (learned(0.0), learned(0.5)) == (False, True)
    assert (loss_at(task, 0.95) > loss_at(task, 0.85)).all()  # of random weights all atoms lie in a heap


def test_before_pairs_are_learned_the_stem_alone_is(source):
    curriculum = Curriculum(crop=32, pairs_from=0.2, structure_from=0.5)
    task = task_of(source, curriculum)
    loss_at(task, 0.1).mean().backward()
    assert {name.split(".")[0] for name, p in task.model.named_parameters() if p.grad is not None} == {"stem"}
    loss_at(task, 0.2).mean().backward()
    assert all(p.grad is not None for p in task.model.distogram.parameters())


def test_structures_are_learned_on_a_trunk_that_is_done(source):
    curriculum = Curriculum(crop=32, structure_from=0.0, trunk_until=0.5)
    task = task_of(source, curriculum)
    loss_at(task, 0.5).mean().backward()
    learned = {name.split(".")[0] for name, p in task.model.named_parameters() if p.grad is not None}
    assert learned == {"structure", "lddt", "aligned_error"}


def test_each_cluster_is_a_sample_and_all_its_members_are_drawn(source):
    train = source.splits["train"]
    grouped = type(train)(**{**vars(train), "cluster": np.arange(len(train)) // 4})
    task = FoldTask(Fold(CONFIG), grouped, train, Curriculum(crop=32), LossWeights(), torch.device("cpu"))
    assert len(task.sizes("train")) == 4
    seen: set[int] = set()
    crops = task._crops
    task._crops = lambda split, chains, where: seen.update(chains.tolist()) or crops(split, chains, where)
    for seed in range(40):
        task.begin(0.0, seed)
        task.loss(task.model, task.batch("train", np.array([2])))
    assert seen == {8, 9, 10, 11}


def test_a_crop_is_a_piece_of_its_chain(source):
    packed = pack(source.splits["train"])
    ids, first = torch.tensor([2, 5]), torch.tensor([3, 0])
    whole, piece = padded(packed.gather(ids)), cropped(packed, ids, first, 20)
    for row, start in enumerate(first.tolist()):
        rows = slice(start, start + 20)
        for name in ("types", "atom14", "present", "states", "place"):
            assert torch.equal(getattr(piece, name)[row], getattr(whole, name)[row, rows])
    beyond = cropped(packed, ids, packed.counts[ids] - 4, 10)
    assert beyond.mask.sum(1).tolist() == [4, 4]
    assert not beyond.present[:, 4:].any()


def test_c_beta_atoms_are_where_the_trace_of_an_ideal_chain_says(source):
    batch = padded(pack(source.splits["train"]).gather(torch.arange(8)))
    beta, known = c_beta_of_trace(batch.atom14[:, :, CA], batch.follows)
    known &= batch.present[:, :, CB]
    error = (beta - batch.atom14[:, :, CB]).norm(dim=-1)[known]
    assert known.sum() > 200
    assert error.square().mean().sqrt() < 0.6


def test_of_a_c_alpha_chain_c_beta_atoms_are_estimated_and_frames_unknown(source):
    train = source.splits["train"]
    atoms = np.full_like(train.atom14, MISSING)
    atoms[:, 1] = train.atom14[:, 1]
    bare = type(train)(**{**vars(train), "atom14": atoms, "ca_only": np.ones(len(train), bool)})
    full, trace = (Native.of(padded(pack(chains).gather(torch.arange(4)))) for chains in (train, bare))
    assert full.all_atom.all() and not trace.all_atom.any()
    assert not trace.frames_known.any()
    assert ((full.beta - trace.beta).norm(dim=-1)[full.beta_known] < 2.5).all()
    inner = full.batch.mask & full.batch.follows
    assert (full.beta - trace.beta).norm(dim=-1)[inner].mean() < 0.7


def test_subsets_are_nested_and_follow_from_their_seed(source):
    chains = source.splits["train"]
    small, large = nested_subset(chains, 5, 1), nested_subset(chains, 9, 1)
    assert set(small.ids) < set(large.ids)
    assert set(nested_subset(chains, 5, 2).ids) != set(small.ids)


def test_secondary_structure_of_all_atom_chains_is_assigned_where_it_is_unknown(source):
    chains = source.splits["train"]
    bare = type(chains)(**{**vars(chains), "states": np.full_like(chains.states, -1)})
    found = with_states(bare).states
    known = found >= 0
    helix = chains.states == 0
    assert known.mean() > 0.9
    assert (found[helix & known] == 0).mean() > 0.8
