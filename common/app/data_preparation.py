"""`trifold data prepare`: a user's own files to the packed store that a domain trains on.

A domain that offers it has `<domain>/data/prepare.py` with `PrepareConfig`, the keys, and `run(config) -> exit status`.
"""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module
from importlib.util import find_spec
from types import ModuleType
from typing import Any

from common.app.errors import ConfigError
from common.app.registry import did_you_mean
from common.app.words import HELP, checked, explained, values_of

COMMAND = "trifold data prepare"


def prepare(words: Sequence[str], domains: Sequence[str]) -> int:
    """`domain=NAME key=value ...`, or `domain=NAME --help` for the keys; returns the exit status.

    Raises ConfigError that lists what is wrong with the keys.
    """
    given = values_of(words, COMMAND)
    module = _module(given.pop("domain", None), domains)
    if HELP & set(words):
        print(explained(module.PrepareConfig, module.__doc__))
        return 0
    return module.run(checked(module.PrepareConfig, given, COMMAND))


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
