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
from materials.explanation.elements import element_bars, element_contributions
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


@pytest.fixture
def model() -> ResidualCGCNN:
    torch.manual_seed(0)
    config = ResidualCGCNNConfig(width=16, message_width=24, layers=2, readout_width=16, members=2, properties=2)
    model = ResidualCGCNN(config).eval()
    model.scale.set(torch.randn(119, 2), torch.tensor([0.5, 3.0]))
    return model


def test_they_add_up_to_the_prediction(model: ResidualCGCNN) -> None:
    batch = batch_of(model, structures())
    rows = element_contributions(model, batch, NAMES)
    predicted = model(batch).mean(dim=1).detach().numpy()
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


def test_a_network_whose_readout_is_no_mean_is_refused() -> None:
    torch.manual_seed(0)
    model = CGCNN(CGCNNConfig(width=16, layers=1)).eval()
    with pytest.raises(ConfigError, match="CGCNN does not end with a mean over atoms"):
        element_contributions(model, batch_of(model, structures()), ["energy"])


def test_bars_name_each_element(model: ResidualCGCNN) -> None:
    rows = element_contributions(model, batch_of(model, structures()[1:2]), NAMES)
    svg = to_svg(element_bars(rows, "energy", "eV/atom"))
    texts = {"".join(node.itertext()).strip() for node in ET.fromstring(svg).iter() if node.tag.endswith("text")}
    assert {"Ti  33%", "O  67%", "composition", "structure"} <= texts
