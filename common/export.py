"""A trained network as a file that runs without this package: torch.export, AOTInductor (C++) or ONNX.

    folder/model.pt2 | model.onnx    the network: tensors in, tensors out, by name
    folder/export.json               what each tensor is, which of its sizes are free, how well it agrees
    folder/examples.safetensors      the inputs and outputs of an example, "input.<name>" and "output.<name>"
    folder/model.json                the model card
    folder/manifest.json             SHA-256 of all

An exported network takes what preparation has made of an input (graphs, normal fields, types of residues): its user
makes the same. What was written is run on every example and compared with what the predictor itself gives.
"""

from __future__ import annotations

import os
import re
import shutil
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from common.app.errors import ConfigError, NumericalError
from common.data.artifact import encode, staged_folder

Tensors = Mapping[str, Tensor]
Run = Callable[[Tensors], Sequence[Tensor]]

CARD, DESCRIPTION, EXAMPLES = "model.json", "export.json", "examples.safetensors"
PARITY = 1e-3
"""Largest difference that is accepted, in units of `Output.scale`."""

REASON = 400
"""Characters of an exporter's own words that are shown; TRIFOLD_TRACEBACK=1 shows all."""

COLOUR = r"\x1b\[[0-9;]*m"

ONNX_PACKAGES = ("onnx", "onnxscript", "onnxruntime")


class Input(NamedTuple):
    """axes: a number where a size is fixed, the name of a size where it is free."""

    axes: tuple[int | str, ...]
    meaning: str


class Output(NamedTuple):
    """scale: a difference that matters, in the output's unit: a spread of values, or an error that models make."""

    meaning: str
    scale: float | Tensor = 1.0


class Example(NamedTuple):
    """Inputs, and what the predictor itself gives for them."""

    inputs: Tensors
    outputs: Tensors


@dataclass(frozen=True)
class Exportable:
    """What a domain gives to be exported.

    module    takes the inputs by name, in this order, and returns the outputs as a tuple, in theirs
    examples  the first is traced; free sizes differ between them, and from each other within one
    """

    module: nn.Module
    inputs: Mapping[str, Input]
    outputs: Mapping[str, Output]
    examples: Sequence[Example]


class Format(NamedTuple):
    """write: the traced network to a path; load: what was written, to be run."""

    file: str
    write: Callable[[torch.export.ExportedProgram, Path], Any]
    load: Callable[[Path], Run]
    require: Callable[[], None] = lambda: None


def export(exportable: Exportable, card: Mapping[str, Any], format: str, folder: Path) -> dict[str, float]:
    """Write `folder` and return the largest difference of each output over all examples, in its scale.

    Raises ConfigError where the format lacks a program or package here, or has no counterpart for one of the network's
    operations; NumericalError where what was written gives something else; then no folder is written.
    """
    chosen = FORMATS[format]
    chosen.require()
    if folder.exists() and not (folder / DESCRIPTION).is_file():
        raise ConfigError(f"output={folder} exists and is no export; give a folder that is not there yet")
    with staged_folder(folder) as temporary:
        path = temporary / chosen.file
        try:
            with torch.no_grad():
                chosen.write(traced(exportable), path)
            parity = compared(exportable, chosen.load(path))
        except (NumericalError, OSError):  # a full disk is told as such
            raise
        except Exception as error:  # exporters raise whatever their inner parts raise
            raise ConfigError(_why(card, format, error)) from error
        if wrong := {name: value for name, value in parity.items() if not value <= PARITY}:
            raise NumericalError(
                f"{card['name']} as {format} differs from the model: " + _listed(wrong) + f"; at most {PARITY:g} of "
                "what matters is accepted. Nothing was written"
            )
        description = described(exportable, card, format, parity)
        first = exportable.examples[0]
        tensors = {f"input.{name}": value for name, value in first.inputs.items()}
        tensors |= {f"output.{name}": value for name, value in first.outputs.items()}
        for name, content in ((DESCRIPTION, description), (CARD, card), (EXAMPLES, tensors)):
            (temporary / name).write_bytes(encode(name, content))
    return parity


def traced(exportable: Exportable) -> torch.export.ExportedProgram:
    """The network as torch.export sees it, with free sizes."""
    free: dict[str, torch.export.Dim] = {}
    shapes = {
        name: {
            axis: free.setdefault(size, torch.export.Dim(size))
            for axis, size in enumerate(one.axes)
            if isinstance(size, str)
        }
        for name, one in exportable.inputs.items()
    }
    return torch.export.export(exportable.module, (), dict(exportable.examples[0].inputs), dynamic_shapes=shapes)


