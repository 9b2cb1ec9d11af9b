"""Scores of predictions: a perfect one has the best, and numbering, tags and position do not matter."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from common.app.cli import main
from common.app.errors import DataFormatError
from protein.comparison import aligned, compare_chains
from protein.data.chain import Chain
from protein.data.chains import Chains
from protein.data.read import read_chain
from protein.data.residues import COLUMN37
from protein.data.secondary_structure_sets import LabelledSequence
from protein.data.states import STATES
from protein.data.write import write_mmcif, write_pdb
from protein.evaluation import score_chains, score_sequences, summary
from protein.ideal_set import ideal_chains
from protein.model_inputs import Query
from protein.prediction import Prediction
from protein.predictor import StructurePredictor
from protein.scoring import contact_scores, residue_lddt, stereochemistry, structure_scores
from tests.protein.small import predictor

CA = COLUMN37["CA"]
PERFECT = ("lddt_ca", "tm_score", "gdt_ts", "gdt_ha", "q3")


@pytest.fixture(scope="module")
def chains() -> Chains:
    return ideal_chains("test", 40)


class Oracle:
    """Stands for a predictor: it knows the truth, moved and turned, and says how sure it is by chance."""

    card = {"name": "oracle"}  # noqa: RUF012
    cycles = 1

    def __init__(self, chains: Chains) -> None:
        self.chains = chains

    def states(self, index: int) -> str:
        rows = slice(self.chains.offsets[index], self.chains.offsets[index + 1])
        return "".join(STATES[state] for state in self.chains.states[rows])

    def predict_stream(self, queries: Sequence[Query], *_: object, **__: object) -> Iterator[tuple[int, Prediction]]:
        names = list(self.chains.ids)
        for number in reversed(range(len(queries))):
            index = names.index(queries[number].id)
            chain = self.chains.chain(index)
            ca = chain.atom37[:, CA]
            distance = np.linalg.norm(ca[:, None] - ca[None], axis=-1)
            yield number, Prediction(
                chain.id, chain.sequence, moved(chain.atom37), np.linspace(20, 90, len(chain), dtype=np.float32),
                np.exp(-distance), self.states(index),
            )  # fmt: skip


def moved(atoms: np.ndarray) -> np.ndarray:
    rotation = np.linalg.qr(np.random.default_rng(0).normal(size=(3, 3)))[0]
    rotation *= np.linalg.det(rotation)
    return (atoms @ rotation.T + [5, -70, 12]).astype(np.float32)


def mirrored(atoms: np.ndarray) -> np.ndarray:
    return atoms * np.array([1, 1, -1], np.float32)


def test_a_perfect_prediction_has_perfect_scores(chains: Chains) -> None:
    frame = score_chains(Oracle(chains), chains, silent=True)  # type: ignore[arg-type]
    assert list(frame["id"]) == chains.ids.tolist()
    for name in PERFECT:
        np.testing.assert_allclose(frame[name], 1, atol=2e-3, err_msg=name)
    assert (frame["rmsd_a"] < 0.02).all()
    means = summary(frame)
    assert means["ca_steps"] > 0.99 and means["bonds"] > 0.99 and means["ramachandran_favoured"] > 0.9
    assert all(np.isfinite(value) for value in means.values())
    for name in ("p_long_l5", "p_medium_l5"):
        assert frame[name].dropna().between(0, 1).all()


def test_contacts_are_precise_where_they_are_true(chains: Chains) -> None:
    chain, place = chains.chain(0), np.arange(chains.lengths[0])
    beta = np.where(np.isfinite(chain.atom37[:, COLUMN37["CB"]]), chain.atom37[:, COLUMN37["CB"]], chain.atom37[:, CA])
    distance = np.linalg.norm(beta[:, None] - beta[None], axis=-1).astype(np.float32)
    apart = np.abs(place[:, None] - place[None])
    true = int(((distance < 8) & (apart >= 12) & (apart < 24)).sum() / 2)
    best = contact_scores(-distance, chain.atom37, chain.types, place)
    worst = contact_scores(distance, chain.atom37, chain.types, place)
    pairs = int(((apart >= 12) & (apart < 24)).sum() / 2)
    assert best["p_medium_l"] == pytest.approx(min(1.0, true / min(len(chain), pairs)), abs=1e-6)
    assert worst["p_medium_l5"] == 0
    # Numbers of residues decide the range: with a gap of 100 in the middle there is more at long range.
    gap = place + 100 * (place >= len(place) // 2)
    assert contact_scores(-distance, chain.atom37, chain.types, gap)["p_long_l5"] > 0


def test_scores_tell_a_mirror_image_and_a_break(chains: Chains) -> None:
    chain = max((chains.chain(index) for index in range(len(chains))), key=len)
    whole = structure_scores(chain.types, moved(chain.atom37), chain.atom37)
    image = structure_scores(chain.types, mirrored(chain.atom37), chain.atom37)
    assert whole["tm_score"] > 0.999 and image["tm_score"] < 0.9 and image["lddt_ca"] > 0.999
    broken = chain.atom37.copy()
    broken[len(chain) // 2 :] += 10
    assert stereochemistry(chain.types, broken)["ca_steps"] < stereochemistry(chain.types, chain.atom37)["ca_steps"]
    by_residue = residue_lddt(broken, chain.atom37)
    middle = len(chain) // 2
    assert by_residue[middle] < by_residue[0] and by_residue[middle - 1] < by_residue[-1]
    half = chain.atom37.copy()
    half[: len(chain) // 2] = np.nan
    part = structure_scores(chain.types, chain.atom37, half)
    assert part["lddt_ca"] > 0.999 and part["rmsd_a"] < 1e-3
    assert structure_scores(chain.types, half, chain.atom37, len(chain))["gdt_ts"] == pytest.approx(0.5, abs=0.02)


def test_means_are_over_residues_where_that_is_usual() -> None:
    frame = pd.DataFrame({
        "id": ["a", "b", "c"], "length": [10, 30, 5], "lddt_ca": [0.2, 0.6, np.nan], "q3": [1.0, 0.5, np.nan],
        "states": [10, 30, 0], "clashes": [0.0, 4.0, 0.0], "plddt": [50.0, 70.0, 60.0],
        "residue_plddt": [np.array([1.0, 2.0]), np.array([3.0]), np.array([np.nan])],
        "residue_lddt": [np.array([2.0, 4.0]), np.array([6.0]), np.array([1.0])],
    })  # fmt: skip
    means = summary(frame)
    assert means["lddt_ca"] == pytest.approx(0.4) and means["q3"] == pytest.approx(25 / 40)
    assert means["clashes"] == pytest.approx(120 / 45) and means["pearson_residues"] == pytest.approx(1)
    assert "length" not in means and "states" not in means and "pearson_chains" not in means


def test_secondary_structure_counts_where_it_is_scored() -> None:
    tiny: StructurePredictor = predictor()
    sequence, scored = "MKTAYIAKQR", np.arange(10) >= 4
    found = tiny.predict(sequence).secondary
    wrong = "".join(STATES[(STATES.index(letter) + 1) % 8] for letter in found[:4])
    (row,) = score_sequences(
        tiny, [LabelledSequence("x", sequence, wrong + found[4:], scored, False)]
    ).to_dict("records")  # fmt: skip
    assert row["q8"] == 1 and row["q3"] == 1 and row["states"] == 6
    assert score_sequences(tiny, [LabelledSequence("x", sequence, wrong + found[4:], ~scored, True)])["q8"][0] == 0


def protein(**changes: Any) -> Chain:
    """The longest ideal chain, as a prediction with pLDDT or as a native."""
    chains = ideal_chains("test", 40)
    chain = chains.chain(int(np.argmax(chains.lengths)))
    plddt = np.linspace(30, 95, len(chain), dtype=np.float32)
    b_factor = np.where(chain.mask, plddt[:, None], np.float32(np.nan))
    number = np.arange(1, len(chain) + 1, dtype=np.int32)
    return replace(chain, id="x_A", atom37=moved(chain.atom37), b_factor=b_factor, number=number, **changes)


def with_tag(chain: Chain, tag: str, number: int) -> Chain:
    """Residues without coordinates before it, numbered otherwise, and three residues that the experiment lost."""
    atoms = np.concatenate([np.full((len(tag), 37, 3), np.nan, np.float32), mirrored(mirrored(chain.atom37))])
    atoms[len(tag) + 5 : len(tag) + 8] = np.nan
    length = len(tag) + len(chain)
    return Chain(
        "x_B", tag + chain.sequence, atoms, np.where(np.isfinite(atoms[..., 0]), np.float32(20), np.float32(np.nan)),
        np.arange(number, number + length, dtype=np.int32), np.full(length, "", "<U4"), True,
    )  # fmt: skip


def test_numbering_tags_and_missing_residues_do_not_matter() -> None:
    predicted, native = protein(), with_tag(protein(), "GSHMASMTG", 301)
    match = aligned(predicted, native)
    scores = compare_chains(predicted, native, match)
    assert match.identity == 1 and (match.native - match.predicted == 9).all()
    assert scores["observed"] == len(predicted) - 3 and scores["coverage"] == 1
    for name in ("lddt_ca", "lddt_all", "tm_score", "gdt_ts", "gdt_ha"):
        assert scores[name] == pytest.approx(1, abs=1e-3), name
    assert scores["rmsd_a"] < 1e-3 and scores["plddt"] == pytest.approx(62.5, abs=1)
    assert np.isnan(compare_chains(native, predicted, aligned(native, predicted))["plddt"]), "B factors of 20 are none"


def test_two_proteins_are_not_compared() -> None:
    other = replace(protein(), sequence="W" * len(protein()))
    with pytest.raises(DataFormatError, match="are they of one protein"):
        aligned(protein(), other)


def test_folders_are_compared_file_by_file(tmp_path: Path, capsys) -> None:
    for name in ("predicted", "native"):
        (tmp_path / name).mkdir()
    chain = protein()
    write_pdb(tmp_path / "predicted" / "one.pdb", chain)
    write_mmcif(tmp_path / "predicted" / "one.cif", chain)
    write_pdb(tmp_path / "predicted" / "two_B.pdb", chain)
    write_pdb(tmp_path / "predicted" / "lost.pdb", chain)
    write_pdb(tmp_path / "predicted" / "wrong.pdb", chain)
    (tmp_path / "predicted" / "broken.pdb").write_text("ATOM\n")
    write_mmcif(tmp_path / "native" / "ONE.cif", with_tag(chain, "MGH", 5))
    other = replace(chain, sequence="W" * len(chain), id="x_A")
    write_mmcif(tmp_path / "native" / "two.cif", [other, with_tag(chain, "MGH", 5)])
    write_mmcif(tmp_path / "native" / "wrong.cif", other)
    write_mmcif(tmp_path / "native" / "broken.cif", chain)
    arguments = [f"predictions={tmp_path / 'predicted'}", f"structures={tmp_path / 'native'}"]
    assert main(["protein", "evaluate", *arguments, f"output={tmp_path / 'out'}"]) == 0
    frame = pd.read_csv(tmp_path / "out" / "scores.csv")
    assert frame["structure"].tolist() == ["ONE_B", "two_B"] and np.allclose(frame["tm_score"], 1, atol=1e-3)
    with (tmp_path / "out" / "rejected.csv").open() as stream:
        reasons = {Path(row["input"]).name: row["reason"] for row in csv.DictReader(stream)}
    assert reasons.keys() == {"lost.pdb", "wrong.pdb", "broken.pdb"} and "no structure is called" in reasons["lost.pdb"]
    assert "lddt_ca 1" in capsys.readouterr().out
    assert (tmp_path / "out" / "report.html").read_text().count("<svg") >= 3
    only = [f"predictions={tmp_path / 'predicted' / 'lost.pdb'}", f"structures={tmp_path / 'native'}"]
    assert main(["protein", "evaluate", *only, f"output={tmp_path / 'none'}"]) == 3


def test_a_model_is_scored_from_the_command_line(tmp_path: Path, capsys) -> None:
    model = predictor().save_pretrained(tmp_path / "model")
    arguments = [f"model={model}", "data=ideal-chains", "limit=4", "device=cpu", f"output={tmp_path / 'out'}"]
    assert main(["protein", "evaluate", *arguments]) == 0
    frame = pd.read_csv(tmp_path / "out" / "scores.csv")
    assert len(frame) == 4 and frame["lddt_ca"].between(0, 1).all() and "residue_lddt" not in frame
    assert "pearson_residues" in capsys.readouterr().out
    for wrong, message in (
        ("predictions=x", "either model"),
        ("structures=x", "go together"),
        ("path=x", "go together"),
    ):
        assert main(["protein", "evaluate", *arguments, wrong]) == 1
        assert message in capsys.readouterr().err


def test_reference_pairs_score_as_published(tmp_path: Path) -> None:
    folder = Path(__file__).parents[3] / "shared" / "data" / "protein" / "metrics"
    if not folder.is_dir():
        pytest.skip("no reference pairs beside the checkout")
    predicted, native = (read_chain(folder / f"1IJK_l_{which}.pdb") for which in "ub")
    scores = compare_chains(predicted, native, aligned(predicted, native))
    # biotite's lDDT, TM-align's score and the RMSD in reference_scores.json
    assert scores["lddt_ca"] == pytest.approx(0.98131, abs=1e-4) and scores["tm_score"] >= 0.99334 - 1e-4
    assert scores["rmsd_a"] == pytest.approx(0.4354, abs=2e-3)
