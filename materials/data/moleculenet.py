"""Molecular data sets with their splits: MoleculeNet, photovoltaics, malaria, polymer glass transitions.

The packed file of each is `materials/molecules/<name>.csv.gz` with the columns row, smiles, the targets, split.
`convert` makes it from the public original, test rows included; its parts agree with the packed ones row by row.
"""

from __future__ import annotations

import csv
import gzip
import io
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from common.app.errors import ConfigError, DataFormatError
from common.data.datasets import Dataset, fetch
from materials.data.molecule_sets import SETS, packed_name
from materials.data.molecules import Molecules
from materials.data.read_molecule import read_molecule
from materials.data.splits import random_split, scaffold_split

SPLIT_SEED = 20261120
SPLIT_NAMES = {"train": "train", "valid": "val", "test": "test"}
"""How the packed files call the parts, and how the suite does."""

DATASETS: dict[str, Dataset] = {name: one.dataset(name) for name, one in SETS.items()}


def load(name: str, split: str, offline: bool = False) -> Molecules:
    """The molecules of a part of a set: train, val or test. Raises ConfigError where the file has no such part."""
    if name not in SETS:
        raise ConfigError(f"unknown molecule set '{name}'. Known: {', '.join(SETS)}.")
    (file,) = DATASETS[name].files
    path = fetch(DATASETS[name], [file.name], offline)[file.name]
    return read_packed(path, list(SETS[name].targets)).part(split)


def read_packed(path: Path, targets: list[str]) -> Molecules:
    """A file with the columns row, smiles, `targets`, split; an empty target is unknown."""
    rows = list(_rows(path))
    try:
        return Molecules(
            np.array([row["row"] for row in rows], object),
            np.array([row["smiles"] for row in rows], object),
            {name: np.array([float(row[name] or "nan") for row in rows]) for name in targets},
            np.array([SPLIT_NAMES[row["split"]] for row in rows], object),
        )
    except (KeyError, ValueError, TypeError) as error:
        raise DataFormatError(
            f"{path} ({error!r}): expected the columns {', '.join(['row', 'smiles', *targets, 'split'])}, numbers as "
            f"targets, and the splits {', '.join(SPLIT_NAMES)}"
        ) from error


def convert(originals: dict[str, Path], folder: Path) -> None:
    """The packed file of the one original given; rows that RDKit cannot read are left out, as in the packed files."""
    ((file, path),) = originals.items()
    name = next(name for name, one in SETS.items() if one.original[0].rpartition("/")[2] == file)
    chosen, kept = SETS[name], []
    for row in _rows(path):
        try:
            kept.append([row[chosen.smiles].strip(), *(row[column] for column in chosen.targets.values())])
            read_molecule(kept[-1][0])
        except KeyError as error:
            raise DataFormatError(f"{path} has no column {error}; columns are {', '.join(row)}") from error
        except DataFormatError:
            kept.pop()
    smiles = [row[0] for row in kept]
    parts = scaffold_split(smiles) if chosen.rule == "scaffold" else random_split(len(smiles), SPLIT_SEED)
    split = np.empty(len(kept), object)
    for packed, part in SPLIT_NAMES.items():
        split[parts[part]] = packed
    # Without a time stamp in its header the same rows give the same bytes.
    with (
        (folder / packed_name(name)).open("wb") as raw,
        gzip.GzipFile("", "wb", mtime=0, fileobj=raw) as packed_file,
        io.TextIOWrapper(packed_file, newline="") as stream,
    ):
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(["row", "smiles", *chosen.targets, "split"])
        writer.writerows([number, *row, split[number]] for number, row in enumerate(kept))


def _rows(path: Path) -> Iterator[dict[str, str]]:
    """The rows of a table by column; the second column of a name is called "<name>.1"."""
    try:
        with gzip.open(path, "rt", newline="") if path.suffix == ".gz" else path.open(newline="") as stream:
            rows = csv.reader(stream)
            header: list[str] = []
            for name in next(rows, []):
                header.append(f"{name}.1" if name in header else name)
            for row in rows:
                yield dict(zip(header, row, strict=True))
    except (OSError, EOFError, UnicodeError, csv.Error, ValueError) as error:
        raise DataFormatError(f"{path} is not a whole CSV table ({error}); fetch it again") from error