def compared(exportable: Exportable, run: Run) -> dict[str, float]:
    """Largest difference of each output from the predictor's over all examples, in its scale; NaN differs."""
    largest = dict.fromkeys(exportable.outputs, 0.0)
    for example in exportable.examples:
        for (name, output), found in zip(exportable.outputs.items(), run(example.inputs), strict=True):
            expected = example.outputs[name].cpu().double()
            if found.shape != expected.shape:
                raise NumericalError(f"{name} has shape {tuple(found.shape)}, expected {tuple(expected.shape)}")
            scale = torch.as_tensor(output.scale).cpu().double()
            difference = (found.detach().cpu().double() - expected).abs() / scale
            largest[name] = max(largest[name], float(difference.nan_to_num(torch.inf, posinf=torch.inf).max()))
    return largest


def described(
    exportable: Exportable, card: Mapping[str, Any], format: str, parity: Mapping[str, float]
) -> dict[str, Any]:
    """What export.json says."""
    first = exportable.examples[0]
    kinds = {name: str(value.dtype).removeprefix("torch.") for name, value in {**first.inputs, **first.outputs}.items()}
    return {
        "model": card["name"],
        "format": format,
        "file": FORMATS[format].file,
        "torch": torch.__version__,
        "inputs": {
            name: {"type": kinds[name], "axes": list(one.axes), "meaning": one.meaning}
            for name, one in exportable.inputs.items()
        },
        "outputs": {
            name: {"type": kinds[name], "meaning": one.meaning, "parity": parity[name]}
            for name, one in exportable.outputs.items()
        },
        "examples_compared": [{name: list(v.shape) for name, v in one.inputs.items()} for one in exportable.examples],
    }


def _why(card: Mapping[str, Any], format: str, error: Exception) -> str:
    first: BaseException = error
    while first.__cause__ is not None:  # what exporters raise last is advice to their own developers
        first = first.__cause__
    text = " ".join(re.sub(COLOUR, "", str(first)).split()) or type(first).__name__
    reason = text[max(text.find("error: "), 0) :]  # a compiler's command line stands before what it says
    others = ", ".join(name for name in FORMATS if name != format)
    return (
        f"{card['name']} ({card['architecture']}) cannot be written as {format}: {reason[:REASON]}. "
        f"Try another format: {others}"
    )


def _listed(parity: Mapping[str, float]) -> str:
    return ", ".join(f"{name} by {value:.2g}" for name, value in parity.items())


def _save(program: torch.export.ExportedProgram, path: Path) -> None:
    with warnings.catch_warnings():  # tensors that are views of one another are saved once each, and it says so
        warnings.filterwarnings("ignore", "No complete tensor", UserWarning)
        torch.export.save(program, path)


def _load(path: Path) -> Run:
    module = torch.export.load(path).module()
    return lambda inputs: module(**inputs)


def _compile(program: torch.export.ExportedProgram, path: Path) -> None:
    torch._inductor.aoti_compile_and_package(program, package_path=str(path))  # pyright: ignore


def _load_compiled(path: Path) -> Run:
    runner = torch._inductor.aoti_load_package(str(path))  # pyright: ignore
    return lambda inputs: runner(**inputs)


def _save_onnx(program: torch.export.ExportedProgram, path: Path) -> None:
    torch.onnx.export(program, (), str(path), dynamo=True, external_data=False, verbose=False)


def _load_onnx(path: Path) -> Run:
    import onnxruntime  # pyright: ignore[reportMissingImports] (in the extra `onnx`)

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    return lambda inputs: [
        torch.from_numpy(value) for value in session.run(None, {name: value.numpy() for name, value in inputs.items()})
    ]


def _require_compiler() -> None:
    program = os.environ.get("CXX") or "g++"
    if shutil.which(program) is None:
        raise ConfigError(
            f"format=aoti compiles C++, and no '{program}' is here: install a C++ compiler, or name one by CXX"
        )


def _require_onnx() -> None:
    if missing := [name for name in ONNX_PACKAGES if find_spec(name) is None]:
        raise ConfigError(f"format=onnx needs {', '.join(missing)}: pip install 'trifold[onnx]'")


FORMATS: dict[str, Format] = {
    "torch-export": Format("model.pt2", _save, _load),
    "aoti": Format("model.pt2", _compile, _load_compiled, _require_compiler),
    "onnx": Format("model.onnx", _save_onnx, _load_onnx, _require_onnx),
}
