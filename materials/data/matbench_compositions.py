"""The thirteen tasks of Matbench v0.1 by composition alone: Dunn et al., doi:10.1038/s41524-020-00406-3.

Official protocol: five folds; each is tested once by what learned the other four. Here a model learns from folds 0-2
(`train`), fold 3 is the public test (`val`: it must not choose weights, so train with `trainer.select=last`), fold 4 is
kept for a blind one (`test`, only in a file converted from the public original).

The packed file of a task is `materials/reference/matbench_<task>.parquet` with the columns mbid, composition, target,
fold. The tasks with structures lose them here: equal compositions of different structures have different targets, which
bounds what any model of the composition can reach.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd

from common.app.errors import ConfigError, DataFormatError
from common.app.registry import did_you_mean
from common.data.archive import Limits, members
from common.data.artifact import sha256_of
from common.data.datasets import Dataset, File, Source, fetch
from materials.data.compositions import Compositions
from materials.data.splits import k_folds

FOLDS = 5
FOLD_SEED = 18012019
PARTS = {"train": (0, 1, 2), "val": (3,), "test": (4,)}
"""Folds of each part."""

COLUMNS = ("mbid", "composition", "target", "fold")
ORIGINALS = "https://ml.materialsproject.org/projects"
ORIGINAL_LIMITS = Limits(bytes=20_000_000_000)
MATBENCH = "Dunn et al., npj Comput. Mater. 6, 138 (2020), doi:10.1038/s41524-020-00406-3"
MATERIALS_PROJECT = "Jain et al., APL Mater. 1, 011002 (2013), doi:10.1063/1.4812323"
DE_JONG = "de Jong et al., Sci. Data 2, 150009 (2015), doi:10.1038/sdata.2015.9"
ZHUO = "Zhuo et al., J. Phys. Chem. Lett. 9, 1668 (2018), doi:10.1021/acs.jpclett.8b00124"


@dataclass(frozen=True)
class MatbenchTask:
    """What is known about one task.

    target    our name of the property
    original  name of the property in the public original, and that file's SHA-256
    packed    bytes and SHA-256 of the packed file
    """

    title: str
    target: str
    unit: str
    samples: int
    original: tuple[str, str]
    packed: tuple[int, str]
    citation: str
    structures: bool = True
    """Whether the official task has them."""
    kind: Literal["regression", "classification"] = "regression"

    def dataset(self, task: str) -> Dataset:
        """The registry entry."""
        return Dataset(
            name=dataset_name(task),
            title=f"Matbench v0.1: {self.title}, by composition",
            description=(
                f"{self.title} of {self.samples:,} materials, by composition"
                f"{' (the structures of the official task are left out)' if self.structures else ''}; {self.kind}. "
                "Train: folds 0-2, val: fold 3, test: fold 4 (only in a file converted from the original)."
            ),
            licence="MIT (repository of Matbench, which publishes the table)",
            citation=f"{MATBENCH}; {self.citation}",
            homepage="https://matbench.materialsproject.org",
            files=(File(_packed_name(task), *self.packed),),
            sources=(
                Source(
                    # Its size is not known; `convert` checks the SHA-256.
                    (File(f"materials/originals/matbench_{task}.json.gz", 400_000_000, None, original_url(task)),),
                    "materials.data.matbench_compositions:convert",
                ),
            ),
        )


def load(name: str, split: str, offline: bool = False, fold: int | None = None) -> Compositions:
    """The compositions of a part of a data set: train (folds 0-2), val (fold 3) or test (fold 4).

    `fold`: `val` is that one, `train` all others of the file. Raises ConfigError for another part, or one that the file
    does not hold.
    """
    _task_of(name)
    if fold is None:
        wanted = folds_of(name, split, None, ())  # a wrong part is told before anything is fetched
        return read_packed(*_file(name, offline), wanted)
    path, target = _file(name, offline)
    held = pd.read_parquet(path, columns=["fold"])["fold"].unique().tolist()
    return read_packed(path, target, folds_of(name, split, fold, held))


def load_folds(name: str, folds: Sequence[int], offline: bool = False) -> Compositions:
    """The compositions whose official test fold is one of `folds`, in the official order; ids are Matbench's."""
    return read_packed(*_file(name, offline), folds)


