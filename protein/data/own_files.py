"""A folder of structure files to a packed store: chains that are good enough, split by similarity of sequence."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from common.app.errors import ConfigError, DataFormatError, TrifoldError
from protein.data.chain import Chain
from protein.data.chains import Chains
from protein.data.clusters import IDENTITY, cluster
from protein.data.read import SUFFIXES, read_chains, stem_and_suffix

SPLITS = ("train", "val", "test")


@dataclass(frozen=True)
class Filters:
    """What a chain has to be to be kept.

    shortest, longest  residues
    resolution_a       the coarsest, Å; chains without a stated one (NMR) are kept unless `require_resolution`
    completeness       least share of residues with a C-alpha atom
    unknown            largest share of residues that are none of the twenty
    """

    shortest: int = 30
    longest: int = 512
    resolution_a: float = 4.0
    require_resolution: bool = False
    completeness: float = 0.6
    unknown: float = 0.1

    def refuse(self, chain: Chain) -> str:
        """Why the chain is left out, empty if it is kept."""
        observed, unknown = chain.observed.mean() if len(chain) else 0.0, chain.sequence.count("X") / max(len(chain), 1)
        if not self.shortest <= len(chain) <= self.longest:
            return f"{len(chain)} residues; {self.shortest} to {self.longest} are kept"
        if chain.resolution > self.resolution_a:
            return f"resolution {chain.resolution:g} Å; at most {self.resolution_a:g} Å is kept"
        if self.require_resolution and not np.isfinite(chain.resolution):
            return "no resolution stated"
        if observed < self.completeness:
            return f"{observed:.0%} of the residues have coordinates; at least {self.completeness:.0%} are wanted"
        if unknown > self.unknown:
            return f"{unknown:.0%} unknown residues; at most {self.unknown:.0%} are kept"
        return ""


@dataclass
class Prepared:
    """What became of a folder.

    stores    chains of each split
    rejected  (file or chain, reason)
    """

    stores: dict[str, Chains] = field(default_factory=dict)
    rejected: list[tuple[str, str]] = field(default_factory=list)


def prepare(
    folder: str | Path,
    filters: Filters | None = None,
    shares: tuple[float, float] = (0.1, 0.1),
    seed: int = 0,
    identity: float = IDENTITY,
) -> Prepared:
    """Read every structure file below a folder; chains of equal sequence are kept once, the best resolved.

    shares    of chains for validation and test, in whole clusters
    identity  of sequences in one cluster

    Raises ConfigError for a folder without structure files or impossible shares, and DataFormatError where no chain is
    kept.
    """
    if not (min(shares) >= 0 and sum(shares) < 1):
        raise ConfigError(f"shares {shares} of validation and test; expected two from 0 to 1 with a sum below 1")
    result = Prepared()
    kept = list(_unique(_kept(Path(folder), filters or Filters(), result.rejected), result.rejected))
    if not kept:
        reasons = "; ".join(f"{name}: {reason}" for name, reason in result.rejected[:3])
        raise DataFormatError(f"no chain of {folder} is kept ({reasons}); loosen the filters")
    clusters = cluster([chain.sequence for chain in kept], identity)
    store = Chains.of(kept, clusters)
    of_cluster = _split_clusters(np.bincount(clusters), shares, seed)
    for number, split in enumerate(SPLITS):
        members = np.flatnonzero(of_cluster[clusters] == number)
        if len(members):
            result.stores[split] = store.subset(members)
    return result


def write(prepared: Prepared, output: str | Path) -> None:
    """`<split>.npz` for each split, and rejected.csv, in the folder `output`."""
    output = Path(output)
    output.mkdir(parents=True, exist_ok=True)
    for split, store in prepared.stores.items():
        store.to_npz(output / f"{split}.npz")
    with (output / "rejected.csv").open("w", newline="") as stream:
        table = csv.writer(stream)
        table.writerow(("input", "reason"))
        table.writerows(prepared.rejected)


def _kept(folder: Path, filters: Filters, rejected: list[tuple[str, str]]) -> Iterator[Chain]:
    if not folder.is_dir():
        raise ConfigError(f"{folder} is not a folder; expected one with {', '.join(SUFFIXES)} files")
    files = [path for path in sorted(folder.rglob("*")) if path.is_file() and stem_and_suffix(path)[1] in SUFFIXES]
    if not files:
        raise ConfigError(f"{folder} holds no structure file; expected {', '.join(SUFFIXES)}, plain or compressed")
    for path in files:
        try:
            chains = read_chains(path)
        except TrifoldError as error:
            rejected.append((str(path), str(error)))
            continue
        for chain in chains:
            reason = filters.refuse(chain)
            if reason:
                rejected.append((f"{path} {chain.id}", reason))
            else:
                yield chain


def _unique(chains: Iterator[Chain], rejected: list[tuple[str, str]]) -> Iterator[Chain]:
    """Of equal sequences the chain with the finest resolution, then with the most residues."""
    best: dict[str, Chain] = {}
    for chain in chains:
        other = best.get(chain.sequence)
        if other is None or _rank(chain) < _rank(other):
            best[chain.sequence], chain = chain, other
        if chain is not None:
            rejected.append((f"{chain.source} {chain.id}", f"same sequence as {best[chain.sequence].id}"))
    yield from best.values()


def _rank(chain: Chain) -> tuple[float, int, str]:
    return (float(np.nan_to_num(chain.resolution, nan=np.inf)), -int(chain.observed.sum()), chain.id)


def _split_clusters(sizes: np.ndarray, shares: tuple[float, float], seed: int) -> np.ndarray:
    """Split of each cluster: 0 training, 1 validation, 2 test, filled in random order while a cluster fits."""
    total, split = int(sizes.sum()), np.zeros(len(sizes), np.int64)
    room = {1: shares[0] * total, 2: shares[1] * total}
    for one in np.random.default_rng(seed).permutation(len(sizes)):
        for number in room:
            if sizes[one] <= room[number]:
                split[one], room[number] = number, room[number] - int(sizes[one])
                break
    return split
