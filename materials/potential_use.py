"""A potential from the command line: scored on frames, or applied to any number of structures."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from contextlib import ExitStack
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms
from ase.calculators.singlepoint import SinglePointCalculator
from ase.io.extxyz import write_xyz

from common.app.errors import ConfigError, DataFormatError
from common.data.shard import WHOLE, Shard
from common.training.distributed import UNEVEN, process_group
from common.training.run_directory import RunDirectory
from materials.config import EvaluateConfig, PredictConfig
from materials.data.frames import Frames
from materials.data.inputs import Inputs
from materials.data.load_frames import load_frames
from materials.data.mlip import SETS
from materials.data.read_frames import read_frames
from materials.potential import Potential, PotentialEnergy
from materials.potential_config import FrameData
from materials.potential_study import errors, write_report
from materials.study import evaluation_folder

AT_ONCE = 64
COLUMNS = ("id", "energy", "energy_per_atom", "largest_force", "energy_std", "largest_force_std", "unit", "error")
UNIT = "eV, eV/atom, eV/angstrom, eV, eV/angstrom"
NOTHING_PREDICTED = 3


def evaluate(config: EvaluateConfig) -> dict[str, float]:
    """Errors of energies and forces on frames; writes report.html."""
    potential = Potential.from_pretrained(config.model, config.device, offline=config.offline)
    frames = _frames(config)
    potential.refuse_unknown_elements(frames.numbers)
    with process_group(potential.device, UNEVEN) as world:
        scores, predicted = errors(potential, frames, world)
    if not world.is_main:
        return scores
    run = RunDirectory(Path(config.output) if config.output else evaluation_folder(str(potential.card["name"])))
    run.path.mkdir(parents=True, exist_ok=True)
    path = write_report(run, potential, frames, scores, predicted)
    print(
        f"{potential.card['name']} on {config.data} {config.split}: energy {scores['energy_rmse']:.2f} meV/atom, "
        f"forces {scores['force_rmse']:.1f} meV/Å (RMSE; {len(frames)} frames)  report: {path}"
    )
    return scores


def _frames(config: EvaluateConfig) -> Frames:
    if config.data == "frame-files":
        if config.path is None:
            raise ConfigError("data=frame-files needs path=<extended XYZ file>")
        return read_frames(config.path)
    if config.data not in SETS or config.split == "test":
        raise ConfigError(
            f"data={config.data} split={config.split}: {config.model} is an interatomic potential; expected "
            f"split=train or val of {', '.join(SETS)}, or data=frame-files path=<extended XYZ file>"
        )
    return load_frames(FrameData.model_validate({"name": config.data}), config.split, config.offline)


def predict(config: PredictConfig) -> int:
    """predictions.csv with a row for each structure, predictions.extxyz with forces and stress, rejected.csv.

    Returns the exit status: 3 when nothing could be predicted, else 0.
    """
    if Shard.of(config.shard) != WHOLE or config.interval is not None:
        raise ConfigError(
            f"{config.model} is an interatomic potential: several processes, shard= and interval= are for property "
            "models"
        )
    potential = Potential.from_pretrained(config.model, config.device, offline=config.offline)
    table = Path(config.output)
    table = table if table.suffix == ".csv" else table / "predictions.csv"
    table.parent.mkdir(parents=True, exist_ok=True)
    inputs = Inputs(config.input, "crystal", config.column, config.id_column)
    predicted = rejected = 0
    with ExitStack() as files:
        rows = csv.writer(files.enter_context(table.open("w", newline="", encoding="utf-8")))
        refused = csv.writer(
            files.enter_context(table.with_name("rejected.csv").open("w", newline="", encoding="utf-8"))
        )
        structures = files.enter_context(table.with_suffix(".extxyz").open("w", encoding="utf-8"))
        rows.writerow(COLUMNS)
        refused.writerow(("input", "reason"))
        for name, atoms, result, error in _results(potential, inputs, config.budget):
            if result is None or atoms is None:
                rejected += 1
                rows.writerow((name, "", "", "", "", "", UNIT, error))
                refused.writerow((name, error))
                continue
            predicted += 1
            per_atom, largest = result.energy_ev / len(atoms), _largest(result.forces_ev_a)
            spread = ("", "")
            if result.forces_std_ev_a is not None:
                spread = (f"{result.energy_std_ev:.6g}", f"{_largest(result.forces_std_ev_a):.6g}")
            rows.writerow((name, f"{result.energy_ev:.8g}", f"{per_atom:.8g}", f"{largest:.6g}", *spread, UNIT, ""))
            write_xyz(structures, with_results(atoms, result, name))
    print(f"{predicted} predicted -> {table}, forces and stress -> {table.with_suffix('.extxyz')}")
    if rejected:
        print(f"{rejected} rejected, with reasons -> {table.with_name('rejected.csv')}")
    return 0 if predicted else NOTHING_PREDICTED


def _largest(vectors: np.ndarray) -> float:
    return float(np.linalg.norm(vectors, axis=1).max())


def _results(
    potential: Potential, inputs: Inputs, budget: int | None
) -> Iterator[tuple[str, Atoms | None, PotentialEnergy | None, str]]:
    """Name, structure, result and reason of refusal of each input, in order and in constant memory."""
    rows = iter(inputs)
    while chunk := list(islice(rows, AT_ONCE)):
        read = [_read(potential, name, source) for name, source in chunk]
        good = [atoms for _, atoms, _ in read if atoms is not None]
        found = potential.evaluate(good, budget)
        for name, atoms, error in read:
            yield name, atoms, next(found) if atoms is not None else None, error


def _read(potential: Potential, name: str, source: Any) -> tuple[str, Atoms | None, str]:
    try:
        return name, potential.read(source), ""
    except DataFormatError as error:
        return name, None, str(error)


def with_results(atoms: Atoms, result: PotentialEnergy, name: str) -> Atoms:
    """The structure with what was predicted, as ASE writes it."""
    found = atoms.copy()
    found.info = {"id": name}
    stress = result.stress_ev_a3
    known = {} if np.isnan(stress).any() else {"stress": stress.reshape(9)[[0, 4, 8, 5, 2, 1]]}
    found.calc = SinglePointCalculator(found, energy=result.energy_ev, forces=result.forces_ev_a, **known)
    return found
