"""Many chains in a few flat arrays: the store that training reads.

Shapes: C chains, R residues in all; the residues of chain i are rows `offset[i]:offset[i + 1]`.
"""

from __future__ import annotations

import zipfile
from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np

from common.app.errors import DataFormatError
from protein.data.chain import UNNUMBERED, Chain
from protein.data.residues import COLUMN37_OF_14, HAS_ATOM14, letters_of, types_of
from protein.data.states import STATES, UNKNOWN_STATE

UNIT_A = 0.01
"""Of stored coordinates: an error of at most 0.005 Å an axis."""

MISSING = -32768
"""The coordinate of an atom that is not there."""

FILE_STATES = "ISHEGBTC"
"""Secondary structure as numbered in files."""


@dataclass(frozen=True, eq=False)
class Chains:
    """Chains, all-atom or known by C-alpha atoms only.

    ids             [C]  text, "PDB_CHAIN"
    lengths         [C]  int64
    types           [R]  uint8, residue types
    atom14          [R, 14, 3] int16, hundredths of Å; MISSING where there is no atom
    number          [R]  int32, author's residue number, UNNUMBERED where unknown
    states          [R]  int8, secondary structure, indices into `STATES`, UNKNOWN_STATE where unknown
    full_sequence   [C]  bool: residues without coordinates are listed
    ca_only         [C]  bool
    resolution      [C]  float32 in Å, NaN where unknown
    cluster, group  [C]  int64, of similar sequences, and of all homologues; own number where unknown

    Raises DataFormatError if shapes disagree or a chain is empty.
    """

    ids: np.ndarray
    lengths: np.ndarray
    types: np.ndarray
    atom14: np.ndarray
    number: np.ndarray
    states: np.ndarray
    full_sequence: np.ndarray
    ca_only: np.ndarray
    resolution: np.ndarray
    cluster: np.ndarray
    group: np.ndarray

    def __post_init__(self) -> None:
        chains, residues = len(self.ids), int(self.lengths.sum())
        for name in (field.name for field in fields(self)):
            expected = residues if name in RESIDUE_ARRAYS else chains
            if len(getattr(self, name)) != expected:
                raise DataFormatError(f"{name} has {len(getattr(self, name))} rows, expected {expected}")
        if (self.lengths < 1).any():
            raise DataFormatError(f"chain '{self.ids[np.argmin(self.lengths)]}' has no residues")

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def offsets(self) -> np.ndarray:
        """[C + 1] int64."""
        return np.concatenate([[0], np.cumsum(self.lengths)])

    @property
    def owner(self) -> np.ndarray:
        """[R] int64, chain of each residue."""
        return np.repeat(np.arange(len(self)), self.lengths)

    def sequence(self, index: int) -> str:
        """One-letter codes of a chain."""
        return letters_of(self.types[self.offsets[index] : self.offsets[index + 1]])

    def place(self) -> np.ndarray:
        """[R] int64: places in the molecule, from 0 in each chain; a gap where residues are not listed.

        By order where the full sequence is listed, else by the author's numbers, never by less than one.
        """
        number = np.where(self.number == UNNUMBERED, 0, self.number).astype(np.int64)
        jump = np.maximum(np.diff(number, prepend=number[:1]), 1)
        known = (self.number != UNNUMBERED) & (np.roll(self.number, 1) != UNNUMBERED)
        jump[~known | np.repeat(self.full_sequence, self.lengths)] = 1
        starts = self.offsets[:-1]
        jump[starts] = 0
        total = np.cumsum(jump)
        return total - np.repeat(total[starts], self.lengths)

    def subset(self, indices: np.ndarray | Sequence[int]) -> Chains:
        """The chains at `indices` (integers or a Boolean mask), in that order."""
        chosen = np.arange(len(self))[np.asarray(indices, dtype=None if len(indices) else np.int64)]
        lengths = self.lengths[chosen]
        starts = np.cumsum(lengths) - lengths
        rows = np.arange(lengths.sum()) + np.repeat(self.offsets[chosen] - starts, lengths)
        return Chains(**{
            field.name: getattr(self, field.name)[rows if field.name in RESIDUE_ARRAYS else chosen]
            for field in fields(self)
        })  # fmt: skip

    def chain(self, index: int) -> Chain:
        """One chain as a record, its B factors zero."""
        rows = slice(self.offsets[index], self.offsets[index + 1])
        types, stored = self.types[rows], self.atom14[rows]
        atoms = np.where(stored == MISSING, np.float32(np.nan), stored * np.float32(UNIT_A))
        atom37 = np.full((len(types), 37, 3), np.nan, np.float32)
        at, column = np.nonzero(HAS_ATOM14[types])
        atom37[at, COLUMN37_OF_14[types[at], column]] = atoms[at, column]
        b_factor = np.where(np.isfinite(atom37[..., 0]), np.float32(0), np.float32(np.nan))
        return Chain(
            str(self.ids[index]),
            self.sequence(index),
            atom37,
            b_factor,
            self.number[rows].astype(np.int32),
            np.full(len(types), "", "<U4"),
            bool(self.full_sequence[index]),
            float(self.resolution[index]),
        )

    @classmethod
    def of(cls, chains: Sequence[Chain], clusters: np.ndarray | None = None) -> Chains:
        """Pack records, each moved so that its C-alpha atoms have their centre at the origin.

        Raises DataFormatError for a chain that reaches farther than the store holds, 327 Å from its centre.
        """
        own = np.arange(len(chains)) if clusters is None else clusters
        empty = np.zeros((0, 14, 3), np.int16)
        return cls(
            ids=np.array([chain.id for chain in chains], dtype=str),
            lengths=np.array([len(chain) for chain in chains], np.int64),
            types=np.concatenate([np.zeros(0, np.uint8), *(chain.types.astype(np.uint8) for chain in chains)]),
            atom14=np.concatenate([empty, *(_stored(chain) for chain in chains)]),
            number=np.concatenate([np.zeros(0, np.int32), *(chain.number for chain in chains)]),
            states=np.full(sum(map(len, chains)), UNKNOWN_STATE, np.int8),
            full_sequence=np.array([chain.has_full_sequence for chain in chains], bool),
            ca_only=np.array([not np.isfinite(chain.atom14[:, 0, 0]).any() for chain in chains], bool),
            resolution=np.array([chain.resolution for chain in chains], np.float32),
            cluster=own.astype(np.int64),
            group=own.astype(np.int64),
        )

    @classmethod
    def concatenate(cls, parts: Sequence[Chains]) -> Chains:
        """All chains of `parts`, whose clusters and groups are numbered alike."""
        return cls(**{
            field.name: np.concatenate([getattr(part, field.name) for part in parts]) for field in fields(cls)
        })  # fmt: skip

    @classmethod
    def from_npz(cls, path: str | Path) -> Chains:
        """Read the packed file format: all-atom files hold `atom14`, others `ca` and `ss`.

        Raises DataFormatError naming the file and what it lacks.
        """
        try:
            with np.load(path, allow_pickle=False) as file:
                content = {key: file[key] for key in file.files}
        except (OSError, ValueError, EOFError, KeyError, MemoryError, zipfile.BadZipFile) as error:
            raise DataFormatError(f"{path} is not a readable npz file ({error}); fetch it again") from error
        lacking = [key for key in ("ids", "seq", "length") if key not in content]
        if lacking or not {"atom14", "ca"} & content.keys():
            raise DataFormatError(f"{path} lacks {lacking or 'atom14 or ca'}; expected packed chains")
        try:
            return cls(**_from_file(content))
        except (DataFormatError, ValueError, IndexError) as error:
            raise DataFormatError(f"{path}: {error}") from error

    def to_npz(self, path: str | Path) -> None:
        """Write the packed file format."""
        np.savez_compressed(
            path,
            ids=self.ids,
            seq=np.frombuffer("".join(self.sequence(i) for i in range(len(self))).encode(), np.uint8),
            length=self.lengths.astype(np.int32),
            offset=self.offsets,
            atom14=self.atom14,
            resnum=self.number,
            ss=_TO_FILE[self.states],
            has_seqres=self.full_sequence,
            resolution=self.resolution,
            cluster30=self.cluster.astype(np.int32),
            homology_group=self.group.astype(np.int32),
        )


