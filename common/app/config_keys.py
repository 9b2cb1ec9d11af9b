"""The keys of a configuration model: dotted name, what is allowed, default, description.

Read off the model's JSON schema, so that error messages, `--help` and the reference documentation say the same.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from common.app.config import Section

Schema = Mapping[str, Any]

BOUNDS = {"minimum": ">=", "exclusiveMinimum": ">", "maximum": "<=", "exclusiveMaximum": "<"}
TYPES = {"integer": "an integer", "number": "a number", "boolean": "true or false", "null": "null", "string": "text"}


@dataclass(frozen=True)
class Key:
    """One key, such as `trainer.epochs`."""

    name: str
    allowed: str
    """In words: "an integer >= 1"."""
    description: str
    required: bool


class Keys(Mapping[str, Key]):
    """All keys of a model; where a section has variants (`model`), those of the variant that `tree` chooses."""

    def __init__(self, model: type[Section], tree: Any) -> None:
        schema = model.model_json_schema()
        self._definitions: Schema = schema.get("$defs", {})
        self.variants: dict[str, tuple[str, ...]] = {}
        """Of each section with variants, their names."""
        self._chooser: dict[str, str] = {}
        self._keys = {key.name: key for key in self._walk(schema, tree, "")}

    def __getitem__(self, name: str) -> Key:
        return self._keys[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._keys)

    def __len__(self) -> int:
        return len(self._keys)

    def nearest(self, name: str) -> str:
        """The words that name the right key for a wrong one, or list what its section knows."""
        section, _, leaf = name.rpartition(".")
        inside = [key for key in self if key.startswith(f"{section}.")] if section else []
        same_leaf = [key for key in self if key.rpartition(".")[2] == leaf]
        candidates = inside + same_leaf if inside else list(self)
        best = max(candidates, key=lambda key: _similarity(name, key))
        if _similarity(name, best) > 0.6:
            return f"did you mean {best}?"
        prefix = f"{section}." if inside else ""
        known = dict.fromkeys(prefix + key.removeprefix(prefix).partition(".")[0] for key in inside or self)
        return f"known are {', '.join(known)}"

    def _walk(self, schema: Schema, tree: Any, prefix: str) -> Iterator[Key]:
        for name, found in schema["properties"].items():
            value = tree.get(name) if isinstance(tree, Mapping) else None
            node = self._resolve(found, value, prefix + name)
            if "properties" in node:
                yield from self._walk(node, value, f"{prefix}{name}.")
            else:
                allowed = self.variants.get(prefix[:-1]) if name == self._chooser.get(prefix[:-1]) else None
                text = f"one of {', '.join(allowed)}" if allowed else self._allowed(node)
                yield Key(prefix + name, text, node.get("description", ""), name in schema.get("required", ()))

    def _resolve(self, node: Schema, value: Any, name: str) -> Schema:
        """Follow references, and choose among the variants of a section."""
        if "discriminator" in node:
            mapping, self._chooser[name] = node["discriminator"]["mapping"], node["discriminator"]["propertyName"]
            self.variants[name] = tuple(mapping)
            chosen = value.get(self._chooser[name]) if isinstance(value, Mapping) else None
            node = {"$ref": mapping.get(str(chosen)) or next(iter(mapping.values()))}
        if "$ref" in node:
            return {
                **self._definitions[node["$ref"].rpartition("/")[2]],
                **{k: v for k, v in node.items() if k != "$ref"},
            }
        return node

    def _allowed(self, node: Schema) -> str:
        if "anyOf" in node:
            return " or ".join(self._allowed(self._resolve(choice, None, "")) for choice in node["anyOf"])
        if "enum" in node:
            return f"one of {', '.join(map(str, node['enum']))}"
        if "const" in node:
            return str(node["const"])
        if "prefixItems" in node:
            return f"[{', '.join(self._allowed(item) for item in node['prefixItems'])}]"
        if "additionalProperties" in node:
            return f"{{name: value, ...}}, each value {self._allowed(node['additionalProperties'])}"
        if "items" in node:
            return f"a list of items, each {self._allowed(node['items'])}"
        bounds = [f"{sign} {node[bound]}" for bound, sign in BOUNDS.items() if bound in node]
        text = " and ".join([f"{TYPES[node['type']]} {bounds[0]}", *bounds[1:]]) if bounds else TYPES[node["type"]]
        return f"{text} like {node['pattern']}" if "pattern" in node else text


def _similarity(wrong: str, right: str) -> float:
    """0 to 1; the last part of a key counts nearly as much as the whole."""
    wrong, right = wrong.lower(), right.lower()
    whole = difflib.SequenceMatcher(None, wrong, right).ratio()
    leaf = difflib.SequenceMatcher(None, wrong.rpartition(".")[2], right.rpartition(".")[2]).ratio()
    return max(whole if "." in wrong else 0, 0.95 * leaf)
