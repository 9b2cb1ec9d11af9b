"""The proteins of `trifold demo`: a training from nothing, then ubiquitin by the shipped model."""

from __future__ import annotations

from pathlib import Path

import pytest

from protein import demo
from protein.data.read import read_chain

TINY = [
    "data.chains=16", "model.single=16", "model.pair=8", "model.heads=2", "model.stem_blocks=0",
    "model.sequence_blocks=1", "model.blocks=1", "model.iterations=1", "curriculum.crop=16",
    "curriculum.validation_crop=32", "trainer.epochs=1", "trainer.evaluate_every=1", "trainer.device=cpu",
]  # fmt: skip


def test_it_trains_predicts_and_draws(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    demo.main(TINY)
    (structure,), (picture,) = (list(tmp_path.rglob(f"ubiquitin.{kind}")) for kind in ("pdb", "png"))
    chain = read_chain(structure)
    assert chain.sequence == demo.UBIQUITIN and chain.observed.all()
    assert picture.read_bytes().startswith(b"\x89PNG")
    assert "mean pLDDT" in capsys.readouterr().out
