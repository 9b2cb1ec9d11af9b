"""Sequences and alignments: every letter has a stated treatment, and a misfit shows where it is."""

import gzip

import numpy as np
import pytest

from common.app.errors import DataFormatError
from protein.data.alignment import ALIGNED_LETTERS, GAP, read_a3m, read_alignment
from protein.data.sequence import clean_sequence, read_fasta

A3M = ">query\nMKTAY\n>one more words\nM-Tac.gAY\n>two\n--kkkTAX\n"
STOCKHOLM = "# STOCKHOLM 1.0\n#=GF ID x\nquery MK-.T\none   MKAAT\n\nquery AY\none   -y\n//\n"


def written(tmp_path, text: str):
    path = tmp_path / "x.txt"
    path.write_text(text)
    return path


def test_many_records_over_many_lines(tmp_path):
    records = read_fasta(written(tmp_path, ">a first\nMK\n TA\n\n>b\n>\nGG*\n"))
    assert [(r.name, r.description, r.sequence) for r in records] == [("a", "a first", "MKTA"), ("b", "b", ""),
                                                                      ("sequence_3", "", "GG*")]  # fmt: skip


def test_letters_have_stated_treatments():
    clean = clean_sequence("mk t\nUOBZJX*")
    assert clean.sequence == "MKTCKDELX"
    assert clean.changes == ("1 U read as C", "1 O read as K", "1 B read as D", "1 Z read as E", "1 J read as L")
    assert clean_sequence("MKT").changes == ()


@pytest.mark.parametrize(
    ("text", "reason"),
    [("", "empty"), ("*", "empty"), ("MK-T", "letter 3 is '-', a gap"), ("M*K", "letter 2 is '\\*', a stop"),
     ("MK1", "letter 3 is '1', not an amino acid"), ("MKé", "letter 3"),
     ("MKß", "letter 3 is 'ß'"), ("A" * 11, "11 residues, at most 10")],
)  # fmt: skip
def test_what_cannot_be_meant_is_refused(text, reason):
    with pytest.raises(DataFormatError, match=reason):
        clean_sequence(text, longest=10)


@pytest.mark.parametrize(
    ("text", "reason"),
    [("", "no sequence"), ("MKT\n", "line 1: found 'MKT'")],
)
def test_bad_fasta_says_where(tmp_path, text, reason):
    with pytest.raises(DataFormatError, match=reason):
        read_fasta(written(tmp_path, text))


def test_a3m_columns_and_deletions(tmp_path):
    alignment = read_alignment(written(tmp_path, A3M))
    rows = ["".join(ALIGNED_LETTERS[letter] for letter in row) for row in alignment.letters]
    assert rows == ["MKTAY", "M-TAY", "--TAX"] and alignment.query == "MKTAY"
    assert alignment.names == ("query", "one", "two")
    assert alignment.deletions.tolist() == [[0, 0, 0, 0, 0], [0, 0, 0, 3, 0], [0, 0, 3, 0, 0]]
    assert len(alignment.first(2)) == 2


def test_stockholm_is_the_same_alignment_as_its_a3m(tmp_path):
    alignment = read_alignment(written(tmp_path, STOCKHOLM))
    same = read_a3m(written(tmp_path, ">query\nMKTAY\n>one\nMKaaT-Y\n"))
    assert (alignment.letters == same.letters).all() and (alignment.deletions == same.deletions).all()


@pytest.mark.parametrize(
    ("sequence", "reason"),
    [
        ("MKTGY", "residue 4 of its query is A, of the sequence G: '...MKTAY...' against '...MKTGY...'"),
        ("MKTA", "its query has 5 residues, the sequence 4; they begin to differ at residue 5"),
        ("KTAY", "they begin to differ at residue 1"),
    ],
)
def test_an_alignment_of_another_sequence_shows_where(tmp_path, sequence, reason):
    alignment = read_alignment(written(tmp_path, A3M))
    alignment.require_query("MKTAY")
    alignment.require_query("MKXAY")
    with pytest.raises(DataFormatError) as error:
        alignment.require_query(sequence)
    assert reason in str(error.value) and "x.txt" in str(error.value)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (A3M.replace("--kkk", "---kkk"), "sequence 3 'two' has 6 columns, the query has 5"),
        (A3M.replace("M-Tac", "M-T1c"), "sequence 2 'one' has 6 columns"),
        (A3M.replace("TAX", "TA?"), "sequence 3 'two' holds '?'"),
        (A3M.replace("MKTAY", "MKtAY"), "insertions in lower case"),
        (A3M.replace("MKTAY", "MK-AY"), "query 'query': letter 3 is '-'"),
        (">a\nMK\n>b\n", "sequence 'b' is empty"),
        (STOCKHOLM.replace("MKAAT", "MKAA"), "sequence 'one' has 6 columns, the first has 7"),
        (STOCKHOLM.replace("query AY", "query AY x"), "line 6: found 3 words"),
        ("# STOCKHOLM 1.0\n//\n", "no sequence"),
    ],
)
def test_a_bad_alignment_says_what_is_wrong(tmp_path, text, reason):
    with pytest.raises(DataFormatError) as error:
        read_alignment(written(tmp_path, text))
    assert reason in str(error.value)


def test_damaged_alignments_give_an_alignment_or_a_reason(tmp_path):
    random = np.random.default_rng(0)
    for text in (A3M, STOCKHOLM):
        for _ in range(200):
            content = bytearray(text.encode())
            content[random.integers(len(content))] = random.integers(256)
            path = tmp_path / "damaged.a3m"
            path.write_bytes(bytes(content))
            try:
                assert read_alignment(path).letters.max() <= GAP
            except DataFormatError as error:
                assert "damaged.a3m" in str(error)


def test_real_alignments_are_read(shared_data):
    folder = shared_data / "protein" / "msa"
    for name in ("1a3a_A", "6kwc_A"):
        alignment = read_alignment(folder / f"{name}.a3m.gz")
        with gzip.open(folder / f"{name}.a3m.gz", "rt") as stream:
            assert len(alignment) == sum(line.startswith(">") for line in stream)
        identity = (alignment.letters == alignment.letters[0]).mean(1)
        assert identity[0] == 1 and 0.05 < np.median(identity) < 0.9
