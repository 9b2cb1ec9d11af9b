"""trifold data prepare domain=protein folder=structures/ output=chains/

Chains of PDB, mmCIF and BinaryCIF files to train.npz, val.npz and test.npz: filtered, each sequence once, similar ones
in the same split. What is left out is listed in rejected.csv. `trifold protein train data=chain-store` reads them.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from common.app.config import Section

Share = Annotated[float, Field(ge=0, lt=1)]


class PrepareConfig(Section):
    """`trifold data prepare domain=protein`."""

    folder: str = Field(min_length=1, description="structure files, in folders below it too; also .gz, .bz2, .xz")
    output: str = Field(min_length=1, description="folder of <split>.npz and rejected.csv")
    shortest: int = Field(default=30, ge=1, description="residues of a chain")
    longest: int = Field(default=512, ge=1, description="residues of a chain")
    resolution_a: float = Field(default=4.0, gt=0, description="coarsest resolution; chains that state none are kept")
    require_resolution: bool = Field(default=False, description="leave out chains that state none")
    completeness: float = Field(default=0.6, ge=0, le=1, description="least share of residues with coordinates")
    unknown: float = Field(default=0.1, ge=0, le=1, description="largest share of residues that are none of the twenty")
    val: Share = Field(default=0.1, description="share of the chains, in whole clusters")
    test: Share = Field(default=0.1, description="share of the chains, in whole clusters")
    identity: float = Field(default=0.3, gt=0, le=1, description="of sequences in one cluster, where MMseqs2 is there")
    seed: int = Field(default=0, ge=0, lt=2**32, description="of the splits")


def run(config: PrepareConfig) -> int:
    """Write the store and say what is in it."""
    from protein.data.own_files import Filters, prepare, write

    chosen = config.model_dump(include=set(Filters.__dataclass_fields__))
    prepared = prepare(config.folder, Filters(**chosen), (config.val, config.test), config.seed, config.identity)
    write(prepared, config.output)
    for split, store in prepared.stores.items():
        clusters = len(set(store.cluster.tolist()))
        print(f"{split}: {len(store):,} chains, {clusters:,} clusters, {int(store.lengths.sum()):,} residues")
    print(f"{len(prepared.rejected):,} left out, with reasons -> {config.output}/rejected.csv")
    return 0
