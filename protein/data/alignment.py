"""Multiple sequence alignments: A3M and Stockholm.

S sequences, the first of which is the query; N columns, the query's residues.
A3M: Remmert et al., Nat. Methods 9, 173 (2012), doi:10.1038/nmeth.1818. Stockholm: as HMMER writes it.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from common.app.errors import DataFormatError
from protein.data.residues import LETTERS_X
from protein.data.sequence import STAND_INS, clean_sequence, read_fasta
from protein.data.text import read_text

ALIGNED_LETTERS = LETTERS_X + "-"
"""What the numbers of `letters` mean: the twenty, X, gap."""

GAP = len(LETTERS_X)
STOCKHOLM_HEADER = "# STOCKHOLM"


@dataclass(frozen=True, eq=False)
class Alignment:
    """Sequences aligned to a query.

    names      [S]
    letters    [S, N] uint8, indices into `ALIGNED_LETTERS`
    deletions  [S, N] int32, residues of the sequence left out just before a column
    where      names the file in errors
    """

    names: tuple[str, ...]
    letters: np.ndarray
    deletions: np.ndarray
    where: str = "alignment"

    def __len__(self) -> int:
        return len(self.names)

    @property
    def query(self) -> str:
        """The first sequence."""
        return "".join(ALIGNED_LETTERS[letter] for letter in self.letters[0])

    def require_query(self, sequence: str) -> None:
        """Raise DataFormatError, showing where, unless the query is `sequence` (X agrees with everything)."""
        query = self.query
        if len(query) != len(sequence):
            raise DataFormatError(
                f"{self.where}: its query has {len(query)} residues, the sequence {len(sequence)}; they begin to "
                f"differ at residue {_first_difference(query, sequence)}: {_around(query, sequence)}. Align to this "
                "very sequence"
            )
        place = _first_difference(query, sequence)
        if place <= len(query):
            raise DataFormatError(
                f"{self.where}: residue {place} of its query is {query[place - 1]}, of the sequence "
                f"{sequence[place - 1]}: {_around(query, sequence)}. Align to this very sequence"
            )

    def first(self, count: int) -> Alignment:
        """The query and what follows it, `count` sequences in all."""
        return Alignment(self.names[:count], self.letters[:count], self.deletions[:count], self.where)


def read_alignment(path: str | Path) -> Alignment:
    """An A3M or Stockholm file, told apart by its first line; plain or compressed.

    Raises DataFormatError naming the file and the sequence where rows differ in length or hold other characters.
    """
    head = read_text(path).lstrip()[: len(STOCKHOLM_HEADER)]
    return read_stockholm(path) if head == STOCKHOLM_HEADER else read_a3m(path)


def read_a3m(path: str | Path) -> Alignment:
    """Upper case and '-' are columns; lower case letters are insertions; '.' means nothing."""
    records = [(record.name, record.sequence.replace(".", "")) for record in read_fasta(path)]
    for name, text in records:
        if not text:
            raise DataFormatError(f"{path}: sequence '{name}' is empty; expected letters and '-'")
    return _aligned(records, str(path))


def read_stockholm(path: str | Path) -> Alignment:
    """Columns are the residues of the first sequence; what others have between them are insertions."""
    rows: dict[str, list[str]] = {}
    for number, line in enumerate(read_text(path).splitlines(), 1):
        words = line.split()
        if not words or line.startswith("#"):
            continue
        if words == ["//"]:
            break
        if len(words) != 2:
            raise DataFormatError(f"{path}, line {number}: found {len(words)} words; expected a name and its row")
        rows.setdefault(words[0], []).append(words[1])
    if not rows:
        raise DataFormatError(f"{path} holds no sequence; expected a Stockholm alignment")
    joined = {name: "".join(parts).replace(".", "-").upper() for name, parts in rows.items()}
    query = next(iter(joined.values()))
    for name, row in joined.items():
        if len(row) != len(query):
            raise DataFormatError(f"{path}: sequence '{name}' has {len(row)} columns, the first has {len(query)}")
    kept = [letter != "-" for letter in query]
    records = [
        (name, "".join(c if keep else c.lower() if c != "-" else "" for c, keep in zip(row, kept, strict=True)))
        for name, row in joined.items()
    ]
    return _aligned(records, str(path))


def _aligned(records: list[tuple[str, str]], where: str) -> Alignment:
    try:
        query = clean_sequence(records[0][1]).sequence
    except DataFormatError as error:
        raise DataFormatError(f"{where}: query '{records[0][0]}': {error}") from error
    if not records[0][1].isupper():
        raise DataFormatError(f"{where}: the first sequence has insertions in lower case; expected the query itself")
    letters = np.empty((len(records), len(query)), np.uint8)
    deletions = np.zeros((len(records), len(query)), np.int32)
    for row, (name, text) in enumerate(records):
        codes = np.frombuffer(text.encode("latin-1", "replace"), np.uint8)
        inserted = (codes >= ord("a")) & (codes <= ord("z"))
        columns = np.flatnonzero(~inserted)
        if len(columns) != len(query):
            raise DataFormatError(
                f"{where}: sequence {row + 1} '{name}' has {len(columns)} columns, the query has {len(query)}"
            )
        letters[row] = _CODES[codes[columns]]
        if (letters[row] == _REFUSED).any():
            bad = text[int(columns[int(np.argmax(letters[row] == _REFUSED))])]
            raise DataFormatError(
                f"{where}: sequence {row + 1} '{name}' holds '{bad}'; expected one-letter codes and '-'"
            )
        deletions[row] = np.diff(columns, prepend=-1) - 1
    return Alignment(tuple(name for name, _ in records), letters, deletions, where)


_REFUSED = 255
_CODES = np.full(256, _REFUSED, np.uint8)
for _number, _letter in enumerate(ALIGNED_LETTERS):
    _CODES[ord(_letter)] = _number
for _letter, _other in STAND_INS.items():
    _CODES[ord(_letter)] = ALIGNED_LETTERS.index(_other)


def _first_difference(query: str, sequence: str) -> int:
    """Place, from 1, of the first letter that differs; one past the shorter where none does."""
    shared = zip(query, sequence, strict=False)
    return next(
        (place for place, (a, b) in enumerate(shared, 1) if a != b and "X" not in (a, b)),
        min(len(query), len(sequence)) + 1,
    )


def _around(query: str, sequence: str) -> str:
    start = max(0, _first_difference(query, sequence) - 6)
    return f"'...{query[start : start + 11]}...' against '...{sequence[start : start + 11]}...'"
