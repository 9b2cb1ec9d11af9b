"""The folder that holds everything of one run.

    outputs/<domain>/<experiment>/<time>/
        config.yaml  env.json  metrics.jsonl  checkpoints/  predictions/  report.html
"""

from __future__ import annotations

import itertools
import json
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from common.app.config import RunConfig
from common.app.errors import CheckpointError, ConfigError
from common.results.environment import describe_environment
from common.results.history import read_metrics

OUTPUTS = Path("outputs")

MAY_CHANGE = ("resume", "save_as", "check", "run_dir", "offline", "trainer.epochs", "trainer.device", "trainer.threads",
              "trainer.loggers", "trainer.log_every", "trainer.keep_checkpoints", "trainer.checkpoint_every_steps",
              "trainer.early_stopping", "trainer.profile_steps", "trainer.parallel", "trainer.budget",
              "trainer.non_finite", "trainer.max_skipped")
"""Keys that a resumed run may set anew: they do not change what is learned (epochs: the run may be prolonged)."""


@dataclass(frozen=True)
class RunDirectory:
    path: Path

    @property
    def checkpoints(self) -> Path:
        return self.path / "checkpoints"

    @property
    def metrics(self) -> Path:
        return self.path / "metrics.jsonl"

    def history(self) -> list[dict[str, Any]]:
        """The lines of metrics.jsonl by step."""
        return read_metrics(self.metrics)

    def truncate_history(self, step: int) -> None:
        """Forget lines after `step`: a resumed run writes them again."""
        kept = [line for line in self.history() if line["step"] <= step]
        _write(self.metrics, "".join(json.dumps(line) + "\n" for line in kept))


def open_run(domain: str, config: RunConfig) -> RunDirectory:
    """The folder of a new run, or of the run that `resume` names."""
    resumed = find_resumed(domain, config)
    if resumed:
        _refuse_other_study(resumed.path, config)
        return resumed
    path = Path(config.run_dir) if config.run_dir else _new_folder(_experiment_folder(domain, config))
    if (path / "config.yaml").exists():
        raise ConfigError(f"run_dir={path} already holds a run; go on with it by resume={path}, or name another folder")
    path.mkdir(parents=True, exist_ok=True)
    (path / "env.json").write_text(json.dumps(describe_environment(), indent=1))
    # last and at once: a folder with a configuration is a run that can be resumed
    _write(path / "config.yaml", yaml.safe_dump(config.model_dump(mode="json"), sort_keys=False))
    return RunDirectory(path)


def find_resumed(domain: str, config: RunConfig) -> RunDirectory | None:
    """The run that `resume` names; `auto` is the run in run_dir or else the newest run of the experiment, if any."""
    if config.resume is None:
        return None
    if config.resume != "auto":
        path = Path(config.resume)
        if not (path / "config.yaml").is_file():
            raise CheckpointError(f"resume={path}: no run there (no config.yaml); name a folder of outputs/, or auto")
        return RunDirectory(path)
    if config.run_dir:
        path = Path(config.run_dir)
        return RunDirectory(path) if (path / "config.yaml").is_file() else None
    runs = sorted(_experiment_folder(domain, config).glob("*/config.yaml"))
    return RunDirectory(runs[-1].parent) if runs else None


def _experiment_folder(domain: str, config: RunConfig) -> Path:
    return OUTPUTS / domain / config.experiment


def _new_folder(experiment: Path) -> Path:
    """A folder named after the time; a second run of the same second (a sweep starts many) gets a number behind it."""
    now = time.strftime("%Y-%m-%d_%H-%M-%S")
    for number in itertools.count(1):
        path = experiment / (now if number == 1 else f"{now}-{number}")
        try:
            path.mkdir(parents=True)
            return path
        except FileExistsError:
            continue
    raise AssertionError("unreachable")


def _write(path: Path, text: str) -> None:
    temporary = path.with_suffix(".tmp")
    temporary.write_text(text)
    temporary.replace(path)


def _refuse_other_study(path: Path, config: RunConfig) -> None:
    before = flatten(yaml.safe_load((path / "config.yaml").read_text()))
    now = flatten(config.model_dump(mode="json"))
    changed = [f"{key}: {before.get(key)} -> {now.get(key)}" for key in sorted({*before, *now})
               if before.get(key) != now.get(key) and key not in MAY_CHANGE]
    if changed:
        raise ConfigError(f"the run in {path} cannot go on with another study's settings ({'; '.join(changed)}); "
                          "restore them, or start anew with resume=null")


def flatten(tree: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """A nested configuration by full keys: {"trainer.epochs": 3, ...}."""
    flat: dict[str, Any] = {}
    for key, value in tree.items():
        if isinstance(value, dict):
            flat |= flatten(value, f"{prefix}{key}.")
        else:
            flat[prefix + key] = value
    return flat
