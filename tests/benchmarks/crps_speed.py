"""Seconds of the CRPS of one large forecast, ours, `scores`' and `xskillscore`'s, in one process.

    python -m tests.benchmarks.crps_speed [members=50] [leads=10] [height=121] [width=240] [dtype=float32] [threads=2]
        [rounds=5] [peer=<one of them>]

Runs where a peer is installed (`pip install scores xskillscore`). All score the same labelled fields over
(prediction_timedelta, number, latitude, longitude) and return the mean over the grid for each lead time, weighted by
cell area; the largest relative difference is printed. A pair takes turns; ratios are medians of the ratios within a
round. Ours sorts in `threads` threads, the peers know one. With numba xskillscore is far faster, and says so below;
without it 50 members and 10 lead times take it more than 10 GB: choose fewer leads.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable

import numpy as np
import torch
import xarray as xr

from tests.benchmarks.turns import settings, take_turns
from weather.metrics import area_weights, crps
from weather.metrics.crps import Estimator

MAP = ["latitude", "longitude"]
LEADS = ("prediction_timedelta",)

Score = Callable[[xr.DataArray, xr.DataArray, xr.DataArray], xr.DataArray]


def of_scores(estimator: Estimator) -> Score:
    from scores.probability import crps_for_ensemble  # pyright: ignore[reportMissingImports]

    return lambda ensemble, truth, weights: crps_for_ensemble(
        ensemble, truth, "number", method=estimator, reduce_dims=MAP, weights=weights
    )


def of_xskillscore(_: Estimator) -> Score:
    from xskillscore import crps_ensemble  # pyright: ignore[reportMissingImports]

    return lambda ensemble, truth, weights: crps_ensemble(
        truth, ensemble, member_dim="number", dim=MAP, weights=weights
    )


PEERS = {"scores": (of_scores, ("ecdf", "fair")), "xskillscore": (of_xskillscore, ("ecdf",))}


def fields(chosen: dict[str, str]) -> tuple[xr.DataArray, xr.DataArray]:
    """An ensemble and truth that look like geopotential, m2 s-2: large, with small differences."""
    random = np.random.default_rng(0)
    members, leads, height, width = (int(chosen[name]) for name in ("members", "leads", "height", "width"))
    places = {"latitude": np.linspace(-90, 90, height), "longitude": np.arange(width) * 360 / width}
    values = 55_000 + 400 * random.standard_normal((leads, members + 1, height, width), dtype=np.float32)
    axes = ("prediction_timedelta", "number", "latitude", "longitude")
    both = xr.DataArray(values.astype(chosen["dtype"]), places, axes)
    return both.isel(number=slice(1, None)), both.isel(number=0)


def main() -> None:
    chosen = settings(
        members="50", leads="10", height="121", width="240", dtype="float32", threads="2", rounds="5", peer=""
    )
    torch.set_num_threads(int(chosen["threads"]))
    ensemble, truth = fields(chosen)
    weights = area_weights(truth)
    numba = "with numba" if importlib.util.find_spec("numba") else "without numba"
    for name, (make, estimators) in PEERS.items():
        if chosen["peer"] not in ("", name):
            continue
        if importlib.util.find_spec(name) is None:
            print(f"{name}: not installed here")
            continue
        for estimator in estimators:
            theirs = make(estimator)
            results: list[xr.DataArray] = [truth, truth]

            def run_theirs(score: Score = theirs, results: list[xr.DataArray] = results) -> None:
                results[0] = score(ensemble, truth, weights)

            def run_ours(kind: Estimator = estimator, results: list[xr.DataArray] = results) -> None:
                results[1] = crps(ensemble, truth, keep=LEADS, estimator=kind)

            turns = take_turns([run_theirs, run_ours], int(chosen["rounds"]))
            difference = float(abs(results[1] / results[0] - 1).max())
            size = " x ".join(chosen[axis] for axis in ("leads", "height", "width"))
            print(
                f"{name} {numba}, {estimator}, {chosen['members']} members, {size} {chosen['dtype']}, "
                f"{chosen['threads']} threads: {turns.seconds[0]:.2f} s, ours {turns.seconds[1]:.2f} s: "
                f"{turns.ratio[1]:.1f} x ({turns.ratio_by_processor[1]:.1f} x by processor time), "
                f"difference {difference:.1e}",
                flush=True,
            )


if __name__ == "__main__":
    main()
