"""`trifold materials predict` over many materials: the same table however it is made, and after any end of it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from ase import Atoms
from ase.build import bulk
from ase.io import write

from common.app.errors import ConfigError, DataFormatError
from materials import PropertyPredictor
from materials.config import PredictConfig
from materials.screening import CHUNK, NOTHING_PREDICTED, predict

ROWS = 3 * CHUNK + 17
TABLES = ("predictions.csv", "rejected.csv")


@pytest.fixture(scope="module")
def frames(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Frames of which every seventh holds polonium, which the model does not know, and every ninth an overlap."""
    random = np.random.default_rng(0)
    cells = []
    for number in range(ROWS):
        crystal = bulk("NaCl", "rocksalt", a=5.64 * random.uniform(0.9, 1.1))
        crystal.numbers = [84 if number % 7 == 0 else random.choice([3, 11, 19]), random.choice([8, 9, 17])]
        if number % 9 == 0:
            crystal.positions[1] = crystal.positions[0] + 0.01
        cells.append(crystal)
    path = tmp_path_factory.mktemp("screening") / "frames.extxyz"
    write(path, cells)
    return path


def config(source: Path, output: Path, **keys: object) -> PredictConfig:
    values = {"workers": 0, **keys}
    return PredictConfig(model="mp2018-eform", input=str(source), output=str(output), device="cpu", **values)  # pyright: ignore


def tables(folder: Path) -> list[bytes]:
    return [(folder / name).read_bytes() for name in TABLES]


@pytest.fixture(scope="module")
def expected(frames: Path, tmp_path_factory: pytest.TempPathFactory) -> list[bytes]:
    folder = tmp_path_factory.mktemp("whole")
    assert predict(config(frames, folder)) == 0
    return tables(folder)


def test_every_row_has_its_answer(frames: Path, expected: list[bytes], tmp_path: Path) -> None:
    for name, content in zip(TABLES, expected, strict=True):
        (tmp_path / name).write_bytes(content)
    table = pd.read_csv(tmp_path / TABLES[0], keep_default_na=False, dtype={"id": str})
    rejected = pd.read_csv(tmp_path / TABLES[1], dtype=str)
    assert list(table["id"]) == [str(number) for number in range(1, ROWS + 1)]
    bad = table[table["error"] != ""]
    assert list(rejected["input"]) == list(bad["id"]) and list(rejected["reason"]) == list(bad["error"])
    assert len(bad) == sum(1 for number in range(ROWS) if number % 7 == 0 or number % 9 == 0)


def test_the_table_agrees_with_the_predictor(frames: Path, expected: list[bytes], tmp_path: Path) -> None:
    from ase.io import read

    (tmp_path / "a.csv").write_bytes(expected[0])
    table = pd.read_csv(tmp_path / "a.csv")
    images = read(frames, "1:8")
    values = PropertyPredictor.from_pretrained("mp2018-eform", device="cpu").predict(list(images))["e_form"]
    np.testing.assert_allclose(table["e_form"][1:8], values, atol=1e-5)


def test_workers_do_not_change_a_byte(frames: Path, expected: list[bytes], tmp_path: Path) -> None:
    assert predict(config(frames, tmp_path, workers=2)) == 0
    assert tables(tmp_path) == expected


def test_three_shards_are_the_whole(frames: Path, expected: list[bytes], tmp_path: Path, monkeypatch) -> None:
    assert predict(config(frames, tmp_path, shard="3/3")) == 0
    assert predict(config(frames, tmp_path, shard="1/3")) == 0
    assert not (tmp_path / TABLES[0]).exists()
    monkeypatch.setenv("RANK", "1")
    monkeypatch.setenv("WORLD_SIZE", "3")
    assert predict(config(frames, tmp_path)) == 0
    assert tables(tmp_path) == expected
    assert sorted(path.name for path in tmp_path.iterdir() if path.name[0] != ".") == sorted(TABLES)


def test_killed_and_run_again_is_the_same_as_not_killed(frames: Path, expected: list[bytes], tmp_path: Path) -> None:
    command = [sys.executable, "-m", "materials.predict", "model=mp2018-eform", "device=cpu", "workers=1",
               f"input={frames}", f"output={tmp_path}"]  # fmt: skip
    child = subprocess.Popen(command, start_new_session=True, stdout=subprocess.DEVNULL)
    state = tmp_path / "predictions.csv.state"
    while not state.exists() and child.poll() is None:
        time.sleep(0.01)
    child.send_signal(signal.SIGKILL)
    assert child.wait() == -signal.SIGKILL and not (tmp_path / TABLES[0]).exists()
    assert b'"done": false' in state.read_bytes()
    ended_within(20, child.pid)
    assert predict(config(frames, tmp_path)) == 0
    assert tables(tmp_path) == expected