def folds_of(name: str, split: str, fold: int | None, held: Sequence[int]) -> tuple[int, ...]:
    """The folds of a part; `held`: those of the file. ConfigError for a part that there is not."""
    parts = PARTS if fold is None else {"train": tuple(sorted(set(held) - {fold})), "val": (fold,)}
    if split not in parts:
        raise ConfigError(f"{name} has no split '{split}'. {did_you_mean(split, list(parts))}")
    return parts[split]


def _file(name: str, offline: bool) -> tuple[Path, str]:
    """The packed file of a set and its target."""
    task = _task_of(name)
    (path,) = fetch(DATASETS[name], offline=offline).values()
    return path, TASKS[task].target


def _task_of(name: str) -> str:
    tasks = {dataset_name(task): task for task in TASKS}
    if name not in tasks:
        raise ConfigError(f"unknown Matbench set '{name}'. {did_you_mean(name, list(tasks))}")
    return tasks[name]


def read_packed(path: Path, target: str, folds: Sequence[int]) -> Compositions:
    """The rows of `folds` in a parquet file with the columns mbid, composition, target, fold.

    Raises DataFormatError for a file that is not such a table, ConfigError where it has no row of one of the folds.
    """
    try:
        table = pd.read_parquet(path, columns=list(COLUMNS))
        fold, value = table["fold"].to_numpy(np.int64), table["target"].to_numpy(np.float64)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DataFormatError(f"{path} ({error}): expected parquet with the columns {', '.join(COLUMNS)}") from error
    if missing := set(folds) - set(fold.tolist()):
        held = ", ".join(map(str, sorted(set(fold.tolist()))))
        raise ConfigError(f"{path} has no rows of fold {', '.join(map(str, sorted(missing)))}; it holds folds {held}")
    chosen = np.isin(fold, folds)
    rows = table[chosen]
    return Compositions.of(rows["composition"], [str(one) for one in rows["mbid"]], {target: value[chosen]})


def convert(originals: dict[str, Path], folder: Path) -> None:
    """The packed file of the one public original given, all five folds.

    The original is a data frame as JSON: {"columns": [input, target], "data": [[input, target] ...]}; the input is a
    formula, or a structure as pymatgen writes it. The largest needs about 30 GB of memory.
    """
    ((file, path),) = originals.items()
    task = file.removeprefix("matbench_").removesuffix(".json.gz")
    known = TASKS[task]
    if sha256_of(path) != known.original[1]:
        raise DataFormatError(f"{path} is not the published file (SHA-256 {known.original[1]}); fetch it again")
    inputs, target = read_original(path, known.original[0])
    digits = len(str(len(inputs)))
    pd.DataFrame({
        "mbid": [f"mb-{task.replace('_', '-')}-{row:0{digits}d}" for row in range(1, len(inputs) + 1)],
        "composition": [one if isinstance(one, str) else _formula(one) for one in inputs],
        "target": np.array(target, np.float32 if known.kind == "regression" else np.int8),
        "fold": official_folds(target, known.kind),
    }).to_parquet(folder / Path(_packed_name(task)).name)  # fmt: skip


def official_folds(target: Sequence[float] | np.ndarray, kind: Literal["regression", "classification"]) -> np.ndarray:
    """Test fold of each sample [N] int64.

    As scikit-learn's KFold or, for classes, StratifiedKFold(5, shuffle=True, random_state=18012019) has them.
    """
    fold = np.empty(len(target), np.int64)
    if kind == "regression":
        for number, (_, test) in enumerate(k_folds(len(target), FOLDS, FOLD_SEED)):
            fold[test] = number
        return fold
    # Classes are numbered as they appear; each is dealt out evenly, as if all samples were sorted by class.
    _, first, label = np.unique(target, return_index=True, return_inverse=True)
    label = np.argsort(np.argsort(first))[label]
    ordered, random = np.sort(label), np.random.RandomState(FOLD_SEED)
    for one in range(len(first)):
        shares = [int((ordered[number::FOLDS] == one).sum()) for number in range(FOLDS)]
        dealt = np.repeat(np.arange(FOLDS), shares)
        random.shuffle(dealt)
        fold[label == one] = dealt
    return fold