# The last entry is that of -1, unknown.
_FROM_FILE = np.array([*(STATES.index(letter) for letter in FILE_STATES), UNKNOWN_STATE], np.int8)
_TO_FILE = np.array([*(FILE_STATES.index(letter) for letter in STATES), UNKNOWN_STATE], np.int8)

RESIDUE_ARRAYS = ("types", "atom14", "number", "states")


def _stored(chain: Chain) -> np.ndarray:
    atoms = chain.atom14
    known = np.isfinite(atoms)
    if not known.any():
        raise DataFormatError(f"chain {chain.id} has no atoms of its residues; expected coordinates")
    centre = np.nanmean(atoms[:, 1] if known[:, 1].any() else atoms.reshape(-1, 3), axis=0)
    scaled = np.round((atoms - centre) / UNIT_A)
    farthest = np.nanmax(np.abs(scaled))
    if farthest >= -MISSING:
        raise DataFormatError(
            f"chain {chain.id} reaches {farthest * UNIT_A:.0f} Å from its centre; at most {-MISSING * UNIT_A:.0f} Å "
            "can be stored. Check its coordinates"
        )
    return np.where(known, scaled, MISSING).astype(np.int16)


def _from_file(content: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    chains, residues = len(content["ids"]), len(content["seq"])
    atom14 = content.get("atom14")
    if atom14 is None:
        atom14 = np.full((residues, 14, 3), MISSING, np.int16)
        atom14[:, 1] = content["ca"]
    types = types_of(content["seq"].astype(np.uint8).tobytes().decode("latin-1")).astype(np.uint8)
    lengths = content["length"].astype(np.int64)
    starts = np.cumsum(lengths) - lengths
    own = np.arange(chains)
    return {
        "ids": content["ids"].astype(str),
        "lengths": lengths,
        "types": types,
        "atom14": atom14.astype(np.int16, copy=False),
        "number": content.get("resnum", np.full(residues, UNNUMBERED)).astype(np.int32),
        "states": _FROM_FILE[content["ss"]] if "ss" in content else np.full(residues, UNKNOWN_STATE, np.int8),
        "full_sequence": content.get("has_seqres", np.ones(chains)).astype(bool),
        "ca_only": ~np.logical_or.reduceat(atom14[:, 0, 0] != MISSING, starts) if chains else np.zeros(0, bool),
        "resolution": content.get("resolution", np.full(chains, np.nan)).astype(np.float32),
        "cluster": content.get("cluster30", own).astype(np.int64),
        "group": content.get("homology_group", own).astype(np.int64),
    }
