"""What the documentation shows, works; what it generates is complete; the check of pages finds what is broken."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import weather.metrics
from common.app.cli import VERBS
from common.app.composition import Verb
from common.app.config_keys import Keys
from docs.check.browser import chromium
from docs.check.site import check_site
from docs.generate import api, configuration
from tests.docs.blocks import blocks_of
from tests.docs.conftest import DOCS

ROOT = DOCS.parent
PAGES = [path.stem for path in sorted(DOCS.glob("*.md")) if blocks_of(path.read_text(encoding="utf-8"))]
needs_browser = pytest.mark.skipif(chromium() is None, reason="no Chromium here")


@pytest.mark.parametrize("page", PAGES)
def test_the_code_of_a_page_runs_and_prints_what_it_says(run: Callable[[str], Path], page: str) -> None:
    run(page)


@pytest.mark.parametrize("domain", ["materials", "weather", "protein"])
def test_every_key_of_every_verb_and_choice_is_in_the_reference(domain: str) -> None:
    page = configuration.page(domain)
    for verb in VERBS:
        model = Verb(domain, verb).model
        for section, names in {"": ("",), **Keys(model, {}).variants}.items():
            for name in names[:: max(1, len(names) // 8)]:
                missing = [key for key in Keys(model, {section: {"name": name}}) if f"| `{key}` |" not in page]
                assert all(key.endswith(".name") for key in missing), f"{verb} {section}={name}: {missing}"


def test_public_names_are_in_the_reference_of_the_api() -> None:
    page = api.page(ROOT, "weather")
    functions = [name for name in weather.metrics.__all__ if callable(getattr(weather.metrics, name))]
    assert functions and all(f"### `{name}`" in page for name in functions)
    assert "### `PropertyPredictor`" in api.page(ROOT, "materials")


def test_the_reference_is_generated_without_torch() -> None:
    code = (
        "import sys; from pathlib import Path; from docs.generate import api, configuration, datasets, results;"
        "[api.page(Path('.'), name) for name in api.PUBLIC]; configuration.page('protein');"
        "datasets.page(['protein', 'weather', 'materials']); results.models(['materials']);"
        "results.benchmarks(['weather']);"
        "assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True)


@needs_browser
def test_reports_are_whole_in_a_browser(run: Callable[[str], Path], flow: tuple[Path, Any], tmp_path: Path) -> None:
    for domain, folder in {"materials": run("materials"), "weather": flow[0], "protein": run("protein")}.items():
        reports = sorted(folder.rglob("report.html"))
        assert reports, f"no report of {domain}"
        (tmp_path / f"{domain}.html").write_bytes(reports[-1].read_bytes())
    assert check_site(tmp_path) == []


@needs_browser
def test_the_check_finds_what_is_broken(tmp_path: Path) -> None:
    (tmp_path / "index.html").write_text(
        "<!doctype html><title>x</title><link rel=icon href=data:,><p style='width:2000px'>x"
        "<a href=none.html>a</a><a href=#none>b</a><img src=none.png><img src='data:image/png;base64,AA'>"
        "<img src=http://127.0.0.2:9/far.png><script>console.error('said'); throw new Error('thrown')</script>"
    )
    found = "\n".join(check_site(tmp_path))
    for text in (
        "console said", "Error: thrown", "broken link to /none.html", "#none", "missing picture data:image", "404",
        "another host: http://127.0.0.2:9/far.png", "pixels wider than a screen of 390",
    ):  # fmt: skip
        assert text in found, f"{text} not in\n{found}"
