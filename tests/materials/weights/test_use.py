"""Published models of properties are used as trained ones are."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from ase.build import bulk

from common.app.cli import main
from materials import PropertyPredictor


@pytest.mark.parametrize(
    "name", ["m3gnet-mp-2018.6.1-eform", "megnet-mp-2018.6.1-eform", "megnet-keras-2018.6.1-eform"]
)
def test_a_published_model_predicts_and_is_evaluated(name, official_files, tmp_path: Path, monkeypatch, capsys) -> None:
    official_files(name)
    monkeypatch.chdir(tmp_path)
    crystals = [bulk("NaCl", "rocksalt", a=5.69), bulk("CsCl", "cesiumchloride", a=4.21)]
    frame = PropertyPredictor.from_pretrained(name, "cpu").predict([*crystals, "absent.cif"])
    predicted = frame["e_form"][:2]
    assert (predicted < -1).all()  # both salts are bound
    assert frame["e_form_std"].isna().all() and frame["error"][2]
    files = ["a.cif", "b.cif"]
    for path, atoms in zip(files, crystals, strict=True):
        atoms.write(path)
    table = pd.DataFrame({"file": files, "e_form": predicted + np.array([0.1, 0.3]), "split": "test"})
    table.to_csv("salts.csv", index=False)
    assert main(["materials", "evaluate", f"model={name}", "data=crystal-files", "path=salts.csv", "output=out"]) == 0
    assert "MAE 0.2000" in capsys.readouterr().out
