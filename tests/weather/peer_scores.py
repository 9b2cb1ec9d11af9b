"""What `scores` 2.7.0 and `xskillscore` 0.0.29 make of a small ensemble; both have to be installed to call it."""

from __future__ import annotations

import numpy as np
import xarray as xr

PLACES = {"latitude": np.array([-75.0, -45, -15, 15, 45, 75]), "longitude": np.arange(0, 360, 45.0)}
DRY_TO, ABOVE = 0.25, 0.6


def fields(seed: int) -> xr.Dataset:
    """An ensemble of skewed values with missing truth, weights, and a climate of precipitation, in float64."""
    random = np.random.default_rng(seed)
    grid = tuple(PLACES)
    truth = random.gamma(1.0, 0.7, (4, 6, 8))
    ensemble = truth[:, None] * 0.5 + random.gamma(1.0, 0.5, (4, 5, 6, 8))
    truth[random.random(truth.shape) < 0.1] = np.nan
    cosine = np.cos(np.deg2rad(PLACES["latitude"]))
    parts = {
        "ensemble": (("time", "number", *grid), ensemble),
        "truth": (("time", *grid), truth),
        "weights": (grid, np.repeat((cosine / cosine.mean())[:, None], 8, axis=1)),
        "dry_share": (grid, random.uniform(0, 1, (6, 8))),
        "heavy_from": (grid, random.uniform(0.5, 1.5, (6, 8))),
    }
    return xr.Dataset(parts, PLACES)


def peer_scores(data: xr.Dataset) -> dict[str, np.ndarray]:
    """By "package/score"; means over all but time, ranks over all."""
    import xskillscore as xs  # pyright: ignore[reportMissingImports]
    from scores import categorical, continuous, probability  # pyright: ignore[reportMissingImports]

    ensemble, truth, weights = data["ensemble"], data["truth"], data["weights"]
    first, grid = ensemble.isel(number=0), ["latitude", "longitude"]
    options = {"preserve_dims": ["time"], "weights": weights}
    found = {
        "scores/rmse": continuous.rmse(first, truth, **options),
        "scores/mae": continuous.mae(first, truth, **options),
        "scores/bias": continuous.additive_bias(first, truth, **options),
        "scores/seeps": categorical.seeps(
            first, truth, data["dry_share"], data["heavy_from"], dry_light_threshold=DRY_TO, **options
        ),
        "scores/rank_histogram": probability.rank_histogram(
            ensemble.where(truth.notnull()), truth, "number", reduce_dims=["time", *grid]
        ),
    }
    for estimator in ("ecdf", "fair"):
        found[f"scores/crps_{estimator}"] = probability.crps_for_ensemble(
            ensemble, truth, "number", method=estimator, **options
        )
    for fair in (False, True):
        found[f"scores/brier_{'fair' if fair else 'plain'}"] = probability.brier_score_for_ensemble(
            ensemble, truth, "number", ABOVE, fair_correction=fair, **options
        ).squeeze("threshold")
    whole = truth.fillna(1.0)  # xskillscore gives a missing value's weight to the others
    found["xskillscore/rmse"] = xs.rmse(first, whole, dim=grid, weights=weights)
    found["xskillscore/crps_ecdf"] = xs.crps_ensemble(whole, ensemble, member_dim="number", dim=grid, weights=weights)
    found["xskillscore/correlation"] = xs.pearson_r(first, whole, dim=grid, weights=weights)
    found["xskillscore/rank_histogram"] = xs.rank_histogram(whole, ensemble, member_dim="number")
    return {name: np.asarray(value.values, np.float64) for name, value in found.items()}
