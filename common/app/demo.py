"""`trifold demo`: what each domain shows within a minute or two, one after another."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module
from importlib.util import find_spec

from rich.console import Console

from common.app.errors import ConfigError


def run(words: list[str], domains: Sequence[str]) -> int:
    """Run `<domain>.demo.main` of every domain that has one.

    words  keys of the trainings, after their domain: materials.trainer.epochs=2
    """
    shown = [domain for domain in domains if find_spec(f"{domain}.demo") is not None]
    prefixes = tuple(f"{domain}." for domain in shown)
    if unknown := [word for word in words if not word.startswith(prefixes)]:
        raise ConfigError(f"'{unknown[0]}': expected a key after one of {', '.join(prefixes)}")
    console = Console()
    for domain, prefix in zip(shown, prefixes, strict=True):
        console.rule(f"[bold]{domain}[/]", align="left")
        import_module(f"{domain}.demo").main([word.removeprefix(prefix) for word in words if word.startswith(prefix)])
    return 0
