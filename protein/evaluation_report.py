"""The report of scores: tables, distributions, and whether a model knows how good it is."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from common.results.plots import embed
from common.results.report import Section, Tile, data_table, run_report
from protein.pictures import confidence_against_truth, distributions
from protein.scoring import DIVISORS, RANGES

TITLES = {
    "lddt_ca": "lDDT-CA", "lddt_all": "lDDT, all atoms", "tm_score": "TM-score", "gdt_ts": "GDT_TS",
    "gdt_ha": "GDT_HA", "rmsd_a": "RMSD (Å)", "q3": "Q3", "q8": "Q8", "plddt": "mean pLDDT",
    "pearson_residues": "pLDDT and lDDT-CA of residues, Pearson",
    "pearson_chains": "pLDDT and lDDT-CA of chains, Pearson", "ca_steps": "C-alpha steps of 3.8 ± 0.1 Å",
    "bonds": "bond lengths within 0.05 Å", "clashes": "clashes per 100 residues",
    "ramachandran_favoured": "Ramachandran favoured", "ramachandran_outlier": "Ramachandran outliers",
    "identity": "sequence identity", "coverage": "native residues covered",
}  # fmt: skip
DIVISOR_TITLES = {"l5": "L/5", "l2": "L/2", "l": "L"}
DRAWN = ("lddt_ca", "tm_score", "gdt_ts", "p_long_l5", "rmsd_a", "q3", "gdt_ha", "p_medium_l5")
STEREOCHEMISTRY = ("ca_steps", "bonds", "clashes", "ramachandran_favoured", "ramachandran_outlier")
SHOWN = 10
"""Best and worst chains."""


def write_report_of(
    folder: Path, title: str, frame: pd.DataFrame, means: Mapping[str, float], facts: Mapping[str, Any]
) -> Path:
    """report.html of a frame of `evaluation` or `comparison`, with its means."""
    return run_report(folder, title, tiles=_tiles(frame, means), data=facts, domain_sections=sections_of(frame, means))


def sections_of(frame: pd.DataFrame, means: Mapping[str, float]) -> list[Section]:
    """Scores, contacts, distributions, confidence, stereochemistry, best and worst chains: those that there are."""
    sections = [Section("Scores", _scores(means))]
    if "p_long_l5" in means:
        sections.append(Section("Contacts", _precision(means)))
    names = {name: TITLES.get(name) or _precision_title(name) for name in DRAWN if name in means}
    if names:
        picture = embed(distributions(frame, names), "Scores of the chains; the dashed line is their mean")
        sections.append(Section("Distributions", f'<div class="scroll wide">{picture}</div>'))
    if "residue_lddt" in frame:
        sections.append(Section("Confidence", _confidence(frame)))
    rows = [(TITLES[name], means[name]) for name in STEREOCHEMISTRY if name in means]
    if rows:
        sections.append(Section("Stereochemistry of the predictions", data_table(("", "Mean over residues"), rows)))
    if "lddt_ca" in means:
        sections.append(Section("Chains", _extremes(frame)))
    return sections


def _tiles(frame: pd.DataFrame, means: Mapping[str, float]) -> list[Tile]:
    wanted = {
        "lddt_ca": "lDDT-CA",
        "tm_score": "TM-score",
        "gdt_ts": "GDT_TS",
        "p_long_l5": "Long-range P@L/5",
        "q3": "Q3",
    }
    tiles = [Tile(label, f"{means[name]:.3f}") for name, label in wanted.items() if name in means]
    return [*tiles, Tile("Chains", f"{len(frame):,}")]


def _scores(means: Mapping[str, float]) -> str:
    rows = [(TITLES[name], value) for name, value in means.items() if name in TITLES and name not in STEREOCHEMISTRY]
    return data_table(("Score", "Mean"), rows)


def _precision(means: Mapping[str, float]) -> str:
    rows = [(f"{range} range", *(means.get(f"p_{range}_{name}", np.nan) for name in DIVISORS)) for range in RANGES]
    note = "Share of true contacts among the pairs ranked highest; L is the number of residues with coordinates."
    return data_table(("Precision", *(f"P@{DIVISOR_TITLES[name]}" for name in DIVISORS)), rows, note)


def _precision_title(name: str) -> str:
    _, range, divisor = name.split("_")
    return f"{range} P@{DIVISOR_TITLES[divisor]}"


def _confidence(frame: pd.DataFrame) -> str:
    by_chain = confidence_against_truth(
        frame["plddt"].to_numpy(float), 100 * frame["lddt_ca"].to_numpy(float), "of a chain"
    )
    by_residue = confidence_against_truth(
        np.concatenate(list(frame["residue_plddt"])), np.concatenate(list(frame["residue_lddt"])), "of a residue"
    )
    pictures = embed(by_chain, "Mean pLDDT of each chain against its true lDDT-CA")
    pictures += embed(by_residue, "pLDDT of each residue against its true lDDT-CA")
    return f'<div class="figures">{pictures}</div>'


def _extremes(frame: pd.DataFrame) -> str:
    columns = [name for name in ("id", "length", "lddt_ca", "tm_score", "gdt_ts", "rmsd_a", "plddt") if name in frame]
    ordered = frame.sort_values("lddt_ca", ascending=False)[columns]
    parts = (
        [("The best", ordered.head(SHOWN)), ("The worst", ordered.tail(SHOWN))]
        if len(frame) > SHOWN
        else [("All", ordered)]
    )
    heads = ["Chain", "Residues", *(TITLES[name] for name in columns[2:])]
    return "".join(data_table(heads, part.values.tolist(), f"{title}, by lDDT-CA") for title, part in parts)
