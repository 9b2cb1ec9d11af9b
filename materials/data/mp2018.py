"""MP-2018.6.1, the benchmark of MEGNet: Chen et al., Chem. Mater. 31, 3564 (2019), doi:10.1021/acs.chemmater.9b01294.

Targets: e_form (eV/atom), band_gap (eV, PBE), e_above_hull (eV/atom), total_magnetization (Bohr magnetons a cell),
k_vrh and g_vrh (GPa; Voigt-Reuss-Hill averages, known for one in eight; values <= 0 are failed calculations), and their
decimal logarithms log10_k_vrh and log10_g_vrh, unknown where the modulus is not positive.
The structures are the Materials Project's of 2025, the targets those of 2018.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping
from pathlib import Path, PurePosixPath

import numpy as np

from common.app.errors import ConfigError, DataFormatError
from common.app.registry import did_you_mean
from common.data.archive import Limits, members
from common.data.datasets import fetch
from materials.data.cif import CELL, COORDINATES, OPERATIONS, parse_blocks
from materials.data.crystals import Crystals
from materials.data.datasets import MP2018

SPLITS = ("train", "val", "test")

TABLE_COLUMNS = {
    "e_above_hull": "e_above_hull",
    "total_magnetization": "total_magnetization",
    "k_vrh": "elasticity.K_VRH",
    "g_vrh": "elasticity.G_VRH",
}

# 175,000 small files, 0.7 GB; bond tables compress well.
STRUCTURE_LIMITS = Limits(bytes=4_000_000_000, entries=1_000_000)

BOND_TABLE = "loop_\n_geom_bond"

Structure = tuple[np.ndarray, np.ndarray, np.ndarray]
"""Atomic numbers [n], fractional coordinates [n, 3], lattice rows [3, 3] in Å."""


def load(split: str, offline: bool = False) -> Crystals:
    """The structures of one official split, "train", "val" or "test", with all targets (NaN where unknown).

    Raises ConfigError for another split and DownloadError where the data cannot be had.
    """
    if split not in SPLITS:
        raise ConfigError(f"mp2018 has no split '{split}'. {did_you_mean(split, list(SPLITS))}")
    name = f"materials/mp2018_{split}.npz"
    crystals = Crystals.from_npz(fetch(MP2018, [name], offline)[name])
    for modulus in ("k_vrh", "g_vrh"):
        value = crystals.targets[modulus]
        crystals.targets[f"log10_{modulus}"] = np.log10(value, out=np.full(len(value), np.nan), where=value > 0)
    return crystals


def convert(originals: Mapping[str, Path], folder: Path) -> None:
    """Write `mp2018_{train,val,test}.npz` from the four public originals.

    A split keeps the published order; materials without a structure are left out.
    Raises DataFormatError naming the original that is not as expected.
    """
    e_form = _read_targets(originals["megnet_e_form.json.zip"])
    band_gap = _read_targets(originals["megnet_gappbe.json.zip"])
    table = _read_table(originals["mp_nostruct.csv"])
    structures = _read_structures(originals["topology_databases.tar.gz"], {i for part in e_form.values() for i in part})
    for split in SPLITS:
        ids = [material for material in e_form[split] if material in structures]
        if not ids:
            raise DataFormatError(
                f"{originals['topology_databases.tar.gz']} holds no structure of the {len(e_form[split])} materials of "
                f"split '{split}'; expected files cif/<material id>.cif"
            )
        numbers, fractional, lattices = zip(*(structures[material] for material in ids), strict=True)
        targets = {"e_form": [e_form[split][i] for i in ids], "band_gap": [band_gap[split].get(i, np.nan) for i in ids]}
        for column, name in enumerate(TABLE_COLUMNS):
            targets[name] = [table[i][column] if i in table else np.nan for i in ids]
        crystals = Crystals(
            np.array(ids),
            np.array([len(one) for one in numbers]),
            np.array(lattices),
            np.concatenate(numbers),
            np.concatenate(fractional),
            {name: np.array(values) for name, values in targets.items()},
        )
        crystals.to_npz(folder / f"mp2018_{split}.npz")


def _read_targets(path: Path) -> dict[str, dict[str, float]]:
    """{split: {material id: value}} of a leaderboard benchmark: one JSON file in a zip, numbers written as text."""
    for _, stream in members(path):
        try:
            content = json.loads(stream.read())
            return {split: {key: float(value) for key, value in content[split].items()} for split in SPLITS}
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise DataFormatError(f"{path} ({error!r}): expected JSON {{split: {{id: value}}}} for {SPLITS}") from error
    raise DataFormatError(f"{path} is empty; expected one JSON file")


def _read_table(path: Path) -> dict[str, list[float]]:
    """{material id: values in the order of TABLE_COLUMNS}, NaN for empty cells."""
    try:
        with path.open(newline="") as stream:
            return {
                row["material_id"]: [float(row[column] or "nan") for column in TABLE_COLUMNS.values()]
                for row in csv.DictReader(stream)
            }
    except (ValueError, KeyError, TypeError) as error:
        columns = ["material_id", *TABLE_COLUMNS.values()]
        raise DataFormatError(f"{path} ({error!r}): expected a CSV table with the columns {columns}") from error


def _read_structures(path: Path, wanted: set[str]) -> dict[str, Structure]:
    """The structures of `wanted` in a tar of `.../cif/<material id>.cif`."""
    structures = {}
    for name, stream in members(path, STRUCTURE_LIMITS):
        place = PurePosixPath(name)
        if place.parent.name == "cif" and place.suffix == ".cif" and place.stem in wanted:
            try:
                structures[place.stem] = read_primitive_cif(stream.read().decode())
            except (DataFormatError, UnicodeError) as error:
                raise DataFormatError(f"{name} in {path}: {error}") from error
    return structures


def read_primitive_cif(text: str) -> Structure:
    """A fully occupied cell without symmetry (P 1), as pymatgen writes it, to the last digit.

    The lattice is set up as pymatgen does, c along z and a in the xz plane, so that the packed files keep its frame.
    """
    from ase.data import atomic_numbers

    blocks = parse_blocks(text.partition(BOND_TABLE)[0])
    try:
        block = blocks[0]
        (a, b, c), angles = np.array([block[tag][0] for tag in CELL], float).reshape(2, 3)
        fractional = np.array([block[tag] for tag in COORDINATES], float).T
        numbers = np.array([atomic_numbers[symbol] for symbol in block["_atom_site_type_symbol"]])
    except (IndexError, KeyError, ValueError) as error:
        raise DataFormatError(f"{error!r}: expected a cell, element symbols and fractional coordinates") from error
    operations = next((block[tag] for tag in OPERATIONS if tag in block), ["x, y, z"])
    occupied = {float(share) for share in block.get("_atom_site_occupancy", ["1"])}
    if len(operations) > 1 or occupied != {1.0} or len(numbers) != len(fractional):
        raise DataFormatError(
            f"{len(operations)} symmetry operations, occupancies {sorted(occupied)}, {len(numbers)} elements of "
            f"{len(fractional)} sites; expected P 1, full occupancy and one element a site"
        )
    return numbers, fractional, _lattice(a, b, c, *np.radians(angles))


def _lattice(a: float, b: float, c: float, alpha: float, beta: float, gamma: float) -> np.ndarray:
    """Rows a, b, c in Å from lengths and angles in radians."""
    cosine = (np.cos(alpha) * np.cos(beta) - np.cos(gamma)) / (np.sin(alpha) * np.sin(beta))
    reciprocal_gamma = np.arccos(np.clip(cosine, -1.0, 1.0))
    b_x, b_y = -b * np.sin(alpha) * np.cos(reciprocal_gamma), b * np.sin(alpha) * np.sin(reciprocal_gamma)
    return np.array([[a * np.sin(beta), 0, a * np.cos(beta)], [b_x, b_y, b * np.cos(alpha)], [0, 0, c]])
