"""Predictions that lie in files, whoever made them, against experimental structures.

Residues are matched by aligning sequences, so that numbering, missing residues and tags do not matter.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from Bio.Align import PairwiseAligner, substitution_matrices

from common.app.errors import ConfigError, DataFormatError
from common.training.run_directory import RunDirectory
from protein.config import EvaluateConfig
from protein.data.chain import Chain
from protein.data.chains import Chains
from protein.data.read import SUFFIXES, read_chains, stem_and_suffix
from protein.data.residues import COLUMN37
from protein.evaluation import evaluation_folder, print_summary, save_scores
from protein.scoring import residue_lddt, stereochemistry, structure_scores

NOTHING_COMPARED = 3
"""Exit status where not one prediction has a structure."""

LEAST_IDENTITY = 0.3
"""Share of aligned residues that are the same, below which two chains are not of one protein."""

LEAST_RESIDUES = 5
GAP_OPEN, GAP_EXTEND = -11.0, -1.0
"""As in BLASTP; ends are free."""


class Match(NamedTuple):
    """Residues of a prediction and of a native that belong together [M], and the share that is the same."""

    predicted: np.ndarray
    native: np.ndarray
    identity: float


def compare(config: EvaluateConfig) -> int:
    """Score the files; writes scores.csv, rejected.csv and report.html, and returns the exit status."""
    assert config.predictions is not None and config.structures is not None
    rejected: list[tuple[str, str]] = []
    natives = structure_files(Path(config.structures))
    files = list(structure_files(Path(config.predictions)).values())[: config.limit]
    rows = [row for path in files for row in _rows_of(path, natives, rejected)]
    name = Path(config.predictions).stem
    run = RunDirectory(Path(config.output) if config.output else evaluation_folder(name))
    run.path.mkdir(parents=True, exist_ok=True)
    with (run.path / "rejected.csv").open("w", newline="", encoding="utf-8") as stream:
        csv.writer(stream, lineterminator="\n").writerows([("input", "reason"), *rejected])
    if rejected:
        print(f"{len(rejected)} rejected, with reasons -> {run.path / 'rejected.csv'}")
    if not rows:
        return NOTHING_COMPARED
    frame = pd.DataFrame(rows)
    facts = {"Predictions": config.predictions, "Structures": config.structures, "Rejected": len(rejected)}
    report = save_scores(run, f"{name} against {Path(config.structures).name}", frame, facts)
    print_summary(frame)
    print(f"scores: {run.path / 'scores.csv'}  report: {report}")
    return 0


def compare_chains(predicted: Chain, native: Chain, match: Match) -> dict[str, Any]:
    """Scores of a prediction, over the residues that both chains have; columns as of `evaluation.score_chains`.

    TM-score and GDT are shares of all residues that the native shows; identity is of the aligned residues, coverage
    the share of the native's that the prediction has. plddt is the mean of B factors, NaN where they cannot be pLDDT.
    """
    types, model = predicted.types[match.predicted], predicted.atom37[match.predicted]
    truth, observed = native.atom37[match.native], int(native.observed.sum())
    both = predicted.observed[match.predicted] & native.observed[match.native]
    plddt = _plddt(predicted)[match.predicted]
    return {
        "length": len(native), "observed": observed, "identity": match.identity,
        "coverage": float(both.sum()) / observed, **structure_scores(types, model, truth, observed),
        "plddt": float(np.nanmean(plddt)) if np.isfinite(plddt).any() else float("nan"),
        **stereochemistry(predicted.types, predicted.atom37, Chains.of([predicted]).place()),
        "residue_plddt": plddt, "residue_lddt": 100 * residue_lddt(model, truth),
    }  # fmt: skip


def aligned(predicted: Chain, native: Chain) -> Match:
    """The residues of two chains that belong together, by global alignment of their sequences with free ends.

    Raises DataFormatError where they are not of one protein.
    """
    if predicted.sequence == native.sequence:
        every = np.arange(len(predicted))
        return Match(every, every, 1.0)
    blocks = _aligner().align(predicted.sequence, native.sequence)[0].aligned
    nothing = np.zeros(0, np.int64)
    one, other = (np.concatenate([nothing, *(np.arange(*block) for block in part)]) for part in blocks)
    same = [predicted.sequence[a] == native.sequence[b] for a, b in zip(one, other, strict=True)]
    identity = float(np.mean(same)) if same else 0.0
    if identity < LEAST_IDENTITY or len(same) < LEAST_RESIDUES:
        raise DataFormatError(
            f"{predicted.id} and {native.id} agree in {sum(same)} of {len(same)} aligned residues; expected at least "
            f"{LEAST_IDENTITY:.0%}: are they of one protein?"
        )
    return Match(one, other, identity)


def structure_files(path: Path) -> dict[str, Path]:
    """Structure files by name without endings: one, or those of a folder; of two of one name the first.

    Raises ConfigError where there is none.
    """
    if not path.exists():
        raise ConfigError(f"{path}: no such file or folder")
    files = sorted(path.iterdir()) if path.is_dir() else [path]
    found: dict[str, Path] = {}
    for file in files:
        stem, suffix = stem_and_suffix(file)
        if file.is_file() and suffix in SUFFIXES:
            found.setdefault(stem, file)
    if not found:
        raise ConfigError(f"{path} holds no structure file; expected {', '.join(SUFFIXES)}, plain or compressed")
    return found


def _rows_of(path: Path, natives: Mapping[str, Path], rejected: list[tuple[str, str]]) -> Iterator[dict[str, Any]]:
    stem = stem_and_suffix(path)[0]
    try:
        file, wanted = _native_file(stem, natives)
        candidates = read_chains(file)
        named = [chain for chain in candidates if _name(chain) == wanted]
        for predicted in read_chains(path):
            native, match = _best(predicted, named or candidates)
            if not (native.observed[match.native] & predicted.observed[match.predicted]).sum() >= LEAST_RESIDUES:
                raise DataFormatError(f"{predicted.id} and {native.id} have no residues with coordinates in common")
            yield {
                "id": f"{stem}_{_name(predicted)}", "structure": f"{stem_and_suffix(file)[0]}_{_name(native)}",
                **compare_chains(predicted, native, match),
            }  # fmt: skip
    except DataFormatError as error:
        rejected.append((str(path), str(error)))


def _native_file(stem: str, natives: Mapping[str, Path]) -> tuple[Path, str | None]:
    """The file that belongs to a prediction, and the chain that its name asks for: 1abc_A is chain A of 1abc.cif."""
    by_name = {name.lower(): file for name, file in natives.items()}
    entry, _, chain = stem.rpartition("_")
    if stem.lower() in by_name:
        return by_name[stem.lower()], chain or None
    if entry and entry.lower() in by_name:
        return by_name[entry.lower()], chain
    if len(natives) == 1:
        return next(iter(natives.values())), chain or None
    raise DataFormatError(f"no structure is called {stem}" + (f" or {entry}" if entry else "") + "; rename one of them")


def _best(predicted: Chain, natives: Sequence[Chain]) -> tuple[Chain, Match]:
    """The native chain that shares most residues; raises the last DataFormatError where none is of this protein."""
    found: list[tuple[Chain, Match]] = []
    failed: DataFormatError | None = None
    for native in natives:
        try:
            found.append((native, aligned(predicted, native)))
        except DataFormatError as error:
            failed = error
    if not found:
        raise failed or DataFormatError(f"no structure to compare {predicted.id} with")
    return max(found, key=lambda pair: pair[1].identity * len(pair[1].native))


def _plddt(chain: Chain) -> np.ndarray:
    """B factors of the C-alpha atoms [L], NaN where one of them lies outside 0-100 or all are the same."""
    values = chain.b_factor[:, COLUMN37["CA"]]
    known = values[np.isfinite(values)]
    if not len(known) or known.min() < 0 or known.max() > 100 or known.min() == known.max():
        return np.full(len(chain), np.nan, np.float32)
    return values


def _name(chain: Chain) -> str:
    return chain.id.rpartition("_")[2]


@cache
def _aligner() -> PairwiseAligner:
    aligner = PairwiseAligner(mode="global", substitution_matrix=substitution_matrices.load("BLOSUM62"))
    aligner.open_gap_score, aligner.extend_gap_score, aligner.end_gap_score = GAP_OPEN, GAP_EXTEND, 0.0
    return aligner
