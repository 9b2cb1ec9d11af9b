"""From overrides to a validated configuration: Hydra composes, pydantic checks, all problems are told at once."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from importlib import import_module, resources
from pathlib import Path
from typing import Any, cast

from hydra import compose, initialize_config_dir, initialize_config_module
from hydra._internal.config_loader_impl import ConfigLoaderImpl
from hydra._internal.config_repository import IConfigRepository
from hydra._internal.hydra import Hydra
from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig
from hydra.core.object_type import ObjectType
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import InterpolationToMissingValueError, OmegaConfBaseException
from pydantic import ValidationError

from common.app.config import Section
from common.app.config_errors import Problem, problems_of, show
from common.app.config_keys import Keys
from common.app.errors import ConfigError
from common.app.registry import did_you_mean

SHARED = "pkg://common.conf"
RUN_CONFIG = Path("config.yaml")
"""Of a run folder: all that its run was told."""
SILENT_LOGGING = {"version": 1, "root": None, "disable_existing_loggers": False}
TRUSTED_PLUGINS = ("hydra._internal.core_plugins.", "hydra_plugins.", "optuna.")


@dataclass(frozen=True)
class Verb:
    """One thing that a domain can do: its config root is `<domain>/conf/<name>`, its model `<domain>.config`."""

    domain: str
    name: str

    def __str__(self) -> str:
        return f"trifold {self.domain} {self.name}"

    @property
    def config_module(self) -> str:
        return f"{self.domain}.conf.{self.name}"

    @property
    def model(self) -> type[Section]:
        return getattr(import_module(f"{self.domain}.config"), f"{self.name.capitalize()}Config")

    def settings(self, further: str | None = None) -> list[str]:
        """Hydra's own settings; `further` is a place of more configuration files, as a URL."""
        sources = SHARED if further is None else f"{SHARED},'{further}'"
        return [
            f"hydra.searchpath=[{sources}]",
            "hydra/output=trifold",
            "hydra.output_subdir=null",
            "hydra/job_logging=none",
            "hydra/hydra_logging=none",
            f"hydra.job.name={self.domain}-{self.name}",
        ]


@dataclass(frozen=True)
class Request:
    """What a user asks a verb for."""

    verb: Verb
    overrides: tuple[str, ...] = ()
    folder: str | None = None
    """Absolute path of a further folder of configuration files."""
    config_name: str | None = None

    @property
    def given(self) -> frozenset[str]:
        return frozenset(text.lstrip("+~").partition("=")[0].replace("/", ".") for text in self.overrides)


@dataclass(frozen=True)
class Composition:
    config: DictConfig
    """All keys, and Hydra's own under `hydra`."""
    groups: dict[str, list[str]]
    """Config groups of this verb and their options."""
    problems: tuple[Problem, ...]


def load_config(domain: str, verb: str, overrides: Sequence[str] = (), folder: str | None = None) -> Section:
    """The validated configuration of a verb, as the command line would get it.

        load_config("materials", "train", ["experiment=mp2018_eform", "seed=1"])

    Raises ConfigError that lists every problem.
    """
    request = Request(Verb(domain, verb), tuple(overrides), folder)
    composition = compose_config(request)
    return validate(request, composition.config, composition.problems)


def compose_config(request: Request) -> Composition:
    """What Hydra makes of a request. Raises ConfigError where nothing can be composed at all."""
    verb = request.verb
    name, settings = request.config_name or verb.name, verb.settings(request.folder and f"file://{request.folder}")
    start: Any = partial(initialize_config_module, verb.config_module)
    if run := _resumed_run(request):
        name, settings = RUN_CONFIG.stem, verb.settings(f"pkg://{verb.config_module}")
        start = partial(initialize_config_dir, run)
    with start(job_name=verb.name, version_base="1.3"):
        hydra = GlobalHydra.instance().hydra
        assert hydra is not None
        problems: list[Problem] = []
        try:
            files = _files(hydra, name, settings)
            config = compose(name, settings + _checked(request, files, problems), return_hydra_config=True)
        except Exception as error:  # whatever goes wrong here is due to what was asked for
            raise refusal(verb, [*problems, Problem(sentence(error).replace("override ++", ""))]) from error
    groups = [group for group in config.hydra.runtime.choices if not group.startswith("hydra/")]
    HydraConfig.instance().set_config(config)  # resolves ${hydra:...}
    _refuse_code(verb, config.hydra)
    return Composition(config, {group: files.get_group_options(group) for group in groups}, tuple(problems))


def validate(request: Request, config: DictConfig, problems: Sequence[Problem] = ()) -> Section:
    """The model of a composed configuration. Raises ConfigError with every problem, those known before included."""
    found, model = check(request, config)
    if problems or found or model is None:
        raise refusal(request.verb, [*problems, *found])
    return model


def check(request: Request, config: DictConfig) -> tuple[list[Problem], Section | None]:
    """Problems of a composed configuration, or its model."""
    tree, problems = _resolve(config)
    model = request.verb.model
    try:
        # strict JSON: "3", 3.5 and true are not integers, while a list is a tuple
        return problems, model.model_validate_json(json.dumps(tree, default=str), strict=True)
    except ValidationError as error:
        told = {problem.text.partition(":")[0].partition("=")[0] for problem in problems}
        found = problems_of(error, Keys(model, tree), request.given)
        return problems + [p for p in found if not (p.missing and p.text.partition(":")[0] in told)], None


