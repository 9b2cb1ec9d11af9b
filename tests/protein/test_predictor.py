"""The public predictor: order, refusals, what memory and batches may change, and that a saved model is the same."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from common.app.errors import CheckpointError, ConfigError, DataFormatError, TrifoldError
from protein import StructurePredictor
from protein.batching import BATCH_PAIRS, Size, batches
from protein.data.alignment import read_a3m
from protein.data.read import read_chain
from protein.data.residues import COLUMN37, HAS_ATOM37, types_of
from protein.losses.distogram import contact_probability, edges
from protein.model_inputs import Query
from protein.models.memory_plan import TrunkShape
from protein.prediction import Prediction
from protein.scoring import stereochemistry
from protein.weights.published import PUBLISHED, WEIGHTS, load_language
from tests.protein.small import CONFIG, predictor

GOLDEN = Path(__file__).parent / "golden"
SEQUENCES = ["MKTAYIAKQRQISFVKSH", "GSHM", "ACDEFGHIKLMNPQRSTVWY", "MKTAYIAKQRQISF", "WX"]


@pytest.fixture(scope="module")
def tiny() -> StructurePredictor:
    return predictor()


def assert_same(one: Prediction, other: Prediction, tolerance: float = 2e-4) -> None:
    assert one.sequence == other.sequence and one.secondary == other.secondary
    for name in ("coords", "plddt", "contacts", "pae"):
        np.testing.assert_allclose(getattr(one, name), getattr(other, name), atol=tolerance, err_msg=name)
    assert one.ptm == pytest.approx(other.ptm, abs=1e-5)


def test_a_list_gives_a_list_in_its_order_and_batches_change_nothing(tiny: StructurePredictor) -> None:
    together = tiny.predict(SEQUENCES)
    assert [one.sequence for one in together] == SEQUENCES
    for one in together:
        assert_same(one, tiny.predict(one.sequence))
    assert tiny.predict([]) == []


def test_a_prediction_has_what_it_promises(tiny: StructurePredictor) -> None:
    sequence = "ACDEFGHIKLMNPQRSTVWYX"
    one = tiny.predict(sequence, distogram=True)
    present = np.isfinite(one.coords).all(-1)
    assert (present == HAS_ATOM37[types_of(sequence)]).all() and one.coords.dtype == np.float32
    assert one.plddt.shape == (21,) and (one.plddt >= 0).all() and (one.plddt <= 100).all()
    assert one.pae is not None and one.pae.shape == (21, 21) and one.ptm is not None and 0 <= one.ptm <= 1
    np.testing.assert_allclose(one.contacts, one.contacts.T, atol=1e-6)
    assert one.distogram is not None
    np.testing.assert_allclose(one.distogram.astype(float).sum(-1), 1, atol=5e-3)
    expected = contact_probability(torch.from_numpy(one.distogram.astype(np.float32)))
    np.testing.assert_allclose(one.contacts, expected, atol=2e-3)
    assert len(one.secondary) == 21 and tiny.predict("AC").distogram is None


def test_a_contact_is_what_lies_below_eight_angstroms() -> None:
    upper = edges()
    for distance in (3.0, 7.9, 8.3, 30.0):
        certain = torch.eye(len(upper) + 1)[torch.bucketize(distance, upper)]
        inside = contact_probability(certain)
        assert inside == (distance < 7.9375 if distance != 7.9 else inside) and (distance < 8) == (inside > 0)
    flat = torch.full((len(upper) + 1,), 1 / (len(upper) + 1))
    flat[19:] = 0  # bins 1 to 18 and a share of none: all below
    assert float(contact_probability(flat)) == pytest.approx(19 / 64)


@pytest.mark.parametrize("kind", ["pdb", "cif"])
def test_files_hold_the_prediction(tiny: StructurePredictor, tmp_path: Path, kind: str) -> None:
    one, path = tiny.predict("MKTAYIAK"), tmp_path / f"x.{kind}"
    (one.to_pdb if kind == "pdb" else one.to_mmcif)(path)
    chain = read_chain(path)
    assert chain.sequence == one.sequence
    np.testing.assert_allclose(chain.atom37, one.coords, atol=6e-4)
    np.testing.assert_allclose(chain.b_factor[:, COLUMN37["CA"]], one.plddt, atol=6e-3)


def test_letters_are_read_as_stated(tiny: StructurePredictor) -> None:
    one = tiny.predict("mku\nO*")
    assert one.sequence == "MKCK" and one.changes == ("1 U read as C", "1 O read as K")
    for text, reason in (("", "empty"), ("MK-V", "a gap"), ("MK1", "not an amino acid"), ("A" * 4097, "at most 4096")):
        with pytest.raises(DataFormatError, match=reason):
            tiny.predict(text)


@settings(max_examples=200)
@given(st.text(max_size=30))
def test_any_text_is_a_sequence_or_a_typed_error(text: str) -> None:
    try:
        query = predictor_for_text().query(text, "x")
    except TrifoldError:
        return
    assert query.sequence and set(query.sequence) <= set("ACDEFGHIKLMNPQRSTVWYX")


def predictor_for_text(known: list[StructurePredictor] = []) -> StructurePredictor:  # noqa: B006 (made once)
    known[:] = known or [predictor()]
    return known[0]


def test_a_model_of_single_sequences_refuses_an_alignment(tiny: StructurePredictor, tmp_path: Path) -> None:
    (tmp_path / "x.a3m").write_text(">q\nMKTAY\n>one\nMKSAY\n")
    with pytest.raises(ConfigError, match="would not read the alignment"):
        tiny.predict("MKTAY", tmp_path / "x.a3m")
    with pytest.raises(ConfigError, match="2 sequences with 1 alignments"):
        tiny.predict(["MKTAY", "MK"], [None])
    with pytest.raises(ConfigError, match="expected a list"):
        tiny.predict(["MKTAY", "MK"], str(tmp_path / "x.a3m"))  # type: ignore[call-overload]


@pytest.mark.parametrize("architecture", ["fold", "alphafold"])
def test_an_alignment_informs_the_prediction_and_one_that_does_not_fit_is_refused(
    tmp_path: Path, architecture: str
) -> None:
    model = predictor(profile=True)
    if architecture == "alphafold":
        model = StructurePredictor.from_pretrained(GOLDEN / "openfold.pt", "cpu")
    (tmp_path / "x.a3m").write_text(">q\nMKTAY\n>one\nMKSaaAY\n>two\n--WAY\n")
    (tmp_path / "alone.a3m").write_text(">q\nMKTAY\n")
    (tmp_path / "other.a3m").write_text(">q\nMKVAY\n")
    plain, informed, again = model.predict(["MKTAY"] * 3, [None, tmp_path / "x.a3m", read_a3m(tmp_path / "x.a3m")])
    assert np.nanmax(np.abs(plain.coords - informed.coords)) > 0.01
    assert_same(informed, again)
    assert_same(plain, model.predict("MKTAY", tmp_path / "alone.a3m"))
    with pytest.raises(DataFormatError, match="residue 3 of its query is V, of the sequence T"):
        model.predict("MKTAY", tmp_path / "other.a3m")


def test_a_model_on_a_language_model_brings_it_along(tmp_path: Path) -> None:
    model = predictor(language=16)
    model.card["language_model"] = str(GOLDEN / "esm2")
    width = load_language(str(GOLDEN / "esm2")).config.width
    model = predictor(language=width)
    model.card["language_model"] = str(GOLDEN / "esm2")
    again = StructurePredictor.from_pretrained(model.save_pretrained(tmp_path / "model"), "cpu")
    for one, other in zip(again.predict(SEQUENCES[:2]), map(model.predict, SEQUENCES[:2]), strict=True):
        assert_same(one, other)
    model.card["language_model"] = "esm2_t6_9M_UR50D"
    del model.__dict__["_language"]
    with pytest.raises(ConfigError, match="esm2_t6_8M_UR50D"):
        model.predict("MK")


def test_memory_decides_how_not_what() -> None:
    wide, sequence = predictor(pair=64, structure=replace(CONFIG.structure, pair=64)), SEQUENCES[0] * 3
    (batch,), _ = wide.plan([Size(len(sequence))], 1.0)
    least = batch.plan.peak_gb * 0.8
    (tight,), refused = wide.plan([Size(len(sequence))], least)
    assert tight.plan.chunk < batch.plan.chunk and not refused
    assert_same(wide.predict(sequence, memory_gb=least), wide.predict(sequence, memory_gb=1.0))
    with pytest.raises(ConfigError, match="even with one row of pairs at a time"):
        wide.predict(sequence, memory_gb=1e-6)


@settings(max_examples=50)
@given(st.lists(st.integers(1, 400), max_size=40), st.floats(1e-4, 1.0))
def test_batches_hold_every_chain_once_alike_and_within_the_limit(lengths: list[int], limit_gb: float) -> None:
    found, refused = batches(TrunkShape.of(CONFIG), [Size(n) for n in lengths], limit_gb, BATCH_PAIRS["cpu"])
    members = [number for batch in (*found, *refused) for number in batch.members]
    assert sorted(members) == list(range(len(lengths)))
    assert all(batch.plan.fits for batch in found) and not any(batch.plan.fits for batch in refused)
    for batch in found:
        sizes = [lengths[number] for number in batch.members]
        assert min(sizes) >= 0.8 * max(sizes)
        assert len(sizes) == 1 or len(sizes) * max(sizes) ** 2 <= BATCH_PAIRS["cpu"]


def test_fitted_chains_say_what_their_distances_make_of_them(
    tiny: StructurePredictor, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = np.r_[:6, 20:26]
    plain, fitted = (
        next(tiny.predict_stream([Query("x", "MKTAYIAKQRGG", place=place)], fit=fit))[1] for fit in (False, True)
    )
    steps = np.linalg.norm(np.diff(fitted.coords[:, COLUMN37["CA"]], axis=0), axis=-1)
    assert (abs(np.delete(steps, 5) - 3.8) < 0.5).all() and abs(plain.coords - fitted.coords)[:, 1].max() > 1
    assert fitted.plddt.tolist() != plain.plddt.tolist() and (fitted.plddt >= 0).all() and (fitted.plddt <= 100).all()
    assert (np.isfinite(fitted.coords) == np.isfinite(plain.coords)).all()
    monkeypatch.setattr(tiny, "fits", True)
    np.testing.assert_array_equal(tiny.predict("MKTA").coords, tiny.predict("MKTA", fit=True).coords)
    assert len(tiny.predict("M")) == 1 and len(tiny.predict("MK", relax=True)) == 2


def test_relaxed_chains_hold_together(tiny: StructurePredictor, monkeypatch: pytest.MonkeyPatch) -> None:
    plain, relaxed = (tiny.predict("MKTAYIAKQRGG", relax=relax) for relax in (False, True))
    types = types_of(plain.sequence)
    assert stereochemistry(types, plain.coords)["ca_steps"] < 0.5
    assert stereochemistry(types, relaxed.coords)["ca_steps"] == 1 and relaxed.plddt.tolist() == plain.plddt.tolist()
    assert (np.isfinite(relaxed.coords) == np.isfinite(plain.coords)).all()
    monkeypatch.setattr(tiny, "relaxes", True)
    np.testing.assert_array_equal(tiny.predict("MKTAYIAKQRGG").coords, relaxed.coords)


def test_a_saved_predictor_is_the_same_predictor(tiny: StructurePredictor, tmp_path: Path) -> None:
    again = StructurePredictor.from_pretrained(tiny.save_pretrained(tmp_path / "model"), "cpu")
    assert again.model.config == CONFIG and again.cycles == 2
    assert_same(again.predict(SEQUENCES[0]), tiny.predict(SEQUENCES[0]), 0)


def test_official_files_are_predictors(tmp_path: Path) -> None:
    esmfold = StructurePredictor.from_pretrained(GOLDEN / "esmfold", "cpu")
    assert esmfold.card["licence"] == "MIT" and esmfold.cycles == 4
    again = StructurePredictor.from_pretrained(esmfold.save_pretrained(tmp_path / "model"), "cpu")
    assert_same(again.predict("MKTAYW"), esmfold.predict("MKTAYW"), 0)
    with pytest.raises(CheckpointError, match="no structure predictor"):
        StructurePredictor.from_pretrained(GOLDEN / "esm2_fair.pt", "cpu")
    with pytest.raises(CheckpointError, match="language model"):
        StructurePredictor.from_pretrained("esm2_t6_8M_UR50D", "cpu")


def test_published_weights_are_named_with_terms_and_address(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for dataset in WEIGHTS.values():
        addresses = [file.url for file in (*dataset.files, *(f for s in dataset.sources for f in s.files))]
        assert dataset.licence in ("MIT", "CC-BY-4.0") and any(url and url.startswith("https://") for url in addresses)
    assert PUBLISHED["esmfold_v1"].architecture == "esmfold"
    with pytest.raises(ConfigError, match="Did you mean 'esmfold_v1'"):
        StructurePredictor.from_pretrained("esmfold_v2", "cpu")
    monkeypatch.setenv("TRIFOLD_MIRROR", str(tmp_path / "empty"))
    with pytest.raises(TrifoldError, match="licence: MIT"):
        StructurePredictor.from_pretrained("esmfold_v1", "cpu")