def dataset_name(task: str) -> str:
    """How the data set of a task is called; the plain name of a task with structures is that of the crystals."""
    return f"matbench-{task.replace('_', '-')}{'-compositions' if TASKS[task].structures else ''}"


def read_original(path: Path, target: str) -> tuple[list[Any], list[float]]:
    try:
        content = next(json.loads(stream.read()) for _, stream in members(path, ORIGINAL_LIMITS))
        column = content["columns"].index(target)
        return [row[1 - column] for row in content["data"]], [float(row[column]) for row in content["data"]]
    except (StopIteration, ValueError, KeyError, TypeError, IndexError, AttributeError) as error:
        raise DataFormatError(f"{path} ({error!r}): expected JSON with two columns, one of them '{target}'") from error


def _formula(structure: dict[str, Any]) -> str:
    """The content of a pymatgen structure: K6 S6."""
    amounts: Counter[str] = Counter()
    try:
        for site in structure["sites"]:
            for species in site["species"]:
                amounts[species["element"]] += species["occu"]
    except (KeyError, TypeError) as error:
        raise DataFormatError(f"a structure is not as pymatgen writes it ({error!r})") from error
    return " ".join(f"{symbol}{amount:g}" for symbol, amount in amounts.items())


def _packed_name(task: str) -> str:
    return f"materials/reference/matbench_{task}.parquet"


def original_url(task: str) -> str:
    return f"{ORIGINALS}/matbench_{task}.json.gz"


