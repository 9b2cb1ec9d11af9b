"""One verb from its arguments to its exit status; every flag of Hydra works."""

from __future__ import annotations

import itertools
import os
import sys
from argparse import ArgumentParser, Namespace
from collections.abc import Iterator, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

import hydra
from hydra._internal.utils import get_args_parser
from hydra.core.hydra_config import HydraConfig
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import HydraException
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from common.app.composition import Composition, Request, Verb, check, compose_config, refusal, sentence, validate
from common.app.config import Section
from common.app.config_errors import Problem, show
from common.app.config_keys import Keys


def run_verb(domain: str, name: str, arguments: Sequence[str]) -> int:
    """Compose, validate, run. Raises ConfigError before anything heavy is imported."""
    verb = Verb(domain, name)
    flags = _parse(verb, arguments)
    request = Request(verb, tuple(flags.overrides), flags.config_dir, flags.config_name)
    if flags.shell_completion or flags.info or flags.hydra_help:
        return _hydra(request, arguments)
    if flags.multirun:
        for overrides in _jobs(request.overrides):
            job = Request(verb, overrides, request.folder, request.config_name)
            _show_problems(job, compose_config(job))
        return _hydra(request, arguments)
    composition = compose_config(request)
    if flags.help or flags.cfg:
        _show_problems(request, composition)
        print(_help(request, composition) if flags.help else _yaml(composition.config, flags))
        return 0
    return _run(verb, validate(request, composition.config, composition.problems))


def complete_verb(domain: str, name: str, words: Sequence[str], typed: Sequence[str]) -> int:
    """`-sc install=bash`, or `-sc query=bash` for the arguments typed so far."""
    verb = Verb(domain, name)
    os.environ["COMP_LINE"] = " ".join(["trifold", *verb.settings(), *typed])
    return _hydra(Request(verb), ["-sc", *words], settings=())


def _parse(verb: Verb, arguments: Sequence[str]) -> Namespace:
    parser: ArgumentParser = get_args_parser()
    parser.prog = str(verb)
    parser.usage = "%(prog)s [--help] [--cfg job] [-m] key=value ..."
    flags, unknown = parser.parse_known_args(arguments)
    if unknown:
        parser.error(f"unknown flag {unknown[0]}; a setting is given as key=value")
    if flags.experimental_rerun:
        parser.error("--experimental-rerun reads a pickle, which could run any code; use resume=<run folder>")
    if flags.config_path:
        parser.error("--config-path would hide the package's own files; --config-dir adds a folder to them")
    if flags.config_dir:
        flags.config_dir = str(Path(flags.config_dir).resolve())
        if not Path(flags.config_dir).is_dir():
            parser.error(f"--config-dir {flags.config_dir}: no such folder")
    return flags


def _run(verb: Verb, config: Section) -> int:
    return import_module(f"{verb.domain}.{verb.name}").run(config) or 0


def _hydra(request: Request, arguments: Sequence[str], settings: Sequence[str] | None = None) -> int:
    """Let Hydra act: sweeps with any launcher and sweeper, tab completion, information about itself."""

    def job(config: DictConfig) -> float:
        several = HydraConfig.get().mode == RunMode.MULTIRUN
        if several:
            _take_rank()
            _give_folder(request.verb.model, config)
        status = _run(request.verb, validate(request, config))
        return _sum_up(status) if several else status

    app = hydra.main(
        config_path=f"pkg://{request.verb.config_module}", config_name=request.verb.name, version_base="1.3"
    )
    argv, sys.argv = sys.argv, ["trifold", *arguments, *(request.verb.settings() if settings is None else settings)]
    full_error = os.environ.get("HYDRA_FULL_ERROR")
    os.environ["HYDRA_FULL_ERROR"] = "1"  # errors come back here instead of ending the process in Hydra's words
    try:
        app(job)()
    except (HydraException, OmegaConfBaseException) as error:
        raise refusal(request.verb, [Problem(sentence(error))]) from error
    finally:
        sys.argv = argv
        os.environ.pop("HYDRA_FULL_ERROR") if full_error is None else os.environ.update(HYDRA_FULL_ERROR=full_error)
    return 0


