"""Scores of a structure predictor on chains of known structure, or on sequences of known secondary structure."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from common.app.errors import ConfigError
from common.training.distributed import ALONE, UNEVEN, World, gathered, process_group
from common.training.progress import ProgressReport
from common.training.run_directory import OUTPUTS, RunDirectory
from protein.config import EvaluateConfig, IdealChains, OwnChains, Pdb5k
from protein.data.chains import Chains
from protein.data.secondary_structure_sets import LabelledSequence, load
from protein.data.states import STATES, UNKNOWN_STATE
from protein.evaluation_report import write_report_of
from protein.model_inputs import Query
from protein.prediction import Prediction
from protein.predictor import StructurePredictor
from protein.samples import Source, open_source
from protein.scoring import contact_scores, residue_lddt, state_scores, stereochemistry, structure_scores

BY_RESIDUE = ("residue_plddt", "residue_lddt")
"""Columns of a frame that hold an array [L] for each chain: pLDDT, and true lDDT-CA x 100."""

POOLED = {
    "q3": "states", "q8": "states", "ca_steps": "length", "bonds": "length", "clashes": "length",
    "ramachandran_favoured": "length", "ramachandran_outlier": "length",
}  # fmt: skip
"""Scores whose mean is over residues, and the column that counts these; of the others it is over chains."""

FACTS = ("id", "structure", "length", "observed", "states", "ca_only", "cluster", "has_homologue", *BY_RESIDUE)
"""Columns that are no scores."""


def evaluate(config: EvaluateConfig) -> int:
    """Predict and score a data set; writes scores.csv and report.html, prints the means."""
    assert config.model is not None
    predictor = StructurePredictor.from_pretrained(config.model, config.device, offline=config.offline)
    with process_group(predictor.device, UNEVEN) as world:
        facts, frame = _scored(predictor, config, world)
    if not world.is_main:
        return 0
    run = RunDirectory(Path(config.output) if config.output else evaluation_folder(str(predictor.card["name"])))
    run.path.mkdir(parents=True, exist_ok=True)
    part = "" if config.data in ("cb513", "ts115") else f", {config.split}"
    report = write_scores(run, f"{predictor.card['name']} on {facts['title']}{part}", predictor, frame, facts)
    print_summary(frame)
    print(f"scores: {run.path / 'scores.csv'}  report: {report}")
    return 0


def _scored(
    predictor: StructurePredictor, config: EvaluateConfig, world: World
) -> tuple[Mapping[str, Any], pd.DataFrame]:
    """What the data set is, and its scores."""
    options: dict[str, Any] = {"cycles": config.cycles, "memory_gb": config.memory_gb, "world": world}
    if config.data in ("cb513", "ts115"):
        facts: Mapping[str, Any] = {"title": config.data.upper()}
        frame = score_sequences(predictor, load(config.data, config.offline)[: config.limit], **options)
    else:
        source, chains = _chains(config)
        facts, frame = source.facts, score_chains(predictor, chains, **options, fit=config.fit, relax=config.relax)
    return facts, frame


def score_chains(
    predictor: StructurePredictor, chains: Chains, cycles: int | None = None, memory_gb: float | None = None,
    fit: bool | None = None, relax: bool | None = None, silent: bool = False,
    world: World = ALONE,
) -> pd.DataFrame:  # fmt: skip
    """Predict each chain from its sequence and score it: one row a chain, in order.

    Columns: id, length, observed, ca_only, cluster; lddt_ca, lddt_all, tm_score, gdt_ts, gdt_ha in 0-1, rmsd_a in Å;
    p_long_l5, p_long_l2, p_long_l and the same of medium range; q3, q8, and states, the residues that they are over;
    plddt in 0-100; what `scoring.stereochemistry` gives of the prediction; and `BY_RESIDUE`.
    The model is told where residues of the molecule are not listed, and nothing else of the structure.
    Of several ranks each predicts its share, and all have the whole.
    """
    place, offsets = chains.place(), chains.offsets
    queries = [
        Query(str(chains.ids[index]), chains.sequence(index), place=place[offsets[index] : offsets[index + 1]])
        for index in range(len(chains))
    ]
    report = ProgressReport(len(queries) // world.size, 0, str(predictor.card["name"]), silent or not world.is_main)
    rows: dict[int, dict[str, Any]] = {}
    try:
        for index, prediction in _stream(predictor, queries, world, cycles, memory_gb, fit=fit, relax=relax):
            rows[index] = _chain_row(prediction, chains, index, place[offsets[index] : offsets[index + 1]])
            report.advance()
    finally:
        report.close()
    return _in_order(gathered(world, rows))


def score_sequences(
    predictor: StructurePredictor, labelled: Sequence[LabelledSequence], cycles: int | None = None,
    memory_gb: float | None = None, world: World = ALONE,
) -> pd.DataFrame:  # fmt: skip
    """Predict the secondary structure of each sequence: id, length, has_homologue, q3, q8, states, plddt."""
    queries = [Query(one.id, one.sequence) for one in labelled]
    rows: dict[int, dict[str, Any]] = {}
    for index, prediction in _stream(predictor, queries, world, cycles, memory_gb, fit=False, relax=False):
        one = labelled[index]
        states = np.array([STATES.index(letter) for letter in one.states])
        rows[index] = {
            "id": one.id, "length": len(prediction), "has_homologue": one.has_homologue,
            **state_scores(prediction.secondary, np.where(one.scored, states, UNKNOWN_STATE)),
            "plddt": prediction.mean_plddt,
        }  # fmt: skip
    return _in_order(gathered(world, rows))


def _stream(
    predictor: StructurePredictor, queries: Sequence[Query], world: World, *arguments: Any, **options: Any
) -> Iterator[tuple[int, Prediction]]:
    """`predict_stream` of this rank's share: about as many of each length as the others have."""
    by_length = sorted(range(len(queries)), key=lambda index: len(queries[index].sequence))
    own = by_length[world.rank :: world.size]
    for number, prediction in predictor.predict_stream([queries[index] for index in own], *arguments, **options):
        yield own[number], prediction


