"""Write what was inferred: conf/data/<name>.yaml with the reasons, and the few lines elsewhere that follow from it."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from io import StringIO
from pathlib import Path
from typing import Any

import yaml

from gitloop.data.decide import Decision, Table
from gitloop.data.places import redact
from gitloop.settings import METRICS

PLAIN = re.compile(r"[A-Za-z_][\w./-]*( [A-Za-z_][\w./-]*)*", re.ASCII)
ORDER = ("type", "role", "categories", "positive", "range", "nullable")
LONGEST = 100  # characters of a reason


def scalar(value: Any, *, key: bool = False) -> str:
    """A YAML scalar, in one line, that Hydra reads as the same value, or as the same key."""
    if not isinstance(value, str):
        return json.dumps(value) if value is None or isinstance(value, bool) else f"{value!r}"
    # In a value OmegaConf would look for a variable.
    text = value if key else re.sub(r"(\\*)\$\{", r"\1\1\\${", value)
    if PLAIN.fullmatch(text) and yaml.safe_load(text) == text:
        return text
    if text.isprintable():
        return "'" + text.replace("'", "''") + "'"
    return json.dumps(text)


def flow(value: Any) -> str:
    """A value in YAML's flow style, in one line."""
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{scalar(key, key=True)}: {flow(one)}" for key, one in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(flow, value)) + "]"
    return scalar(value)


def contract(name: str, spec: Mapping[str, Any], table: Table) -> str:
    """The text of conf/data/<name>.yaml."""
    found = table.outcome
    until = "null" if table.until is None else str(table.until)[:10]
    timed = f"since <= {table.timestamp} < until, in UTC; move `until` to take in later rows"
    window = timed if table.timestamp else "needs a column with `role: timestamp`"
    parted = "the latest fifth" if table.timestamp else "a fifth, drawn by a hash of each row's key"
    others = [one for one in METRICS[found.task] if one != found.metric]
    slices = [one.name for one in table.decisions.values() if one.role == "feature" and "categories" in one.keys]
    such = f", such as {flow(slices[:2])}" if slices else ""
    lines = [
        f"# What {_comment(_place(spec))} holds, as `gitloop init` found it in {table.rows:,} rows.",
        "# Read it through and correct it: the comments say why each column is what it is.",
        f"name: {scalar(name)}",
        f"task: {found.task}",
        f"metric: {found.metric}  # models are chosen by it; or {' '.join(others)}",
        f"threshold: {found.threshold:g}  # binary: a row counts as positive from this probability on",
        f"slices: []  # the model is also judged on each value of these columns{such}",
        "",
        "source:",
        *(f"  {scalar(key)}: {flow(value)}" for key, value in _source(spec, table).items()),
        "",
        f"window:  # {window}",
        "  since: null",
        f"  until: {until}",
        "",
        "split:",
        f"  test: 0.2  # {parted}: not seen before the model is judged",
        "",
        "# type: numeric · categorical · boolean · datetime · text",
        "# role: feature (where nothing is said) · target · timestamp · key · sensitive · pii · ignored",
        "columns:",
        *(_column(one) for one in table.decisions.values()),
        "",
        "rules:",
        *rules(table),
    ]
    return "\n".join(lines) + "\n"


def _place(spec: Mapping[str, Any]) -> str:
    """Where the rows are, as it may be told."""
    place = next(str(spec[key]) for key in ("path", "sheet", "url", "url_env") if key in spec)
    return redact(place.removeprefix("sqlite:///"))


def _source(spec: Mapping[str, Any], table: Table) -> dict[str, Any]:
    found = dict(spec)
    if str(spec["_target_"]).endswith((".CSV", ".GoogleSheet")):
        if table.reading.comma:
            found["decimal"] = ","
        if table.reading.null:
            found["null"] = ["", *table.reading.null]
    return found


def _column(decision: Decision) -> str:
    keys = {key: decision.keys[key] for key in ORDER if key in decision.keys}
    why = _comment(decision.why)
    return f"  {scalar(decision.name, key=True)}: {flow(keys)}" + (f"  # {why}" if why else "")


def _comment(text: str) -> str:
    plain = " ".join("".join(one if one.isprintable() else " " for one in text).split())
    return plain if len(plain) <= LONGEST else plain[: LONGEST - 1] + "…"


def rules(table: Table) -> list[str]:
    """Bounds on the table as a whole, with room beyond what it is like now."""
    rows = table.rows
    invalid = 0.01
    lost = (rows - table.measured[table.target].filled) / rows
    lost += sum(table.measured[name].unread for name in table.features) / rows
    if lost > 0.005:
        invalid = min(0.99, round(1.5 * lost + 0.01, 3))
    missing = max((1 - table.measured[name].filled / rows for name in table.features), default=0.0)
    most = 0.5 if missing <= 0.4 else min(0.99, round(missing + 0.1, 2))
    return [
        f"  min_rows: {least(rows)}",
        f"  max_invalid: {invalid:g}  # more rows than this breaking the contract stop the pipeline",
        f"  max_missing: {most:g}  # per column",
    ]


def least(rows: int) -> int:
    """Half of the rows, rounded to one digit, or 1000: fewer are a sign of something broken."""
    half = rows // 2
    step = 10 ** (len(str(half)) - 1)
    return int(min(1000, half // step * step))


def edited(path: Path, changes: Mapping[str, Any]) -> str:
    """The text of a YAML file with keys changed; `a.b` is the key b below a. Comments and order are kept."""
    from ruamel.yaml import YAML

    editor = YAML()
    editor.preserve_quotes = True
    editor.width = 10**6
    editor.indent(mapping=2, sequence=4, offset=2)
    null = "tag:yaml.org,2002:null"
    editor.representer.add_representer(type(None), lambda dumper, _: dumper.represent_scalar(null, "null"))
    tree = editor.load(path.read_text(encoding="utf-8"))
    for key, value in changes.items():
        *place, last = key.split(".")
        branch = tree
        for part in place:
            branch = branch[part]
        branch[last] = value
    text = StringIO()
    editor.dump(tree, text)
    return text.getvalue()


def chosen(config: Path, group: str) -> str:
    """The file that conf/config.yaml chooses for a group."""
    listed = yaml.safe_load(config.read_text(encoding="utf-8"))["defaults"]
    return next((str(one[group]) for one in listed if isinstance(one, dict) and group in one), "default")


def choosing(config: Path, name: str) -> str:
    """conf/config.yaml with another data configuration; a comment beside stays in its column."""

    def line(match: re.Match[str]) -> str:
        comment = match[4] or ""
        width = len(match[2]) + len(match[3])
        return f"{match[1]}{name}{' ' * max(1, width - len(name))}{comment}" if comment else f"{match[1]}{name}"

    text = config.read_text(encoding="utf-8")
    return re.sub(r"(?m)^(\s*- data: *)(\S+)( *)(#.*)?$", line, text, count=1)
