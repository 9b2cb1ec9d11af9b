"""Molecular data sets with their splits: MoleculeNet, photovoltaics, malaria, polymer glass transitions.

The packed file of each is `materials/molecules/<name>.csv.gz` with the columns row, smiles, the targets, split.
`convert` makes it from the public original, test rows included; its parts agree with the packed ones row by row.
"""

from __future__ import annotations

import csv
import gzip
import io
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from common.app.errors import ConfigError, DataFormatError
from common.data.datasets import Dataset, File, Source, fetch
from materials.data.molecules import Molecules
from materials.data.read_molecule import read_molecule
from materials.data.splits import random_split, scaffold_split

GITHUB = "https://raw.githubusercontent.com"
CHEMPROP = f"{GITHUB}/chemprop/chemprop/a68ade20f227862fe6265c46f021c78217a324ab/data"
FINGERPRINT = f"{GITHUB}/HIPS/neural-fingerprint/d26dae3a293a736261fee307b28b37e548c5f218/data"
POLYMETRIX = f"{GITHUB}/lamalab-org/PolyMetriX/7355266b0859e0cb597cf1947b1a5d677596e852/data"

SPLIT_SEED = 20261120
SPLIT_NAMES = {"train": "train", "valid": "val", "test": "test"}
"""How the packed files call the parts, and how the suite does."""

MOLECULENET = "Wu et al., Chem. Sci. 9, 513 (2018), doi:10.1039/C7SC02664A"


@dataclass(frozen=True)
class MoleculeSet:
    """What is known about one set.

    targets  {name in the packed file: column of the original}; a repeated column has its second use as "<column>.1"
    units    of each target in turn, then from the first again; "" for classes
    """

    title: str
    kind: Literal["regression", "classification"]
    targets: Mapping[str, str]
    units: tuple[str, ...]
    rule: Literal["scaffold", "random"]
    packed: tuple[int, str]
    original: tuple[str, int, str]
    """Address, bytes and SHA-256 of the original."""
    citation: str
    smiles: str = "smiles"
    licence: str = "MIT (repository that publishes the table)"

    def unit(self, target: str) -> str:
        return self.units[list(self.targets).index(target) % len(self.units)]

    def dataset(self, name: str) -> Dataset:
        """The registry entry."""
        url, size, sha256 = self.original
        count = f"{len(self.targets)} {self.kind} target" + ("s" if len(self.targets) > 1 else "")
        return Dataset(
            name=name,
            title=self.title,
            description=(
                f"{self.title}; {count}, split by {self.rule}: "
                "80 % train, 10 % val, 10 % test (test only in a file converted from the original)."
            ),
            licence=self.licence,
            citation=self.citation,
            homepage=url.split("/data")[0].replace(GITHUB, "https://github.com").rpartition("/")[0],
            files=(File(f"materials/molecules/{_file(name)}", *self.packed),),
            sources=(
                Source(
                    (File(f"materials/originals/{url.rpartition('/')[2]}", size, sha256, url),),
                    "materials.data.moleculenet:convert",
                ),
            ),
        )


def load(name: str, split: str, offline: bool = False) -> Molecules:
    """The molecules of a part of a set: train, val or test. Raises ConfigError where the file has no such part."""
    if name not in SETS:
        raise ConfigError(f"unknown molecule set '{name}'. Known: {', '.join(SETS)}.")
    (path,) = fetch(DATASETS[name], offline=offline).values()
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
        (folder / _file(name)).open("wb") as raw,
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


def _file(name: str) -> str:
    return f"{name.replace('-', '_')}.csv.gz"


def _same(*names: str) -> dict[str, str]:
    return {name: name for name in names}


TOX21 = [
    "NR-AR", "NR-AR-LBD", "NR-AhR", "NR-Aromatase", "NR-ER", "NR-ER-LBD", "NR-PPAR-gamma",
    "SR-ARE", "SR-ATAD5", "SR-HSE", "SR-MMP", "SR-p53",
]  # fmt: skip
QM8 = [f"{quantity}-{method}" for method in ("CC2", "PBE0", "CAM") for quantity in ("E1", "E2", "f1", "f2")]
SIDER = [
    "Hepatobiliary disorders", "Metabolism and nutrition disorders", "Product issues", "Eye disorders",
    "Investigations", "Musculoskeletal and connective tissue disorders", "Gastrointestinal disorders",
    "Social circumstances", "Immune system disorders", "Reproductive system and breast disorders",
    "Neoplasms benign, malignant and unspecified (incl cysts and polyps)",
    "General disorders and administration site conditions", "Endocrine disorders", "Surgical and medical procedures",
    "Vascular disorders", "Blood and lymphatic system disorders", "Skin and subcutaneous tissue disorders",
    "Congenital, familial and genetic disorders", "Infections and infestations",
    "Respiratory, thoracic and mediastinal disorders", "Psychiatric disorders", "Renal and urinary disorders",
    "Pregnancy, puerperium and perinatal conditions", "Ear and labyrinth disorders", "Cardiac disorders",
    "Nervous system disorders", "Injury, poisoning and procedural complications",
]  # fmt: skip

