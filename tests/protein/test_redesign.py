"""Laws of redesigned sequences: what fits a place follows from fold and other residues; how residues are drawn."""

from pathlib import Path

import numpy as np
import pytest
import torch

import protein.redesign
from common.app.config import TrainerConfig
from protein.config import Curriculum, IdealChains, LossWeights
from protein.data.chains import MISSING
from protein.data.residues import UNKNOWN
from protein.models.fold import Fold
from protein.models.inverse_folding import MASKED, InverseFolding, InverseFoldingConfig
from protein.redesign import InverseFoldingTask, fitting_types
from protein.samples import open_source
from protein.task import FoldTask
from tests.protein.models.conftest import randomized
from tests.protein.models.test_fold import CONFIG

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def source():
    return open_source(IdealChains(name="ideal-chains", chains=16), ("train", "val"))


@pytest.fixture
def task(source) -> InverseFoldingTask:
    torch.manual_seed(0)
    model = randomized(InverseFolding(InverseFoldingConfig(width=16, edge_width=8, layers=2)))
    return InverseFoldingTask(model.eval(), *(source.splits[name] for name in ("train", "val")), CPU)


def moved(chains, matrix: np.ndarray):
    """Atoms turned, or mirrored, by a matrix of whole numbers, which keeps stored coordinates exact."""
    atoms = np.where(chains.atom14 == MISSING, MISSING, chains.atom14 @ matrix.astype(np.int16))
    return type(chains)(**{**vars(chains), "atom14": atoms.astype(np.int16)})


def test_what_fits_is_the_same_however_a_fold_is_turned_but_not_in_its_mirror_image(task, source):
    chains = source.splits["val"]
    turn, mirror = np.array([[0, 1, 0], [0, 0, 1], [1, 0, 0]]), np.diag([1, 1, -1])
    here, turned, mirrored = (
        InverseFoldingTask(task.model, chains, one, CPU).fitting("val").astype(np.float32)
        for one in (chains, moved(chains, turn), moved(chains, mirror))
    )
    np.testing.assert_allclose(turned, here, atol=2e-4)
    assert np.abs(mirrored - here).max() > 2e-3


def test_a_chain_is_judged_alike_in_whatever_batch_it_is(task, source):
    together = task.fitting("val").astype(np.float32)
    chains = source.splits["val"]
    for index in range(len(chains)):
        task.packed["val"] = protein.redesign.graph(chains.subset([index]))
        rows = slice(*chains.offsets[index : index + 2])
        places = task._places("val", torch.tensor([0]))
        all_hidden = torch.ones(len(places.types), dtype=torch.bool)
        alone = task._logits(task.model, places, all_hidden)
        task.packed["val"] = protein.redesign.graph(chains)
        whole = task._places("val", torch.arange(len(chains)))
        both = task._logits(task.model, whole, torch.ones(len(whole.types), dtype=torch.bool))[rows]
        torch.testing.assert_close(both, alone, rtol=1e-4, atol=1e-5)
    assert together.shape == (len(chains.types), UNKNOWN)


def test_a_residue_is_judged_without_knowing_its_type(task):
    before = task.fitting("train")
    rows = task.packed["train"].rows
    own = task._places("train", torch.tensor([0]))
    hidden = task._hidden(own, torch.tensor([0.5]), protein.redesign.HALVES_SEED)
    rows["types"][: len(hidden)][hidden] = (rows["types"][: len(hidden)][hidden] + 1) % UNKNOWN
    after = task.fitting("train")
    np.testing.assert_array_equal(after[: len(hidden)][hidden.numpy()], before[: len(hidden)][hidden.numpy()])
    assert (after[: len(hidden)][~hidden.numpy()] != before[: len(hidden)][~hidden.numpy()]).any()


def test_probabilities_add_up_to_one_where_there_is_an_atom_and_to_nothing_elsewhere(task, source):
    chains = source.splits["train"]
    atoms = chains.atom14.copy()
    atoms[[3, 40, 41]] = MISSING
    holed = type(chains)(**{**vars(chains), "atom14": atoms})
    total = InverseFoldingTask(task.model, holed, chains, CPU).fitting("train").astype(np.float32).sum(1)
    assert total[[3, 40, 41]].tolist() == [0, 0, 0]
    np.testing.assert_allclose(np.delete(total, [3, 40, 41]), 1, atol=5e-3)