def ended_within(seconds: float, group: int) -> None:
    """Workers end soon after their parent, whatever ended it."""
    for _ in range(int(10 * seconds)):
        try:
            os.killpg(group, 0)
        except ProcessLookupError:
            return
        time.sleep(0.1)
    raise AssertionError(f"processes of group {group} still run")


def test_stopped_by_an_exception_it_goes_on(frames: Path, expected: list[bytes], tmp_path: Path, monkeypatch) -> None:
    predicted = []
    original = PropertyPredictor.predict_prepared

    def failing(self: PropertyPredictor, prepared, budget, interval):
        if len(predicted) == 2:
            raise KeyboardInterrupt
        predicted.append(prepared)
        return original(self, prepared, budget, interval)

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(PropertyPredictor, "predict_prepared", failing)
        predict(config(frames, tmp_path))
    other = tmp_path / "other.extxyz"
    other.write_text(frames.read_text().split("\n", 4)[4])  # the first frame is gone
    with pytest.raises(ConfigError, match="unfinished table of input="):
        predict(config(other, tmp_path))
    count = []
    monkeypatch.setattr(PropertyPredictor, "predict_prepared", lambda *a: (count.append(1), original(*a))[1])
    assert predict(config(frames, tmp_path)) == 0
    assert tables(tmp_path) == expected and len(count) == 2


def test_an_input_that_changed_since_the_kill_is_refused(tmp_path: Path, monkeypatch) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    for number in range(1, CHUNK + 3):
        (folder / f"{number:04d}.cif").write_text("data_x\n")
    original = PropertyPredictor.predict_prepared
    calls = iter([original])
    with monkeypatch.context() as patch, pytest.raises(StopIteration):
        patch.setattr(PropertyPredictor, "predict_prepared", lambda *a: next(calls)(*a))
        predict(config(folder, tmp_path / "out"))
    (folder / "0000.cif").write_text("data_x\n")
    with pytest.raises(ConfigError, match="has changed since"):
        predict(config(folder, tmp_path / "out"))


def test_nothing_predicted_is_status_three(tmp_path: Path) -> None:
    (tmp_path / "bad.cif").write_text("no crystal")
    assert predict(config(tmp_path / "bad.cif", tmp_path / "out")) == NOTHING_PREDICTED
    write(tmp_path / "molecule.xyz", Atoms("H2", [[0, 0, 0], [0, 0, 0.7]]), format="xyz")
    assert predict(config(tmp_path / "molecule.xyz", tmp_path / "out")) == NOTHING_PREDICTED
    assert len((tmp_path / "out" / "rejected.csv").read_text().splitlines()) == 2


def test_empty_inputs_say_so(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "header.csv").write_text("file\n")
    for name in ("empty", "header.csv"):
        with pytest.raises(ConfigError, match="holds nothing"):
            predict(config(tmp_path / name, tmp_path / "out"))
    with pytest.raises(DataFormatError, match="no column 'file'"):
        (tmp_path / "header.csv").write_text("smiles\nC\n")
        predict(config(tmp_path / "header.csv", tmp_path / "out"))
    with pytest.raises(ConfigError, match="no such file"):
        predict(config(tmp_path / "nowhere", tmp_path / "out"))


def test_results_inside_the_input_folder_are_not_read_as_inputs(tmp_path: Path) -> None:
    write(tmp_path / "NaCl.cif", bulk("NaCl", "rocksalt", a=5.64))
    for _ in range(2):
        assert predict(config(tmp_path, tmp_path / "out.csv")) == 0
        assert len((tmp_path / "out.csv").read_text().splitlines()) == 2


def test_one_file_needs_no_processes(tmp_path: Path, monkeypatch) -> None:
    write(tmp_path / "NaCl.cif", bulk("NaCl", "rocksalt", a=5.64))
    monkeypatch.setattr("materials.preparation_pool.PreparationPool", None)
    assert predict(config(tmp_path / "NaCl.cif", tmp_path / "out", workers=os.cpu_count())) == 0
