"""From arguments to what a verb gets, with the verb itself replaced."""

from __future__ import annotations

import pickle
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

import materials.predict
import materials.train
from common.app import cli
from common.app.composition import load_config
from common.app.errors import ConfigError
from materials.config import TrainConfig


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    for name in ("HYDRA_FULL_ERROR", "TRIFOLD_TRACEBACK"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path


@pytest.fixture
def trained(here: Path, monkeypatch: pytest.MonkeyPatch) -> list[TrainConfig]:
    """The configurations that `materials.train` was run with."""
    seen: list[TrainConfig] = []
    monkeypatch.setattr(materials.train, "run", seen.append)
    return seen


def test_overrides_reach_the_verb(trained: list[TrainConfig], here: Path) -> None:
    arguments = ["experiment=mp2018_eform", "model.layers=2", "optimizer.betas=[0.8,0.9]", "resume=auto", "seed=7"]
    assert cli.main(["materials", "train", *arguments]) == 0
    (config,) = trained
    assert (config.experiment, config.model.layers, config.seed, config.resume) == ("mp2018_eform", 2, 7, "auto")
    assert config.optimizer.betas == (0.8, 0.9)
    assert not list(here.iterdir()), "the trainer makes the run folder, Hydra makes none"


def test_a_resumed_run_keeps_its_settings_but_for_those_given(trained: list[TrainConfig], here: Path) -> None:
    cli.main(["materials", "train", "experiment=mp2018_eform", "model.layers=2"])
    run = here / "runs" / "one"
    run.mkdir(parents=True)
    (run / "config.yaml").write_text(yaml.safe_dump(trained[0].model_dump(mode="json")))
    assert cli.main(["materials", "train", "resume=runs/one"]) == 0
    assert cli.main(["materials", "train", "resume=runs/one", "trainer.epochs=7"]) == 0
    assert cli.main(["materials", "train", "resume=runs/one", "model=edge_network"]) == 0
    same, longer, anew = trained[1:]
    assert same == trained[0].model_copy(update={"resume": "runs/one"})
    assert (longer.trainer.epochs, longer.model) == (7, same.model)
    assert (anew.experiment, anew.model.name) == ("edge_network-ionic-lattice", "edge_network")


def test_a_sweep_gives_each_job_its_own_folder(trained: list[TrainConfig], here: Path) -> None:
    assert cli.main(["materials", "train", "-m", "seed=1,2", "model.layers=2,3"]) == 0
    assert [(c.seed, c.model.layers) for c in trained] == [(1, 2), (1, 3), (2, 2), (2, 3)]
    folders = {Path(c.run_dir or "") for c in trained}
    assert len(folders) == 4
    assert all(folder.is_dir() and here in folder.parents for folder in folders)
    assert not list(here.rglob(".hydra")) and not list(here.rglob("*.log"))


def test_a_sweep_is_refused_before_its_first_job(
    trained: list[TrainConfig], capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["materials", "train", "-m", "model.layers=2,0"]) == 1
    assert "model.layers=0" in capsys.readouterr().err
    assert not trained


def test_a_folder_of_own_files_adds_options(trained: list[TrainConfig], here: Path) -> None:
    (here / "my files/experiment").mkdir(parents=True)
    (here / "my files/experiment/mine.yaml").write_text("# @package _global_\nexperiment: mine\nseed: 5\n")
    assert cli.main(["materials", "train", "--config-dir", "my files", "experiment=mine"]) == 0
    assert (trained[0].experiment, trained[0].seed) == ("mine", 5)


def test_shown_configuration_is_the_one_that_runs(
    trained: list[TrainConfig], capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["materials", "train", "experiment=mp2018_eform", "trainer.epochs=3"]
    assert cli.main([*arguments, "--cfg", "job", "--resolve"]) == 0
    shown = yaml.safe_load(capsys.readouterr().out)
    assert cli.main(arguments) == 0
    assert shown == trained[0].model_dump(mode="json")


def test_a_part_of_the_configuration(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["materials", "train", "--cfg", "job", "--package", "schedule"]) == 0
    assert yaml.safe_load(capsys.readouterr().out)["name"] == "cosine"


@pytest.mark.parametrize(
    "flags", [("--info", "defaults"), ("--info", "searchpath"), ("--hydra-help",), ("--cfg", "all")]
)
def test_flags_of_hydra(here: Path, capsys: pytest.CaptureFixture[str], flags: tuple[str, ...]) -> None:
    try:
        status = cli.main(["materials", "train", *flags])
    except SystemExit as ended:  # Hydra's own help ends the process
        status = ended.code
    assert status == 0
    assert "hydra" in capsys.readouterr().out.lower()
    assert not list(here.iterdir())


@pytest.mark.parametrize(
    ("outcome", "status"),
    [
        (lambda _: 3, 3),
        (lambda _: None, 0),
        (KeyboardInterrupt, 130),
        (ConfigError("no"), 1),
        (OSError(28, "disk full"), 1),
    ],
)
def test_exit_status(
    here: Path, monkeypatch: pytest.MonkeyPatch, outcome: Callable[[Any], int] | BaseException, status: int
) -> None:
    def run(config: Any) -> int:
        if isinstance(outcome, BaseException) or outcome is KeyboardInterrupt:
            raise outcome
        return outcome(config)

    monkeypatch.setattr(materials.predict, "run", run)
    assert cli.main(["materials", "predict", "model=m", "input=i", "output=o"]) == status


def test_terminated(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(materials.predict, "run", lambda _: signal.raise_signal(signal.SIGTERM))
    with pytest.raises(SystemExit) as stopped:
        cli.main(["materials", "predict", "model=m", "input=i", "output=o"])
    assert stopped.value.code == 143


def test_pickled_configurations_are_not_read(here: Path) -> None:
    class Canary:
        def __reduce__(self) -> tuple[Any, ...]:
            return Path.touch, (here / "executed",)

    (here / "config.pickle").write_bytes(pickle.dumps(Canary()))
    with pytest.raises(SystemExit) as stopped:
        cli.main(["materials", "train", "--experimental-rerun", "config.pickle"])
    assert stopped.value.code == 2
    assert not (here / "executed").exists()


def test_configuration_from_python() -> None:
    config = load_config("materials", "train", ["experiment=mp2018_eform", "seed=1"])
    assert isinstance(config, TrainConfig)
    assert (config.data.name, config.seed) == ("mp2018", 1)
