"""What each setting is: the typed settings and dvc.yaml, told as one entry for each key that conf/ may set."""

from __future__ import annotations

import types
import typing
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

import yaml
from annotated_types import Ge, Gt, Le, Lt
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from gitloop.settings import Bounds, Settings, Spec

ANY = "*"  # in a key: any name
WORDS: dict[Any, str] = {
    bool: "true or false",
    int: "whole number",
    float: "number",
    str: "text",
    datetime: "time",
    Spec: "a class as `_target_`, and its arguments",
    Bounds: "numbers by name",
}
# Verbs outside of the pipeline that read a group; the longest name counts.
READ_BY: dict[str, tuple[str, ...]] = {
    "project": ("build", "register", "release"),
    "data": ("compare", "gate", "label", "monitor", "replay", "score", "serve"),
    "features": ("compare", "replay", "score", "serve"),
    "candidate": ("build",),
    "tuning": (),
    "evaluation": ("compare", "monitor"),
    "gates": ("gate", "monitor", "report"),
    "serving": ("image", "label", "monitor", "replay", "serve"),
    "scoring": ("score",),
    "monitoring": ("label", "monitor"),
    "monitoring.labels": ("label",),
    "monitoring.policy": ("decide",),
}
LIMITS: dict[type, str] = {Ge: "at least", Gt: "above", Le: "at most", Lt: "below"}


class Setting(NamedTuple):
    """One key. `key` has `*` where any name may stand; `default` is YAML, "" where the key must be given."""

    key: str
    type: str
    default: str
    description: str
    stages: tuple[str, ...]  # of dvc.yaml, which run again when it changes
    verbs: tuple[str, ...]  # beside those of the stages


def reference(stages: Mapping[str, Any], model: type[BaseModel] = Settings) -> list[Setting]:
    """Every key below `model` in the order declared, groups before what is in them. `stages`: those of dvc.yaml."""
    return [
        Setting(key, kind(info), default(info), description(info), readers(key, stages), verbs(key))
        for key, info in fields(model)
    ]


def fields(model: type[BaseModel], prefix: str = "") -> Iterator[tuple[str, FieldInfo]]:
    """Every key below `model` with pydantic's field."""
    for name, info in model.model_fields.items():
        key = prefix + name
        yield key, info
        if (below := group(info.annotation)) is not None:
            if typing.get_origin(plain(info.annotation)) is dict:
                key = f"{key}.{ANY}"
                yield key, FieldInfo.from_annotation(below)
            yield from fields(below, f"{key}.")


def group(annotation: Any) -> type[BaseModel] | None:
    """The model that a key holds, itself or by name; None where it is a value."""
    kept = plain(annotation)
    if typing.get_origin(kept) is dict:
        kept = typing.get_args(kept)[1]
    return kept if isinstance(kept, type) and issubclass(kept, BaseModel) else None


def plain(annotation: Any) -> Any:
    """An annotation without null and without what it is annotated with."""
    if typing.get_origin(annotation) in (typing.Union, types.UnionType):
        kept = [one for one in typing.get_args(annotation) if one is not type(None)]
        return plain(kept[0]) if len(kept) == 1 else annotation
    return typing.get_args(annotation)[0] if typing.get_origin(annotation) is typing.Annotated else annotation


def kind(info: FieldInfo) -> str:
    """What may stand there, in words: `whole number, at least 1, or null`."""
    limits = [
        f"{word} {getattr(one, limit.__name__.lower())}"
        for one in info.metadata
        for limit, word in LIMITS.items()
        if isinstance(one, limit)
    ]
    words = ", ".join([_words(plain(info.annotation)), *limits])
    null = type(None) in typing.get_args(info.annotation)
    return f"{words}{',' if limits else ''} or null" if null else words


def _words(annotation: Any) -> str:
    if annotation in WORDS:
        return WORDS[annotation]
    origin, inside = typing.get_origin(annotation), typing.get_args(annotation)
    if origin is typing.Literal:
        return _either(inside)
    if origin is tuple and inside[-1] is Ellipsis:
        return f"list of {_words(inside[0])}"
    if origin is tuple:
        return f"[{', '.join(_words(plain(one)) for one in inside)}]"
    if origin in (typing.Union, types.UnionType):
        return _either([_words(one) for one in inside if one is not type(None)])
    return "groups by name" if origin is dict else "a group"


def _either(words: Sequence[Any]) -> str:
    *first, last = dict.fromkeys(map(str, words))
    return f"{', '.join(first)} or {last}" if first else last


def default(info: FieldInfo) -> str:
    """As YAML; "" where the key must be given, or where it is a group with values of its own."""
    if info.is_required() or (group(info.annotation) is not None and info.default is not None):
        return ""
    value = info.get_default(call_default_factory=True)
    text = yaml.safe_dump(_listed(value), default_flow_style=True, allow_unicode=True, width=10**6)
    return text.removesuffix("\n").removesuffix("\n...")


def _listed(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value


def description(info: FieldInfo) -> str:
    """The field's own; of a group that has none, what its class says of itself."""
    below = group(info.annotation)
    text = info.description or (below.__doc__ if below is not None else None) or ""
    return " ".join(text.split()).removesuffix(".")


def readers(key: str, stages: Mapping[str, Any]) -> tuple[str, ...]:
    """The stages of dvc.yaml that depend on a key, on what it is part of, or on a part of it."""
    return tuple(
        name
        for name, stage in stages.items()
        if any(_overlap(key.split("."), one.split(".")) for one in stage.get("do", stage).get("params", ()))
    )


def _overlap(left: Sequence[str], right: Sequence[str]) -> bool:
    return all(one == other or ANY in (one, other) or "$" in other for one, other in zip(left, right, strict=False))


def verbs(key: str) -> tuple[str, ...]:
    """What reads a key beside the stages."""
    parts = key.split(".")
    places = (".".join(parts[:end]) for end in range(len(parts), 0, -1))
    return next((READ_BY[place] for place in places if place in READ_BY), ())
