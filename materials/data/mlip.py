"""Small data sets that interatomic potentials are compared on: metals and semiconductors, two molecules.

The public training part of each is one packed file, `materials/mlip/<name>.npz`, made by `convert` from the public
original. The official tests are other files and no part of it; `load` draws train and validation frames from it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from ase.data import atomic_numbers

from common.app.errors import ConfigError, DataFormatError
from common.data.datasets import Dataset, File, Source, fetch
from materials.data.frames import Frames
from materials.data.read_frames import read_frames
from materials.data.splits import random_split

GITHUB = "https://raw.githubusercontent.com"
MLEARN = f"{GITHUB}/materialsvirtuallab/mlearn/a04d3b6ecaac47c27aa8f7e452c16a5c9a2a8cff/data"
BOTNET = f"{GITHUB}/davkovacs/BOTNet-datasets/4a5ea06c3f514f24164428823ba1f5e2d2233b58"
ZUO = "Zuo et al., J. Phys. Chem. A 124, 731 (2020), doi:10.1021/acs.jpca.9b08723"
BATATIA = "Batatia et al., Nat. Mach. Intell. 7, 56 (2025), doi:10.1038/s42256-024-00956-x, arXiv:2205.06643"
KOVACS = "Kovács et al., J. Chem. Theory Comput. 17, 7696 (2021), doi:10.1021/acs.jctc.1c00647"
MOST_BYTES = 30_000_000
"""What an original may weigh; its SHA-256 is not known."""

SPLIT_SEED = 20261120
TRAIN_SHARE = 0.9
SAME_ENERGY_EV = 1e-5
"""A tenth of what an electronic-structure calculation is converged to."""


@dataclass(frozen=True)
class FrameSet:
    """What is known about one set.

    isolated_ev  energies of isolated atoms by element, in the method of the set; empty where unknown
    """

    title: str
    method: str
    packed: tuple[str, int, str]
    """Name, bytes and SHA-256 of the packed file."""
    original: str
    citation: str
    licence: str
    isolated_ev: Mapping[str, float]

    def dataset(self, name: str) -> Dataset:
        """The registry entry."""
        file, size, sha256 = self.packed
        return Dataset(
            name=name,
            title=self.title,
            description=f"{self.title}: energies and forces by {self.method}; the public training frames.",
            licence=self.licence,
            citation=self.citation,
            homepage="https://github.com/" + "/".join(self.original.removeprefix(f"{GITHUB}/").split("/")[:2]),
            files=(File(f"materials/mlip/{file}", size, sha256),),
            sources=(
                Source(
                    (File(f"materials/originals/{file.removesuffix('.npz')}{Path(self.original).suffix}", MOST_BYTES,
                          None, self.original),),
                    "materials.data.mlip:convert",
                ),
            ),
        )  # fmt: skip


def load(name: str, split: str, offline: bool = False) -> Frames:
    """The frames of a set's part, train (about 90 %) or val. Raises ConfigError for another: the official tests are not
    in these files.
    """
    if name not in SETS:
        raise ConfigError(f"unknown set of frames '{name}'. Known: {', '.join(SETS)}.")
    (path,) = fetch(DATASETS[name], offline=offline).values()
    frames = Frames.from_npz(path)
    parts = split_frames(frames)
    if split not in parts:
        raise ConfigError(f"data set '{name}' has the parts train and val, not '{split}'")
    return frames.subset(parts[split])


def split_frames(frames: Frames, seed: int = SPLIT_SEED) -> dict[str, np.ndarray]:
    """Indices of {"train", "val"}, drawn at random; a tenth of the levels of energy goes to val with all their frames.

    Frames whose energies per atom follow within 1e-5 eV share a level: crystals under strains that symmetry relates are
    one structure, and must not be learned from and validated on. The parts do not depend on the frames' order.
    """
    per_atom = frames.energy / frames.n_atoms
    order = np.argsort(per_atom, kind="stable")
    level = np.cumsum(np.diff(per_atom[order], prepend=-np.inf) > SAME_ENERGY_EV) - 1
    parts = random_split(int(level[-1]) + 1, seed, (TRAIN_SHARE, 1 - TRAIN_SHARE, 0.0))
    return {name: order[np.isin(level, parts[name])] for name in ("train", "val")}


def reference_energies(name: str) -> dict[int, float]:
    """Energies of isolated atoms in eV by atomic number, in the method of a set; empty where they are unknown."""
    return {atomic_numbers[symbol]: energy for symbol, energy in SETS[name].isolated_ev.items()}


def convert(originals: dict[str, Path], folder: Path) -> None:
    """The packed file of the one original given: extended XYZ of a molecule, or mlearn's list of JSON documents."""
    ((file, path),) = originals.items()
    frames = _read_mlearn(path) if path.suffix == ".json" else _without_cell(read_frames(path))
    frames.to_npz(folder / f"{Path(file).stem}.npz")


def _without_cell(frames: Frames) -> Frames:
    """Files of molecules state a box that means nothing."""
    n = len(frames)
    return Frames(
        frames.n_atoms, frames.numbers, frames.positions, np.zeros((n, 3, 3)), np.zeros((n, 3), bool),
        frames.energy, frames.forces, frames.stress,
    )  # fmt: skip


