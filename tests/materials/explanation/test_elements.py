"""Contributions of elements add up to the prediction, and follow the crystal, not its description."""

import xml.etree.ElementTree as ET

import numpy as np
import pytest
import torch
from ase import Atoms
from ase.build import bulk, make_supercell
from ase.spacegroup import crystal

from common.app.errors import ConfigError
from common.results.plots import to_svg
from materials.explanation.drawing import element_bars
from materials.explanation.elements import element_contributions
from materials.models.cgcnn import CGCNN, CGCNNConfig
from materials.models.residual_cgcnn import ResidualCGCNN, ResidualCGCNNConfig
from materials.substances.crystal import Crystal

SETTINGS = {"neighbours": 12, "cutoff_a": 8.0, "collapse_tolerance_a": 1e-4}
NAMES = ["energy", "gap"]


def structures() -> list[Atoms]:
    rutile = crystal(["Ti", "O"], [(0, 0, 0), (0.3, 0.3, 0)], spacegroup=136, cellpar=[4.6, 4.6, 2.95, 90, 90, 90])
    return [bulk("NaCl", "rocksalt", a=5.64), rutile, bulk("W")]


def batch_of(model: torch.nn.Module, atoms: list[Atoms]):
    substance = Crystal()
    packed = substance.pack(model, substance.graphs_of(atoms, SETTINGS))
    return packed.gather(torch.arange(len(atoms)), torch.device("cpu"))


@pytest.fixture(params=["mean", "attention"])
def model(request: pytest.FixtureRequest) -> ResidualCGCNN:
    torch.manual_seed(0)
    size = {"width": 16, "message_width": 24, "layers": 2, "readout_width": 16}
    config = ResidualCGCNNConfig(**size, readout=request.param, members=2, properties=2)
    model = ResidualCGCNN(config).eval()
    model.scale.set(torch.randn(119, 2), torch.tensor([0.5, 3.0]))
    return model


def test_they_add_up_to_the_prediction(model: ResidualCGCNN) -> None:
    batch = batch_of(model, structures())
    rows = element_contributions(model, batch, NAMES)
    predicted = model(batch).mean(dim=1).detach().numpy()
    assert np.ptp(predicted, axis=0).min() > 0.1
    sums = rows.groupby("crystal").sum(numeric_only=True)
    np.testing.assert_allclose(sums[NAMES], predicted, rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(sums["fraction"], 1)
    assert dict(zip(rows.element, rows.fraction, strict=True)) == pytest.approx(
        {"Na": 1 / 2, "Cl": 1 / 2, "Ti": 1 / 3, "O": 2 / 3, "W": 1}
    )


def test_the_part_of_composition_is_the_elements_offset(model: ResidualCGCNN) -> None:
    batch = batch_of(model, structures())
    rows = element_contributions(model, batch, NAMES)
    for row in rows.itertuples():
        offset = model.scale.element_offset[{"Na": 11, "Cl": 17, "Ti": 22, "O": 8, "W": 74}[row.element]]
        expected = offset.double().numpy() * row.fraction
        np.testing.assert_allclose([row.energy_composition, row.gap_composition], expected, rtol=1e-5)


def test_they_do_not_depend_on_cell_and_batch(model: ResidualCGCNN) -> None:
    rutile = structures()[1]
    large = make_supercell(rutile, [[1, 1, 0], [-1, 1, 0], [0, 0, 2]])
    rows = element_contributions(model, batch_of(model, [rutile, large]), NAMES)
    one, other = (part.drop(columns="crystal").reset_index(drop=True) for _, part in rows.groupby("crystal"))
    assert (one.element == other.element).all()
    columns = ["fraction", *NAMES]
    np.testing.assert_allclose(one[columns].astype(float), other[columns].astype(float), rtol=1e-4, atol=1e-5)


def test_of_a_mean_over_atoms_they_are_what_each_atom_says(model: ResidualCGCNN) -> None:
    """Without messages an atom says the same in every crystal, and a crystal of one element is all its own."""
    for convolution in model.convolutions:
        convolution.norm.weight.data.zero_()
        convolution.norm.bias.data.zero_()
    cell = {"cell": [4, 4, 4], "pbc": True, "scaled_positions": [(0, 0, 0), (0.5, 0.5, 0.5)]}
    batch = batch_of(model, [Atoms(symbols, **cell) for symbols in ("CsCl", "Cs2", "Cl2")])
    rows = element_contributions(model, batch, NAMES).set_index(["crystal", "element"])[NAMES]
    if model.config.readout == "mean":
        np.testing.assert_allclose(rows.loc[0, "Cs"], rows.loc[1, "Cs"] / 2, rtol=1e-4)
        np.testing.assert_allclose(rows.loc[0, "Cl"], rows.loc[2, "Cl"] / 2, rtol=1e-4)
    np.testing.assert_allclose(rows.loc[1, "Cs"], model(batch).mean(dim=1)[1].detach(), rtol=1e-4, atol=1e-5)


def test_a_network_without_readout_is_refused() -> None:
    model = CGCNN(CGCNNConfig(width=16, layers=1)).eval()
    with pytest.raises(ConfigError, match="CGCNN has no `readout`"):
        element_contributions(model, batch_of(model, structures()), ["energy"])


def test_bars_name_each_element(model: ResidualCGCNN) -> None:
    rows = element_contributions(model, batch_of(model, structures()[1:2]), NAMES)
    svg = to_svg(element_bars(rows, "energy", "eV/atom"))
    texts = {"".join(node.itertext()).strip() for node in ET.fromstring(svg).iter() if node.tag.endswith("text")}
    assert {"Ti  33%", "O  67%", "composition", "structure"} <= texts
