"""JSON schemas for editors say what the typed settings say: the same files pass, the same keys are refused."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest
import yaml
from project import ROOT

from gitloop.cli import main
from gitloop.errors import InputError
from gitloop.gitops import environment
from gitloop.gitops.schema import schemas
from gitloop.settings import parse

TEMPLATE = ROOT / "<<cookiecutter.project>>"
STARTS = [TEMPLATE, *(path for path in (TEMPLATE / ".starts").iterdir() if path.is_dir())]
FILES = [
    (start, path.relative_to(start).as_posix())
    for start in STARTS
    for folder in ("conf", "environments")
    for path in sorted((start / folder).rglob("*.yaml"))
]
SCHEMAS = schemas()


class AsEditors(yaml.SafeLoader):
    """YAML 1.2, as editors and Hydra read it: a time is text."""


AsEditors.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if not tag.endswith("timestamp")]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


def load(text: str) -> Any:
    return yaml.load(text, Loader=AsEditors)  # noqa: S506 -- a safe loader


def of(file: str) -> str:
    names = [name for name, (globs, _) in SCHEMAS.items() if any(fnmatch(file, glob) for glob in globs)]
    assert len(names) == 1, f"{file} has {len(names)} schemas: add one in gitloop.gitops.schema"
    return names[0]


def refused(name: str, value: Any) -> list[str]:
    """The keys that the schema refuses, dotted, with what it says."""
    errors = jsonschema_rs.validator_for(SCHEMAS[name][1]).iter_errors(value)
    return [f"{'.'.join(map(str, error.instance_path))}: {error.message}" for error in errors]


@pytest.mark.parametrize(("start", "file"), FILES, ids=lambda value: value if isinstance(value, str) else value.name)
def test_every_file_is_valid(start: Path, file: str) -> None:
    assert refused(of(file), load((start / file).read_text())) == []


def leaves(value: Any, place: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    pairs = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, below in pairs:
        yield (*place, key)
        yield from leaves(below, (*place, key))


def put(value: Any, place: tuple[Any, ...], new: Any) -> Any:
    changed = copy.deepcopy(value)
    branch = changed
    for key in place[:-1]:
        branch = branch[key]
    branch[place[-1]] = new
    return changed


@pytest.mark.parametrize("file", [file for _, file in FILES if file.startswith("conf/") and "project" not in file])
def test_an_interpolation_may_stand_anywhere(file: str) -> None:
    start = next(start for start, one in FILES if one == file)
    stock = load((start / file).read_text())
    for place in leaves(stock):
        if place[0] != "defaults":
            changed = put(stock, place, "${oc.env:SOMETHING}")
            assert refused(of(file), changed) == [], place


def test_defaults_may_hold_what_is_required() -> None:
    assert refused("data", {"window": {"until": "2013-05-01"}})
    assert refused("data", {"defaults": ["flights", "_self_"], "window": {"until": "2013-05-01"}}) == []


WRONG: list[tuple[tuple[Any, ...], Any]] = [
    (("project", "ownr"), "me"),
    (("data", "metrik"), "roc_auc"),
    (("data", "metric"), "auc"),
    (("data", "task"), "binry"),
    (("data", "threshold"), 1.5),
    (("data", "slices"), [["origin"]]),
    (("data", "split", "test"), 0),
    (("data", "split", "seed"), "one"),
    (("data", "window", "since"), "yesterday"),
    (("data", "columns", "hour", "type"), "number"),
    (("data", "columns", "hour", "role"), "featur"),
    (("data", "columns", "hour", "role"), ["key", "featur"]),
    (("data", "columns", "hour", "range"), [1, 2, 3]),
    (("data", "columns", "hour", "nulable"), True),
    (("data", "columns", "hour", "nullable"), "maybe"),
    (("data", "rules", "extra_columns"), "keep"),
    (("features", "drop_missing"), 2),
    (("candidate", "boosting", "complexity"), -1),
    (("candidate", "boosting", "prepare", "numeric"), "drop"),
    (("candidate", "boosting", "search", "learning_rate", "low"), "small"),
    (("tuning", "method"), "grid"),
    (("tuning", "trials"), 0),
    (("evaluation", "bootstrap"), 2),
    (("gates", "floor"), {"auc": 0.6}),
    (("gates", "fairness"), {"roc_auc": 0.6}),
    (("gates", "gap"), "large"),
    (("serving", "port"), 70000),
    (("serving", "log", "keep_days"), 0),
    (("scoring", "table"), ""),
    (("monitoring", "policy", "windws"), 3),
    (("monitoring", "drift", "jensenshannon"), 1),
    (("monitoring", "performance", "floor"), {"auc": 0.6}),
]


@pytest.mark.parametrize(("place", "value"), WRONG, ids=str)
def test_what_gitloop_refuses_an_editor_shows_at_the_same_key(
    place: tuple[Any, ...], value: Any, params: dict[str, Any]
) -> None:
    params.setdefault("scoring", {})
    for group in ("rules", "window", "split"):
        params["data"].setdefault(group, {})
    changed = put(params, place, value)
    with pytest.raises(InputError) as said:
        parse(changed)
    key = ".".join(map(str, place))
    assert key in str(said.value).replace(": ", ".")

    group, *below = place
    file = changed if group == "project" else changed[group]
    shown = refused(group, {"project": file["project"]} if group == "project" else file)
    path = ".".join(map(str, [group, *below] if group == "project" else below))
    assert any(_at(path, line) for line in shown), shown


def _at(path: str, line: str) -> bool:
    """Does the line point to the key, into it, to what holds it by its name, or to a group that may also be null?"""
    where, _, message = line.partition(": ")
    parent, _, last = path.rpartition(".")
    if where == path or where.startswith(f"{path}."):
        return True
    return where == parent and (f"'{last}'" in message or "'anyOf'" in message)


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("version: 1.2.0", "version"),
        ("version: newest\ntarget: swarm", "target"),
        ("version: newest\ncanary: 90", "canary"),
        ("version: newest\nport: 1", "port"),
        ("version: ${newest}", "version"),
        ("version: newest\ntarget: kubernetes\nkubernetes: {namespace: Ä, image: x}", "kubernetes.namespace"),
        ("target: local", "version"),
    ],
)
def test_an_environment_is_refused_at_the_same_key(text: str, key: str) -> None:
    with pytest.raises(InputError, match=key):
        environment.parse("staging", text.encode())
    assert any(_at(key, line) or f'"{key}"' in line for line in refused("environment", load(text)))


def test_a_data_file_needs_what_gitloop_needs(params: dict[str, Any]) -> None:
    for key in ("task", "columns", "name", "source", "metric"):
        changed = {name: value for name, value in params["data"].items() if name != key}
        assert any(f'"{key}" is a required property' in line for line in refused("data", changed)), key
    assert any("_target_" in line for line in refused("data", put(params["data"], ("source",), {"path": "x.csv"})))


def test_the_files_in_the_template_are_in_step(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """After a change of the settings: `gitloop schema` in the template's folder."""
    monkeypatch.chdir(tmp_path)
    assert main(["schema"]) == 0
    assert ".schemas/tuning.json: for conf/tuning/*.yaml\n" in capsys.readouterr().out
    made = {path.name: path.read_text() for path in (tmp_path / ".schemas").iterdir()}
    there = {path.name: path.read_text() for path in (TEMPLATE / ".schemas").iterdir()}
    stale = sorted(name for name in made.keys() | there if made.get(name) != there.get(name))
    assert stale == [], "run `gitloop schema` in the template's folder"


def test_an_editor_is_told_which_schema_is_for_which_files() -> None:
    told = json.loads((TEMPLATE / ".vscode/settings.json").read_text())["yaml.schemas"]
    assert told == {f"./.schemas/{name}.json": globs for name, (globs, _) in SCHEMAS.items()}