def _give_folder(model: type[Section], config: DictConfig) -> None:
    """A job of a sweep writes to the folder that Hydra made for it, unless it was told another."""
    key = next((key for key in ("run_dir", "output") if key in model.model_fields), None)
    if key and OmegaConf.select(config, key) is None:
        OmegaConf.update(config, key, HydraConfig.get().runtime.output_dir, force_add=True)


def _take_rank() -> None:
    """Tasks that a submitit launcher starts together are ranks, as those of torchrun are."""
    if "SUBMITIT_EXECUTOR" in os.environ and "RANK" not in os.environ:
        from submitit.helpers import TorchDistributedEnvironment  # pyright: ignore[reportMissingImports]

        TorchDistributedEnvironment().export(set_cuda_visible_devices=False)


def _sum_up(status: int) -> float:
    """After a job: the table of all runs so far, and the score that a search minimises; of other verbs the status."""
    hydra = HydraConfig.get()
    run = Path(hydra.runtime.output_dir)
    if not (run / "checkpoints" / "best").is_dir():
        return status
    from common.results.sweep import objective, summarise

    if os.environ.get("RANK", "0") == "0":
        folder = Path(hydra.sweep.dir).resolve()
        best = summarise(folder).iloc[0]
        print(f"sweep: best so far is run {best['run']}; table of all: {folder / 'sweep.md'}")
    return objective(run)


def _jobs(overrides: Sequence[str]) -> Iterator[tuple[str, ...]]:
    """The overrides of each job of a grid; a range that only a search plugin can draw from is left out."""
    yield from itertools.product(*filter(None, map(_values, overrides)))


def _values(text: str) -> list[str]:
    try:
        override = OverridesParser.create().parse_overrides([text])[0]
    except HydraException:  # reported when the job is composed
        return [text]
    if not override.is_sweep_override():
        return [text]
    if not override.is_discrete_sweep():
        return []
    return [f"{override.get_key_element()}={value}" for value in override.sweep_string_iterator()]


def _show_problems(request: Request, composition: Composition) -> None:
    """Refuse what is wrong; what is only missing does not matter yet."""
    found, _ = check(request, composition.config)
    wrong = [problem for problem in [*composition.problems, *found] if not problem.missing]
    if wrong:
        raise refusal(request.verb, wrong)


def _yaml(config: DictConfig, flags: Namespace) -> str:
    """`--cfg job|hydra|all [--package NAME] [--resolve]`."""
    hidden = {"job": ("hydra",), "hydra": tuple(key for key in config if key != "hydra"), "all": ()}[flags.cfg]
    shown: Any = OmegaConf.masked_copy(config, [str(key) for key in config if key not in hidden])
    if flags.package and flags.package != "_global_":
        shown = OmegaConf.select(shown, flags.package)
    return OmegaConf.to_yaml(shown, resolve=flags.resolve).rstrip() if OmegaConf.is_config(shown) else str(shown)


def _help(request: Request, composition: Composition) -> str:
    """What the verb does, its groups and keys with what is allowed, examples."""
    config, groups = composition.config, composition.groups
    keys = Keys(request.verb.model, config)
    lines = [config.hydra.help.header.strip()]
    if groups:
        lines += ["", "Groups (group=option; the present one in brackets):"]
        for group, options in reversed(groups.items()):
            chosen = config.hydra.runtime.choices[group]
            names = ", ".join(f"[{option}]" if option == chosen else option for option in options)
            lines.append(f"  {group.lstrip('/')}: {names}")
    lines += ["", "Keys (key=value), with their present values; ??? must be given:"]
    tree = OmegaConf.to_container(config, resolve=False)
    for key in keys.values():
        value: Any = tree
        for part in key.name.split("."):
            value = value.get(part) if isinstance(value, dict) else None
        lines.append(f"  {key.name}={show(value)}")
        lines.append(f"      {key.allowed}{f': {key.description}' if key.description else ''}")
    lines += ["", "Flags: --cfg job (print the configuration), -m (sweep over a,b,c), --config-dir FOLDER (own files),"]
    lines += [
        "       --info, --hydra-help, --shell-completion install=bash|zsh|fish",
        "",
        config.hydra.help.footer.strip(),
    ]
    return "\n".join(lines)
