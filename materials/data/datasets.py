"""The data sets of this domain: what they are, where they come from, and on what terms."""

from __future__ import annotations

from common.data.datasets import Dataset, File, Source
from materials.data import matbench_compositions, matbench_crystals, mlip, moleculenet, qm7

GITHUB = "https://raw.githubusercontent.com"
LEADERBOARD = (
    f"{GITHUB}/usnistgov/jarvis_leaderboard/57afc55f94c8a6f4562f73a3173968cd4b2f83b1"
    "/jarvis_leaderboard/benchmarks/AI/SinglePropertyPrediction"
)
AUTOMATMINER = f"{GITHUB}/hackingmaterials/automatminer/2e5458a617bdafc19473058b97d65a5312a74994"
TOPOLOGY = "https://codeload.github.com/fxcoudert/topology_databases/tar.gz/41163fcf52ff9bdb3f993c83ef7eaee6f1676b50"

MP2018 = Dataset(
    name="mp2018",
    title="MP-2018.6.1 (MEGNet), official split",
    description=(
        "DFT properties of 51,149 inorganic crystals of the Materials Project (train 44,376, val 3,653, test 3,120): "
        "formation energy, band gap, energy above hull, magnetization, elastic moduli. The other 18,090 of the 69,239 "
        "materials have no open structure."
    ),
    licence="CC-BY-4.0 (Materials Project data); split: US Government work; table of moduli: modified BSD",
    citation=(
        "Jain et al., APL Mater. 1, 011002 (2013), doi:10.1063/1.4812323; "
        "Chen et al., Chem. Mater. 31, 3564 (2019), doi:10.1021/acs.chemmater.9b01294"
    ),
    homepage="https://materialsproject.org",
    files=(
        File(
            "materials/mp2018_train.npz",
            12_357_671,
            "e4f1c7cc2ef5ddcd5a883ac7ea44a751befca32db787d4e1c8f715731ae0eeff",
        ),
        File(
            "materials/mp2018_val.npz",
            1_029_366,
            "da74b1a18e805895bfd8789b35d5aca90adf6df1463a125dfeee599f452ef8dc",
        ),
        File("materials/mp2018_test.npz", 2_000_000),
    ),
    sources=(
        Source(
            files=(
                File(
                    "materials/originals/megnet_e_form.json.zip",
                    801_781,
                    "da8612889b31ac223465011c07d19ad1649802c4fa17aeaa515b3c53b6c60ddf",
                    f"{LEADERBOARD}/megnet_e_form.json.zip",
                ),
                File(
                    "materials/originals/megnet_gappbe.json.zip",
                    389_912,
                    "ab79f9f722731aa5131ca97df91d48cf37611dab9b0ac5934e274be7e7071b1e",
                    f"{LEADERBOARD}/megnet_gappbe.json.zip",
                ),
                File(
                    "materials/originals/mp_nostruct.csv",
                    3_970_076,
                    "1709fbda1e29ed7312f5bf0e9d25afafd15f993272145dc61ab308937d2976b2",
                    f"{AUTOMATMINER}/matbench/data/sources/mp_nostruct.csv",
                ),
                # About 170 MB. The host packs it on request and does not promise the same bytes twice: what is inside
                # is fixed by the commit in its address.
                File("materials/originals/topology_databases.tar.gz", 400_000_000, None, TOPOLOGY),
            ),
            converter="materials.data.mp2018:convert",
        ),
    ),
)

MP2018_ELASTIC = Dataset(
    name="mp2018-elastic",
    title="Moduli of MP-2018's small crystals by a potential (simulated)",
    description=(
        "Bulk and shear moduli with relaxed and with clamped atoms of the crystals of mp2018 up to 10 atoms, and up to "
        "24 where DFT moduli are known, simulated with TensorNet-MatPES-PBE-v2025.1; computed when first asked for."
    ),
    licence=MP2018.licence,
    citation=f"{MP2018.citation}; Kaplan et al., arXiv:2503.04070 (potential)",
    homepage="",
    files=(),
)

IONIC_LATTICE = Dataset(
    name="ionic-lattice",
    title="Ionic lattices (computed)",
    description=(
        "Lattice energies of binary and ternary ionic crystals, computed by an Ewald sum plus Born-Landé repulsion "
        "from tabulated ionic radii; made on the spot, never measured."
    ),
    licence="Apache-2.0, part of this package",
    citation="Shannon, Acta Cryst. A32, 751 (1976), doi:10.1107/S0567739476001551 (radii)",
    homepage="",
    files=(),
)

DATASETS: dict[str, Dataset] = {
    **{dataset.name: dataset for dataset in (MP2018, MP2018_ELASTIC, IONIC_LATTICE)},
    **matbench_crystals.DATASETS,
    **matbench_compositions.DATASETS,
    **moleculenet.DATASETS,
    qm7.QM7.name: qm7.QM7,
    **mlip.DATASETS,
}
