"""What is exported computes what the model does, for any size, without this package; what cannot be says so."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from common import export as exporting
from common.app.errors import ConfigError, NumericalError
from common.data.artifact import read_tensors, verify_artifact
from common.export import CARD, DESCRIPTION, EXAMPLES, Example, Exportable, Input, Output, export

TOY = {"name": "toy", "architecture": "norms"}


class Norms(nn.Module):
    """Lengths of rows, and their sum."""

    def __init__(self, error: float = 0.0) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.tensor([1.0, 2.0, 3.0]))
        self.error = error

    def forward(self, rows: Tensor) -> tuple[Tensor, Tensor]:
        lengths = (rows * self.weight).norm(dim=1) + self.error
        return lengths, lengths.sum()


class DataDependent(Norms):
    def forward(self, rows: Tensor) -> tuple[Tensor, Tensor]:
        return super().forward(rows if rows.sum() > 0 else -rows)


def exportable(module: nn.Module) -> Exportable:
    def example(count: int) -> Example:
        rows = torch.randn(count, 3, generator=torch.Generator().manual_seed(count))
        lengths, total = Norms()(rows)
        return Example({"rows": rows}, {"lengths": lengths.detach(), "total": total.detach()})

    outputs = {"lengths": Output("of the rows, m"), "total": Output("m", 10.0)}
    return Exportable(module, {"rows": Input(("count", 3), "points, m")}, outputs, [example(4), example(7)])


def test_it_runs_on_other_sizes_with_torch_alone_and_says_what_it_takes(tmp_path: Path) -> None:
    parity = export(exportable(Norms()), TOY, "torch-export", tmp_path / "out")
    assert set(parity) == {"lengths", "total"} and max(parity.values()) < 1e-6
    assert set(verify_artifact(tmp_path / "out")) == {"model.pt2", CARD, DESCRIPTION, EXAMPLES}
    said = json.loads((tmp_path / "out" / DESCRIPTION).read_text())
    assert said["inputs"] == {"rows": {"type": "float32", "axes": ["count", 3], "meaning": "points, m"}}
    assert said["outputs"]["total"]["parity"] == parity["total"]
    module, example = torch.export.load(tmp_path / "out/model.pt2").module(), read_tensors(tmp_path / "out", EXAMPLES)
    assert torch.equal(module(rows=example["input.rows"])[1], example["output.total"])
    rows = torch.randn(11, 3)
    assert torch.allclose(module(rows=rows)[0], Norms()(rows)[0])


def test_an_export_replaces_an_export_and_nothing_else(tmp_path: Path) -> None:
    folder = tmp_path / "precious"
    folder.mkdir()
    (folder / "thesis.tex").write_text("x")
    with pytest.raises(ConfigError, match="is no export"):
        export(exportable(Norms()), TOY, "torch-export", folder)
    assert (folder / "thesis.tex").read_text() == "x"


def test_what_differs_from_the_model_is_not_written(tmp_path: Path) -> None:
    with pytest.raises(NumericalError, match=r"lengths by 0\.01.*Nothing was written"):
        export(exportable(Norms(error=0.01)), TOY, "torch-export", tmp_path / "out")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("value", [torch.nan, torch.inf])
def test_a_value_that_is_not_finite_differs(value: float) -> None:
    one = exportable(Norms())
    found = exporting.compared(one, lambda inputs: [torch.full((len(inputs["rows"]),), value), torch.tensor(value)])
    assert found == {"lengths": torch.inf, "total": torch.inf}


def test_an_operation_without_counterpart_is_told_and_other_formats_are_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"toy \(norms\) cannot be written as torch-export: .*format: aoti, onnx"):
        export(exportable(DataDependent()), TOY, "torch-export", tmp_path / "out")
    assert not list(tmp_path.iterdir())


def test_a_missing_compiler_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CXX", "no-such-compiler")
    with pytest.raises(ConfigError, match="no 'no-such-compiler' is here: install a C"):
        export(exportable(Norms()), TOY, "aoti", tmp_path / "out")


def test_missing_packages_are_told_with_the_extra_that_has_them(tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.setattr(exporting, "find_spec", lambda name: None if name == "onnxscript" else object())
    with pytest.raises(ConfigError, match=r"needs onnxscript: pip install 'trifold\[onnx\]'"):
        export(exportable(Norms()), TOY, "onnx", tmp_path / "out")


def test_onnx_agrees_where_its_packages_are(tmp_path: Path) -> None:
    for package in exporting.ONNX_PACKAGES:
        pytest.importorskip(package)
    assert max(export(exportable(Norms()), TOY, "onnx", tmp_path / "out").values()) < 1e-6