def _in_order(parts: Sequence[Mapping[int, Mapping[str, Any]]]) -> pd.DataFrame:
    rows = {index: row for part in parts for index, row in part.items()}
    return pd.DataFrame([rows[index] for index in range(len(rows))])


def summary(frame: pd.DataFrame) -> dict[str, float]:
    """Means of all scores, over chains or as `POOLED` says over residues; scores that nothing has are left out.

    pearson_residues, pearson_chains  correlation of pLDDT with true lDDT-CA, over residues and over means of chains
    """
    means: dict[str, float] = {}
    for name in (column for column in frame.columns if column not in FACTS):
        values = frame[name].to_numpy(float)
        weights = frame[POOLED[name]].to_numpy(float) if name in POOLED else np.ones(len(frame))
        known = np.isfinite(values) & (weights > 0)
        if known.any():
            means[name] = float(np.average(values[known], weights=weights[known]))
    if set(BY_RESIDUE) <= set(frame.columns):
        by_residue = [np.concatenate(list(frame[name])) for name in BY_RESIDUE]
        by_chain = [frame[name].to_numpy(float) for name in ("plddt", "lddt_ca")]
        found = {"pearson_residues": _pearson(*by_residue), "pearson_chains": _pearson(*by_chain)}
        means |= {name: value for name, value in found.items() if np.isfinite(value)}
    return means


def write_scores(
    run: RunDirectory, title: str, predictor: StructurePredictor, frame: pd.DataFrame,
    facts: Mapping[str, Any] | None = None,
) -> Path:  # fmt: skip
    """scores.csv and report.html of a predictor's scores in the run's folder; returns the report."""
    known = {"Model": predictor.card["name"], "Recycling": f"{predictor.cycles} cycles", **(facts or {})}
    return save_scores(run, title, frame, known)


def save_scores(run: RunDirectory, title: str, frame: pd.DataFrame, facts: Mapping[str, Any]) -> Path:
    """The same of scores without a predictor."""
    numbers = frame.drop(columns=[name for name in BY_RESIDUE if name in frame])
    numbers.to_csv(run.path / "scores.csv", index=False, float_format="%.6g")
    return write_report_of(run.path, title, frame, summary(frame), facts)


def print_summary(frame: pd.DataFrame) -> None:
    """One line a score; where homologues of the training set are marked, without these as well."""
    means = {"all": summary(frame)}
    if "has_homologue" in frame:
        means["without homologues in training"] = summary(frame.loc[~frame["has_homologue"].astype(bool)])
    for what, values in means.items():
        print(f"{what}: " + "  ".join(f"{name} {value:.4g}" for name, value in values.items()))


def evaluation_folder(name: str) -> Path:
    """A new folder under outputs/."""
    return OUTPUTS / "protein" / f"evaluate-{name}" / time.strftime("%Y-%m-%d_%H-%M-%S")


def _chains(config: EvaluateConfig) -> tuple[Source, Chains]:
    if config.data == "pdb5k":
        data: Pdb5k | OwnChains | IdealChains = Pdb5k(name="pdb5k")
    elif config.data == "ideal-chains":
        data = IdealChains(name="ideal-chains")
    else:
        data = OwnChains(name="chain-store", path=config.path or "")
    source = open_source(data, (config.split,), config.offline)
    chains = source.splits[config.split]
    if config.kind != "all":
        chains = chains.subset(chains.ca_only == (config.kind == "ca"))
    if not len(chains):
        raise ConfigError(f"data={config.data} split={config.split} has no chains of kind={config.kind}")
    return source, chains.subset(range(min(len(chains), config.limit or len(chains))))


def _chain_row(prediction: Prediction, chains: Chains, index: int, place: np.ndarray) -> dict[str, Any]:
    native, coords = chains.chain(index), prediction.coords
    rows = slice(chains.offsets[index], chains.offsets[index + 1])
    by_residue = 100 * residue_lddt(coords, native.atom37)
    return {
        "id": native.id, "length": len(native), "observed": int(native.observed.sum()),
        "ca_only": bool(chains.ca_only[index]), "cluster": int(chains.cluster[index]),
        **structure_scores(native.types, coords, native.atom37),
        **contact_scores(prediction.contacts, native.atom37, native.types, place),
        **state_scores(prediction.secondary, chains.states[rows]),
        "plddt": prediction.mean_plddt, **stereochemistry(native.types, coords, place),
        "residue_plddt": prediction.plddt, "residue_lddt": by_residue,
    }  # fmt: skip


def _pearson(first: np.ndarray, second: np.ndarray) -> float:
    known = np.isfinite(first) & np.isfinite(second)
    x, y = first[known], second[known]
    return float(np.corrcoef(x, y)[0, 1]) if len(x) > 2 and x.std() > 0 and y.std() > 0 else float("nan")
