"""A whole study of one interatomic potential: frames, training, evaluation, report, saved potential."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
import torch
from ase.data import chemical_symbols
from torch import Tensor

from common.app.errors import ConfigError
from common.results.plots import embed, parity
from common.results.report import Section, Tile, data_table, run_report
from common.training.distributed import ALONE, World, gathered
from common.training.run_directory import RunDirectory
from common.training.study import Outcome, run_study
from materials.data.frames import Frames
from materials.data.load_frames import isolated_energies, load_frames
from materials.data.mlip import SETS
from materials.metrics import mae, rmse
from materials.models.ace import ACE, ACEConfig
from materials.potential import Potential
from materials.potential_config import OwnFrames, PotentialTrainConfig
from materials.potential_task import FrameTable, PotentialTask, Weights

CALIBRATION_FRAMES = 64
FORCE_REACH_A = 0.3
"""Times the typical force: the energy that surroundings of an atom differ by."""


def train(config: PotentialTrainConfig) -> RunDirectory | None:
    """Train, evaluate the chosen weights on the validation frames, write report.html, and save the potential.

    Returns the run folder; None for a dry run (`check=true`).
    """
    return run_study("materials", config, _open, make_task, _conclude)


def _open(config: PotentialTrainConfig) -> dict[str, Frames]:
    return {name: load_frames(config.data, name, config.offline) for name in ("train", "val")}


def make_task(config: PotentialTrainConfig, splits: Mapping[str, Frames], device: torch.device) -> PotentialTask:
    """The model, initialised from the seed and the training frames."""
    torch.manual_seed(config.seed)
    train_frames, data = splits["train"], config.data
    if unknown := sorted(set(splits["val"].elements) - set(train_frames.elements)):
        symbols = ", ".join(chemical_symbols[z] for z in unknown)
        raise ConfigError(f"the validation frames hold {symbols}, which no training frame does; choose another split")
    isolated, bound = element_energies(train_frames, isolated_energies(data))
    model = ACE(model_config(config, train_frames.elements, isolated)).to(device, torch.float32)
    tables = {name: FrameTable.of(frames, model.config.cutoff_a, device) for name, frames in splits.items()}
    typical = np.unique(np.linspace(0, len(train_frames) - 1, CALIBRATION_FRAMES).astype(int))
    graph, _ = tables["train"].batch(typical)
    unit = FORCE_REACH_A * float(np.sqrt(np.square(train_frames.forces).mean()))
    model.calibrate(graph, torch.tensor(bound), unit)
    weights = Weights(data.energy_weight, data.force_weight, data.stress_weight)
    return PotentialTask(model, tables, weights, config.loss)


def element_energies(frames: Frames, isolated_ev: Mapping[int, float]) -> tuple[tuple[float, ...], np.ndarray]:
    """Of each element the energy of an isolated atom, and the mean energy that bound ones gain beyond it, both [S] eV.

    Where the first are unknown, energies that fit the frames best stand for them, and nothing is gained.
    """
    elements = frames.elements
    owner = np.repeat(np.arange(len(frames)), frames.n_atoms)
    counts = np.zeros((len(frames), len(elements)))
    np.add.at(counts, (owner, np.searchsorted(elements, frames.numbers)), 1)

    def fit(energy: np.ndarray) -> np.ndarray:
        return np.linalg.lstsq(counts, energy, rcond=1e-6)[0]

    if not isolated_ev:
        return tuple(fit(frames.energy).tolist()), np.zeros(len(elements))
    if missing := [chemical_symbols[z] for z in elements if z not in isolated_ev]:
        raise ConfigError(f"the frames hold {', '.join(missing)}, for which no energy of an isolated atom is given")
    isolated = np.array([isolated_ev[z] for z in elements])
    return tuple(isolated.tolist()), fit(frames.energy - counts @ isolated)


def model_config(config: PotentialTrainConfig, elements: tuple[int, ...], isolated_ev: tuple[float, ...]) -> ACEConfig:
    """The architecture's own dataclass, from the configuration and the data."""
    values = {**config.model.model_dump(), "elements": elements, "isolated_ev": isolated_ev}
    return ACEConfig(**{field.name: values[field.name] for field in fields(ACEConfig)})


