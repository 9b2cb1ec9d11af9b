"""Secondary structure against mkdssp 4.2.2 (golden/make_dssp.py), and on ideal chains."""

import json
from pathlib import Path

import numpy as np
import pytest

from protein.data.read import read_chains
from protein.data.residues import TYPE_OF_NAME
from protein.geometry.ideal_chains import build, hairpin, helix
from protein.geometry.secondary_structure import assign, to_three_states

HERE = Path(__file__).parents[1]
BACKBONE = [0, 1, 2, 4]


def test_all_eight_states_are_mkdssps():
    folder = HERE.parents[2] / "shared" / "data" / "protein" / "native_files"
    if not folder.is_dir():
        pytest.skip("no structure files beside the checkout")
    seen = set()
    for name, expected in json.loads((HERE / "golden" / "dssp.json").read_text()).items():
        chain = read_chains(folder / name)[0]
        backbone = chain.atom37[:, BACKBONE]
        whole = np.isfinite(backbone).all((1, 2))
        assert assign(backbone[whole], chain.types[whole] == TYPE_OF_NAME["PRO"]) == expected, name
        seen |= set(expected)
    assert seen >= set("HBEGTSC")


def test_ideal_helices_and_hairpins_are_what_they_are_called():
    no_proline = np.zeros(20, bool)
    assert assign(build("A" * 20, [helix(20)])[:, :4].numpy(), no_proline) == "C" + "H" * 18 + "C"
    strands = assign(build("A" * 14, [hairpin(6)])[:, :4].numpy(), no_proline[:14])
    assert to_three_states(strands).count("E") >= 6 and strands[6:8] == "TT"


def test_missing_residues_break_the_chain():
    backbone = build("A" * 20, [helix(20)])[:, :4].numpy()
    backbone[10] = np.nan
    states = assign(backbone, np.zeros(20, bool))
    assert states[10] == "C" and states.count("H") == 15 and len(states) == 20
    assert assign(backbone[:1], np.zeros(1, bool)) == "C"
    assert assign(backbone[:3], np.array([True, False, True])) == "CCC"
