"""Tables: published and reference values as data, and which shipped model or recipe gives our rows beside them."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console

from common.app.composition import load_config
from common.app.errors import ConfigError
from common.results.environment import describe_environment
from common.results.report import Section, write_report
from common.results.tables import Row, Table
from common.training.run_directory import OUTPUTS
from weather.config import BenchmarkConfig, EvaluateConfig, TrainConfig
from weather.evaluation import data_of, leads_of, score_split
from weather.forecaster import Forecaster
from weather.report import forecast_sections
from weather.samples import open_source
from weather.scoring import Scored
from weather.study import train

TABLES = Path(__file__).parent


@dataclass(frozen=True)
class Measured:
    """A model's rows: its errors at some lead times on a split.

    columns     by column of the table: channel, lead time in hours, metric
    experiment  the recipe that makes it
    first       recipes whose models it goes on from
    seeds       of the models that it makes, the row is their mean; None: the recipe's own
    """

    model: str
    experiment: str
    columns: dict[str, tuple[str, float, str]]
    split: str = "test"
    members: int = 1
    every: int = 1
    first: tuple[str, ...] = ()
    seeds: tuple[int | None, ...] = (None,)


def _errors(prefix: str, channel: str, hours: tuple[int, ...]) -> dict[str, tuple[str, float, str]]:
    return {f"{prefix}_{lead}h": (channel, float(lead), "rmse") for lead in hours}


SPEEDY_COLUMNS = {
    **_errors("z500", "z500", (24, 72, 120)),
    **_errors("t850", "t850", (24, 72, 120)),
}

SPEEDY_FIRST = ("speedy_5p625_first", "speedy_5p625_second")

SPREAD_COLUMNS = {
    f"{metric}_{channel}_{lead}h": (channel, float(lead), metric)
    for metric in ("crps", "spread_skill_ratio")
    for channel in ("z500", "t850")
    for lead in (24, 72)
}
OF_ONE = {name: (channel, lead, "mae") for name, (channel, lead, metric) in SPREAD_COLUMNS.items() if metric == "crps"}
"""The CRPS of a single forecast is its mean absolute error."""

SWE_COLUMNS = _errors("height", "geopotential", (1, 10))

OURS: dict[str, tuple[Measured, ...]] = {
    "ncep_namerica": (Measured("ncep-namerica-t995", "ncep_namerica_t995", _errors("t995", "t995", (6, 24, 72, 120))),),
    "speedy": (Measured("speedy-5p625", "speedy_5p625", SPEEDY_COLUMNS, first=SPEEDY_FIRST),),
    "speedy_ensemble": (
        Measured("speedy-5p625-ensemble", "speedy_5p625_ensemble", SPREAD_COLUMNS, members=10, first=SPEEDY_FIRST),
        Measured("speedy-5p625", "speedy_5p625", OF_ONE, first=SPEEDY_FIRST),
    ),
    "swe_sfno": tuple(
        Measured(f"swe-{name}", f"swe_{name}", SWE_COLUMNS, seeds=(0, 1, 2)) for name in ("sfno", "fno", "unet")
    ),
    "weatherbench1": (),
}


def run(config: BenchmarkConfig) -> None:
    """Print the table with our rows and the references of the same run; write it as table.json and report.html."""
    folder = Path(config.output) if config.output else _new_folder(config.table)
    folder.mkdir(parents=True, exist_ok=True)
    table = Table.load(TABLES / f"{config.table}.yaml")
    rows, sections, references = [], [], {}
    for measured in OURS[config.table]:
        if not config.train and measured.model not in Forecaster.shipped():
            print(f"{measured.model} is not shipped; train=true trains it")
            continue
        models = [_trained(measured, seed, config) for seed in measured.seeds] if config.train else [measured.model]
        forecasters = [Forecaster.from_pretrained(model, config.device) for model in models]
        started = time.perf_counter()
        scored, pictures = zip(*(_scored(one, measured, config.offline, folder) for one in forecasters), strict=True)
        rows.append(_row(measured, scored, forecasters, table, time.perf_counter() - started))
        references |= {row.system: row for row in _references(forecasters[0], measured, scored[0], table)}
        name = forecasters[0].card["name"]
        sections += [Section(f"{name}: {one.heading}", one.html) for one in pictures[0]]
    if not rows and OURS[config.table]:
        raise ConfigError(f"no model of table={config.table} is shipped; train=true runs the recipes")
    table = table.with_rows(*references.values(), *rows)
    Console().print(table.to_rich())
    (folder / "table.json").write_text(json.dumps(table.to_json(), indent=1))
    report = write_report(folder / "report.html", table.title, [Section("Results", table.to_html()), *sections])
    print(f"table: {folder / 'table.json'}  report: {report}")


def _scored(forecaster: Forecaster, measured: Measured, offline: bool, folder: Path) -> tuple[Scored, list[Section]]:
    data = data_of(forecaster, EvaluateConfig(model=measured.model))
    source = open_source(data, ("train", "val", measured.split), offline)
    leads = leads_of(forecaster, sorted({hours for _, hours, _ in measured.columns.values()}))
    scored = score_split(forecaster, source, measured.split, leads, measured.members, measured.every)
    fields = source.splits[measured.split].fields
    return scored, forecast_sections(forecaster, fields, scored, measured.members, folder)


def _trained(measured: Measured, seed: int | None, config: BenchmarkConfig) -> Path:
    """The model of the recipe's run with that seed: a new run, or the one in its folder, gone on with."""
    model = Path()
    for experiment in (*measured.first, measured.experiment):
        run_dir = OUTPUTS / "weather" / experiment / ("run" if seed is None else f"seed-{seed}")
        settings = [f"experiment={experiment}", f"trainer.device={config.device}", f"offline={config.offline}"]
        settings += [] if seed is None else [f"seed={seed}"]
        recipe = load_config("weather", "train", [*settings, f"run_dir={run_dir}", "resume=auto"])
        assert isinstance(recipe, TrainConfig)
        run_directory = train(recipe)
        assert run_directory is not None
        model = run_directory.path / "model"
    return model


