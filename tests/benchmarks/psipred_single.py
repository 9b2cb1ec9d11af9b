"""Q3 of PSIPRED without an alignment, on the chains and sequences that `table=pdb5k` scores.

    git clone https://github.com/Rostlab/MetaDisorder
    make -C MetaDisorder/psipred/src -B CC="cc -std=gnu89 -fcommon" psipred psipass2 seq2mtx install
    python -m tests.benchmarks.psipred_single psipred=MetaDisorder/psipred

That checkout holds PSIPRED 2.45 of 2003 with weights for single sequences (doi:10.1006/jmbi.1999.3091); its LICENSE
allows use for research. What it learned from is not known chain by chain: some of the scored ones may be among it.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from protein.config import Pdb5k
from protein.data.secondary_structure_sets import SETS, load
from protein.data.states import STATES, UNKNOWN_STATE
from protein.samples import open_source
from protein.scoring import state_scores

WEIGHTS = ("weights_s.dat", "weights_s.dat2", "weights_s.dat3")
PROGRAMS = ("seq2mtx", "psipred", "psipass2")


def predict(psipred: Path, sequence: str) -> str:
    """States H, E and C of the residues: the scripts of PSIPRED's releases for single sequences, step by step."""
    with tempfile.TemporaryDirectory() as folder:
        fasta, profile, first, second = (Path(folder) / name for name in ("one.fasta", "one.mtx", "one.ss", "one.ss2"))
        fasta.write_text(f">one\n{sequence}\n")
        seq2mtx, network, filtering = (str((psipred / "bin" / program).resolve()) for program in PROGRAMS)
        weights = [str((psipred / "data" / name).resolve()) for name in WEIGHTS]
        smoothing = [str((psipred / "data" / "weights_p2.dat").resolve()), "1", "1.0", "1.0"]
        profile.write_bytes(_output(seq2mtx, str(fasta)))
        first.write_bytes(_output(network, str(profile), *weights))
        _output(filtering, *smoothing, str(second), str(first))
        rows = [line.split() for line in second.read_text().splitlines() if line and not line.startswith("#")]
    states = "".join(row[2] for row in rows)
    if len(states) != len(sequence):
        raise SystemExit(f"PSIPRED gave {len(states)} states for {len(sequence)} residues: {sequence}")
    return states


def _output(*command: str) -> bytes:
    return subprocess.run(command, check=True, capture_output=True).stdout


def public_test() -> Iterator[tuple[str, np.ndarray]]:
    """Sequences and states [L] of pdb5k's test chains."""
    chains = open_source(Pdb5k(name="pdb5k"), ("test",)).splits["test"]
    for index in range(len(chains)):
        yield chains.sequence(index), chains.states[chains.offsets[index] : chains.offsets[index + 1]]


def labelled(name: str) -> Iterator[tuple[str, np.ndarray]]:
    """The same of a set's sequences without a homologue among the training chains."""
    for one in load(name):
        if not one.has_homologue:
            states = np.array([STATES.index(letter) for letter in one.states])
            yield one.sequence, np.where(one.scored, states, UNKNOWN_STATE)


def main(arguments: list[str]) -> None:
    given = dict(argument.split("=") for argument in arguments)
    if set(given) != {"psipred"}:
        raise SystemExit("expected psipred=FOLDER, with the programs in bin/ and their weights in data/")
    folder = Path(given["psipred"])
    for name, sequences in {"public test": public_test(), **{name: labelled(name) for name in SETS}}.items():
        scores = [state_scores(predict(folder, sequence), states) for sequence, states in sequences]
        residues = np.array([score["states"] for score in scores])
        q3 = np.array([score["q3"] for score in scores])
        known = residues > 0
        print(f"{name:<12} {len(scores):4d} chains   Q3 {100 * np.average(q3[known], weights=residues[known]):.2f} %")


if __name__ == "__main__":
    main(sys.argv[1:])
