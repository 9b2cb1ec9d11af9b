"""The packed store, batches of it, the data sets, and a user's own folder."""

import shutil
import warnings

import numpy as np
import pytest
import torch

from common.app.errors import ConfigError, DataFormatError, DownloadError
from protein.data import clusters, pdb5k, rcsb, secondary_structure_sets
from protein.data.batches import pack, padded
from protein.data.chain import UNNUMBERED
from protein.data.chains import Chains
from protein.data.own_files import Filters, prepare, write
from protein.data.residues import LETTERS
from protein.data.states import UNKNOWN_STATE
from protein.data.write import write_mmcif, write_pdb
from tests.protein.data.conftest import ideal_chain


def store() -> Chains:
    return Chains.of([ideal_chain(), ideal_chain("GAVMW", name="2abc_B", resolution=2.0)])


def test_a_store_holds_the_chains_to_half_a_hundredth_of_an_angstrom():
    chain, back = ideal_chain(), store().chain(0)
    assert back.sequence == chain.sequence and (back.mask == chain.mask).all() and (back.number == chain.number).all()
    centre = np.nanmean(chain.atom37[:, 1], axis=0)
    np.testing.assert_allclose(back.atom37, chain.atom37 - centre, atol=0.0051)


def test_files_and_subsets_hold_the_same(tmp_path):
    both = store()
    both.states[:3] = [0, 2, 7]
    both.to_npz(tmp_path / "x.npz")
    again = Chains.from_npz(tmp_path / "x.npz")
    for name in Chains.__dataclass_fields__:
        np.testing.assert_array_equal(getattr(again, name), getattr(both, name))
    last = both.subset([1])
    assert list(last.ids) == ["2abc_B"] and last.sequence(0) == "GAVMW" and len(last.types) == 5
    np.testing.assert_array_equal(Chains.concatenate([both.subset([0]), last]).atom14, both.atom14)


def test_bad_stores_are_refused(tmp_path):
    (tmp_path / "x.npz").write_bytes(b"PK\x03\x04")
    with pytest.raises(DataFormatError, match=r"x\.npz is not a readable npz"):
        Chains.from_npz(tmp_path / "x.npz")
    np.savez(tmp_path / "y.npz", ids=np.array(["a"]), seq=np.zeros(3, np.uint8))
    with pytest.raises(DataFormatError, match="lacks"):
        Chains.from_npz(tmp_path / "y.npz")
    far = ideal_chain()
    far.atom37[-1] += 1000
    with pytest.raises(DataFormatError, match="reaches"):
        Chains.of([far])


def test_places_follow_the_numbers_where_residues_are_not_listed():
    chains = store()
    chains.number[:6] = [10, 11, 15, 15, UNNUMBERED, 3]
    assert chains.place()[:7].tolist() == [0, 1, 5, 6, 7, 8, 12]
    listed = Chains(**{**vars(chains), "full_sequence": np.ones(2, bool)})
    assert listed.place().tolist() == [*range(20), *range(5)]


def test_a_batch_is_padded_and_holds_the_atoms():
    chains = store()
    batch = padded(pack(chains).gather(torch.tensor([1, 0])))
    assert batch.types.shape == (2, 20) and batch.mask.sum(1).tolist() == [5, 20]
    assert batch.follows.sum(1).tolist() == [4, 19] and not batch.follows[:, 0].any()
    first = torch.from_numpy(chains.chain(1).atom14)
    assert (batch.present[0, :5] == first[..., 0].isfinite()).all()
    torch.testing.assert_close(batch.atom14[0, :5], first.nan_to_num(0.0))
    assert not batch.present[0, 5:].any() and (batch.states == UNKNOWN_STATE).all()


def test_splits_of_pdb5k_share_no_homologues_and_have_the_stated_sizes(shared_data):
    parts = {split: pdb5k.load(split) for split in pdb5k.SPLITS if split != "train"}
    parts["train"] = pdb5k.load("train", ["ca"])
    assert [len(parts[split]) for split in ("train", "val", "test", "ts50")] == [3614, 191, 395, 50]
    groups = {split: set(part.group.tolist()) for split, part in parts.items()}
    assert (
        not groups["train"] & (groups["val"] | groups["test"] | groups["ts50"]) and not groups["val"] & groups["test"]
    )
    assert parts["train"].ca_only.all() and (parts["train"].states != UNKNOWN_STATE).mean() > 0.9
    steps = np.linalg.norm(np.diff(parts["train"].atom14[:300, 1].astype(float), axis=0), axis=1) / 100
    assert np.median(steps) == pytest.approx(3.8, abs=0.05)


def test_unknown_splits_name_the_nearest(shared_data):
    with pytest.raises(ConfigError, match="Did you mean 'test'"):
        pdb5k.load("tset")
    with pytest.raises(ConfigError, match="no kind"):
        pdb5k.load("val", ["half"])  # pyright: ignore[reportArgumentType]
    with pytest.raises(ConfigError, match="Did you mean 'cb513'"):
        secondary_structure_sets.load("cb512")


