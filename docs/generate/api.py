"""The public API, read from source files without importing them: signatures and docstrings as they stand there."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from inspect import cleandoc
from pathlib import Path

from docs.generate.markdown import prose

PUBLIC = {
    "materials": ("materials", "materials.metrics"),
    "weather": ("weather", "weather.metrics"),
    "protein": ("protein", "protein.prediction", "protein.metrics"),
    "common": (
        "common.predictor", "common.export",
        "common.app.composition", "common.app.config", "common.app.errors", "common.app.registry",
        "common.training.task", "common.training.trainer", "common.training.run_directory", "common.data.datasets",
        "common.data.packed", "common.results.tables", "common.results.report", "common.results.plots",
    ),
}  # fmt: skip
"""Modules that a script may rely on, by page."""

WIDTH = 100

Definition = ast.ClassDef | ast.FunctionDef


@dataclass(frozen=True)
class Module:
    """A parsed file."""

    root: Path
    name: str
    tree: ast.Module

    @classmethod
    def load(cls, root: Path, name: str) -> Module:
        path = root.joinpath(*name.split("."))
        file = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
        return cls(root, name, ast.parse(file.read_text(encoding="utf-8")))

    @property
    def exported(self) -> list[str]:
        """`__all__`, or every public definition in the file's order."""
        for node in self.tree.body:
            if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__":
                return ast.literal_eval(node.value)
        return [node.name for node in self._definitions() if not node.name.startswith("_")]

    def find(self, name: str) -> Definition | None:
        """The class or function called `name`, followed through the imports; None for a constant."""
        for node in self._definitions():
            if node.name == name:
                return node
        for node in ast.walk(self.tree):
            if isinstance(node, ast.ImportFrom) and node.module and any(alias.name == name for alias in node.names):
                return Module.load(self.root, node.module).find(name)
        return None

    def _definitions(self) -> Iterator[Definition]:
        yield from (node for node in self.tree.body if isinstance(node, Definition))


def page(root: Path, package: str) -> str:
    """The page of a package."""
    parts = [f"# API of `{package}`"]
    for name in PUBLIC[package]:
        module = Module.load(root, name)
        parts += [f"## `{name}`", docstring(ast.get_docstring(module.tree))]
        for exported in module.exported:
            if found := module.find(exported):
                parts += _definition(found)
    return "\n\n".join(part for part in parts if part) + "\n"


def _definition(node: Definition) -> Iterator[str]:
    yield f"### `{node.name}`"
    if isinstance(node, ast.FunctionDef):
        yield _fence(signature(node))
        yield docstring(ast.get_docstring(node))
        return
    yield _fence(f"class {node.name}{_bases(node)}" + "".join(f"\n    {line}" for line in _fields(node)))
    yield docstring(ast.get_docstring(node))
    for method in node.body:
        if isinstance(method, ast.FunctionDef) and _is_public(method) and ast.get_docstring(method):
            yield f"#### `{node.name}.{method.name}`"
            yield _fence(signature(method))
            yield docstring(ast.get_docstring(method))


def _is_public(method: ast.FunctionDef) -> bool:
    return not method.name.startswith("_") and not any("overload" in ast.unparse(d) for d in method.decorator_list)


def _bases(node: ast.ClassDef) -> str:
    bases = ", ".join(map(ast.unparse, node.bases))
    return f"({bases})" if bases else ""


def _fields(node: ast.ClassDef) -> Iterator[str]:
    """Annotated fields, as of a dataclass; of long defaults only the name."""
    for child in node.body:
        if isinstance(child, ast.AnnAssign) and not ast.unparse(child.target).startswith("_"):
            line = ast.unparse(child)
            yield line if len(line) < WIDTH else f"{ast.unparse(child.target)}: {ast.unparse(child.annotation)}"


def signature(node: ast.FunctionDef) -> str:
    """`name(parameters) -> result`, a parameter a line where it would be too long; of a property `name: type`."""
    decorators = [ast.unparse(decorator) for decorator in node.decorator_list]
    if node.returns and {"property", "cached_property"} & set(decorators):
        return f"{node.name}: {ast.unparse(node.returns)}"
    result = f" -> {ast.unparse(node.returns)}" if node.returns else ""
    parameters = [text for text in _parameters(node.args) if text not in ("self", "cls")]
    line = f"{node.name}({', '.join(parameters)}){result}"
    if len(line) > WIDTH:
        line = f"{node.name}(\n" + "".join(f"    {text},\n" for text in parameters) + f"){result}"
    return f"@classmethod\n{line}" if "classmethod" in decorators else line


def _parameters(args: ast.arguments) -> Iterator[str]:
    positional = [*args.posonlyargs, *args.args]
    defaults = [None] * (len(positional) - len(args.defaults)) + list(args.defaults)
    for arg, default in zip(positional, defaults, strict=True):
        yield _parameter(arg, default)
    if args.vararg:
        yield f"*{ast.unparse(args.vararg)}"
    elif args.kwonlyargs:
        yield "*"
    for arg, default in zip(args.kwonlyargs, args.kw_defaults, strict=True):
        yield _parameter(arg, default)
    if args.kwarg:
        yield f"**{ast.unparse(args.kwarg)}"


def _parameter(arg: ast.arg, default: ast.expr | None) -> str:
    if default is None:
        return ast.unparse(arg)
    return f"{ast.unparse(arg)} = {ast.unparse(default)}" if arg.annotation else f"{arg.arg}={ast.unparse(default)}"


def docstring(text: str | None) -> str:
    """A docstring as Markdown: prose stays prose, columns and code keep their layout."""
    paragraphs = re.split(r"\n\s*\n", cleandoc(text or ""))
    return "\n\n".join(_paragraph(paragraph) for paragraph in paragraphs if paragraph.strip())


def _paragraph(text: str) -> str:
    lines = text.splitlines()
    if _is_code(text):
        return _fence(text)
    if any(re.search(r"\S {2,}\S|^ ", line) for line in lines):
        is_code = all(line.startswith("    ") for line in lines)
        return _fence(cleandoc("\n" + text) if is_code else text, "python" if is_code else "text")
    return prose(text)


def _is_code(text: str) -> bool:
    """Whether a paragraph is Python: imports, assignments and calls only, which no sentence is."""
    try:
        statements = ast.parse(text).body
    except SyntaxError:
        return False
    return all(
        isinstance(one, ast.Import | ast.ImportFrom | ast.Assign)
        or (isinstance(one, ast.Expr) and isinstance(one.value, ast.Call))
        for one in statements
    )


def _fence(text: str, language: str = "python") -> str:
    return f"```{language}\n{text}\n```"