def test_it_learns_which_residues_an_ideal_chain_has_where_and_does_so_once(source, tmp_path: Path, monkeypatch):
    monkeypatch.setenv("TRIFOLD_CACHE", str(tmp_path))
    short = TrainerConfig(epochs=40, batch_size=8, ema_decay=0.9, evaluate_every=40, select="last")
    monkeypatch.setattr(protein.redesign, "RECIPE", protein.redesign.RECIPE.model_copy(update={"trainer": short}))
    train, val = (source.splits[name] for name in ("train", "val"))
    found = fitting_types(train, val, CPU).astype(np.float32)
    right = found[np.arange(len(found)), train.types]
    share = np.bincount(train.types, minlength=UNKNOWN) / len(train.types)
    assert np.log(right.clip(1e-4)).mean() > np.log(share[train.types]).mean() + 0.1
    monkeypatch.setattr(protein.redesign, "_learned", None)
    np.testing.assert_array_equal(fitting_types(train, val, CPU), found)


def test_a_stopped_run_goes_on_to_the_same_probabilities(source, tmp_path: Path, monkeypatch):
    short = TrainerConfig(
        epochs=3, batch_size=8, ema_decay=0.9, evaluate_every=3, checkpoint_every_steps=2, select="last"
    )
    monkeypatch.setattr(protein.redesign, "RECIPE", protein.redesign.RECIPE.model_copy(update={"trainer": short}))
    chains = source.splits["train"], source.splits["val"], CPU
    monkeypatch.setenv("TRIFOLD_CACHE", str(tmp_path / "straight"))
    straight = fitting_types(*chains)
    monkeypatch.setenv("TRIFOLD_CACHE", str(tmp_path / "stopped"))
    loss, steps = InverseFoldingTask.loss, []

    def stopping(task: InverseFoldingTask, forward, batch):
        steps.append(batch)
        if len(steps) == 4:
            raise KeyboardInterrupt
        return loss(task, forward, batch)

    monkeypatch.setattr(InverseFoldingTask, "loss", stopping)
    with pytest.raises(KeyboardInterrupt):
        fitting_types(*chains)
    np.testing.assert_array_equal(fitting_types(*chains), straight)
    assert len(steps) == 4 + 4  # of six steps in all, two had been saved
    assert not list((tmp_path / "stopped" / "inverse-folding").iterdir())


def drawn(source, redesigned: float, progress: float, samples: np.ndarray | None = None) -> list[torch.Tensor]:
    """Types that a folder is given, true ones first, where type 7 alone fits everywhere but in every fifth place."""
    train, val = (source.splits[name] for name in ("train", "val"))
    fitting = np.zeros((len(train.types), UNKNOWN))
    fitting[:, 7] = np.arange(len(train.types)) % 5 > 0
    curriculum = Curriculum(crop=32, structure_from=0.5, trunk_until=0.5, hidden=0.0, redesigned=redesigned)
    task = FoldTask(Fold(CONFIG), train, val, curriculum, LossWeights(), CPU, fitting)
    seen: list[torch.Tensor] = []
    crops = task._crops
    task._crops = lambda *where: seen.append((cut := crops(*where)).types) or cut  # pyright: ignore

    def forward(types: torch.Tensor, *rest, **more):
        seen.append(types)
        return task.model(types, *rest, **more)

    task.begin(progress, 5)
    task.loss(forward, task.batch("train", np.arange(16) if samples is None else samples))
    return seen


def test_residues_are_drawn_from_those_that_fit_and_others_stay(source):
    true, given = drawn(source, 1.0, 0.0)
    changed = given != true
    assert 0.2 < changed.float().mean() < 0.7
    assert set(given[changed].tolist()) == {7}
    parts = changed.float().mean(1)
    assert parts.max() > 0.5 > 0.3 > parts.min()  # by chain more or less
    assert MASKED not in given


def test_none_are_drawn_in_other_chains_and_when_structures_are_learned(source):
    for redesigned, progress in ((0.0, 0.0), (1.0, 0.5)):
        true, given = drawn(source, redesigned, progress)
        assert torch.equal(true, given)
    true, given = drawn(source, 0.5, 0.0)
    assert 2 < int((true != given).any(1).sum()) < 14


def test_a_sample_is_redesigned_alike_in_whatever_batch_it_is(source):
    _, together = drawn(source, 1.0, 0.0)
    _, alone = drawn(source, 1.0, 0.0, np.array([6]))
    length = alone.shape[1]
    assert torch.equal(together[6, :length], alone[0])
