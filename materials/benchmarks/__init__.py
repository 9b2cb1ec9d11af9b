"""Published tables as data, and how our rows beside them are computed."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console

from common.app.composition import load_config
from common.app.models import CARD
from common.results.environment import describe_environment
from common.results.report import Section, Tile, write_report
from common.results.tables import Row, Table
from common.training.run_directory import OUTPUTS
from materials.benchmarks import mlip
from materials.benchmarks.matbench_submission import Fold, submission
from materials.config import BenchmarkConfig, TrainConfig
from materials.data.matbench_compositions import FOLDS, PARTS
from materials.join import join
from materials.predictor import PropertyPredictor
from materials.report import TITLES, property_sections, score
from materials.samples import load_samples
from materials.study import data_of, train

TABLES = Path(__file__).parent
(FOLD_OF_SHIPPED,) = PARTS["val"]
"""The fold of Matbench that no shipped model has learned from."""


@dataclass(frozen=True)
class Measured:
    """One of our rows: a shipped model scored on a part of a data set."""

    model: str
    experiments: tuple[str, ...]
    """The recipe that the model came from; several: trained apart and joined."""
    data: str
    split: str
    column: str
    metric: str
    protocol: str
    before: tuple[str, ...] = ()
    """The recipes of what these start from, in their order, where that is not shipped."""


OURS: dict[str, tuple[Measured, ...]] = {
    "mp2018": (
        Measured(
            "mp2018-eform",
            ("mp2018_eform", "mp2018_edges_eform"),
            "mp2018",
            "val",
            "e_form",
            "mae",
            "validation_part",
            ("mp2018_edges",),
        ),
        Measured("mp2018-bandgap", ("mp2018_bandgap",), "mp2018", "val", "band_gap", "mae", "validation_part"),
    ),
    "matbench": (
        Measured(
            "perovskites-eform",
            ("matbench_perovskites", "matbench_perovskites_edges", "matbench_perovskites_potential"),
            "matbench-perovskites",
            "val",
            "perovskites",
            "mae",
            "fold_3_of_three",
        ),
        Measured("phonons", ("matbench_phonons",), "matbench-phonons", "val", "phonons", "mae", "fold_3_of_three"),
        Measured(
            "expt-gap",
            ("matbench_expt_gap",),
            "matbench-expt-gap",
            "val",
            "expt_gap",
            "mae",
            "fold_3_of_three",
            ("mp_gap_composition",),
        ),
    ),
}


def run(config: BenchmarkConfig) -> None:
    """Print the published table with our rows, and write it as table.json and report.html."""
    folder = Path(config.output) if config.output else _new_folder(config.table)
    folder.mkdir(parents=True, exist_ok=True)
    if config.submission:
        return _submit(config, Path(config.submission), folder)
    rows, sections, tiles = [], [], []
    for measured in OURS.get(config.table, ()):
        model = _trained(measured, config, folder) if config.train else measured.model
        predictor = PropertyPredictor.from_pretrained(model, config.device)
        card, started = predictor.card, time.perf_counter()
        data = data_of(card, measured.data)
        samples = load_samples(data, measured.split, card, offline=config.offline)
        estimate = predictor.calibrated(predictor.estimate(samples.graphs))
        value = score(samples.target, estimate.value, card["outcome"])[measured.metric]
        rows.append(_our_row(measured, predictor, len(samples), value, time.perf_counter() - started, config.table))
        tiles.append(Tile(f"{card['name']} {TITLES[measured.metric]}", f"{value:.4f}", str(card["unit"])))
        heading = f"{card['name']}: "
        sections += [Section(heading + one.heading, one.html) for one in property_sections(samples, estimate, card)]
    if config.table == "mlip":
        rows += mlip.our_rows(config.device, config.offline)
    table = Table.load(TABLES / f"{config.table}.yaml").with_rows(*rows)
    Console().print(table.to_rich())
    (folder / "table.json").write_text(json.dumps(table.to_json(), indent=1))
    report = write_report(folder / "report.html", table.title, [Section("Results", table.to_html()), *sections], tiles)
    print(f"table: {folder / 'table.json'}  report: {report}")


def _submit(config: BenchmarkConfig, path: Path, folder: Path) -> None:
    """Write the results of our tasks in Matbench's format, and print the score of each fold."""
    tasks: dict[str, dict[int, Fold]] = {}
    for measured in OURS["matbench"]:
        folds = tasks[f"matbench_{measured.column}"] = {}
        for fold in range(FOLDS) if config.train else (FOLD_OF_SHIPPED,):
            model = _trained(measured, config, folder, fold) if config.train else measured.model
            predictor = PropertyPredictor.from_pretrained(model, config.device)
            data = data_of(predictor.card, measured.data).model_copy(update={"fold": fold})
            samples = load_samples(data, "val", predictor.card, offline=config.offline)
            predicted = predictor.calibrated(predictor.estimate(samples.graphs)).value[:, 0]
            folds[fold] = Fold(
                samples.collection.ids.tolist(), samples.target[:, 0], predicted, predictor.card["recipe"]
            )
            print(f"{measured.column} fold {fold}: MAE {folds[fold].scores()['mae']:.4f} {predictor.card['unit']}")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(submission(tasks)))
    whole = "" if config.train else f"; only fold {FOLD_OF_SHIPPED}: a whole submission needs train=true"
    print(f"submission: {path}{whole}")


def _trained(measured: Measured, config: BenchmarkConfig, folder: Path, fold: int | None = None) -> Path:
    """The model of new runs of its recipes; what these start from is trained once."""
    for experiment in measured.before:
        recipe = _recipe(experiment, config)
        if not (Path(str(recipe.save_as)) / CARD).is_file():
            train(recipe)
    models = []
    for experiment in measured.experiments:
        place = [] if fold is None else [f"data.fold={fold}", f"run_dir='{folder / f'{experiment}-{fold}'}'"]
        run_directory = train(_recipe(experiment, config, *place))
        assert run_directory is not None
        models.append(run_directory.path / "model")
    if len(models) == 1:
        return models[0]
    joined = folder / (measured.model if fold is None else f"{measured.model}-{fold}")
    return join(measured.model, models, config.device, config.offline).save_pretrained(joined)


def _recipe(experiment: str, config: BenchmarkConfig, *settings: str) -> TrainConfig:
    common = [f"experiment={experiment}", f"trainer.device={config.device}", f"offline={config.offline}"]
    recipe = load_config("materials", "train", [*common, "resume=auto", *settings])
    assert isinstance(recipe, TrainConfig)
    return recipe


def _our_row(
    measured: Measured, predictor: PropertyPredictor, count: int, value: float, seconds: float, table: str
) -> Row:
    card, environment = predictor.card, describe_environment()
    training = card["training"]
    hardware = ", ".join(training["gpus"]) or f"{training['processes']} x {training['cpu']}"
    return Row(
        system=f"Trifold {card['name']}",
        values={measured.column: value},
        source=f"trifold materials benchmark table={table}",
        protocol=measured.protocol,
        ours=True,
        details={
            "trained on": f"{card['data']['train']:,}",
            "N": count,
            "seed": training["seed"],
            "training": f"{training['minutes']:.0f} min, {hardware}",
            "evaluation": f"{seconds:.1f} s, {environment['cpu']}",
        },
    )


def _new_folder(table: str) -> Path:
    return OUTPUTS / "materials" / f"benchmark-{table}" / time.strftime("%Y-%m-%d_%H-%M-%S")
