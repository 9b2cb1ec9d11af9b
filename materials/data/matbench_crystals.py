"""Crystal tasks of Matbench v0.1 with their structures (perovskites, phonons), and NOMAD 2018.

Matbench, Dunn et al., doi:10.1038/s41524-020-00406-3: folds as in `matbench_compositions`; a model learns from
folds 0-2 (`train`), fold 3 is the public test (`val`: it must not choose weights, so train with
`trainer.select=last`), fold 4 is a blind one (`test`, only in a file converted from the public original).
NOMAD 2018, Sutton et al., doi:10.1038/s41524-019-0239-3: transparent conductors (Al, Ga, In)2O3 of up to 80 atoms; the
2,400 materials of the competition's training part, of which every tenth, in their order, is `val`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from common.app.errors import ConfigError, DataFormatError
from common.app.registry import did_you_mean
from common.data.artifact import sha256_of
from common.data.datasets import Dataset, File, Source, fetch
from materials.data.crystals import Crystals
from materials.data.matbench_compositions import MATBENCH, TASKS, folds_of, official_folds, original_url, read_original

NOMAD = Dataset(
    name="nomad2018",
    title="NOMAD 2018: transparent conducting oxides",
    description=(
        "Formation energy and band gap (DFT) of 2,400 (Al, Ga, In)2O3 crystals of up to 80 atoms, the training part of "
        "the Kaggle competition; train 2,160, val 240."
    ),
    licence="not stated",
    citation="Sutton et al., npj Comput. Mater. 5, 111 (2019), doi:10.1038/s41524-019-0239-3",
    homepage="https://github.com/csutton7/nomad_2018_kaggle_dataset",
    files=(
        File(
            "materials/nomad2018_train.npz",
            273_675,
            "82d3050362995bb2dba52f3c2e74e8e77c47519764ca50b3042ba06f0d824f39",
        ),
    ),
)

PACKED = {
    "perovskites": (614_483, "43a4c6abe8c951f342be98f63360dfc0bcadd7a94d3c912203d46c95b63f9fc4"),
    "phonons": (79_184, "5d2cc47c65b88839527545ab41766f741ee3d92df2e28553613101ceeb7ece02"),
}
"""Bytes and SHA-256 of the packed files with folds 0-3."""

NOMAD_TARGETS = ("formation_energy_ev_natom", "bandgap_energy_ev")
NOMAD_VAL_EVERY = 10


def _dataset(task: str) -> Dataset:
    known = TASKS[task]
    return Dataset(
        name=f"matbench-{task}",
        title=f"Matbench v0.1: {known.title}",
        description=(
            f"{known.title} of {known.samples:,} crystals. Train: folds 0-2, val: fold 3, test: fold 4 (only in a file "
            "converted from the original)."
        ),
        licence="MIT (repository of Matbench, which publishes the table)",
        citation=f"{MATBENCH}; {known.citation}",
        homepage="https://matbench.materialsproject.org",
        files=(File(f"materials/matbench_{task}.npz", *PACKED[task]),),
        sources=(
            Source(
                # Its size is not known; `convert` checks the SHA-256.
                (File(f"materials/originals/matbench_{task}.json.gz", 400_000_000, None, original_url(task)),),
                "materials.data.matbench_crystals:convert",
            ),
        ),
    )


DATASETS = {f"matbench-{task}": _dataset(task) for task in PACKED} | {NOMAD.name: NOMAD}


def load(name: str, split: str, offline: bool = False, fold: int | None = None) -> Crystals:
    """The crystals of a part of `matbench-<task>` or `nomad2018`.

    `fold`, of Matbench: `val` is that one, `train` all others of the file. Raises ConfigError for a part that the set
    or its file does not have.
    """
    (path,) = fetch(DATASETS[name], offline=offline).values()
    crystals = Crystals.from_npz(path)
    if name != NOMAD.name:
        folds = crystals.targets.pop("fold")
        chosen = np.isin(folds, folds_of(name, split, fold, folds.astype(int).tolist()))
    elif split in ("train", "val"):
        chosen = (np.arange(len(crystals)) % NOMAD_VAL_EVERY == NOMAD_VAL_EVERY - 1) == (split == "val")
    else:
        raise ConfigError(f"{name} has no split '{split}'. {did_you_mean(split, ['train', 'val'])}")
    if not chosen.any():
        raise ConfigError(f"{path} holds no sample of split '{split}' of {name}")
    return crystals.subset(np.flatnonzero(chosen))


def convert(originals: dict[str, Path], folder: Path) -> None:
    """The packed file of one public original, all five folds."""
    ((file, path),) = originals.items()
    task = file.removeprefix("matbench_").removesuffix(".json.gz")
    known = TASKS[task]
    if sha256_of(path) != known.original[1]:
        raise DataFormatError(f"{path} is not the published file (SHA-256 {known.original[1]}); fetch it again")
    structures, target = read_original(path, known.original[0])
    lattices, numbers, fractional = zip(*map(_structure, structures), strict=True)
    digits = len(str(len(structures)))
    Crystals(
        np.array([f"mb-{task}-{row:0{digits}d}" for row in range(1, len(structures) + 1)]),
        np.array([len(one) for one in numbers]),
        np.array(lattices),
        np.concatenate(numbers),
        np.concatenate(fractional),
        {known.target: np.array(target), "fold": official_folds(target, "regression")},
    ).to_npz(folder / f"matbench_{task}.npz")


def _structure(content: dict[str, Any]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Lattice [3, 3] in Å, atomic numbers [n], fractional coordinates [n, 3] of a structure as pymatgen writes it."""
    from ase.data import atomic_numbers

    try:
        sites = content["sites"]
        symbols = [site["species"] for site in sites]
        if any(len(species) != 1 or species[0]["occu"] != 1 for species in symbols):
            raise DataFormatError("a structure has partly occupied sites; expected one element a site")
        numbers = np.array([atomic_numbers[species[0]["element"]] for species in symbols])
        return np.array(content["lattice"]["matrix"], float), numbers, np.array([site["abc"] for site in sites], float)
    except (KeyError, TypeError, IndexError) as error:
        raise DataFormatError(f"a structure is not as pymatgen writes it ({error!r})") from error
