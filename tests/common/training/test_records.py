"""metrics.jsonl is always written; a logger whose extra is missing is named before any step is taken."""

from __future__ import annotations

import builtins
from pathlib import Path
from typing import Any

import pytest

from common.app.errors import ConfigError
from common.training.records import Records
from common.training.run_directory import RunDirectory


def test_records_are_lines_of_json(tmp_path: Path) -> None:
    records = Records(RunDirectory(tmp_path))
    records.write(3, "train", {"loss": 0.5})
    records.close()
    assert RunDirectory(tmp_path).history() == [{"step": 3, "split": "train", "loss": 0.5}]


@pytest.mark.parametrize(("logger", "module"), [("tensorboard", "torch.utils.tensorboard"), ("wandb", "wandb")])
def test_a_logger_that_is_not_installed_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, logger: str, module: str
) -> None:
    def refuse(name: str, *rest: Any) -> Any:
        if name == module:
            raise ImportError(name)
        return builtins.__import__(name, *rest)

    monkeypatch.setattr("importlib.import_module", refuse)
    with pytest.raises(ConfigError, match=rf"trifold\[{logger}\]"):
        Records(RunDirectory(tmp_path), (logger,))
