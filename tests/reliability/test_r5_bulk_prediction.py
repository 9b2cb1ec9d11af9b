"""R5 of what is not training: processes share a prediction or an evaluation, are killed, come in another number.

No row is lost, none is there twice, and what is said does not depend on how many processes said it.
"""

from __future__ import annotations

import csv
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from importlib import import_module
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from common.app.cli import main
from tests.common.training.toy import finish
from tests.processes import processes

DOMAINS = ("materials", "weather", "protein")
PATIENCE_S = 300
ROWS = 14
SMILES = ["C" * n + "O" for n in range(1, ROWS)] + ["no molecule"]
SEQUENCES = ["MKTAYIAKQRQISFVKSH"[: n + 4] for n in range(ROWS - 1)] + ["MK-T"]
WRITERS = {
    "materials": ("materials.screening_table", "GrowingTable", "append"),
    "weather": ("weather.forecast_store", "ForecastStore", "write"),
    "protein": ("protein.prediction_store", "PredictionStore", "write"),
}
"""What puts down a part of the result, by domain: module, class, method."""


def inputs(domain: str, folder: Path) -> list[str]:
    """Files for a small model of a domain, and the arguments of `predict` that name them."""
    if domain == "materials":
        pd.DataFrame({"smiles": SMILES, "logp": np.arange(float(ROWS))}).to_csv(folder / "in.csv", index=False)
        return ["model=esol", f"input={folder / 'in.csv'}", "workers=0"]
    if domain == "weather":
        from tests.weather.small import states

        states(ROWS)[["temperature", "2m_temperature"]].sel(level=[850]).to_netcdf(folder / "in.nc")
        forecaster(folder / "in.nc").save_pretrained(folder / "model")
        return [f"model={folder / 'model'}", f"input={folder / 'in.nc'}", "lead_hours=12", "members=2", "starts=all",
                "batch_size=4"]  # fmt: skip
    from tests.protein.small import predictor

    predictor().save_pretrained(folder / "model")
    (folder / "in.fasta").write_text("".join(f">p{n}\n{letters}\n" for n, letters in enumerate(SEQUENCES)))
    return [f"model={folder / 'model'}", f"input={folder / 'in.fasta'}", "memory_gb=1", "draw=0", "distogram=false"]


def forecaster(path: Path) -> Any:
    """The small ensemble of other tests with two of its channels, whose data lie in `path`."""
    from tests.weather.small import forecaster
    from weather.forecaster import Forecaster
    from weather.models.unet import UNet, UNetConfig

    card = dict(forecaster(history=2, noise=2).card)
    scales = {name: [values[1], values[3]] for name, values in card["scales"].items() if name != "tendency_std"}
    card |= {
        "channels": [card["channels"][1], card["channels"][3]],
        "scales": {**scales, "tendency_std": [[row[1], row[3]] for row in card["scales"]["tendency_std"]]},
        "recipe": {"data": {
            "name": "grid-files", "path": str(path), "variables": ["temperature", "2m_temperature"],
            "splits": {"train": "2020-03-01/2020-03-01", "val": "2020-03-02/2020-03-04"},
        }},
    }  # fmt: skip
    return Forecaster(UNet(UNetConfig(7, 2, 8, 16, channels=4, levels=2, condition=2)), card, "cpu")