SETS: dict[str, MoleculeSet] = {
    "esol": MoleculeSet(
        "ESOL: aqueous solubility",
        "regression",
        _same("logp"),
        ("log10(mol/L)",),
        "scaffold",
        (11_340, "3f533c0783fb4f5169ef0068ecc0915723c64b0daffd77248bdd94603b58af27"),
        (f"{CHEMPROP}/delaney.csv", 33_966, "887aa5930b0a7e7fcb76a2d25dc0ebe11c23878ca2d8d1e2204ca2c46b175140"),
        f"Delaney, J. Chem. Inf. Comput. Sci. 44, 1000 (2004), doi:10.1021/ci034243x; {MOLECULENET}",
    ),
    "freesolv": MoleculeSet(
        "FreeSolv: hydration free energy",
        "regression",
        _same("freesolv"),
        ("kcal/mol",),
        "scaffold",
        (5_330, "c2098a81065d0045ecaf2e833a4c39d32bd705bb1340b2fdc8376b1a58211a85"),
        (f"{CHEMPROP}/freesolv.csv", 14_210, "97d74c86228d4c16c0fbbf063bb8280354d8152db09a85ade8517a2f43bd9824"),
        f"Mobley and Guthrie, J. Comput. Aided Mol. Des. 28, 711 (2014), doi:10.1007/s10822-014-9747-x; {MOLECULENET}",
    ),
    "lipophilicity": MoleculeSet(
        "Lipophilicity: octanol/water distribution at pH 7.4",
        "regression",
        _same("lipo"),
        ("log10 D",),
        "scaffold",
        (61_555, "3ed61df92c97268ec084ece12bb11083db5a0389147e2c02058de4a4271db82d"),
        (f"{CHEMPROP}/lipo.csv", 222_638, "aa9bd9669188e35efd908758a75561bba402016d901fed2d0d949289abbcf31c"),
        f"Hersey, ChEMBL deposited data set AZ_dataset (2015), doi:10.6019/CHEMBL3301361; {MOLECULENET}",
    ),
    "bbbp": MoleculeSet(
        "BBBP: blood-brain barrier penetration",
        "classification",
        _same("p_np"),
        ("",),
        "scaffold",
        (28_501, "0d79125d70226430b9b24988301361fb5399cb12f7a5da9e59413d02d01fbf1e"),
        (f"{CHEMPROP}/bbbp.csv", 111_265, "a61e17872cbec0743a6147dc802a1f7550acfe8dc1053f881f4c42a3ce2dc597"),
        f"Martins et al., J. Chem. Inf. Model. 52, 1686 (2012), doi:10.1021/ci300124c; {MOLECULENET}",
    ),
    "bace": MoleculeSet(
        "BACE: inhibition of beta-secretase 1",
        "classification",
        _same("Class"),
        ("",),
        "scaffold",
        (14_002, "ce94ee57dc55a3f4e1d4684862d57cf5715aa8f989b0ddc02ebf0e0b37d16a79"),
        (f"{CHEMPROP}/bace.csv", 103_228, "847be1e38d3798c60df03e1aaf2ccd0f09f9ed89407de78e80463aa637088532"),
        f"Subramanian et al., J. Chem. Inf. Model. 56, 1936 (2016), doi:10.1021/acs.jcim.6b00290; {MOLECULENET}",
        smiles="mol",
    ),
    "tox21": MoleculeSet(
        "Tox21: twelve toxicity assays",
        "classification",
        _same(*TOX21),
        ("",),
        "scaffold",
        (104_469, "e9354eebf87b245f5fc1c3293a43f95e73647acf6a4e4372349249ec27a369bc"),
        (f"{CHEMPROP}/tox21.csv", 458_635, "b58cc1f683e78e3c7a1bf7116e9aac0119804018d100f7b8cdb0857941c31aca"),
        f"Huang et al., Front. Environ. Sci. 3, 85 (2016), doi:10.3389/fenvs.2015.00085; {MOLECULENET}",
    ),
    "sider": MoleculeSet(
        "SIDER: side effects of drugs by organ class",
        "classification",
        _same(*SIDER),
        ("",),
        "scaffold",
        (31_644, "c889228ea24b4fb50f63e198285b0ff2d6a2fd6303aab82d19eb43cdf322affe"),
        (f"{CHEMPROP}/sider.csv", 183_743, "71efc6ac4ca82d6545bc512509863281be0f17234afd7adaf71a71899988302e"),
        f"Kuhn et al., Nucleic Acids Res. 44, D1075 (2016), doi:10.1093/nar/gkv1075; {MOLECULENET}",
    ),
    "hiv": MoleculeSet(
        "HIV: inhibition of replication",
        "classification",
        _same("HIV_active"),
        ("",),
        "scaffold",
        (452_594, "e9d08a3f30a659307e23cbebf1a7736eb3466362f0b59eb1e82e6671e7e9ea1c"),
        (f"{CHEMPROP}/hiv.csv.gz", 415_719, "0a4a7390d6f22035c293e8e0d500655d76233b35f0f68ab128f3ceccdd97a297"),
        f"NCI Developmental Therapeutics Program, AIDS antiviral screen (2004); {MOLECULENET}",
    ),
    "qm8": MoleculeSet(
        "QM8: excited states of small molecules",
        "regression",
        _same(*QM8),
        ("hartree", "hartree", "", ""),
        "random",
        (1_170_859, "eb95a6b373c2456b1c3ed305d08504c6c27f4c11248f5e4c0f62e89597c7f2c8"),
        (f"{CHEMPROP}/qm8.csv.gz", 1_246_400, "04c445ef01a22b6fbe032c10bccd4c73704c3fd96e3c96a675c1b3a7658df877"),
        f"Ramakrishnan et al., J. Chem. Phys. 143, 084111 (2015), doi:10.1063/1.4928757; {MOLECULENET}",
    ),
    "cep-pce": MoleculeSet(
        "Harvard Clean Energy Project: efficiency of organic photovoltaics",
        "regression",
        _same("PCE"),
        ("%",),
        "random",
        (476_423, "c5e1ce388d263de642cccd0db511a1c26516d7360438247ed678738a2de4b82a"),
        (
            f"{FINGERPRINT}/2015-06-02-cep-pce/cep-processed.csv",
            2_119_766,
            "99c3def57a412e0ac3922194d0605b6a8a9056938706a44bc4ba1d35fe8bc8c0",
        ),
        "Hachmann et al., J. Phys. Chem. Lett. 2, 2241 (2011), doi:10.1021/jz200866s; arXiv:1509.09292",
    ),
    "malaria": MoleculeSet(
        "Malaria: efficacy against P. falciparum",
        "regression",
        _same("activity"),
        ("log EC50",),
        "random",
        (239_889, "12e6649fc6b9eff2af93928b3bad890e653d79844e24fe9126e607292b5de84d"),
        (
            f"{FINGERPRINT}/2015-06-03-malaria/malaria-processed.csv",
            735_229,
            "2cea95027569d94a05093f0e1ea9ae174b721298380d1dfc33f2eb802a0cf008",
        ),
        "Gamo et al., Nature 465, 305 (2010), doi:10.1038/nature09107; arXiv:1509.09292",
    ),
    "polymer-tg": MoleculeSet(
        "Glass transition temperature of polymers",
        "regression",
        {"Tg_K": "Exp_Tg(K)"},
        ("K",),
        "random",
        (87_773, "92ca3a50dd3eb7d5f03fafcde6d770677dce3de6edd818f13a8611ab7c4ccc2f"),
        (f"{POLYMETRIX}/Polymer_Tg.csv", 772_590, "89c500a8df1381c855e691c75849ee6c6e7a19f20a62efc35f7d57e85fc8184a"),
        "PolyMetriX, data/Polymer_Tg.csv of https://github.com/lamalab-org/PolyMetriX (2024)",
        smiles="PSMILES",
    ),
}

DATASETS: dict[str, Dataset] = {name: one.dataset(name) for name, one in SETS.items()}
