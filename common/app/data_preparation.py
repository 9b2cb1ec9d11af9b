"""`trifold data prepare`: a user's own files to the packed store that a domain trains on.

A domain that offers it has `<domain>/data/prepare.py` with `PrepareConfig`, the keys, and `run(config) -> exit status`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib import import_module
from importlib.util import find_spec
from types import ModuleType
from typing import Any

import yaml
from pydantic import ValidationError

from common.app.config_errors import problems_of
from common.app.config_keys import Keys
from common.app.errors import ConfigError
from common.app.registry import did_you_mean


def prepare(words: Sequence[str], domains: Sequence[str]) -> int:
    """`domain=NAME key=value ...`, or `domain=NAME --help` for the keys; returns the exit status.

    Raises ConfigError that lists what is wrong with the keys.
    """
    given = _values([word for word in words if word not in ("--help", "-h")])
    module = _module(given.pop("domain", None), domains)
    if len(given) < len(words) and {"--help", "-h"} & set(words):
        print(_help(module))
        return 0
    try:
        config = module.PrepareConfig.model_validate(given)
    except ValidationError as error:
        found = problems_of(error, Keys(module.PrepareConfig, given), frozenset(given))
        raise ConfigError("\n".join(["trifold data prepare:", *(f"  {one.text}" for one in found)])) from error
    return module.run(config)


def _values(words: Sequence[str]) -> dict[str, Any]:
    values = {}
    for word in words:
        key, found, text = word.partition("=")
        if not found:
            raise ConfigError(f"trifold data prepare: found '{word}'; expected key=value, such as folder=structures/")
        try:
            values[key] = yaml.safe_load(text)
        except yaml.YAMLError as error:
            raise ConfigError(f"trifold data prepare: {word}: {error}") from error
    return values


def _module(domain: Any, domains: Sequence[str]) -> ModuleType:
    able = [name for name in domains if find_spec(f"{name}.data") and find_spec(f"{name}.data.prepare")]
    if domain is None and len(domains) == 1:
        domain = domains[0]
    if domain is None:
        raise ConfigError(f"trifold data prepare needs domain=NAME; {', '.join(able)} can")
    if domain not in able:
        raise ConfigError(
            f"trifold data prepare: domain={domain} has nothing to prepare. {did_you_mean(str(domain), able)}"
        )
    return import_module(f"{domain}.data.prepare")


def _help(module: ModuleType) -> str:
    keys: Mapping[str, Any] = module.PrepareConfig.model_fields
    lines = [(module.__doc__ or "").strip(), "", "Keys (key=value), with their defaults:"]
    known = Keys(module.PrepareConfig, {})
    for name, field in keys.items():
        default = "???" if field.is_required() else field.default
        key = known[name]
        lines += [f"  {name}={default}", f"      {key.allowed}{f': {key.description}' if key.description else ''}"]
    return "\n".join(lines)