def start(verb: str, domain: str, arguments: list[str], ranks: int, kill: int | None = None) -> list[BaseProcess]:
    """The verb on several ranks; `kill`: the rank that is killed when it puts down its second part."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = str(probe.getsockname()[1])
    started = []
    for rank in range(ranks):
        environment = {"RANK": str(rank), "WORLD_SIZE": str(ranks), "LOCAL_RANK": str(rank), "OMP_NUM_THREADS": "1",
                       "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}  # fmt: skip
        started.append(processes.Process(target=_run, args=(verb, domain, arguments, environment, rank == kill)))
        started[-1].start()
    return started


def _run(verb: str, domain: str, arguments: list[str], environment: dict[str, str], killed: bool) -> None:
    os.environ.update(environment)
    import_module("materials.screening").CHUNK = 2
    module, name, method = WRITERS[domain]
    kind: Any = getattr(import_module(module), name)
    inner, calls = getattr(kind, method), []

    def writing(self: Any, *values: Any) -> Any:
        calls.append(1)
        if killed and len(calls) == 2:
            os.kill(os.getpid(), signal.SIGKILL)
        return inner(self, *values)

    setattr(kind, method, writing)
    sys.exit(main([domain, verb, *arguments, "device=cpu"]))


def output(domain: str, folder: Path) -> str:
    return str(folder / "forecast.zarr" if domain == "weather" else folder)


def content(domain: str, folder: Path) -> tuple[list[str], np.ndarray, list[str]]:
    """Names of the rows in their order, their numbers, and what was rejected."""
    rejected = [line["input"] for line in csv.DictReader((folder / "rejected.csv").open())]
    if domain == "weather":
        with xr.open_zarr(folder / "forecast.zarr") as found:
            return found["time"].values.astype(str).tolist(), found["temperature"].values, rejected
    if domain == "materials":
        frame = pd.read_csv(folder / "predictions.csv")
        return frame["id"].astype(str).tolist(), frame["logp"].to_numpy(), rejected
    frame = pd.read_csv(folder / "summary.csv")
    arrays = [np.load(folder / name)["plddt"] for name in frame["npz"]]
    return frame["id"].tolist(), np.concatenate(arrays), rejected


def agree(domain: str, folder: Path, expected: Path) -> None:
    (ids, values, rejected), (all_ids, all_values, all_rejected) = content(domain, folder), content(domain, expected)
    assert ids == all_ids and rejected == all_rejected and len(rejected) == 1 and len(ids) >= ROWS - 1
    np.testing.assert_allclose(values, all_values, rtol=1e-5, atol=1e-3)


@pytest.fixture(scope="module", params=DOMAINS)
def alone(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, list[str], Path]:
    """A domain, the arguments of its prediction, and the folder of what one process predicts."""
    folder = tmp_path_factory.mktemp(request.param)
    arguments = inputs(request.param, folder)
    (folder / "out").mkdir()
    assert main([request.param, "predict", *arguments, f"output={output(request.param, folder / 'out')}",
                 "device=cpu"]) == 0  # fmt: skip
    return request.param, arguments, folder / "out"


def test_a_rank_is_killed_and_the_job_started_again(
    alone: tuple[str, list[str], Path], tmp_path: Path, measured: Callable[[str, str], None]
) -> None:
    domain, arguments, expected = alone
    given = [*arguments, f"output={output(domain, tmp_path)}"]
    assert finish(start("predict", domain, given, 2, kill=1), PATIENCE_S) == [0, -signal.SIGKILL]
    assert not any((tmp_path / name).exists() for name in ("predictions.csv", "forecast.zarr", "summary.csv"))
    assert finish(start("predict", domain, given, 2), PATIENCE_S) == [0, 0]
    agree(domain, tmp_path, expected)
    measured("R5", f"{domain}: a rank of a bulk prediction killed, no row lost or doubled")


@pytest.mark.full
def test_four_ranks_killed_and_torchrun_goes_on(alone: tuple[str, list[str], Path], tmp_path: Path) -> None:
    """Under the real torchrun, which ends all ranks when one is killed and starts them again."""
    domain, arguments, expected = alone
    given = [*arguments, f"output={output(domain, tmp_path)}"]
    script = tmp_path / "rank.py"
    script.write_text(
        "import json, os, sys\n"
        "from tests.reliability.test_r5_bulk_prediction import _run\n"
        "first = os.environ['TORCHELASTIC_RESTART_COUNT'] == '0' and os.environ['RANK'] == '3'\n"
        "_run('predict', sys.argv[1], json.loads(sys.argv[2]), {}, first)\n"
    )
    command = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node=4", "--max-restarts=1",
               "--master-port=0", str(script), domain, json.dumps(given)]  # fmt: skip
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    assert subprocess.run(command, env=environment, timeout=900).returncode == 0
    agree(domain, tmp_path, expected)


@pytest.mark.parametrize("ranks", [2, pytest.param(4, marks=pytest.mark.full)])
def test_an_evaluation_is_the_same_on_several_ranks(
    alone: tuple[str, list[str], Path], tmp_path: Path, ranks: int
) -> None:
    domain, arguments, folder = alone
    given = {
        "materials": ["model=esol", "data=molecule-table", f"path={folder.parent / 'scored.csv'}", "split=val"],
        "weather": [arguments[0], "split=val", "lead_hours=[6,12]", "members=2"],
        "protein": [arguments[0], "data=ideal-chains", "split=val", "limit=7"],
    }[domain]  # fmt: skip
    if domain == "materials":
        known = pd.DataFrame({"smiles": SMILES[:-1], "logp": np.arange(ROWS - 1.0), "split": "val"})
        known.to_csv(folder.parent / "scored.csv", index=False)
    assert main([domain, "evaluate", *given, f"output={tmp_path / 'one'}", "device=cpu"]) == 0
    assert finish(start("evaluate", domain, [*given, f"output={tmp_path / 'many'}"], ranks), PATIENCE_S) == [0] * ranks
    name = "predictions/val.csv" if domain == "materials" else "scores.csv"
    one, many = (pd.read_csv(tmp_path / folder / name) for folder in ("one", "many"))
    # Chains stand in other batches, which changes last digits, and scores of proteins count what is below a threshold.
    pd.testing.assert_frame_equal(many, one, rtol=0.05 if domain == "protein" else 1e-5, atol=1e-6)