TASKS: dict[str, MatbenchTask] = {
    "steels": MatbenchTask(
        "Yield strength of steels",
        "yield_strength",
        "MPa",
        312,
        ("yield strength", "473bc4957b2ea5e6465aef84bc29bb48ac34db27d69ea4ec5f508745c6fae252"),
        (10_918, "0e871307befb36a2f99be0978f7c18c0546faf91737e3a6553b077610bd96039"),
        "Citrine Informatics, data set 153092 (Conduit and Bajaj, 2017)",
        structures=False,
    ),
    "expt_gap": MatbenchTask(
        "Measured band gap",
        "band_gap",
        "eV",
        4_604,
        ("gap expt", "783e7d1461eb83b00b2f2942da4b95fda5e58a0d1ae26b581c24cf8a82ca75b2"),
        (44_771, "fbe0988c17dacbb86c52d2eed8920975b1952565095f2b14eacb5ffaf765f9d7"),
        ZHUO,
        structures=False,
    ),
    "expt_is_metal": MatbenchTask(
        "Metal or not, measured",
        "is_metal",
        "",
        4_921,
        ("is_metal", "8f2a4f9bacdcbc5c2c73615629ee7986f09d39bed40ba7db52b61b2889730887"),
        (43_244, "fdd92a9311cb05687f67208f242303bf35fca1270028e11f8e6503c19faf4d89"),
        ZHUO,
        structures=False,
        kind="classification",
    ),
    "glass": MatbenchTask(
        "Metallic glass formation",
        "forms_glass",
        "",
        5_680,
        ("gfa", "36beb654e2a463ee2a6572105bea0ca2961eee7c7b26a25377bff2c3b338e53a"),
        (50_576, "c1b50c0c62bd959595006e227bf44c2c6047f9d4201a358b887ea8525291c9fc"),
        "Kawazoe et al., Nonequilibrium Phase Diagrams of Ternary Amorphous Alloys, Landolt-Börnstein III/37A (1997)",
        structures=False,
        kind="classification",
    ),
    "jdft2d": MatbenchTask(
        "Exfoliation energy of two-dimensional materials",
        "exfoliation_energy",
        "meV/atom",
        636,
        ("exfoliation_en", "26057dc4524e193e32abffb296ce819b58b6e11d1278cae329a2f97817a4eddf"),
        (10_701, "5f6192b020f7313a898b778b098553f441091a1bbbf51cf815caf982ff14503d"),
        "Choudhary et al., Sci. Rep. 7, 5179 (2017), doi:10.1038/s41598-017-05402-0",
    ),
    "phonons": MatbenchTask(
        "Highest optical phonon peak",
        "last_phdos_peak",
        "1/cm",
        1_265,
        ("last phdos peak", "4db551f21ec5f577e6202725f10e34dfc509aa7df3a6bdaac497da7f6dbbb9b3"),
        (17_211, "54a4b8fbd57482a008929265921c48d097c4e4e4c7f595c65702699d112c8f3d"),
        "Petretto et al., Sci. Data 5, 180065 (2018), doi:10.1038/sdata.2018.65",
    ),
    "dielectric": MatbenchTask(
        "Refractive index",
        "refractive_index",
        "",
        4_764,
        ("n", "83befa09bc2ec2f4b6143afc413157827a90e5e2e42c1eb507ccfa01bf26a1d6"),
        (65_328, "e0b01edcd3d05f70d32168f4552d26140b26e87b74253f3ba8350c05ff885033"),
        "Petousis et al., Sci. Data 4, 160134 (2017), doi:10.1038/sdata.2016.134",
    ),
    "log_gvrh": MatbenchTask(
        "Shear modulus",
        "log10_g_vrh",
        "log10(GPa)",
        10_987,
        ("log10(G_VRH)", "098af941f4c663270f1fe21abf20ffad6fb85ecbfcba5786ceac03983ac29da7"),
        (108_624, "921b6f70ba563c1bd495e445c1f7eef928de72fecf1639b1d6ed4a7fca732e42"),
        DE_JONG,
    ),
    "log_kvrh": MatbenchTask(
        "Bulk modulus",
        "log10_k_vrh",
        "log10(GPa)",
        10_987,
        ("log10(K_VRH)", "44b113ddb7e23aa18731a62c74afa7e5aa654199e0db5f951c8248a00955c9cd"),
        (111_049, "7c2687e534c3676a51241cd6fc73e85b8092aac931d3451952f8104d550fea7d"),
        DE_JONG,
    ),
    "perovskites": MatbenchTask(
        "Formation energy of perovskites",
        "e_form",
        "eV/cell",
        18_928,
        ("e_form", "4641e2417f8ec8b50096d2230864468dfa08278dc9d257c327f65d0305278483"),
        (143_653, "4e3644eeab144b8792fc460c0f11fc569c9a508dd3855e52c78356889b808b72"),
        "Castelli et al., Energy Environ. Sci. 5, 9034 (2012), doi:10.1039/C2EE22341D",
    ),
    "mp_gap": MatbenchTask(
        "Band gap (PBE)",
        "band_gap",
        "eV",
        106_113,
        ("gap pbe", "58b65746bd88329986ed66031a2ac1369c7c522f7bc9f9081528e07097c2c057"),
        (1_186_799, "7c226c8bab7420f7f38ff8c3c410aa39de0bba54946c05a2077039b741b415c0"),
        MATERIALS_PROJECT,
    ),
    "mp_is_metal": MatbenchTask(
        "Metal or not (PBE)",
        "is_metal",
        "",
        106_113,
        ("is_metal", "9a028ed5750a4c76ca36e9f3c8d48fe0bf3fb21b76ec2289e58ae7048d527919"),
        (955_094, "f570bc59493a2bf70d6793c775a259d17e221ed6f1dd3ec61d62d558eb8e9f46"),
        MATERIALS_PROJECT,
        kind="classification",
    ),
    "mp_e_form": MatbenchTask(
        "Formation energy",
        "e_form",
        "eV/atom",
        132_752,
        ("e_form", "dedcb1d4ba2e3e50dbdd45ba5bc647a00e9c2bcf8f8bf556dc8e92caa39eb21f"),
        (1_675_752, "cbda70b901129e809737f6c8874b907e7d7c2588153793c7e58b31f0dd4282d6"),
        MATERIALS_PROJECT,
    ),
}

DATASETS: dict[str, Dataset] = {dataset_name(task): one.dataset(task) for task, one in TASKS.items()}