def _values(system: str, measured: Measured, scored: Scored) -> dict[str, float]:
    frame = scored.frame
    part = frame[frame["system"] == system].set_index(["channel", "lead_h", "metric"])["value"]
    return {column: float(part.at[key]) for column, key in measured.columns.items() if key in part.index}  # type: ignore[arg-type]


def _row(
    measured: Measured, scored: Sequence[Scored], forecasters: Sequence[Forecaster], table: Table, seconds: float
) -> Row:
    """Of one model, or the mean of several that differ by their seed, whose own errors are told too."""
    card = forecasters[0].card
    trainings = [forecaster.card["training"] for forecaster in forecasters]
    hardware = ", ".join(trainings[0]["gpus"]) or f"{trainings[0]['processes']} x {trainings[0]['cpu']}"
    parameters = sum(parameter.numel() for parameter in forecasters[0].model.parameters())
    each = [_values(card["name"], measured, one) for one in scored]
    details: dict[str, str | int | float] = {
        "architecture": f"{card['architecture']}, {parameters / 1e6:.2f} M parameters",
        "seed": ", ".join(str(training["seed"]) for training in trainings),
        "training": f"{max(training['minutes'] for training in trainings):.0f} min, {hardware}",
        "evaluation": f"{seconds:.0f} s, {describe_environment()['cpu']}",
    }
    if len(each) > 1:
        details |= {
            f"{c.label} of each": ", ".join(f"{one[c.name]:.{c.decimals}f}" for one in each) for c in table.columns
        }
    return Row(
        system=f"Trifold {card['name']}",
        values={column: sum(one[column] for one in each) / len(each) for column in each[0]},
        source=f"trifold weather benchmark table={table.name}",
        protocol="test",
        ours=True,
        details=details,
    )


def _references(forecaster: Forecaster, measured: Measured, scored: Scored, table: Table) -> Iterator[Row]:
    """Persistence, climatology and regression on the same pairs."""
    decimals = {column.name: column.decimals for column in table.columns}
    for system in dict.fromkeys(scored.frame["system"]):
        found = _values(str(system), measured, scored)
        if system != forecaster.card["name"] and found:  # of an ensemble's scores a single forecast has none
            values = {column: round(value, decimals[column]) for column, value in found.items()}
            source = f"trifold weather benchmark table={table.name}"
            yield Row(system=str(system), values=values, source=source, protocol="test")


def _new_folder(table: str) -> Path:
    return OUTPUTS / "weather" / f"benchmark-{table}" / time.strftime("%Y-%m-%d_%H-%M-%S")
