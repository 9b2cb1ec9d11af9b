"""`key=value` words of a command that needs no composition by Hydra: read, checked, explained."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeVar

import yaml
from pydantic import ValidationError

from common.app.config import Section
from common.app.config_errors import problems_of
from common.app.config_keys import Keys
from common.app.errors import ConfigError

HELP = frozenset({"--help", "-h"})

Config = TypeVar("Config", bound=Section)


def values_of(words: Sequence[str], command: str) -> dict[str, Any]:
    """The words but `--help` as keys and values; raises ConfigError for one that is no key=value."""
    values = {}
    for word in words:
        if word in HELP:
            continue
        key, found, text = word.partition("=")
        if not found:
            raise ConfigError(f"{command}: found '{word}'; expected key=value")
        try:
            values[key] = yaml.safe_load(text)
        except yaml.YAMLError as error:
            raise ConfigError(f"{command}: {word}: {error}") from error
    return values


def checked(model: type[Config], values: dict[str, Any], command: str) -> Config:
    """The values as `model`; raises ConfigError that lists what is wrong with them."""
    try:
        return model.model_validate(values)
    except ValidationError as error:
        found = problems_of(error, Keys(model, values), frozenset(values))
        raise ConfigError("\n".join([f"{command}:", *(f"  {one.text}" for one in found)])) from error


def explained(model: type[Section], about: str | None) -> str:
    """What `--help` prints: words about the command, then its keys with their defaults."""
    lines = [(about or "").strip(), "", "Keys (key=value), with their defaults:"]
    known = Keys(model, {})
    for name, field in model.model_fields.items():
        default = "???" if field.is_required() else field.default
        key = known[name]
        lines += [f"  {name}={default}", f"      {key.allowed}{f': {key.description}' if key.description else ''}"]
    return "\n".join(lines)
