"""Several properties at once, some unknown: the task's laws, and that every model learns."""

import numpy as np
import pytest
import torch

from common.app.errors import ConfigError
from common.results.metrics import Accumulator
from materials.baselines import BASELINES, baseline_predictions
from materials.data.descriptors import morgan_fingerprints
from materials.data.molecular_graphs import MolecularGraphs
from materials.models.dmpnn import DMPNN, DMPNNConfig
from materials.models.molecular_gnn import GIN, AttentiveFP, MolecularGNNConfig
from materials.task import Outcome, PropertyTable, PropertyTask

CPU = torch.device("cpu")
SMILES = ["C" * n + tail for n in range(1, 13) for tail in ("O", "N", "C(=O)O", "c1ccccc1")]
CARBONS = np.array([smiles.lower().count("c") for smiles in SMILES], float)
HAS_OXYGEN = np.array(["O" in smiles for smiles in SMILES], float)


def make_task(model: torch.nn.Module, target: np.ndarray, outcome: Outcome) -> PropertyTask:
    values = torch.tensor(target, dtype=torch.float32)
    packed = model.pack(MolecularGraphs.from_smiles(SMILES))
    if outcome == "regression":
        model.head.fit(values, packed.descriptors)
    tables = {"train": PropertyTable(np.array(SMILES), packed, values)}
    return PropertyTask(model, tables, model.head.scale.scale, outcome, "mse", CPU)


def everything(task: PropertyTask) -> tuple:
    return task.batch("train", np.arange(len(SMILES)))


def models(properties: int) -> list[torch.nn.Module]:
    torch.manual_seed(0)
    gnn = MolecularGNNConfig(width=32, readout_width=32, properties=properties)
    dmpnn = DMPNNConfig(width=32, readout_width=32, members=2, properties=properties, aggregation="mean")
    return [DMPNN(dmpnn), GIN(gnn), AttentiveFP(gnn)]


@pytest.mark.parametrize("outcome", ["regression", "classification"])
@pytest.mark.parametrize("index", [0, 1, 2])
def test_every_model_learns(outcome: Outcome, index: int) -> None:
    target = np.stack([CARBONS, -CARBONS], 1) if outcome == "regression" else np.stack([HAS_OXYGEN, 1 - HAS_OXYGEN], 1)
    target[::5, 1] = np.nan
    task = make_task(models(2)[index], target, outcome)
    optimizer, losses = torch.optim.AdamW(task.model.parameters(), lr=5e-3), []
    for _ in range(60):
        optimizer.zero_grad()
        loss = task.loss(task.model, everything(task)).mean()
        loss.backward()
        optimizer.step()
        losses.append(float(loss.detach()))
    assert losses[-1] < 0.3 * losses[0]
    assert task.monitor in task.metrics(task.model, everything(task))


@pytest.mark.parametrize("outcome", ["regression", "classification"])
def test_missing_labels_have_no_gradient_and_no_metric(outcome: Outcome) -> None:
    target = np.stack([HAS_OXYGEN, np.full(len(SMILES), np.nan)], 1)
    task = make_task(models(2)[0], target, outcome)
    loss = task.loss(task.model, everything(task))
    assert loss.isfinite().all()
    loss.sum().backward()
    gradient = task.model.head.output.weight.grad  # [M, C, T]
    assert gradient[..., 0].any() and not gradient[..., 1].any()
    ((metric, weight),) = task.metrics(task.model, everything(task)).values()
    assert metric.shape == (len(SMILES),) and metric.isfinite().all() and weight.eq(1).all()


def test_loss_is_the_mean_over_known_targets() -> None:
    target = np.stack([CARBONS, CARBONS], 1)
    target[:20, 1] = np.nan
    task = make_task(models(2)[0], target, "regression")
    molecules, values = everything(task)
    error = ((task.model(molecules) - values[:, None]) / task.model.head.scale.scale).square()
    expected = error[~values.isnan()[:, None].expand_as(error)].mean()
    torch.testing.assert_close(task.loss(task.model, (molecules, values)).mean(), expected)


