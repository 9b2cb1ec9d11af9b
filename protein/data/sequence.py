"""Protein sequences as text: FASTA files, and what happens to letters that are none of the twenty.

    U  selenocysteine              C        B  Asp or Asn   D        lower case   upper case
    O  pyrrolysine                 K        Z  Glu or Gln   E        * at the end left out
    J  Leu or Ile                  L        X  unknown      stays X  white space  left out

Anything else, gaps and * within the sequence too, is refused: what is meant cannot be known.
Letters: IUPAC-IUB, Eur. J. Biochem. 138, 9 (1984), doi:10.1111/j.1432-1033.1984.tb07877.x.
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from common.app.errors import DataFormatError
from protein.data.residues import LETTERS_X
from protein.data.text import read_text

STAND_INS = {"U": "C", "O": "K", "B": "D", "Z": "E", "J": "L"}
"""The nearest of the twenty. B and Z are taken for the acid, as in HH-suite."""


class FastaRecord(NamedTuple):
    """One record as it stands in the file; see `clean_sequence`."""

    name: str
    description: str
    sequence: str


class CleanSequence(NamedTuple):
    """A sequence of the twenty letters and X, and what was changed, in words."""

    sequence: str
    changes: tuple[str, ...]


def read_fasta(path: str | Path) -> list[FastaRecord]:
    """All records of a FASTA file, plain or in gzip, bzip2 or xz, sequences not checked.

    A record without a name is called sequence_<number>. Raises DataFormatError for a file without a record, and for
    text before the first.
    """
    records: list[tuple[str, list[str]]] = []
    for number, line in enumerate(read_text(path).splitlines(), 1):
        line = line.strip()
        if line.startswith(">"):
            records.append((line[1:].strip(), []))
        elif line and not line.startswith(";"):
            if not records:
                raise DataFormatError(
                    f"{path}, line {number}: found '{line[:40]}' before the first '>'; expected a FASTA file"
                )
            records[-1][1].append(line)
    if not records:
        raise DataFormatError(f"{path} holds no sequence; expected a FASTA file with lines '>name'")
    return [
        FastaRecord(title.split()[0] if title else f"sequence_{number}", title, "".join(lines))
        for number, (title, lines) in enumerate(records, 1)
    ]


def clean_sequence(text: str, longest: int | None = None) -> CleanSequence:
    """The sequence in the letters that models know.

    Raises DataFormatError for an empty sequence, one of more than `longest` residues, or a letter that is refused.
    """
    compact = "".join(text.split())
    # Upper case of some other alphabets' letters would be one of ours.
    letters = "".join(letter.upper() if letter.isascii() else letter for letter in compact.removesuffix("*"))
    if not letters:
        raise DataFormatError("the sequence is empty; expected one-letter codes of amino acids")
    if longest is not None and len(letters) > longest:
        raise DataFormatError(f"the sequence has {len(letters)} residues, at most {longest} are possible; cut it")
    known = set(LETTERS_X) | set(STAND_INS)
    for place, letter in enumerate(letters, 1):
        if letter not in known:
            kind = "a gap" if letter in "-." else "a stop" if letter == "*" else "not an amino acid"
            raise DataFormatError(
                f"letter {place} is '{letter}', {kind}; expected {LETTERS_X} or {''.join(STAND_INS)}. Remove it, or "
                "write X for an unknown residue"
            )
    counts = {letter: letters.count(letter) for letter in STAND_INS if letter in letters}
    changes = tuple(f"{count} {letter} read as {STAND_INS[letter]}" for letter, count in counts.items())
    return CleanSequence(letters.translate(str.maketrans(STAND_INS)), changes)
