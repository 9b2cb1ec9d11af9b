"""The molecular data sets: what each holds, in which units, how it is split, where it comes from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from common.data.datasets import Dataset, File, Source

GITHUB = "https://raw.githubusercontent.com"
CHEMPROP = f"{GITHUB}/chemprop/chemprop/a68ade20f227862fe6265c46f021c78217a324ab/data"
FINGERPRINT = f"{GITHUB}/HIPS/neural-fingerprint/d26dae3a293a736261fee307b28b37e548c5f218/data"
DEEPCHEM = "https://deepchemdata.s3-us-west-1.amazonaws.com/datasets"
POLYMETRIX = f"{GITHUB}/lamalab-org/PolyMetriX/7355266b0859e0cb597cf1947b1a5d677596e852/data"

MOLECULENET = "Wu et al., Chem. Sci. 9, 513 (2018), doi:10.1039/C7SC02664A"


@dataclass(frozen=True)
class MoleculeSet:
    """What is known about one set.

    targets  {name in the packed file: column of the original}; a repeated column has its second use as "<column>.1"
    units    of each target in turn, then from the first again; "" for classes
    """

    title: str
    kind: Literal["regression", "classification"]
    targets: Mapping[str, str]
    units: tuple[str, ...]
    rule: Literal["scaffold", "random"]
    packed: tuple[int, str | None]
    """Bytes and SHA-256 of the packed file; the most bytes it may have, and None, where nobody publishes it."""
    original: tuple[str, int, str | None]
    """Address, bytes and SHA-256 of the original; None where its publisher does not fix them."""
    citation: str
    smiles: str = "smiles"
    licence: str = "MIT (repository that publishes the table)"
    homepage: str = ""

    def unit(self, target: str) -> str:
        return self.units[list(self.targets).index(target) % len(self.units)]

    def dataset(self, name: str) -> Dataset:
        """The registry entry."""
        url, size, sha256 = self.original
        count = f"{len(self.targets)} {self.kind} target" + ("s" if len(self.targets) > 1 else "")
        return Dataset(
            name=name,
            title=self.title,
            description=(
                f"{self.title}; {count}, split by {self.rule}: "
                "80 % train, 10 % val, 10 % test (test only in a file converted from the original)."
            ),
            licence=self.licence,
            citation=self.citation,
            homepage=self.homepage or url.split("/data")[0].replace(GITHUB, "https://github.com").rpartition("/")[0],
            files=(File(f"materials/molecules/{packed_name(name)}", *self.packed),),
            sources=(
                Source(
                    (File(f"materials/originals/{url.rpartition('/')[2]}", size, sha256, url),),
                    "materials.data.moleculenet:convert",
                ),
            ),
        )


def packed_name(name: str) -> str:
    return f"{name.replace('-', '_')}.csv.gz"


def _same(*names: str) -> dict[str, str]:
    return {name: name for name in names}


TOX21 = [
    "NR-AR", "NR-AR-LBD", "NR-AhR", "NR-Aromatase", "NR-ER", "NR-ER-LBD", "NR-PPAR-gamma",
    "SR-ARE", "SR-ATAD5", "SR-HSE", "SR-MMP", "SR-p53",
]  # fmt: skip
QM8 = [f"{quantity}-{method}" for method in ("CC2", "PBE0", "CAM") for quantity in ("E1", "E2", "f1", "f2")]
MUV = [
    f"MUV-{assay}" for assay in (466, 548, 600, 644, 652, 689, 692, 712, 713, 733, 737, 810, 832, 846, 852, 858, 859)
]
QM9 = {
    "mu": "debye", "alpha": "bohr^3", "homo": "hartree", "lumo": "hartree", "gap": "hartree", "r2": "bohr^2",
    "zpve": "hartree", "cv": "cal/(mol K)", "u0": "hartree", "u298": "hartree", "h298": "hartree", "g298": "hartree",
}  # fmt: skip
"""Units of its properties."""
SIDER = [
    "Hepatobiliary disorders", "Metabolism and nutrition disorders", "Product issues", "Eye disorders",
    "Investigations", "Musculoskeletal and connective tissue disorders", "Gastrointestinal disorders",
    "Social circumstances", "Immune system disorders", "Reproductive system and breast disorders",
    "Neoplasms benign, malignant and unspecified (incl cysts and polyps)",
    "General disorders and administration site conditions", "Endocrine disorders", "Surgical and medical procedures",
    "Vascular disorders", "Blood and lymphatic system disorders", "Skin and subcutaneous tissue disorders",
    "Congenital, familial and genetic disorders", "Infections and infestations",
    "Respiratory, thoracic and mediastinal disorders", "Psychiatric disorders", "Renal and urinary disorders",
    "Pregnancy, puerperium and perinatal conditions", "Ear and labyrinth disorders", "Cardiac disorders",
    "Nervous system disorders", "Injury, poisoning and procedural complications",
]  # fmt: skip

SETS: dict[str, MoleculeSet] = {
    "esol": MoleculeSet(
        "ESOL: aqueous solubility",
        "regression",
        _same("logp"),
        ("log10(mol/L)",),
        "scaffold",
        (11_340, "3f533c0783fb4f5169ef0068ecc0915723c64b0daffd77248bdd94603b58af27"),
        (f"{CHEMPROP}/delaney.csv", 33_966, "887aa5930b0a7e7fcb76a2d25dc0ebe11c23878ca2d8d1e2204ca2c46b175140"),
        f"Delaney, J. Chem. Inf. Comput. Sci. 44, 1000 (2004), doi:10.1021/ci034243x; {MOLECULENET}",
    ),
    "freesolv": MoleculeSet(
        "FreeSolv: hydration free energy",
        "regression",
        _same("freesolv"),
        ("kcal/mol",),
        "scaffold",
        (5_330, "c2098a81065d0045ecaf2e833a4c39d32bd705bb1340b2fdc8376b1a58211a85"),
        (f"{CHEMPROP}/freesolv.csv", 14_210, "97d74c86228d4c16c0fbbf063bb8280354d8152db09a85ade8517a2f43bd9824"),
        f"Mobley and Guthrie, J. Comput. Aided Mol. Des. 28, 711 (2014), doi:10.1007/s10822-014-9747-x; {MOLECULENET}",
    ),
    "lipophilicity": MoleculeSet(
        "Lipophilicity: octanol/water distribution at pH 7.4",
        "regression",
        _same("lipo"),
        ("log10 D",),
        "scaffold",
        (61_555, "3ed61df92c97268ec084ece12bb11083db5a0389147e2c02058de4a4271db82d"),
        (f"{CHEMPROP}/lipo.csv", 222_638, "aa9bd9669188e35efd908758a75561bba402016d901fed2d0d949289abbcf31c"),
        "Wenlock and Tomkinson, Experimental in vitro DMPK and physicochemical data on a set of publicly disclosed "
        f"compounds, deposited in ChEMBL (2015), doi:10.6019/CHEMBL3301361; {MOLECULENET}",
    ),
    "bbbp": MoleculeSet(
        "BBBP: blood-brain barrier penetration",
        "classification",
        _same("p_np"),
        ("",),
        "scaffold",
        (28_501, "0d79125d70226430b9b24988301361fb5399cb12f7a5da9e59413d02d01fbf1e"),
        (f"{CHEMPROP}/bbbp.csv", 111_265, "a61e17872cbec0743a6147dc802a1f7550acfe8dc1053f881f4c42a3ce2dc597"),
        f"Martins et al., J. Chem. Inf. Model. 52, 1686 (2012), doi:10.1021/ci300124c; {MOLECULENET}",
    ),
    "bace": MoleculeSet(
        "BACE: inhibition of beta-secretase 1",
        "classification",
        _same("Class"),
        ("",),
        "scaffold",
        (14_002, "ce94ee57dc55a3f4e1d4684862d57cf5715aa8f989b0ddc02ebf0e0b37d16a79"),
        (f"{CHEMPROP}/bace.csv", 103_228, "847be1e38d3798c60df03e1aaf2ccd0f09f9ed89407de78e80463aa637088532"),
        f"Subramanian et al., J. Chem. Inf. Model. 56, 1936 (2016), doi:10.1021/acs.jcim.6b00290; {MOLECULENET}",
        smiles="mol",
    ),
    "tox21": MoleculeSet(
        "Tox21: twelve toxicity assays",
        "classification",
        _same(*TOX21),
        ("",),
        "scaffold",
        (104_469, "e9354eebf87b245f5fc1c3293a43f95e73647acf6a4e4372349249ec27a369bc"),
        (f"{CHEMPROP}/tox21.csv", 458_635, "b58cc1f683e78e3c7a1bf7116e9aac0119804018d100f7b8cdb0857941c31aca"),
        f"Huang et al., Front. Environ. Sci. 3, 85 (2016), doi:10.3389/fenvs.2015.00085; {MOLECULENET}",
    ),
    "sider": MoleculeSet(
        "SIDER: side effects of drugs by organ class",
        "classification",
        _same(*SIDER),
        ("",),
        "scaffold",
        (31_644, "c889228ea24b4fb50f63e198285b0ff2d6a2fd6303aab82d19eb43cdf322affe"),
        (f"{CHEMPROP}/sider.csv", 183_743, "71efc6ac4ca82d6545bc512509863281be0f17234afd7adaf71a71899988302e"),
        f"Kuhn et al., Nucleic Acids Res. 44, D1075 (2016), doi:10.1093/nar/gkv1075; {MOLECULENET}",
    ),
    "hiv": MoleculeSet(
        "HIV: inhibition of replication",
        "classification",
        _same("HIV_active"),
        ("",),
        "scaffold",
        (452_594, "e9d08a3f30a659307e23cbebf1a7736eb3466362f0b59eb1e82e6671e7e9ea1c"),
        (f"{CHEMPROP}/hiv.csv.gz", 415_719, "0a4a7390d6f22035c293e8e0d500655d76233b35f0f68ab128f3ceccdd97a297"),
        f"NCI Developmental Therapeutics Program, AIDS antiviral screen (2004); {MOLECULENET}",
    ),
    "qm8": MoleculeSet(
        "QM8: excited states of small molecules",
        "regression",
        _same(*QM8),
        ("hartree", "hartree", "", ""),
        "random",
        (1_170_859, "eb95a6b373c2456b1c3ed305d08504c6c27f4c11248f5e4c0f62e89597c7f2c8"),
        (f"{CHEMPROP}/qm8.csv.gz", 1_246_400, "04c445ef01a22b6fbe032c10bccd4c73704c3fd96e3c96a675c1b3a7658df877"),
        f"Ramakrishnan et al., J. Chem. Phys. 143, 084111 (2015), doi:10.1063/1.4928757; {MOLECULENET}",
    ),
    "cep-pce": MoleculeSet(
        "Harvard Clean Energy Project: efficiency of organic photovoltaics",
        "regression",
        _same("PCE"),
        ("%",),
        "random",
        (476_423, "c5e1ce388d263de642cccd0db511a1c26516d7360438247ed678738a2de4b82a"),
        (
            f"{FINGERPRINT}/2015-06-02-cep-pce/cep-processed.csv",
            2_119_766,
            "99c3def57a412e0ac3922194d0605b6a8a9056938706a44bc4ba1d35fe8bc8c0",
        ),
        "Hachmann et al., J. Phys. Chem. Lett. 2, 2241 (2011), doi:10.1021/jz200866s; arXiv:1509.09292",
    ),
    "malaria": MoleculeSet(
        "Malaria: efficacy against P. falciparum",
        "regression",
        _same("activity"),
        ("log EC50",),
        "random",
        (239_889, "12e6649fc6b9eff2af93928b3bad890e653d79844e24fe9126e607292b5de84d"),
        (
            f"{FINGERPRINT}/2015-06-03-malaria/malaria-processed.csv",
            735_229,
            "2cea95027569d94a05093f0e1ea9ae174b721298380d1dfc33f2eb802a0cf008",
        ),
        "Gamo et al., Nature 465, 305 (2010), doi:10.1038/nature09107; arXiv:1509.09292",
    ),
    "polymer-tg": MoleculeSet(
        "Glass transition temperature of polymers",
        "regression",
        {"Tg_K": "Exp_Tg(K)"},
        ("K",),
        "random",
        (87_773, "92ca3a50dd3eb7d5f03fafcde6d770677dce3de6edd818f13a8611ab7c4ccc2f"),
        (f"{POLYMETRIX}/Polymer_Tg.csv", 772_590, "89c500a8df1381c855e691c75849ee6c6e7a19f20a62efc35f7d57e85fc8184a"),
        "Kunchapu and Jablonka, npj Comput. Mater. 11, 312 (2025), doi:10.1038/s41524-025-01823-y",
        smiles="PSMILES",
    ),
    "clintox": MoleculeSet(
        "ClinTox: drugs approved, and drugs that failed for toxicity",
        "classification",
        _same("FDA_APPROVED", "CT_TOX"),
        ("",),
        "scaffold",
        (23_498, "d5464d223314681d769487312ebf2cfdf5e2132fe9ecb10bbc7948536e21c36b"),
        (f"{CHEMPROP}/clintox.csv", 94_829, "cc561402d058a0d996a9f5e5d02bc20f6652b7003525b32c3598b8da4b24e9b7"),
        f"Gayvert et al., Cell Chem. Biol. 23, 1294 (2016), doi:10.1016/j.chembiol.2016.07.023; {MOLECULENET}",
    ),
    "muv": MoleculeSet(
        "MUV: seventeen assays for virtual screening",
        "classification",
        _same(*MUV),
        ("",),
        "random",
        (3_000_000, None),
        (f"{CHEMPROP}/muv.csv.gz", 1_329_782, "ee68d1fad0b10440dc494ac3a74cf99168a0b0da9683556b2b48220b88172135"),
        f"Rohrer and Baumann, J. Chem. Inf. Model. 49, 169 (2009), doi:10.1021/ci8002649; {MOLECULENET}",
    ),
    "qm9": MoleculeSet(
        "QM9: quantum chemistry of 134,000 small molecules",
        "regression",
        _same(*QM9),
        tuple(QM9.values()),
        "random",
        (30_000_000, None),
        (f"{DEEPCHEM}/qm9.csv", 60_000_000, None),
        f"Ramakrishnan et al., Sci. Data 1, 140022 (2014), doi:10.1038/sdata.2014.22; {MOLECULENET}",
        licence="as its authors published it (figshare); the table is DeepChem's",
        homepage="https://doi.org/10.6084/m9.figshare.c.978904.v5",
    ),
}
