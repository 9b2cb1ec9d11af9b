"""What is wrong with a configuration, one line a problem: key, value, what is allowed, nearest right key."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from common.app.config_keys import Keys

SHOWN_LENGTH = 80


@dataclass(frozen=True)
class Problem:
    text: str
    missing: bool = False
    """Nothing wrong was said, something is still to be said: no error where a configuration is only shown."""


def problems_of(error: ValidationError, keys: Keys, given: frozenset[str]) -> Iterator[Problem]:
    """Pydantic's findings in the terms of the command line; `given` are the keys that the command line sets."""
    for detail in error.errors(include_url=False):
        yield from _explain(detail, keys, given)


def show(value: Any) -> str:
    """A value as one would write it on the command line, shortened."""
    text = value if isinstance(value, str) else json.dumps(value, default=str)
    return text if len(text) <= SHOWN_LENGTH else text[:SHOWN_LENGTH] + "..."


def _explain(detail: ErrorDetails, keys: Keys, given: frozenset[str]) -> Iterator[Problem]:
    name, value = _dotted(detail["loc"], keys), detail["input"]
    match detail["type"]:
        case "extra_forbidden":
            for leaf, leaf_value in _leaves(name, value):
                yield Problem(f"{leaf}={show(leaf_value)}: unknown key; {keys.nearest(leaf)}{_where(leaf, given)}")
        case "missing":
            yield Problem(f"{name}: needs a value; {_allowed(name, keys)}", missing=True)
        case "union_tag_not_found":
            yield Problem(f"{name}.name: needs a value; {_allowed(f'{name}.name', keys)}", missing=True)
        case "union_tag_invalid":
            tag = f"{name}.name"
            yield Problem(f"{tag}={show(value['name'])}: {_allowed(tag, keys)}{_where(tag, given)}")
        case "value_error":
            said = detail["msg"].removeprefix("Value error, ")
            yield Problem(f"{name}: {said}" if name else said)
        case "string_type" if isinstance(value, int | float):
            yield Problem(f"{name}={value}: {_allowed(name, keys)}; a number as text: {name}=\"'{value}'\"")
        case _:
            yield Problem(f"{name}={show(value)}: {_allowed(name, keys)}{_where(name, given)}")


def _dotted(location: tuple[int | str, ...], keys: Keys) -> str:
    """Pydantic's location as a key: it names the variant of a section after the section, and list items by index."""
    name, skip = "", False
    for part in location:
        if isinstance(part, int):
            name += f"[{part}]"
        elif skip and part in keys.variants[name]:
            skip = False
            continue
        else:
            name = f"{name}.{part}" if name else part
        skip = name in keys.variants
    return name


def _allowed(name: str, keys: Keys) -> str:
    key = keys.get(name.partition("[")[0])
    if key:
        return f"allowed: {key.allowed}{f' ({key.description})' if key.description else ''}"
    inside = [known for known in keys if known.startswith(f"{name}.")]
    return f"expected the keys {', '.join(inside)}"


def _where(name: str, given: frozenset[str]) -> str:
    name = name.partition("[")[0]
    told = any(name == key or name.startswith(f"{key}.") or key.startswith(f"{name}.") for key in given)
    return "" if told else " (set in a configuration file)"


def _leaves(name: str, value: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(value, Mapping) and value:
        for key, inner in value.items():
            yield from _leaves(f"{name}.{key}", inner)
    else:
        yield name, value
