"""Say of a setting what it does, what it is now, where that is written, and what reads it."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from gitloop import config, layout, ui
from gitloop.errors import InputError
from gitloop.settings import nearest
from gitloop.settings_reference import ANY, Setting, reference

PRESETS = "preset"
UNSET = object()
SHOWN = 3  # of the keys that end so


class Written(NamedTuple):
    """What a file in conf/ says of a key, as it stands there; no text where that is a group."""

    file: str
    line: int
    text: str | None


def run(arguments: argparse.Namespace) -> None:
    """`gitloop explain [KEY]`."""
    root = Path()
    known = reference(_yaml(root / "dvc.yaml")["stages"])
    if arguments.key is None:
        ui.table("Settings (* is any name)", ["key", "what it does"], [[one.key, one.description] for one in known])
        return
    now = _yaml(root / layout.PARAMS)
    for label, text in told(root, found(arguments.key, known, now), now):
        ui.say(f"{label:9} {text}" if label else text)


def found(key: str, known: Sequence[Setting], now: dict[str, Any]) -> Setting:
    """The setting that a person asks for, with that key. Raises `InputError` with the nearest that there is."""
    place = key.split(".")
    for one in known:
        if _fits(place, one.key.split(".")):
            return one._replace(key=key)
    for one in reversed(known):  # what is in a value: an argument of a class, the bound of a metric
        depth = len(one.key.split("."))
        if _fits(place[:depth], one.key.split(".")) and value(now, key) is not UNSET:
            holder = value(now, ".".join(place[:depth]))
            target = holder.get("_target_") if isinstance(holder, dict) else None
            inside = ".".join(place[depth:])
            text = f"The argument {inside} of {target}" if target else f"{one.description}: that of {inside}"
            return one._replace(key=key, type="", default="", description=text)
    if place[0] == PRESETS:
        raise InputError(
            f"{key}: is no setting: a file in conf/{PRESETS}/ is laid over the others for once, as in "
            f"`make train OPTIONS=+{PRESETS}=quick`; ask for a key that it sets"
        )
    names = {one.key for one in known if ANY not in one.key} | set(_paths(now))
    if ends := sorted(name for name in names if name.endswith(f".{key}")):
        raise InputError(f"{key}: there is no such setting; did you mean {' or '.join(map(repr, ends[:SHOWN]))}?")
    near = nearest(key, sorted(names))
    hint = near if "did you mean" in near else "; `gitloop explain` lists all"
    raise InputError(f"{key}: there is no such setting{hint}")


def told(root: Path, setting: Setting, now: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """What is said of a setting: a label and a text for each line."""
    key, current = setting.key, value(now, setting.key)
    yield "", f"{key}: {setting.description}"
    if setting.type:
        yield "takes", setting.type
    if setting.default:
        yield "default", setting.default
    if isinstance(current, dict):
        yield "holds", ", ".join(map(str, current)) or "nothing"
    else:
        yield "now", "its default, as nothing is set" if current is UNSET else _flow(current)
    places = written(root, key)
    if places:
        yield "set in", f"{places[-1].file}:{places[-1].line}"
        if (meant := value(config.compose(root), key)) != current:
            text = "a group" if isinstance(meant, dict) else _flow(meant)
            yield "but", f"conf/ says {text} and {layout.PARAMS} does not; `gitloop params` brings them in step"
    for one in elsewhere(root, key, places):
        yield "also", f"{one.file}:{one.line}" + ("" if one.text is None else f" says {one.text}")
    yield "stages", ", ".join(setting.stages) or "none: no stage of the pipeline depends on it"
    if setting.verbs:
        yield "verbs", ", ".join(setting.verbs)


def written(root: Path, key: str, overrides: Sequence[str] = ()) -> list[Written]:
    """Where the chosen files of conf/ set a key, in the order of the defaults list: the last counts."""
    from hydra import initialize_config_dir
    from hydra.core.global_hydra import GlobalHydra
    from hydra.types import RunMode

    with initialize_config_dir(str((root / layout.CONF).resolve()), version_base=None):
        loader = GlobalHydra.instance().config_loader()
        chosen = loader.compute_defaults_list("config", list(overrides), RunMode.RUN).defaults
    files = [
        (layout.CONF / f"{one.config_path}.yaml", one.package or "")
        for one in chosen
        if not str(one.config_path).startswith("hydra/")
    ]
    return [line for file, package in files if (root / file).is_file() and (line := _line(root, file, package, key))]


def elsewhere(root: Path, key: str, places: Sequence[Written]) -> Iterator[Written]:
    """What other files would set the key to: those of its group that are not chosen, and presets."""
    group = key.split(".", maxsplit=1)[0]
    for file in sorted((root / layout.CONF / group).glob("*.yaml")):
        name = file.relative_to(root)
        if (line := _line(root, name, group, key)) and line.file not in {one.file for one in places}:
            yield line
    for file in sorted((root / layout.CONF / PRESETS).glob("*.yaml")):
        yield from (one for one in written(root, key, [f"+{PRESETS}={file.stem}"]) if Path(one.file).stem == file.stem)


def value(tree: Any, key: str) -> Any:
    """What stands at a key; UNSET where nothing does."""
    for part in key.split("."):
        if not isinstance(tree, dict) or part not in tree:
            return UNSET
        tree = tree[part]
    return tree


def _line(root: Path, file: Path, package: str, key: str) -> Written | None:
    """Where a file, whose content belongs at `package`, sets a key."""
    place, below = key.split("."), package.split(".") if package else []
    if place[: len(below)] != below:
        return None
    node = yaml.compose((root / file).read_text(encoding="utf-8"), yaml.SafeLoader)
    mark = node.start_mark if node else None
    for part in place[len(below) :]:
        pairs = node.value if isinstance(node, yaml.MappingNode) else ()
        named = next(((name, inside) for name, inside in pairs if name.value == part), None)
        if named is None:
            return None
        mark, node = named[0].start_mark, named[1]
    if node is None or mark is None:
        return None
    text = None if isinstance(node, yaml.MappingNode) else " ".join(yaml.serialize(node).split()).removesuffix(" ...")
    return Written(file.as_posix(), mark.line + 1, text)


def _fits(place: Sequence[str], declared: Sequence[str]) -> bool:
    pairs = zip(place, declared, strict=False)
    return len(place) == len(declared) and all(part in (ANY, name) for name, part in pairs)


def _paths(tree: Any, prefix: str = "") -> Iterator[str]:
    if isinstance(tree, dict):
        for name, inside in tree.items():
            yield f"{prefix}{name}"
            yield from _paths(inside, f"{prefix}{name}.")


def _flow(current: Any) -> str:
    if isinstance(current, str) and current:
        return current
    text = yaml.safe_dump(current, default_flow_style=True, allow_unicode=True, sort_keys=False, width=10**6)
    return " ".join(text.split()).removesuffix(" ...")


def _yaml(path: Path) -> Any:
    try:
        return yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, yaml.YAMLError) as error:
        raise InputError(f"{path}: cannot be read; run gitloop in the root of the repository") from error
