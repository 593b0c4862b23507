"""What a change changes: parameters in Hydra's terms, the contract, and what follows for the version."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any, Literal

Params = Mapping[str, Any]
Version = Literal["major", "minor", "patch"]
LONGEST = 100  # letters of a value
NONE: Any = object()
# What a model is made from; the other groups say how it is judged and served.
MAKES = ("data", "features", "candidate", "tuning")
CREDENTIALS = re.compile(r"(://)[^/@\s]*@")
# Of a column, what callers see; and what may hold its values.
SEEN = ("type", "nullable", "range", "categories", "case", "timezone", "unit", "positive")
TELLING = ("categories", "positive", "range", "description", "unit")


def parameters(was: Params, now: Params) -> list[str]:
    """A line for each parameter that differs, `data.window.until: 2013-03-01 → 2013-04-01`; columns apart."""
    lines = []
    for place, before, after in _pairs(was, now):
        if place[:2] == ("data", "columns"):
            continue
        if place[0] == "candidate" and len(place) == 2:
            lines.append(f"candidate {place[1]}: {'removed' if after is NONE else 'added'}")
        elif before is NONE or after is NONE:
            word = f"added, {_shown(after)}" if before is NONE else f"removed, was {_shown(before)}"
            lines.append(f"{'.'.join(place)}: {word}")
        else:
            lines.append(f"{'.'.join(place)}: {_shown(before)} → {_shown(after)}")
    return lines


def contract(was: Params, now: Params) -> list[str]:
    """A line for each difference between the columns; of personal data never a value."""
    then, today = _columns(was), _columns(now)
    api = {name for name in {*then, *today} if _column(was, name) != _column(now, name)}
    lines = []
    for name in [*today, *(name for name in then if name not in today)]:
        note = " (the API changes)" if name in api else ""
        if name not in then:
            lines.append(f"column {name}: added, {_kind(today[name])}{note}")
        elif name not in today:
            lines.append(f"column {name}: removed, was {_kind(then[name])}{note}")
        else:
            hidden = "pii" in (*_roles(then[name]), *_roles(today[name]))
            found = [_key(*one, hidden) for one in _pairs(then[name], today[name])]
            if found:
                lines.append(f"column {name}: {'; '.join(found)}{note}")
    return lines


def version(was: Params, now: Params, *, code: bool, same: bool) -> tuple[Version | None, str]:
    """What the version becomes when this is released, and why. `same`: the model is what it was; then None.

    Major: what the service takes or gives changes. Minor: parameters or code do. Patch: nothing but the data's window.
    """
    if api(was) != api(now):
        return "major", "what the service takes or gives changes"
    if same:
        return None, "the model stays what it is"
    other = {key for key in MAKES if _without_window(was, key) != _without_window(now, key)}
    if other or code:
        found = [f"conf/{key}/" for key in MAKES if key in other] + (["code or libraries"] if code else [])
        return "minor", f"{', '.join(found)} changed, what the service takes and gives did not"
    return "patch", "nothing but the data changed"


def api(params: Params) -> dict[str, Any]:
    """What the service takes and gives, as far as configuration tells."""
    columns = {name: _column(params, name) for name in _columns(params)}
    return {
        "task": _group(params, "data").get("task"),
        "columns": {name: column for name, column in columns.items() if column},
    }


def _column(params: Params, name: str) -> dict[str, Any] | None:
    """What callers see of a column: what they must send, may send, or are told; None where they see nothing."""
    column = _columns(params).get(name)
    if column is None:
        return None
    roles = set(_roles(column))
    if roles & {"pii", "ignored"}:
        return None
    derived = "timestamp" in roles and _group(params, "features").get("derive") is not None
    use = "answer" if "target" in roles else "input" if "feature" in roles or derived else "passenger"
    return {"use": use, **{key: column[key] for key in SEEN if column.get(key) not in (None, False)}}


def _columns(params: Params) -> dict[str, Any]:
    """Those that are declared as mappings: what is reported need not be right."""
    found = _group(_group(params, "data"), "columns")
    return {str(name): column for name, column in found.items() if isinstance(column, Mapping)}


def _group(params: Params, key: str) -> Params:
    found = params.get(key)
    return found if isinstance(found, Mapping) else {}


def _roles(column: Params) -> tuple[str, ...]:
    role = column.get("role", "feature")
    return tuple(str(one) for one in role) if isinstance(role, list) else (str(role),)


def _kind(column: Params) -> str:
    return ", ".join([str(column.get("type")), *_roles(column)])


def _key(place: tuple[str, ...], before: Any, after: Any, hidden: bool) -> str:
    key = ".".join(place)
    if hidden and place[0] in TELLING:
        return f"{key} changed (personal data: its values are not shown)"
    return f"{key} {_shown(before)} → {_shown(after)}"


def _without_window(params: Params, key: str) -> Any:
    return {name: value for name, value in _group(params, key).items() if (key, name) != ("data", "window")}


def _pairs(was: Any, now: Any, place: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any, Any]]:
    """The leaves in which two trees differ; a branch that only one of them has is one leaf."""
    if isinstance(was, Mapping) and isinstance(now, Mapping):
        for key in [*now, *(key for key in was if key not in now)]:
            yield from _pairs(was.get(key, NONE), now.get(key, NONE), (*place, str(key)))
    elif was is NONE or now is NONE or was != now:
        yield place, was, now


def _shown(value: Any) -> str:
    """A value in one short line, without the credentials of an address."""
    if value is NONE:
        return "not set"
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
    text = CREDENTIALS.sub(r"\1…@", text)
    return text if len(text) <= LONGEST else text[: LONGEST - 1] + "…"