@pytest.mark.parametrize(("name", "count", "clean"), [("cb513", 468, 172), ("ts115", 112, 78)])
def test_secondary_structure_sets_have_the_stated_sizes(shared_data, name, count, clean):
    rows = secondary_structure_sets.load(name)
    assert (len(rows), sum(not row.has_homologue for row in rows)) == (count, clean)
    assert all(len(row.sequence) == len(row.states) == len(row.scored) for row in rows)


def test_a_folder_becomes_a_store(tmp_path):
    random = np.random.default_rng(0)
    sequences = ["".join(random.choice(list(LETTERS), 40)) for _ in range(20)]
    folder, output = tmp_path / "in", tmp_path / "out"
    folder.mkdir()
    for number, sequence in enumerate(sequences):
        write_mmcif(folder / f"{number}.cif", ideal_chain(sequence, name=f"{number}_A", resolution=2.0))
    write_pdb(folder / "twin.pdb", ideal_chain(sequences[0][:39] + "A", name="twin_A"))
    write_mmcif(folder / "same.cif", ideal_chain(sequences[1], name="same_A", resolution=1.0))
    write_mmcif(folder / "coarse.cif", ideal_chain("G" * 40, name="coarse_A", resolution=9.0))
    write_mmcif(folder / "short.cif", ideal_chain("GAVM", name="short_A"))
    (folder / "broken.pdb").write_text("ATOM")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        prepared = prepare(folder, Filters(), shares=(0.2, 0.2))
        assert {k: v.ids.tolist() for k, v in prepare(folder, shares=(0.2, 0.2)).stores.items()} == {
            k: v.ids.tolist() for k, v in prepared.stores.items()
        }
    write(prepared, output)
    again = {split: Chains.from_npz(output / f"{split}.npz") for split in ("train", "val", "test")}
    assert sum(map(len, again.values())) == 21 and len(again["val"]) >= 2 and len(again["test"]) >= 2
    everything = Chains.concatenate(list(again.values()))
    assert "same_A" in everything.ids and "1_A" not in everything.ids
    of = dict(zip(everything.ids.tolist(), everything.cluster.tolist(), strict=True))
    assert of["0_A"] == of["twin_A"] and len(set(of.values())) == 20
    groups = [set(part.cluster.tolist()) for part in again.values()]
    assert not groups[0] & (groups[1] | groups[2])
    reasons = (output / "rejected.csv").read_text()
    for text in ("resolution 9", "4 residues", "lists no atoms", "same sequence as same_A"):
        assert text in reasons


def test_folders_without_chains_are_refused(tmp_path):
    with pytest.raises(ConfigError, match="no structure file"):
        prepare(tmp_path)
    with pytest.raises(ConfigError, match="not a folder"):
        prepare(tmp_path / "absent")
    write_mmcif(tmp_path / "short.cif", ideal_chain("GAVM", name="short_A"))
    with pytest.raises(DataFormatError, match="4 residues; 30 to 512"):
        prepare(tmp_path)
    with pytest.raises(ConfigError, match="shares"):
        prepare(tmp_path, shares=(0.6, 0.6))


def test_relatives_by_shared_words_stay_together_and_strangers_apart(monkeypatch):
    monkeypatch.setattr(shutil, "which", lambda name: None)
    random = np.random.default_rng(1)
    ancestor = random.choice(list(LETTERS), 120)
    sequences = []
    for changed in (0, 6, 12, 18):
        child = ancestor.copy()
        child[random.choice(120, changed, replace=False)] = "W"
        sequences.append("".join(child))
    sequences += ["".join(random.choice(list(LETTERS), 120)) for _ in range(3)]
    with pytest.warns(RuntimeWarning, match="MMseqs2 is not installed"):
        labels = clusters.cluster(sequences)
    assert labels.tolist() == [0, 0, 0, 0, 1, 2, 3]


@pytest.mark.skipif(shutil.which("mmseqs") is None, reason="MMseqs2 is not installed")
def test_mmseqs_finds_relatives(shared_data):
    chains = pdb5k.load("val", ["full"])
    labels = clusters.cluster([chains.sequence(i) for i in range(len(chains))])
    together = labels[:, None] == labels
    same_group = chains.group[:, None] == chains.group
    assert (together <= same_group).all()


def test_entries_come_from_the_mirror_once(tmp_path, monkeypatch):
    mirror = tmp_path / "mirror" / "download"
    mirror.mkdir(parents=True)
    (mirror / "1abc.cif.gz").write_bytes(b"x")
    monkeypatch.setenv("TRIFOLD_MIRROR", str(tmp_path / "mirror"))
    found = rcsb.fetch_entries(["1ABC", "1abc"], tmp_path / "entries")
    assert list(found) == ["1abc"] and found["1abc"].read_bytes() == b"x"
    with pytest.raises(ConfigError, match="no PDB identifier"):
        rcsb.fetch_entries(["../etc"], tmp_path)
    monkeypatch.delenv("TRIFOLD_MIRROR")
    with pytest.raises(DownloadError, match="offline"):
        rcsb.fetch_entries(["2abc"], tmp_path / "entries", offline=True)