def _read_mlearn(path: Path) -> Frames:
    """Documents with `structure` (pymatgen's dictionary) and `outputs` (energy, forces).

    Their virial stresses are left out: other copies of the set disagree about units and order.
    """
    try:
        documents = json.loads(path.read_text(encoding="utf-8"))
        structures, outputs = ([one[key] for one in documents] for key in ("structure", "outputs"))
        sites = [one["sites"] for one in structures]
        n = len(documents)
        return Frames(
            np.array([len(one) for one in sites]),
            np.array([atomic_numbers[site["species"][0]["element"]] for one in sites for site in one]),
            np.array([site["xyz"] for one in sites for site in one]),
            np.array([one["lattice"]["matrix"] for one in structures]),
            np.ones((n, 3), bool),
            np.array([one["energy"] for one in outputs]),
            np.concatenate([np.asarray(one["forces"], np.float64) for one in outputs]),
            np.full((n, 3, 3), np.nan),
        )
    except (OSError, ValueError, KeyError, TypeError, IndexError) as error:
        raise DataFormatError(
            f"{path} is not in the format of the mlearn sets ({error!r}); expected a list of documents with "
            "structure.lattice.matrix, structure.sites, outputs.energy and outputs.forces"
        ) from error


ACAC_EV = {"H": -13.568422178, "C": -1026.853899612, "O": -2037.796869413}
BPA_EV = {"H": -13.587222781, "C": -1029.488999986, "N": -1484.981456857, "O": -2041.981600386}

SETS: dict[str, FrameSet] = {
    "mlearn-ni": FrameSet(
        "mlearn: nickel",
        "DFT (PBE)",
        ("mlearn_Ni_train.npz", 430_343, "c3f811b83687043e26f964e0414c5c250a63e4b816f308b083fb4ac122621e29"),
        f"{MLEARN}/Ni/training.json",
        ZUO,
        "BSD-3-Clause",
        {},
    ),
    "mlearn-cu": FrameSet(
        "mlearn: copper",
        "DFT (PBE)",
        ("mlearn_Cu_train.npz", 412_207, "fa23a2521df1b795eb528e7145226486df1b70cc2c0eb0c84e9489879ebc8faa"),
        f"{MLEARN}/Cu/training.json",
        ZUO,
        "BSD-3-Clause",
        {},
    ),
    "mlearn-li": FrameSet(
        "mlearn: lithium",
        "DFT (PBE)",
        ("mlearn_Li_train.npz", 256_581, "ba096e1377edb67ce1cc8d2751eb923583318ecfc64605fd00285eab7a6dbe88"),
        f"{MLEARN}/Li/training.json",
        ZUO,
        "BSD-3-Clause",
        {},
    ),
    "mlearn-mo": FrameSet(
        "mlearn: molybdenum",
        "DFT (PBE)",
        ("mlearn_Mo_train.npz", 220_607, "cb1143436e903c51318646e9f2ba2b6c8b9d23a1f83e9e4ce5eeee6216318dbf"),
        f"{MLEARN}/Mo/training.json",
        ZUO,
        "BSD-3-Clause",
        {},
    ),
    "mlearn-si": FrameSet(
        "mlearn: silicon",
        "DFT (PBE)",
        ("mlearn_Si_train.npz", 229_976, "3c8ac7ef8c87ff0a3bd34fd3b6893c03da1665f11af340c99d44d16a2de08d36"),
        f"{MLEARN}/Si/training.json",
        ZUO,
        "BSD-3-Clause",
        {},
    ),
    "mlearn-ge": FrameSet(
        "mlearn: germanium",
        "DFT (PBE)",
        ("mlearn_Ge_train.npz", 248_772, "0386ac3ffcce3e6a87d6e9b489efd52f3ab22ec4f80e6c7ac33ef4328a16927f"),
        f"{MLEARN}/Ge/training.json",
        ZUO,
        "BSD-3-Clause",
        {},
    ),
    "acac-300k": FrameSet(
        "Acetylacetone at 300 K",
        "DFT (PBE+D3, def2-SVP)",
        ("acac_train_300K.npz", 171_465, "5df127b6eaf27d0fb9345b34f17c41d012acce2a20956b3de692e9dc4ec5b5c8"),
        f"{BOTNET}/dataset_acac/train_300K.xyz",
        BATATIA,
        "MIT",
        ACAC_EV,
    ),
    "acac-600k": FrameSet(
        "Acetylacetone at 600 K",
        "DFT (PBE+D3, def2-SVP)",
        ("acac_train_600K.npz", 171_506, "150a11556ce1509405e753f022971190bb562dd48710729f3cdeb04594a52c26"),
        f"{BOTNET}/dataset_acac/train_600K.xyz",
        BATATIA,
        "MIT",
        ACAC_EV,
    ),
    "3bpa-300k": FrameSet(
        "3-(benzyloxy)pyridin-2-amine at 300 K",
        "DFT (wB97X/6-31G(d))",
        ("3bpa_train_300K.npz", 304_983, "6af33f4c3b62073b820fcdc45ab94a378b13a27ecfff489ba3a40808b011b669"),
        f"{BOTNET}/dataset_3BPA/train_300K.xyz",
        KOVACS,
        "MIT",
        BPA_EV,
    ),
    "3bpa-mixedt": FrameSet(
        "3-(benzyloxy)pyridin-2-amine at 300, 600 and 1200 K",
        "DFT (wB97X/6-31G(d))",
        ("3bpa_train_mixedT.npz", 305_057, "c6b379deb8a71101532c6573d1c369b44dde0a1e875b1782535ea9708335da3b"),
        f"{BOTNET}/dataset_3BPA/train_mixedT.xyz",
        KOVACS,
        "MIT",
        BPA_EV,
    ),
}

DATASETS: dict[str, Dataset] = {name: one.dataset(name) for name, one in SETS.items()}
