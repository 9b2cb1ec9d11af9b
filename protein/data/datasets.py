"""The data sets of this domain: what they are, where they come from, and on what terms."""

from __future__ import annotations

from common.data.datasets import Dataset, File


def _file(name: str, size: int, sha256: str) -> File:
    return File(f"protein/{name}", size, sha256)


PDB5K = Dataset(
    name="pdb5k",
    title="5,809 protein chains of the Protein Data Bank, split by homology",
    description=(
        "Experimental structures, 30-512 residues: training 1,514 all-atom and 3,614 C-alpha chains, validation 60 and "
        "131, public test 110 and 285, and TS50 (50 backbones, in the test). Groups of homologues (MMseqs2, E < 1e-3) "
        "are never divided; C-alpha chains carry secondary structure in eight classes."
    ),
    licence="CC0-1.0 (wwPDB); collected from public repositories, most under MIT, Apache-2.0 or BSD-3-Clause",
    citation=(
        "Berman et al., Nucleic Acids Res. 28, 235 (2000), doi:10.1093/nar/28.1.235; Vreven et al., J. Mol. Biol. 427, "
        "3031 (2015), doi:10.1016/j.jmb.2015.07.016 (docking benchmark 5.5); Bradley et al., PLoS Comput. Biol. 13, "
        "e1005575 (2017), doi:10.1371/journal.pcbi.1005575 (MMTF); Li et al., Proteins 82, 2565 (2014), "
        "doi:10.1002/prot.24620 (TS50)"
    ),
    homepage="https://www.wwpdb.org",
    files=(
        _file("full_train.npz", 14_205_514, "848f8e7ece983c0e4ae84b956edab157625a0385c764e80224b338ba36e61eca"),
        _file("full_val.npz", 515_131, "0f44400d4946184cbd69ed175d5757f184323f102c7e77b7f4278030cdd0fed4"),
        _file("full_test.npz", 959_503, "ed9f70d5363fc26b0e2c6545b6745df99aec1304b11daf07b9cbc7f00467fefe"),
        _file("full_test_ts50.npz", 160_179, "4f6b4be86311c963336a6bd3179214786e9a69d3916c3df82464ee4308550e54"),
        _file("ca_train.npz", 4_040_408, "65a53adab41fdc9ee863b5af02606957454be52a335a440e7a088a32de0597c4"),
        _file("ca_val.npz", 155_322, "a47dd263aa396328b568af156122fca52d0021be564aa63b23ddc0907b77f869"),
        _file("ca_test.npz", 297_965, "a3fa190c586829e29cdf7d4faf7310896c97acd339f7278f416fd88fcad94e78"),
    ),
)

PS4 = "https://github.com/omarperacha/ps4-dataset"

CB513 = Dataset(
    name="cb513",
    title="CB513, secondary structure of 468 sequences",
    description=(
        "Sequences with DSSP states (three and eight), which residues are ordered and scored, and whether pdb5k's "
        "training set has a homologue; 172 of 468 have none."
    ),
    licence="CC0-1.0 (ps4-dataset)",
    citation=(
        "Cuff & Barton, Proteins 34, 508 (1999), doi:10.1002/(SICI)1097-0134(19990301)34:4<508::AID-PROT10>3.0.CO;2-4; "
        "Peracha, bioRxiv 2023.02.28.530456 (ps4-dataset)"
    ),
    homepage=PS4,
    files=(_file("ss/cb513.csv", 669_078, "ec3f8daf1bec72a587de78ca6f3e8bbdab498c376da62311fabe9d6c7f411981"),),
)

TS115 = Dataset(
    name="ts115",
    title="TS115, secondary structure of 112 sequences",
    description="As cb513; 78 of 112 have no homologue in pdb5k's training set.",
    licence="CC0-1.0 (ps4-dataset)",
    citation=(
        "Yang et al., Brief. Bioinform. 19, 482 (2018), doi:10.1093/bib/bbw129; Peracha, bioRxiv 2023.02.28.530456 "
        "(ps4-dataset)"
    ),
    homepage=PS4,
    files=(_file("ss/ts115.csv", 146_846, "fdb9007d01369bc2155d0b094563bdf44fd32f3a11b03eac4969e8b5a72ce07b"),),
)

DATASETS: dict[str, Dataset] = {dataset.name: dataset for dataset in (PDB5K, CB513, TS115)}
