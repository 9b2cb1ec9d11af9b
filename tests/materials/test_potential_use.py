"""A potential from the command line: every structure is a row, forces come with it, wrong requests are told apart."""

from __future__ import annotations

import csv
import re
from pathlib import Path

import numpy as np
import pytest
from ase.build import bulk, molecule
from ase.io import read, write

from common.app.cli import main
from materials import Potential

MODEL = "mlip-mlearn-cu"
ENSEMBLE = "mlip-acac-300k"


def frames() -> list:
    many = [bulk("Cu", cubic=True) * (2, 1, 1) for _ in range(3)]
    for number, one in enumerate(many):
        one.rattle(0.05, seed=number)
    return many


def test_rows_and_forces_are_what_the_potential_gives(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    structures = frames()
    write(tmp_path / "in.xyz", [*structures[:2], bulk("NaCl", "rocksalt", a=5.6), structures[2]], format="extxyz")
    arguments = [f"model={MODEL}", f"input={tmp_path / 'in.xyz'}", f"output={tmp_path / 'out'}", "device=cpu"]
    assert main(["materials", "predict", *arguments]) == 0
    assert "3 predicted" in capsys.readouterr().out
    with (tmp_path / "out" / "predictions.csv").open() as stream:
        rows = list(csv.DictReader(stream))
    assert [row["id"] for row in rows] == ["1", "2", "3", "4"] and "Na" in rows[2]["error"] and not rows[2]["energy"]
    expected = Potential.from_pretrained(MODEL, "cpu").predict(structures)
    good = [rows[0], rows[1], rows[3]]
    assert np.allclose([float(row["energy"]) for row in good], expected["energy_ev"], rtol=1e-7)
    written = read(tmp_path / "out" / "predictions.extxyz", ":")
    for one, forces in zip(written, expected["forces_ev_a"], strict=True):
        assert np.abs(forces).max() > 0.1
        assert np.abs(one.get_forces() - forces).max() < 1e-5
        assert np.abs(one.get_forces().sum(axis=0)).max() < 1e-5
    with (tmp_path / "out" / "rejected.csv").open() as stream:
        assert [row["input"] for row in csv.DictReader(stream)] == ["3"]


def test_how_much_members_differ_is_told(tmp_path: Path) -> None:
    for name in (ENSEMBLE, MODEL):
        given = bulk("Cu") if name == MODEL else molecule("CH3CH2OH")
        write(tmp_path / "in.xyz", given, format="extxyz")
        arguments = [f"model={name}", f"input={tmp_path / 'in.xyz'}", f"output={tmp_path / name}", "device=cpu"]
        assert main(["materials", "predict", *arguments]) == 0
        with (tmp_path / name / "predictions.csv").open() as stream:
            (row,) = csv.DictReader(stream)
        expected = Potential.from_pretrained(name, "cpu").predict([read(tmp_path / "in.xyz")]).iloc[0]
        if name == MODEL:
            assert row["energy_std"] == row["largest_force_std"] == "" and np.isnan(expected["energy_std_ev"])
        else:
            largest = np.linalg.norm(expected["forces_std_ev_a"], axis=1).max()
            assert float(row["largest_force_std"]) == pytest.approx(largest, rel=1e-3)
            assert float(row["energy_std"]) == pytest.approx(expected["energy_std_ev"], rel=1e-3) and largest > 0


def test_errors_on_own_frames(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Frames that hold the potential's own energies and forces: no error is left."""
    potential, structures = Potential.from_pretrained(MODEL, "cpu"), frames()
    for one in structures:
        one.calc = potential.calculator()
        one.get_forces()
    write(tmp_path / "own.xyz", structures, format="extxyz")
    own = ["data=frame-files", f"path={tmp_path / 'own.xyz'}", f"output={tmp_path / 'run'}", "device=cpu"]
    assert main(["materials", "evaluate", f"model={MODEL}", *own]) == 0
    told = re.search(r"energy ([\d.]+) meV/atom, forces ([\d.]+) meV/Å", capsys.readouterr().out)
    assert told and float(told[1]) == 0 and float(told[2]) == 0  # to the digits shown
    assert "Energies and forces" in (tmp_path / "run" / "report.html").read_text()


def test_what_a_potential_does_not_do_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["materials", "evaluate", f"model={MODEL}", "data=esol"]) == 1
    assert "is an interatomic potential; expected split=train or val" in capsys.readouterr().err
    write(tmp_path / "in.xyz", frames())
    shard = [f"model={MODEL}", f"input={tmp_path / 'in.xyz'}", f"output={tmp_path}", "shard=1/2"]
    assert main(["materials", "predict", *shard]) == 1
    assert "are for property models" in capsys.readouterr().err
