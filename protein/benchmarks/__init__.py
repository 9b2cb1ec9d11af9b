"""Tables: published values as data, and which shipped model or recipe gives our rows beside them."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import pandas as pd
from rich.console import Console

from common.app.composition import load_config
from common.app.errors import ConfigError
from common.results.plots import embed
from common.results.report import Section, write_report
from common.results.tables import Row, Table
from common.training.distributed import UNEVEN, World, process_group
from common.training.precision import select_device
from common.training.run_directory import OUTPUTS
from protein.baselines import score_separation
from protein.benchmarks.learning_curve import measure_curve
from protein.config import BenchmarkConfig, Pdb5k, TrainConfig
from protein.data.secondary_structure_sets import SETS, load
from protein.evaluation import BY_RESIDUE, score_chains, score_sequences, summary
from protein.evaluation_report import sections_of
from protein.pictures import learning_curves
from protein.predictor import StructurePredictor
from protein.samples import open_source
from protein.study import train

TABLES = Path(__file__).parent
OURS = {"pdb5k": {"fold-small": ("fold_small_sequence", "fold_small_distances", "fold_small")}}
"""By table: shipped models and the recipes that make them, one after another."""

CURVES = {"lddt_ca": "lDDT-CA", "tm_score": "TM-score", "p_long_l5": "long-range P@L/5", "q3": "Q3"}
"""Scores that the learning curve draws."""

COLUMNS = {"lddt": "lddt_ca", "tm": "tm_score", "gdt_ts": "gdt_ts", "precision": "p_long_l5"}
"""Columns of the table and the scores in them; Q3 comes in percent."""


def run(config: BenchmarkConfig) -> None:
    """Print the table with our rows; write it as table.json and report.html. Of several ranks each scores its share."""
    folder = Path(config.output) if config.output else _new_folder(config.table)
    measure = _shipped if config.table == "pdb5k" else _curve
    with process_group(select_device(config.device), UNEVEN) as world:
        rows, sections, scores = measure(config, world)
    if not world.is_main:
        return
    folder.mkdir(parents=True, exist_ok=True)
    for name, frame in scores.items():
        frame.drop(columns=list(BY_RESIDUE)).to_csv(folder / f"{name}.csv", index=False)
    table = Table.load(TABLES / f"{config.table}.yaml").with_rows(*rows)
    Console().print(table.to_rich())
    (folder / "table.json").write_text(json.dumps(table.to_json(), indent=1))
    report = write_report(folder / "report.html", table.title, [Section("Results", table.to_html()), *sections])
    print(f"table: {folder / 'table.json'}  report: {report}")


Measured = tuple[list[Row], list[Section], dict[str, pd.DataFrame]]
"""Our rows, what is drawn besides, and the scores by chain of each system."""


def _shipped(config: BenchmarkConfig, world: World) -> Measured:
    """Of the shipped models, or of new runs of their recipes, and of what needs no model."""
    rows, sections, by_chain = [], [], {}
    for model, experiments in OURS[config.table].items():
        if not config.train and model not in StructurePredictor.shipped():
            raise ConfigError(f"{model} is not shipped; train=true runs its recipe")
        path = _trained(experiments, config) if config.train else model
        predictor = StructurePredictor.from_pretrained(path, config.device)
        for protocol, values, scores, seconds in _measured(predictor, config.offline, world):
            rows.append(_row(predictor, protocol, values, len(scores), config.table, _time(seconds, world)))
            if protocol == "test":
                by_chain[model] = scores
                sections += sections_of(scores, summary(scores))
    return [*rows, _baseline(config)], sections, by_chain


def _curve(config: BenchmarkConfig, world: World) -> Measured:
    """Of a small model by the number of its training chains."""
    rows, by_chain, drawn = [], {}, {}
    for point in measure_curve(config, world):
        means, time_taken = summary(point.scores), _time(point.seconds, world)
        by_chain[f"{point.chains}-chains"] = point.scores
        drawn[point.chains] = means
        values = {"chains": float(point.chains), **_values(means)}
        rows.append(_row(point.predictor, "curve", values, len(point.scores), config.table, time_taken))
        if world.is_main:
            print(f"  {point.chains} chains: " + "  ".join(f"{name} {value:.4f}" for name, value in values.items()))
    scores = {label: [means[name] for means in drawn.values()] for name, label in CURVES.items()}
    picture = embed(learning_curves(list(drawn), scores), "Means over the chains of the public test")
    return rows, [Section("Learning curve", f'<div class="scroll wide">{picture}</div>')], by_chain


def _baseline(config: BenchmarkConfig) -> Row:
    source = open_source(Pdb5k(name="pdb5k"), ("train", "test"), config.offline)
    frame = score_separation(source.splits["train"], source.splits["test"])
    return Row(
        system="Share of contacts by separation",
        values={"precision": summary(frame)[COLUMNS["precision"]]},
        source=f"trifold protein benchmark table={config.table}",
        protocol="test",
        details={"N": len(frame), "training chains": len(source.splits["train"])},
    )


def _values(means: Mapping[str, float]) -> dict[str, float]:
    """Of the table's columns."""
    return {**{column: means[score] for column, score in COLUMNS.items()}, "q3": 100 * means["q3"]}


def _time(seconds: float, world: World) -> str:
    return f"{seconds:.0f} s" + (f", {world.size} processes" if world.size > 1 else "")


def _measured(
    predictor: StructurePredictor, offline: bool, world: World
) -> Iterator[tuple[str, dict[str, float], pd.DataFrame, float]]:
    """Protocol, values, scores by chain, seconds."""
    started = time.perf_counter()
    scores = score_chains(predictor, open_source(Pdb5k(name="pdb5k"), ("test",), offline).splits["test"], world=world)
    means = summary(scores)
    for name, value in means.items() if world.is_main else ():
        print(f"  {name:24s} {value:.4f}")
    yield "test", _values(means), scores, time.perf_counter() - started
    for name in SETS:
        started = time.perf_counter()
        scores = score_sequences(predictor, [one for one in load(name, offline) if not one.has_homologue], world=world)
        yield name, {"q3": 100 * summary(scores)["q3"]}, scores, time.perf_counter() - started


def _trained(experiments: Sequence[str], config: BenchmarkConfig) -> Path:
    """The model of new runs of its recipes."""
    model = Path()
    for experiment in experiments:
        settings = [f"experiment={experiment}", f"trainer.device={config.device}", f"offline={config.offline}"]
        recipe = load_config("protein", "train", [*settings, "resume=auto"])
        assert isinstance(recipe, TrainConfig)
        run_directory = train(recipe)
        assert run_directory is not None
        model = run_directory.path / "model"
    return model


def _row(
    predictor: StructurePredictor, protocol: str, values: dict[str, float], chains: int, table: str, time: str
) -> Row:
    card = predictor.card
    training = card["training"]
    hardware = ", ".join(training["gpus"]) or f"{training['processes']} x {training['cpu']}"
    parameters = sum(parameter.numel() for parameter in predictor.model.parameters())
    return Row(
        system=f"Trifold {card['name']}",
        values=values,
        source=f"trifold protein benchmark table={table}",
        protocol=protocol,
        ours=True,
        details={
            "architecture": f"{card['architecture']}, {parameters / 1e6:.2f} M parameters",
            "training chains": card["data"]["training_chains"],
            "seed": training["seed"],
            "training": f"{training['minutes']:.0f} min, {hardware}",
            "N": chains,
            "time": time,
        },
    )


def _new_folder(table: str) -> Path:
    return OUTPUTS / "protein" / f"benchmark-{table}" / time.strftime("%Y-%m-%d_%H-%M-%S")
