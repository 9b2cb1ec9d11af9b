"""Scores are those of the packages `scores` and `xskillscore`, and of the reference tables of the data."""

import importlib.util
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
import xarray as xr

from common.data.datasets import fetch
from tests.weather.peer_scores import ABOVE, DRY_TO, fields, peer_scores
from weather.data.datasets import DATASETS
from weather.data.open import open_fields
from weather.metrics import (
    acc,
    bias,
    brier_score,
    cosine_weights,
    crps,
    mae,
    power_spectrum,
    rank_histogram,
    rmse,
    seeps,
    spread,
    verifying,
)

PEERS_HERE = all(importlib.util.find_spec(name) for name in ("scores", "xskillscore"))


def our_scores(data: xr.Dataset) -> dict[str, np.ndarray]:
    """By the names of `peer_scores`."""
    ensemble, truth = data["ensemble"], data["truth"]
    weighted, first, whole = {"weights": data["weights"], "keep": ("time",)}, ensemble.isel(number=0), truth.fillna(1.0)
    usual = [field.weighted(data["weights"]).mean(["latitude", "longitude"]) for field in (first, whole)]
    found = {
        "scores/rmse": rmse(first, truth, **weighted),
        "scores/mae": mae(first, truth, **weighted),
        "scores/bias": bias(first, truth, **weighted),
        "scores/seeps": seeps(first, truth, data["dry_share"], data["heavy_from"], dry_to=DRY_TO, **weighted),
        "scores/rank_histogram": rank_histogram(ensemble, truth, xr.DataArray(1.0)),
        "scores/crps_ecdf": crps(ensemble, truth, estimator="ecdf", **weighted),
        "scores/crps_fair": crps(ensemble, truth, estimator="fair", **weighted),
        "scores/brier_plain": brier_score(ensemble, truth, ABOVE, **weighted),
        "scores/brier_fair": brier_score(ensemble, truth, ABOVE, fair=True, **weighted),
        "xskillscore/rmse": rmse(first, whole, **weighted),
        "xskillscore/crps_ecdf": crps(ensemble, whole, estimator="ecdf", **weighted),
        # anomalies from the map's own mean make the correlation the centred one
        "xskillscore/correlation": acc(first - usual[0], whole - usual[1], xr.zeros_like(whole[0]), **weighted),
        "xskillscore/rank_histogram": rank_histogram(ensemble, whole, xr.DataArray(1.0)) * whole.size,
    }
    return {name: value.values for name, value in found.items()}


def assert_same(ours: dict[str, np.ndarray], theirs: dict[str, np.ndarray]) -> None:
    assert ours.keys() == theirs.keys()
    for name, expected in theirs.items():
        np.testing.assert_allclose(ours[name], expected, rtol=1e-6, atol=1e-9, err_msg=name)


def golden() -> tuple[xr.Dataset, dict[str, np.ndarray]]:
    """Made by golden/make_scores.py: inputs, and what the peers gave."""
    with np.load(Path(__file__).parent / "golden" / "scores.npz") as stored:
        arrays = dict(stored)
    data = fields(seed=0)
    for name in data:
        data[name].values = arrays.pop(f"input/{name}")
    return data, arrays


def test_scores_of_the_peers_come_out() -> None:
    data, expected = golden()
    assert_same(our_scores(data), expected)


@pytest.mark.skipif(not PEERS_HERE, reason="scores and xskillscore are not both installed")
def test_scores_of_installed_peers_come_out() -> None:
    data = fields(seed=1)
    assert_same(our_scores(data), peer_scores(data))


def test_tensors_score_as_labelled_fields_do() -> None:
    data, expected = golden()
    ensemble, truth, weights = (torch.from_numpy(data[name].values) for name in ("ensemble", "truth", "weights"))
    for estimator in ("ecdf", "fair"):
        found = crps(ensemble, truth, weights, keep=(0,), estimator=estimator, members=1)
        np.testing.assert_allclose(found, expected[f"scores/crps_{estimator}"], rtol=1e-6)
    np.testing.assert_allclose(rmse(ensemble[:, 0], truth, weights, keep=(0,)), expected["scores/rmse"], rtol=1e-6)
    found = brier_score(ensemble, truth, ABOVE, weights, keep=(0,), fair=True, members=1)
    np.testing.assert_allclose(found, expected["scores/brier_fair"], rtol=1e-6)
    found = rank_histogram(ensemble, truth, members=1)
    np.testing.assert_allclose(found, expected["scores/rank_histogram"], rtol=1e-6)


def test_scores_of_era5_members_come_out(data_in_place: Path) -> None:
    """Members 1-9 as a forecast of member 0 some hours on, weights cos(latitude); digits of the table: 8."""
    files = fetch(DATASETS["era5-members-3deg"], ["weather/era5_eda_members_global_3deg.nc"], offline=True)
    data = open_fields([str(path) for path in files.values()]).load()
    table = pd.read_csv(data_in_place / "weather" / "metric_reference_eda_members.csv")
    names = {"z": "geopotential", "t": "temperature"}
    for row in table.itertuples():
        field = data[names[str(row.variable)]].sel(level=row.level)
        lead = np.array([np.timedelta64(int(str(row.lead_hours)), "h")])
        starts = field.isel(time=slice(0, int(str(row.n_inits)))).isel(number=slice(1, None))
        ensemble = starts.expand_dims(prediction_timedelta=lead)
        truth = verifying(field.isel(number=0, drop=True), ensemble)
        weights = cosine_weights(field)
        mean = ensemble.mean("number", dtype=np.float64)
        found = {
            "rmse_ens_mean": rmse(mean, truth, weights),
            "bias_ens_mean": bias(mean, truth, weights),
            "spread_sd": spread(ensemble, weights),
            "crps_ecdf": crps(ensemble, truth, weights, estimator="ecdf"),
            "crps_fair": crps(ensemble, truth, weights, estimator="fair"),
        }
        for name, value in found.items():
            assert float(value) == pytest.approx(getattr(row, name), rel=1e-6), (row.variable, row.level, name)


def test_the_spectrum_of_torch_harmonics_comes_out(data_in_place: Path) -> None:
    """Made by torch-harmonics 0.8.0 on the Gaussian grid of an ERA5 state; digits of the table: 8."""
    files = fetch(DATASETS["era5-snapshot-tl31"], ["weather/era5_snapshot_tl31_37lev.nc"], offline=True)
    data = open_fields([str(path) for path in files.values()])
    table = pd.read_csv(data_in_place / "weather" / "metric_reference_spectrum_era5_snapshot.csv", index_col="degree")
    for label in table:
        name, level = str(label).rsplit("_", 1)
        found = power_spectrum(data[name].sel(level=int(level))).squeeze()
        np.testing.assert_allclose(found.sel(degree=table.index), table[label], rtol=1e-6, err_msg=str(label))
