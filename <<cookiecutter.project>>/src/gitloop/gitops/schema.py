"""JSON schemas of conf/ and environments/, for editors: views of the typed settings, which alone say what is right."""

from __future__ import annotations

import argparse
from typing import Any

from pydantic import TypeAdapter

from gitloop import layout, ui
from gitloop.files import write_json
from gitloop.gitops.environment import VERSION, Environment
from gitloop.settings import METRICS, RATES, Settings
from gitloop.settings_reference import plain

Schema = dict[str, Any]

INTERPOLATION = r"\$\{.+\}"  # Hydra puts another value in its place
DEFAULTS: Schema = {
    "description": "Further files that are composed into this one, first to last",
    "items": {"type": ["string", "object"]},
    "type": "array",
}
# What is written before a time is read as one.
TIME = r"^\d{4}-\d{2}-\d{2}([T ]\d{2}:\d{2}(:\d{2}(\.\d+)?)?(Z|[+-]\d{2}:?\d{2})?)?$"


def _names(by_task: dict[str, tuple[str, ...]]) -> list[str]:
    return sorted({name for names in by_task.values() for name in names})


# What a validator says beyond the type, by the key's name.
BOUNDED = {"floor": _names(METRICS), "slice_floor": _names(METRICS), "fairness": _names(RATES)}
SAID: dict[str, Schema] = {"metric": {"enum": _names(METRICS)}}


def schemas() -> dict[str, tuple[list[str], Schema]]:
    """By the schema's name: which files it is for, and the schema."""
    conf = layout.CONF.as_posix()
    groups = {name: info.annotation for name, info in Settings.model_fields.items() if name != "project"}
    project = _of(Settings.model_fields["project"].annotation)
    files = {
        "settings": ([f"{conf}/config.yaml", f"{conf}/preset/*.yaml"], _composed(_partial(_of(Settings)))),
        "project": ([f"{conf}/project.yaml"], _composed(_inside("project", project))),
        **{name: ([f"{conf}/{name}/*.yaml"], _composed(_of(plain(kind)))) for name, kind in groups.items()},
        "environment": ([layout.environment("*").as_posix()], _environment()),
    }
    draft = {"$schema": "http://json-schema.org/draft-07/schema#"}
    return {name: (globs, draft | schema) for name, (globs, schema) in files.items()}


def _of(kind: Any) -> Schema:
    """pydantic's own schema of a type, without its titles, and with what validators say."""
    found: Schema = _said(TypeAdapter(kind).json_schema())
    return found


def _said(node: Any, key: str = "") -> Any:
    if isinstance(node, list):
        return [_said(one, key) for one in node]
    if not isinstance(node, dict):
        return node
    if key in ("properties", "$defs"):
        return {name: _said(one, name) for name, one in node.items()}
    new = {name: value if name == "default" else _said(value, name) for name, value in node.items() if name != "title"}
    # In draft 07, which editors read, a tuple is a list of `items`.
    if "prefixItems" in new:
        new["items"] = new.pop("prefixItems")
    if new.get("format") == "date-time":
        new.pop("format")
        new["pattern"] = TIME
    if new.get("type") == "object" and new.get("additionalProperties") is True:
        new |= {"properties": {"_target_": {"type": "string"}}, "required": ["_target_"]}
    return new | SAID.get(key, {}) if "type" in new else new


def _bounded(node: Any, key: str = "") -> Any:
    """Bounds by name take only the names that there are."""
    if isinstance(node, list):
        return [_bounded(one, key) for one in node]
    if not isinstance(node, dict):
        return node
    new = {name: _bounded(value, key if name == "anyOf" else name) for name, value in node.items()}
    if key in BOUNDED and new.get("additionalProperties") == {"type": "number"}:
        new |= {"properties": {name: {"type": "number"} for name in BOUNDED[key]}, "additionalProperties": False}
    return new


def _partial(node: Any) -> Any:
    """The same with no key required: a preset holds what differs."""
    if isinstance(node, list):
        return [_partial(one) for one in node]
    if not isinstance(node, dict):
        return node
    return {key: _partial(value) for key, value in node.items() if not (key == "required" and isinstance(value, list))}


def _inside(key: str, schema: Schema) -> Schema:
    return {"type": "object", "properties": {key: schema}, "required": [key], "additionalProperties": False}


def _composed(schema: Schema) -> Schema:
    """A file that Hydra composes: any value may be an interpolation, and `defaults` may hold what is required."""
    schema = _bounded(schema)
    loose = {key: _interpolated(value, key) for key, value in schema.items() if key != "required"}
    loose["properties"] = loose.get("properties", {}) | {"defaults": DEFAULTS}
    if schema.get("required"):
        loose["if"] = {"not": {"required": ["defaults"]}}
        loose["then"] = {"required": schema["required"]}
    return loose


def _interpolated(node: Any, key: str = "") -> Any:
    if isinstance(node, list):
        return [_interpolated(one) for one in node] if key in ("anyOf", "items") else node
    if not isinstance(node, dict) or key == "default":
        return node
    if key in ("properties", "$defs"):
        return {name: _interpolated(one) for name, one in node.items()}
    new = {name: _interpolated(value, name) for name, value in node.items()}
    kind = new.get("type")
    if kind == "string" and new.keys() & {"enum", "const", "pattern", "minLength"}:
        told = {name: new.pop(name) for name in ("description", "default") if name in new}
        return {"anyOf": [new, {"type": "string", "pattern": INTERPOLATION}], **told}
    if isinstance(kind, str) and kind not in ("string", "null"):
        return new | {"type": [kind, "string"], "pattern": INTERPOLATION}
    return new


def _environment() -> Schema:
    schema = _of(Environment)
    schema["properties"]["version"]["pattern"] = f"^({VERSION.pattern})$"
    return schema


def run(_: argparse.Namespace) -> None:
    """`gitloop schema`."""
    for name, (globs, schema) in schemas().items():
        path = layout.SCHEMAS / f"{name}.json"
        write_json(path, schema)
        ui.say(f"{path}: for {', '.join(globs)}")
