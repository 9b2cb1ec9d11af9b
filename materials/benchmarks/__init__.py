"""Published tables as data, and how our row beside them is computed."""

from __future__ import annotations

import json
import time
from pathlib import Path

from rich.console import Console

from common.app.composition import load_config
from common.results.environment import describe_environment
from common.results.report import Section, Tile, write_report
from common.results.tables import Row, Table
from common.training.run_directory import OUTPUTS
from materials.config import BenchmarkConfig, DataConfig, TrainConfig
from materials.predictor import PropertyPredictor
from materials.report import prediction_sections
from materials.study import Split, score, train

MODELS = {"mp2018": "mp2018-eform"}
RECIPES = {"mp2018": "mp2018_eform"}
TABLES = Path(__file__).parent


def run(config: BenchmarkConfig) -> None:
    """Print the published table with our row, and write it as table.json and report.html."""
    model = _trained(config) if config.train else MODELS[config.table]
    predictor = PropertyPredictor.from_pretrained(model, config.device)
    folder = (
        Path(config.output)
        if config.output
        else OUTPUTS / "materials" / f"benchmark-{config.table}" / time.strftime("%Y-%m-%d_%H-%M-%S")
    )
    folder.mkdir(parents=True, exist_ok=True)
    card, started = predictor.card, time.perf_counter()
    data = DataConfig(
        name=card["data"]["name"],
        target=card["property"],
        neighbours=card["graph"]["neighbours"],
        cutoff_a=card["graph"]["cutoff_a"],
    )
    split = Split.load(data, "val", None, config.offline)
    predicted = predictor.predict_graphs(split.graphs)
    scores = score(split.target, predicted)
    row = _our_row(predictor, len(predicted), scores["mae"], time.perf_counter() - started)
    table = Table.load(TABLES / f"{config.table}.yaml").with_rows(row)
    Console().print(table.to_rich())
    (folder / "table.json").write_text(json.dumps(table.to_json(), indent=1))
    sections = prediction_sections(
        split.crystals.ids.tolist(),
        split.target,
        predicted,
        split.crystals.numbers,
        split.crystals.n_atoms,
        card["property"],
        card["unit"],
    )
    tiles = [Tile("Our validation MAE", f"{scores['mae']:.4f}", card["unit"]), Tile("Crystals", f"{len(predicted):,}")]
    report = write_report(folder / "report.html", table.title, [Section("Results", table.to_html()), *sections], tiles)
    print(f"table: {folder / 'table.json'}  report: {report}")


def _trained(config: BenchmarkConfig) -> Path:
    """The model of a new run of the table's recipe."""
    recipe = load_config(
        "materials",
        "train",
        [
            f"experiment={RECIPES[config.table]}",
            f"trainer.device={config.device}",
            f"offline={config.offline}",
            "resume=auto",
        ],
    )
    assert isinstance(recipe, TrainConfig)
    run_directory = train(recipe)
    assert run_directory is not None
    return run_directory.path / "model"


def _our_row(predictor: PropertyPredictor, count: int, mae: float, seconds: float) -> Row:
    card, environment = predictor.card, describe_environment()
    training = card["training"]
    hardware = ", ".join(training["gpus"]) or f"{training['processes']} x {training['cpu']}"
    return Row(
        system=f"Trifold {card['name']}",
        values={card["property"]: mae},
        source="trifold materials benchmark table=mp2018",
        protocol="validation_part",
        ours=True,
        details={
            "trained on": f"{card['data']['train']:,}",
            "N": count,
            "seed": training["seed"],
            "training": f"{training['minutes']:.0f} min, {hardware}",
            "evaluation": f"{seconds:.1f} s, {environment['cpu']}",
        },
    )
