"""Pages run once in a session, each in a folder of its own, with what is shipped and without network."""

from __future__ import annotations

import runpy
from collections.abc import Callable
from contextlib import chdir
from pathlib import Path
from typing import Any

import pytest

from tests.docs.blocks import run_page

DOCS = Path(__file__).parents[2] / "docs"
EXAMPLES = DOCS.parent / "examples"

if not DOCS.is_dir():
    pytest.skip("needs a checkout", allow_module_level=True)


@pytest.fixture(scope="session")
def run(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """The folder in which the blocks of a page have been run."""
    done: dict[str, Path] = {}

    def once(page: str) -> Path:
        if page not in done:
            folder = tmp_path_factory.mktemp(page)
            with pytest.MonkeyPatch.context() as patch:
                patch.setenv("TRIFOLD_MIRROR", str(folder / "no network"))
                run_page(DOCS / f"{page}.md", folder)
            done[page] = folder
        return done[page]

    return once


def run_example(name: str, *words: str) -> Any:
    """What `main` of an example returns."""
    return runpy.run_path(str(EXAMPLES / f"{name}.py"))["main"](*words)


@pytest.fixture(scope="session")
def flow(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Any]:
    """The folder in which examples/forecast_flow.py has been run, and its scores."""
    folder = tmp_path_factory.mktemp("flow")
    with chdir(folder):
        return folder, run_example("forecast_flow")
