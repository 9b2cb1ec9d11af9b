"""`trifold demo` asks every domain that has something to show, and hands each its own keys."""

from __future__ import annotations

import sys
from types import ModuleType

import pytest

from common.app import demo
from common.app.errors import ConfigError


def test_each_domain_is_shown_with_its_own_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    called: list[tuple[str, list[str]]] = []
    for name in ("materials", "weather"):
        module = ModuleType(f"{name}.demo")
        module.main = lambda words, name=name: called.append((name, words))  # type: ignore[attr-defined]
        monkeypatch.setitem(sys.modules, module.__name__, module)
    monkeypatch.setattr(demo, "find_spec", lambda name: None if name == "protein.demo" else object())
    domains = ("materials", "weather", "protein")
    assert demo.run(["weather.trainer.epochs=2", "materials.seed=1", "weather.seed=3"], domains) == 0
    assert called == [("materials", ["seed=1"]), ("weather", ["trainer.epochs=2", "seed=3"])]
    for word in ("trainer.epochs=2", "protein.seed=1", "weather"):
        with pytest.raises(ConfigError, match=r"expected a key after one of materials\., weather\."):
            demo.run([word], domains)
