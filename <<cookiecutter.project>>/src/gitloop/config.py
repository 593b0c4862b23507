"""Compose `conf/` with Hydra into `params.yaml`, as `dvc exp run` does."""

from __future__ import annotations

import argparse
from io import StringIO
from pathlib import Path
from typing import Any

import yaml

from gitloop import layout
from gitloop.errors import InputError, Refused
from gitloop.files import write_text
from gitloop.settings import file_of, nearest, parse


def compose(root: Path, overrides: list[str] | None = None) -> dict[str, Any]:
    """conf/config.yaml below `root`, composed and resolved. Raises `InputError` where Hydra refuses."""
    from hydra import compose as hydra_compose
    from hydra import initialize_config_dir
    from hydra.errors import HydraException
    from omegaconf import OmegaConf
    from omegaconf.errors import OmegaConfBaseException

    conf = (root / layout.CONF).resolve()
    if not (conf / "config.yaml").is_file():
        raise InputError(f"{layout.CONF}/config.yaml: not there; run gitloop in the root of the repository")
    try:
        with initialize_config_dir(str(conf), version_base=None):
            composed = hydra_compose("config", overrides=overrides or [])
        return OmegaConf.to_container(composed, resolve=True, throw_on_missing=True)  # type: ignore[return-value]
    except (HydraException, OmegaConfBaseException, yaml.YAMLError) as error:
        reason = " ".join(str(error).partition("Config search path")[0].split())
        raise InputError(f"{layout.CONF}: cannot be composed: {reason}") from error


def candidates(root: Path) -> list[str]:
    return sorted(path.stem for path in (root / layout.CONF / "candidate").glob("*.yaml"))


def sync(root: Path, check: bool, overrides: list[str] | None = None) -> bool:
    """Bring the candidate list of conf/config.yaml and params.yaml in step with conf/; True if anything changed.

    With `check` nothing is written and `Refused` says what is out of step.
    """
    listed = _list_candidates(root, check)
    composed = compose(root, overrides)
    for name in composed.get("candidate") or {}:
        if name not in listed:
            raise InputError(
                f"conf/candidate/: a file declares {name!r}, but no file has that name; name key and file alike"
            )
    parse(composed)
    _complete(root, composed)
    path = root / layout.PARAMS
    try:
        current = yaml.safe_load(path.read_text(encoding="utf-8")) if path.exists() else None
    except yaml.YAMLError:
        current = None
    if current == composed:
        return False
    if check:
        raise Refused(
            f"{layout.PARAMS}: is not what {layout.CONF}/ composes to (first difference: "
            f"{_difference(current, composed)}); run `gitloop params`"
        )
    text = yaml.safe_dump(composed, sort_keys=False, allow_unicode=True, width=10**6)
    write_text(path, "# Composed from conf/ by `gitloop params`. Edit conf/, not this file.\n" + text)
    return True


def _list_candidates(root: Path, check: bool) -> list[str]:
    """A file in conf/candidate/ is a candidate: see that the list in config.yaml names it."""
    from ruamel.yaml import YAML
    from ruamel.yaml.error import YAMLError

    path = root / layout.CONF / "config.yaml"
    editor = YAML()
    editor.preserve_quotes = True
    editor.width = 10**6
    editor.indent(mapping=2, sequence=4, offset=2)
    try:
        config = editor.load(path.read_text(encoding="utf-8"))
        listed = next(
            entry["candidate"] for entry in config["defaults"] if isinstance(entry, dict) and "candidate" in entry
        )
    except FileNotFoundError as error:
        raise InputError(f"{path}: not there; run gitloop in the root of the repository") from error
    except (YAMLError, StopIteration, KeyError, TypeError) as error:
        raise InputError(f"{path}: has no `candidate: [...]` in its defaults list; add it") from error
    if not isinstance(listed, list):
        raise InputError(f"{path}: `candidate: {listed}` is not a list; write `candidate: [{listed}]`")
    there = candidates(root)
    for name in listed:
        if name not in there:
            raise InputError(f"{path}: candidate {name!r} has no file in conf/candidate/{nearest(name, there)}")
    missing = [name for name in there if name not in listed]
    if not missing:
        return there
    if check:
        raise Refused(f"{path}: does not list candidate {', '.join(missing)}; run `gitloop params`")
    listed.extend(missing)
    text = StringIO()
    editor.dump(config, text)
    write_text(path, text.getvalue())
    return there


def _complete(root: Path, composed: dict[str, Any]) -> None:
    """DVC finds no default for what a stage depends on: see that conf/ says it. Raises `InputError` by file and key."""
    path = root / "dvc.yaml"
    stages = yaml.safe_load(path.read_text(encoding="utf-8"))["stages"] if path.exists() else {}
    needed = {key for stage in stages.values() for key in stage.get("do", stage).get("params", []) if "$" not in key}
    lines: list[str] = []
    for key in sorted(needed):
        place = key.split(".")
        tree: Any = composed
        for part in place:
            tree = tree.get(part, ...) if isinstance(tree, dict) else ...
        if tree is ...:
            lines.append(f"{file_of(place, composed)}: {key}: is missing, and a stage depends on it; add it")
    if lines:
        raise InputError("\n".join(lines))


def _difference(left: Any, right: Any, place: str = "") -> str:
    """The first key in which two trees differ."""
    if isinstance(left, dict) and isinstance(right, dict):
        for key in [*right, *left]:
            if left.get(key, ...) != right.get(key, ...):
                return _difference(left.get(key, ...), right.get(key, ...), f"{place}.{key}" if place else str(key))
    return place or "the whole file"


def run(arguments: argparse.Namespace) -> None:
    """`gitloop params [--check] [OVERRIDE ...]`."""
    changed = sync(Path(), arguments.check, arguments.overrides)
    of = " ".join([f"{layout.CONF}/", *arguments.overrides])
    print(f"{layout.PARAMS}: {'written from' if changed else 'in step with'} {of}")