def refusal(verb: Verb, problems: Sequence[Problem]) -> ConfigError:
    """The error that lists all problems."""
    lines = dict.fromkeys(f"  {problem.text}" for problem in problems)
    count = "a problem" if len(lines) == 1 else f"{len(lines)} problems"
    return ConfigError("\n".join([f"{verb}: {count} in the configuration", *lines, f"All keys: {verb} --help"]))


def _files(hydra: Hydra, config_name: str, settings: list[str]) -> IConfigRepository:
    """All configuration files that Hydra finds, ours, the shared ones and the user's."""
    loader = cast(ConfigLoaderImpl, hydra.config_loader)
    return loader._parse_overrides_and_create_caching_repo(config_name, settings)[1]


def _resumed_run(request: Request) -> str | None:
    """The folder of the run that `resume=FOLDER` names, whose own configuration overrides then change.

    None where a group is chosen, too: that states the study anew.
    """
    given = {key: value for key, _, value in (text.partition("=") for text in request.overrides)}
    folder = Path(given.get("resume", "").strip("'\""))
    roots = [resources.files(package) for package in (request.verb.config_module, "common.conf")]
    anew = request.folder or request.config_name or any((root / key).is_dir() for root in roots for key in given)
    if anew or "resume" not in request.verb.model.model_fields or not (folder / RUN_CONFIG).is_file():
        return None
    return str(folder.resolve())


def _checked(request: Request, files: IConfigRepository, problems: list[Problem]) -> list[str]:
    """Overrides that Hydra will accept; what is wrong with the others goes to `problems`.

    Plain overrides become forced additions (`++`): the model then finds all unknown keys together, while Hydra would
    stop at the first.
    """
    kept = []
    groups = files.get_group_options("", ObjectType.GROUP)
    for text in request.overrides:
        try:
            override = OverridesParser.create().parse_overrides([text])[0]
        except HydraException as error:
            problems.append(Problem(f"{text}: not of the form key=value ({sentence(error)})"))
            continue
        key = override.key_or_group
        if override.is_sweep_override():
            problems.append(Problem(f"{text}: several values need -m (a sweep); a list is written [a,b]"))
        elif key == "hydra.searchpath":
            problems.append(Problem(f"{text}: give a further folder of configuration files as --config-dir FOLDER"))
        elif override.is_hydra_override() or override.is_delete():
            kept.append(text)
        elif key.partition("/")[0] in groups and not isinstance(override.value(), dict):
            problem = _unknown_option(override, files.get_group_options(key))
            problems.extend([problem] if problem else [])
            kept.extend([] if problem else [text])
        else:
            kept.append(f"++{text.lstrip('+')}")
    return kept


def _unknown_option(override: Override, options: list[str]) -> Problem | None:
    value = override.value()
    if value is None or isinstance(value, list) or str(value) in options or "/" in str(value):
        return None
    return Problem(f"{override.input_line}: no such option of this group. {did_you_mean(str(value), options)}")


def _resolve(config: DictConfig) -> tuple[dict[Any, Any], list[Problem]]:
    """Plain values without `hydra`; values still missing (`???`) are left out, broken interpolations reported."""
    config = OmegaConf.masked_copy(config, [str(key) for key in config if key != "hydra"])
    OmegaConf.set_struct(config, False)
    problems: list[Problem] = []
    tree: Any = None
    while tree is None:
        try:
            tree = OmegaConf.to_container(config, resolve=True)
        except OmegaConfBaseException as error:
            key = error.full_key
            if not key or OmegaConf.is_missing(config, key):
                return {}, [*problems, Problem(sentence(error))]
            missing = isinstance(error, InterpolationToMissingValueError)
            problems.append(Problem(f"{key}: {str(error).splitlines()[0]}", missing))
            OmegaConf.update(config, key, "???", merge=False)
    return _without_missing(tree), problems


def _without_missing(tree: Any) -> Any:
    if isinstance(tree, dict):
        return {key: _without_missing(value) for key, value in tree.items() if not _is_missing(value)}
    return tree


def _is_missing(value: Any) -> bool:
    return isinstance(value, str) and value == "???"


def _refuse_code(verb: Verb, hydra: DictConfig) -> None:
    """Hydra runs what its own settings name; no configuration file may name anything but a launcher or a sweeper."""
    named = {
        "launcher": hydra.launcher.get("_target_"),
        "sweeper": hydra.sweeper.get("_target_"),
        "sweeper.sampler": (hydra.sweeper.get("sampler") or {}).get("_target_"),
    }
    bad = [f"hydra.{key}._target_={name}" for key, name in named.items() if not _is_plugin(name)]
    bad += [f"hydra.callbacks={show(OmegaConf.to_container(hydra.callbacks))}"] if hydra.callbacks else []
    for key in ("job_logging", "hydra_logging"):
        if OmegaConf.to_container(hydra[key]) != SILENT_LOGGING:
            bad.append(f"hydra.{key}={show(OmegaConf.to_container(hydra[key]))}")
    if bad:
        raise refusal(verb, [Problem(f"{text}: refused, a configuration must not name code to run") for text in bad])


def _is_plugin(name: Any) -> bool:
    return name is None or str(name).startswith(TRUSTED_PLUGINS)


def sentence(error: BaseException) -> str:
    """An error's text and that of its cause on one line, without what only a developer of Hydra needs."""
    texts = []
    for text in (str(error), str(error.__cause__ or "")):
        lines = [line.strip() for line in text.splitlines()]
        lines = lines[: lines.index("Search path:")] if "Search path:" in lines else lines
        texts.append(
            " ".join(line for line in lines if line and not line.startswith(("See http", "full_key", "object_type")))
        )
    return "; ".join(dict.fromkeys(text for text in texts if text)) or type(error).__name__
