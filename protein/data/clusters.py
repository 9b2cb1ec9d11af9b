"""Groups of similar sequences, so that a split can keep them together.

By MMseqs2 where its program is installed: Steinegger & Söding, Nat. Biotechnol. 35, 1026 (2017), doi:10.1038/nbt.3988.
Without it only close relatives are found, by the words of six residues that they share.
"""

from __future__ import annotations

import shutil
import subprocess
import tempfile
import warnings
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from common.app.errors import DataFormatError

PROGRAM = "mmseqs"
IDENTITY, COVERAGE, SENSITIVITY = 0.3, 0.6, 7.5
WORD = 6
SHARED_WORDS = 0.1
"""Two sequences belong together if they share this part of the words of the shorter: about 70 % identity."""


def cluster(sequences: Sequence[str], identity: float = IDENTITY) -> np.ndarray:
    """Cluster of each sequence, [S] int64, numbered by first member.

    identity  least share of identical residues over 60 % of the longer, for MMseqs2

    Warns with RuntimeWarning where MMseqs2 is missing. Raises DataFormatError where it fails.
    """
    if shutil.which(PROGRAM):
        return _by_mmseqs(sequences, identity)
    warnings.warn(
        "MMseqs2 is not installed (no program 'mmseqs'): only sequences that share a tenth of their words of "
        f"{WORD} residues are put together, and distant relatives may end up in different splits",
        RuntimeWarning,
        stacklevel=2,
    )
    return _by_words(sequences)


def _by_mmseqs(sequences: Sequence[str], identity: float) -> np.ndarray:
    with tempfile.TemporaryDirectory(prefix="trifold-clusters-") as name:
        folder = Path(name)
        fasta = folder / "sequences.fasta"
        fasta.write_text("".join(f">{number}\n{sequence}\n" for number, sequence in enumerate(sequences)))
        command = [PROGRAM, "easy-cluster", str(fasta), str(folder / "out"), str(folder / "work"), "-v", "1",
                   "--min-seq-id", str(identity), "-c", str(COVERAGE), "--cluster-mode", "1",
                   "-s", str(SENSITIVITY)]  # fmt: skip
        try:
            finished = subprocess.run(command, capture_output=True, text=True, check=False)
        except OSError as error:
            raise DataFormatError(f"{PROGRAM} cannot be started ({error}); install MMseqs2 again") from error
        if finished.returncode:
            said = (finished.stderr or finished.stdout).strip().splitlines()[-1:]
            raise DataFormatError(f"{PROGRAM} failed with status {finished.returncode}: {' '.join(said)}")
        pairs = [line.split("\t") for line in (folder / "out_cluster.tsv").read_text().splitlines()]
    joined = _Partition(len(sequences))
    for representative, member in pairs:
        joined.unite(int(representative), int(member))
    return joined.labels()


def _by_words(sequences: Sequence[str]) -> np.ndarray:
    words = [{text[i : i + WORD] for i in range(len(text) - WORD + 1)} or {text} for text in sequences]
    holders: dict[str, list[int]] = {}
    joined = _Partition(len(sequences))
    for number, own in enumerate(words):
        shared: dict[int, int] = {}
        for word in own:
            for other in holders.setdefault(word, []):
                shared[other] = shared.get(other, 0) + 1
            holders[word].append(number)
        for other, count in shared.items():
            if count >= SHARED_WORDS * min(len(own), len(words[other])):
                joined.unite(other, number)
    return joined.labels()


class _Partition:
    """Disjoint sets, each named by its lowest member."""

    def __init__(self, count: int) -> None:
        self.parent = list(range(count))

    def find(self, member: int) -> int:
        while self.parent[member] != member:
            self.parent[member] = self.parent[self.parent[member]]
            member = self.parent[member]
        return member

    def unite(self, first: int, second: int) -> None:
        low, high = sorted((self.find(first), self.find(second)))
        self.parent[high] = low

    def labels(self) -> np.ndarray:
        roots = np.array([self.find(member) for member in range(len(self.parent))], np.int64)
        return np.unique(roots, return_inverse=True)[1].astype(np.int64)
