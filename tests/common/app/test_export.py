"""`trifold export`: its keys are checked before torch is imported, its model is found by name or folder."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from common.app import export
from common.app.errors import ConfigError

DOMAINS = ("materials", "weather", "protein")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["model=esol"], "output: needs a value"),
        (["model=esol", "output=x", "format=tflite"], "format=tflite: allowed: one of torch-export, aoti, onnx"),
        (["model=esol", "output=x", "formt=onnx"], "did you mean format?"),
        (["model=esoll", "output=x"], "Did you mean 'esol'?"),
        (["esol"], "expected key=value"),
    ],
)
def test_wrong_words_are_told_with_the_remedy(words: list[str], said: str) -> None:
    with pytest.raises(ConfigError) as error:
        export.run(words, DOMAINS)
    assert said in str(error.value)


def test_a_model_is_found_by_name_or_folder(tmp_path: Path) -> None:
    assert export.domain_of("fold-small", DOMAINS) == "protein"
    (tmp_path / "model.json").write_text(json.dumps({"domain": "weather"}))
    assert export.domain_of(str(tmp_path), DOMAINS) == "weather"
    (tmp_path / "model.json").write_text(json.dumps({"domain": "chess"}))
    with pytest.raises(ConfigError, match="names the domain 'chess'"):
        export.domain_of(str(tmp_path), DOMAINS)


def test_keys_are_explained_without_torch() -> None:
    code = "import sys; from common.app.cli import main; main(['export', '--help']); assert 'torch' not in sys.modules"
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert "model=???" in said and "onnx: ONNX Runtime" in said