def errors(
    potential: Potential, frames: Frames, world: World = ALONE
) -> tuple[dict[str, float], tuple[np.ndarray, np.ndarray]]:
    """Errors of a potential on frames, and its energies [N] (eV) and forces [A, 3] (eV/Å).

    energy_mae, energy_rmse in meV/atom; frame_energy_rmse in meV of the whole frame; force_mae, force_rmse in meV/Å, of
    components. Of several ranks each computes its share, and all have the whole.
    """
    own = range(len(frames))[world.share(len(frames))]
    parts = gathered(world, list(potential.evaluate([frames.atoms(index) for index in own])))
    results = [one for part in parts for one in part]
    energy = np.array([one.energy_ev for one in results])
    forces = np.concatenate([one.forces_ev_a for one in results])
    n = frames.n_atoms
    found = {
        "energy_mae": mae(frames.energy / n, energy / n),
        "energy_rmse": rmse(frames.energy / n, energy / n),
        "frame_energy_rmse": rmse(frames.energy, energy),
        "force_mae": mae(frames.forces.ravel(), forces.ravel()),
        "force_rmse": rmse(frames.forces.ravel(), forces.ravel()),
    }
    return {name: 1000 * float(value) for name, value in found.items()}, (energy, forces)


def potential_of(
    config: PotentialTrainConfig, weights: Mapping[str, Tensor], splits: Mapping[str, Frames], device: torch.device
) -> Potential:
    """The trained potential with its card."""
    elements = splits["train"].elements
    isolated, _ = element_energies(splits["train"], isolated_energies(config.data))
    model = ACE(model_config(config, elements, isolated))
    model.load_state_dict(weights)
    data = _data_facts(config)
    card = {
        "name": config.experiment.replace("_", "-"),
        "description": f"interatomic potential (energy, forces, stress) of {data['title']}",
        "architecture": config.model.name,
        "elements": list(elements),
        "units": {"energy": "eV", "forces": "eV/angstrom", "stress": "eV/angstrom^3"},
        "data": {**data, "train": len(splits["train"]), "val": len(splits["val"])},
        "licence": "Apache-2.0",
        "recipe": config.model_dump(mode="json", exclude={"resume", "check", "run_dir", "offline", "save_as"}),
    }
    return Potential(model, card, str(device))


def _data_facts(config: PotentialTrainConfig) -> dict[str, Any]:
    data = config.data
    if isinstance(data, OwnFrames):
        return {"name": data.path, "title": data.path}
    known = SETS[data.name]
    return {"name": data.name, "title": known.title, "licence": known.licence, "citation": known.citation}


def _conclude(config: PotentialTrainConfig, splits: Mapping[str, Frames], outcome: Outcome) -> None:
    """Evaluate, report and save the chosen weights."""
    run, frames = outcome.run, splits["val"]
    potential = potential_of(config, outcome.weights, splits, outcome.device)
    scores, predicted = errors(potential, frames)
    metrics = {f"val_{name}": value for name, value in scores.items()}
    potential.card |= {"metrics": metrics, "training": dict(outcome.training)}
    for folder in filter(None, (run.path / "model", config.save_as)):
        potential.save_pretrained(folder)
    path = write_report(run, potential, frames, scores, predicted)
    print(
        f"validation: energy {scores['energy_rmse']:.2f} meV/atom ({scores['frame_energy_rmse']:.1f} meV a frame), "
        f"forces {scores['force_rmse']:.1f} meV/Å (RMSE; MAE {scores['energy_mae']:.2f} and {scores['force_mae']:.1f}; "
        f"{len(frames)} frames)  model: {run.path / 'model'}  report: {path}"
    )


def write_report(
    run: RunDirectory, potential: Potential, frames: Frames, scores: Mapping[str, float],
    predicted: tuple[np.ndarray, np.ndarray],
) -> Path:  # fmt: skip
    energy, forces = predicted
    card = potential.card
    tiles = [
        Tile("Energy, RMSE", f"{scores['energy_rmse']:.2f}", "meV/atom"),
        Tile("Energy, MAE", f"{scores['energy_mae']:.2f}", "meV/atom"),
        Tile("Forces, RMSE", f"{scores['force_rmse']:.1f}", "meV/Å"),
        Tile("Forces, MAE", f"{scores['force_mae']:.1f}", "meV/Å"),
    ]
    energies = parity(frames.energy / frames.n_atoms, energy / frames.n_atoms, "energy", "eV/atom")
    components = parity(frames.forces.ravel(), forces.ravel(), "force component", "eV/Å")
    pictures = embed(energies, "Predicted against true energies") + embed(components, "Predicted against true forces")
    rows = []
    for z in frames.elements:
        true, found = frames.forces[frames.numbers == z].ravel(), forces[frames.numbers == z].ravel()
        scores_of_element = (1000 * float(score(true, found)) for score in (mae, rmse))
        rows.append((chemical_symbols[z], len(true) // 3, *scores_of_element))
    by_element = data_table(("Element", "Atoms", "Force MAE (meV/Å)", "Force RMSE (meV/Å)"), rows)
    sections = [Section("Energies and forces", pictures), Section("By element", by_element)]
    return run_report(run.path, card["description"], tiles=tiles, data=card["data"], domain_sections=sections)
