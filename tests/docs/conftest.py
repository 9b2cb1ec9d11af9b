"""Pages run once in a session, each in a folder of its own, with what is shipped and without network."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.docs.blocks import run_page

DOCS = Path(__file__).parents[2] / "docs"

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
