"""The embedded data set `ideal-chains`: helices, hairpins and turns at textbook torsions. SYNTHETIC, never evidence.

What a residue is tells what it does: helices are written with letters that like helices, strands with letters that like
strands, turns with G and N. A predictor can learn that in a minute, without a download.
"""

from __future__ import annotations

import numpy as np

from protein.data.chain import UNNUMBERED
from protein.data.chains import MISSING, UNIT_A, Chains
from protein.data.residues import HAS_ATOM14, types_of
from protein.data.states import STATES
from protein.geometry.ideal_chains import Segment, build_all, hairpin, helix, loop

SPLITS = ("train", "val", "test")
SHARE = 8
"""Training chains for each one of the other splits."""

LETTERS = {"H": "AELKMQR", "E": "VITYFW", "C": "PSD", "T": "NG"}
"""That helices, strands, loops and the two residues of a turn are written with."""

SEGMENTS = (2, 4)
HELICES = 0.5
"""Share of the segments; the others are hairpins."""

HELIX, ARM, LOOP = (10, 22), (4, 7), (3, 6)
"""Least and greatest number of residues, both included."""


def ideal_chains(split: str, training_chains: int) -> Chains:
    """Chains of 20 to 110 residues, the same whenever they are asked for; splits share none."""
    count = training_chains if split == "train" else max(2, training_chains // SHARE)
    random = np.random.default_rng([SPLITS.index(split), 5128])
    drawn = [_drawn(random) for _ in range(count)]
    sequences = ["".join(random.choice(list(LETTERS[kind])) for kind in kinds) for kinds, _ in drawn]
    lengths = np.array([len(sequence) for sequence in sequences], np.int64)
    types = types_of("".join(sequences)).astype(np.uint8)
    built = [atoms.numpy() for atoms in build_all(sequences, [segments for _, segments in drawn])]
    atoms = np.concatenate([one - one[:, 1].mean(0) for one in built])
    stored = np.where(HAS_ATOM14[types][..., None], np.round(atoms / UNIT_A), MISSING).astype(np.int16)
    return Chains(
        ids=np.array([f"ideal-{split}-{number}" for number in range(count)]),
        lengths=lengths,
        types=types,
        atom14=stored,
        number=np.full(len(types), UNNUMBERED, np.int32),
        states=np.array([STATES.index(kind) for kinds, _ in drawn for kind in kinds], np.int8),
        full_sequence=np.ones(count, bool),
        ca_only=np.zeros(count, bool),
        resolution=np.full(count, np.nan, np.float32),
        cluster=np.arange(count),
        group=np.arange(count),
    )


def _drawn(random: np.random.Generator) -> tuple[str, list[Segment]]:
    """The state of each residue, and the segments they are in."""
    segments: list[Segment] = []
    kinds = ""
    for number in range(random.integers(*SEGMENTS, endpoint=True)):
        if number:
            length = int(random.integers(*LOOP, endpoint=True))
            segments.append(loop(length))
            kinds += "C" * length
        if random.random() < HELICES:
            length = int(random.integers(*HELIX, endpoint=True))
            segments.append(helix(length))
            kinds += "H" * length
        else:
            arm = int(random.integers(*ARM, endpoint=True))
            segments.append(hairpin(arm))
            kinds += "E" * arm + "TT" + "E" * arm
    return kinds, segments
