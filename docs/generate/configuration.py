"""Every key of every verb, read off the pydantic models that check them and the files that set them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from importlib.resources import files
from importlib.util import find_spec
from typing import Any

import yaml
from omegaconf import OmegaConf

from common.app.cli import VERBS
from common.app.composition import Request, Verb, compose_config
from common.app.config import Section
from common.app.config_errors import show
from common.app.config_keys import Key, Keys
from docs.generate.markdown import code, linked, prose, table

HEADER = ("key", "default", "allowed", "meaning")
REQUIRED = "required"
VARIES = "by option"


def page(domain: str) -> str:
    """The configuration reference of a domain."""
    parts = [
        f"# Keys of `trifold {domain}`",
        f"Every key is given as `key=value` on the command line, or in a file of your own under `--config-dir`. "
        f"`trifold {domain} train --help` prints the same; `--cfg job` prints the configuration that would run. "
        "A key that does not exist or a value that is not allowed is refused before anything else happens.",
    ]
    for verb in VERBS:
        parts += _verb(Verb(domain, verb))
    if find_spec(f"{domain}.data.prepare"):
        parts += _preparation(domain)
    return "\n\n".join(parts) + "\n"


def _verb(verb: Verb) -> Iterator[str]:
    composition = compose_config(Request(verb))
    values: Any = OmegaConf.to_container(composition.config, resolve=False)
    keys = Keys(verb.model, values)
    yield f"## {verb}"
    yield f"{VERBS[verb.name].capitalize()}."
    if composition.groups:
        yield "Groups, `group=option`; the default in bold:"
        chosen = composition.config.hydra.runtime.choices
        yield table(
            ("group", "options"),
            (
                (code(group.lstrip("/")), ", ".join(_option(name, chosen[group]) for name in names))
                for group, names in reversed(composition.groups.items())
            ),
        )
    own = [key for name, key in keys.items() if name.partition(".")[0] not in keys.variants]
    yield _table(own, lambda key: _found(values, key))
    for section in keys.variants:
        yield from _variants(verb, section, keys.variants[section])


def _option(name: str, chosen: str | None) -> str:
    return f"**`{name}`**" if name == chosen else code(name)


def _variants(verb: Verb, section: str, names: tuple[str, ...]) -> Iterator[str]:
    """The keys of `model=` and `data=`, a table for each kind of them."""
    schema = verb.model.model_json_schema()
    mapping: Mapping[str, str] = schema["properties"][section]["discriminator"]["mapping"]
    for reference in dict.fromkeys(mapping.values()):
        kind = schema["$defs"][reference.rpartition("/")[2]]
        members = [name for name in names if mapping[name] == reference]
        keys = Keys(verb.model, {section: {"name": members[0]}})
        mine = [key for name, key in keys.items() if name.startswith(f"{section}.") and not name.endswith(".name")]
        yield f"### {_title(section, members)} {{ #{verb.name}-{section}-{members[0]} }}"
        yield (
            linked(kind.get("description", ""))
            if len(members) == 1
            else (linked(kind.get("description", "")) + "\n\n" + ", ".join(map(code, members)))
        )
        files_of = [_group_file(verb, section, name) for name in members]
        if mine:
            yield _table(mine, lambda key, files_of=files_of, kind=kind: _of_options(key, files_of, kind))
        else:
            yield "No keys of its own."


def _title(section: str, members: list[str]) -> str:
    return f"`{section}={members[0]}`" + (f" and {len(members) - 1} more" if len(members) > 1 else "")


def _group_file(verb: Verb, section: str, name: str) -> dict[str, Any]:
    path = files(verb.config_module) / section / f"{name}.yaml"
    return yaml.safe_load(path.read_text(encoding="utf-8")) or {} if path.is_file() else {}


def _of_options(key: Key, options: list[dict[str, Any]], kind: Mapping[str, Any]) -> str:
    """What the files of the options set, where they agree, else the model's own default."""
    leaf = key.name.partition(".")[2]
    default = kind["properties"].get(leaf, {}).get("default", None if not key.required else "???")
    found = {_shown(option.get(leaf, default)) for option in options}
    return found.pop() if len(found) == 1 else VARIES


def _found(values: Any, key: Key) -> str:
    for part in key.name.split("."):
        values = values.get(part) if isinstance(values, dict) else None
    return _shown(values)


def _shown(value: Any) -> str:
    return REQUIRED if value == "???" else code(show(value))


def _table(keys: list[Key], default: Any) -> str:
    return table(HEADER, ((code(key.name), default(key), prose(key.allowed), prose(key.description)) for key in keys))


def _preparation(domain: str) -> Iterator[str]:
    from importlib import import_module

    model: type[Section] = import_module(f"{domain}.data.prepare").PrepareConfig
    keys, fields = Keys(model, {}), model.model_fields
    yield "## trifold data prepare"
    yield f"With `domain={domain}`: your own files to the store that this domain trains on."
    yield _table(list(keys.values()), lambda key: REQUIRED if key.required else _shown(fields[key.name].get_default()))
