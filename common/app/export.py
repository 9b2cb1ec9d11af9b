"""`trifold export`: a trained network as a file that runs without this package.

A domain's `<domain>/export.py` has `exportable(name, device)`, which gives the network over plain tensors, examples and
the model card; `common.export` writes and compares.
"""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import Literal

from pydantic import Field

from common.app.config import Device, Section
from common.app.errors import ConfigError
from common.app.models import CARD, read_card, shipped_cards
from common.app.registry import did_you_mean
from common.app.words import HELP, checked, explained, values_of

COMMAND = "trifold export"


class ExportConfig(Section):
    """What is exported, and to where."""

    model: str = Field(min_length=1, description="shipped model, or a folder written by save_pretrained")
    format: Literal["torch-export", "aoti", "onnx"] = Field(
        default="torch-export",
        description="torch-export: Python with torch; aoti: compiled, for C++ with libtorch; onnx: ONNX Runtime",
    )
    output: str = Field(min_length=1, description="folder to write; an earlier export there is replaced")
    device: Device = "cpu"


def run(words: list[str], domains: Sequence[str]) -> int:
    """`export model=NAME format=FORMAT output=FOLDER`; prints how well what was written agrees with the model."""
    if HELP & set(words):
        print(explained(ExportConfig, __doc__))
        return 0
    config = checked(ExportConfig, values_of(words, COMMAND), COMMAND)
    domain = domain_of(config.model, domains)
    from common.export import export

    exportable, card = import_module(f"{domain}.export").exportable(config.model, config.device)
    parity = export(exportable, card, config.format, Path(config.output))
    for name, difference in parity.items():
        meaning = exportable.outputs[name].meaning
        print(f"{name}: differs by {difference:.1e} of its scale at most ({meaning})")
    print(f"{config.output}: {card['name']} as {config.format}, compared on {len(exportable.examples)} examples")
    return 0


def domain_of(model: str, domains: Sequence[str]) -> str:
    """Whose model this is; raises ConfigError where it is none."""
    shipped = dict(shipped_cards(domains))
    if model in shipped:
        return shipped[model].parent.parent.name
    if not (Path(model) / CARD).is_file():
        raise ConfigError(
            f"model={model}: neither a shipped model nor a folder with a {CARD} (save_pretrained writes one). "
            f"{did_you_mean(model, list(shipped))}"
        )
    domain = str(read_card(Path(model)).get("domain"))
    if domain not in domains:
        raise ConfigError(f"model={model}: its card names the domain '{domain}'. {did_you_mean(domain, list(domains))}")
    return domain