def test_a_metric_counts_every_known_target_once() -> None:
    target = np.stack([CARBONS, CARBONS], 1)
    target[:20, 1] = np.nan
    target[7] = np.nan
    task = make_task(models(2)[0], target, "regression")
    molecules, values = everything(task)
    scores = Accumulator()
    scores.add(task.metrics(task.model, (molecules, values)), torch.ones(len(SMILES)))
    error = (task.model(molecules).mean(dim=1) - values).abs() / task.model.head.scale.scale
    assert scores.compute()["mae"] == pytest.approx(error[~values.isnan()].mean().item(), rel=1e-5)


def test_standardisation_takes_known_values_only() -> None:
    model = DMPNN(DMPNNConfig(width=8, properties=2))
    model.head.fit(torch.tensor([[1.0, torch.nan], [3.0, 5.0], [5.0, 5.0]]), torch.zeros(3, 0))
    assert model.head.scale.mean.tolist() == [3.0, 5.0]
    assert model.head.scale.scale.tolist() == pytest.approx([np.std([1, 3, 5]), 1.0])


def test_an_ensemble_is_judged_by_the_mean_of_its_members() -> None:
    task = make_task(models(1)[0], CARBONS[:, None], "regression")
    samples, target = everything(task)
    output = task.model(samples)
    assert output.shape == (len(SMILES), 2, 1)
    ((metric, _),) = task.metrics(task.model, (samples, target)).values()
    torch.testing.assert_close(metric, (output.mean(dim=1) - target).abs()[:, 0])


def test_a_predicted_variance_finds_the_noise() -> None:
    """Alcohols and amines of one length have one target, acids a target with noise: their variance must be larger."""
    noise = np.random.default_rng(0).normal(size=len(SMILES))
    noisy = np.array([smiles.endswith("C(=O)O") for smiles in SMILES])
    target = np.where(noisy, 5 * noise, 0.0)[:, None]
    values = torch.tensor(target, dtype=torch.float32)
    torch.manual_seed(0)
    model = DMPNN(DMPNNConfig(width=32, readout_width=32, properties=2, aggregation="mean"))
    packed = model.pack(MolecularGraphs.from_smiles(SMILES))
    model.head.fit(values, packed.descriptors)
    assert model.head.scale.scale[1] == 1 and model.head.scale.mean[1] == 0
    task = PropertyTask(
        model, {"train": PropertyTable(np.array(SMILES), packed, values)}, model.head.scale.scale, "regression",
        "gaussian", CPU,
    )  # fmt: skip
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
    for _ in range(60):
        optimizer.zero_grad()
        task.loss(model, everything(task)).mean().backward()
        optimizer.step()
    log_variance = model(everything(task)[0])[:, 0, 1].detach().numpy()
    assert log_variance[noisy].mean() > log_variance[~noisy].mean() + 1


@pytest.mark.parametrize("name", ["mean", "ridge", "random_forest", "gradient_boosting"])
def test_baselines_beat_nothing_or_the_mean(name: str) -> None:
    features = morgan_fingerprints(SMILES)
    features = features[:, features.any(axis=0)]
    target = np.stack([HAS_OXYGEN, np.where(CARBONS > 6, np.nan, 1.0)], 1)
    probability = baseline_predictions(name, "classification", features, target, features)
    assert np.all(probability[:, 1] == 1.0)
    error = np.abs(probability[:, 0] - HAS_OXYGEN).mean()
    assert error == pytest.approx(0.5) if name == "mean" else error < 0.45
    value = baseline_predictions(name, "regression", features, CARBONS[:, None], features)[:, 0]
    spread = np.abs(CARBONS - CARBONS.mean()).mean()
    assert np.abs(value - CARBONS).mean() <= spread * (1.001 if name == "mean" else 0.7)


def test_an_unknown_baseline_is_named() -> None:
    with pytest.raises(ConfigError, match="Did you mean 'ridge'"):
        baseline_predictions("rigde", "regression", np.zeros((2, 2)), np.zeros((2, 1)), np.zeros((2, 2)))
    assert set(BASELINES) == {"mean", "ridge", "random_forest", "gradient_boosting"}
