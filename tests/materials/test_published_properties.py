"""Models of properties with published architectures, here with random weights, are used as trained ones are."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from ase.build import bulk
from torch import nn

from common.app.cli import main
from common.app.errors import ConfigError
from materials import PropertyPredictor
from materials.models.m3gnet import M3GNetConfig, M3GNetProperty
from materials.models.megnet import MEGNet
from materials.weights.published import PUBLISHED


@pytest.mark.parametrize(
    ("name", "make"),
    [
        ("m3gnet-mp-2018.6.1-eform", lambda: M3GNetProperty(M3GNetConfig(width=8, layers=1))),
        ("megnet-mp-2018.6.1-eform", MEGNet),
    ],
)
def test_it_predicts_and_is_evaluated(
    name: str,
    make: Callable[[], nn.Module],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    torch.manual_seed(0)
    model = PUBLISHED[name]
    predictor = PropertyPredictor(make(), {"name": name, "architecture": model.architecture, **model.card}, "cpu")
    crystals = [bulk("NaCl", "rocksalt", a=5.69), bulk("CsCl", "cesiumchloride", a=4.21)]
    frame = predictor.predict([*crystals, "absent.cif"])
    predicted = frame["e_form"][:2]
    assert predicted[0] != predicted[1] and np.isfinite(predicted).all()
    assert frame["e_form_std"].isna().all() and frame["error"][2]
    with pytest.raises(ConfigError, match="no `readout` of its atoms' vectors"):
        predictor.explain(crystals[0])
    predictor.save_pretrained("model")
    files = ["a.cif", "b.cif"]
    for path, atoms in zip(files, crystals, strict=True):
        atoms.write(path)
    table = pd.DataFrame({"file": files, "e_form": predicted + np.array([0.1, 0.3]), "split": "test"})
    table.to_csv("salts.csv", index=False)
    assert main(["materials", "evaluate", "model=model", "data=crystal-files", "path=salts.csv", "output=out"]) == 0
    assert "MAE 0.2000" in capsys.readouterr().out


def test_data_of_another_kind_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("molecules.csv").write_text("smiles,e_form,split\nCCO,1.0,test\nCCN,2.0,test\n")
    assert main(["materials", "evaluate", "model=mp2018-eform", "data=molecule-table", "path=molecules.csv"]) == 1
    assert "holds molecules; the model takes crystals" in capsys.readouterr().err
