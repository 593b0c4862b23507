"""The page of everything that gitloop says no with, made from its code when the documentation is built."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from itertools import groupby
from pathlib import Path
from typing import Any, NamedTuple

from mkdocs.structure.files import File, Files

import hooks

SOURCE = hooks.TEMPLATE / "src/gitloop"
ROOMS = {"": "Configuration", **hooks.ROOMS}
RAISED = {"InputError": "2", "Refused": "1", "ValueError": "2"}  # pydantic makes an InputError of the last
FOUND = "Finding"  # of `gitloop check`: (check, where, why, mend)
GAP = "…"
PAGES = ("card", "html", "page", "site")  # modules that write pages, whose sentences are no messages
HEAD = f"""\
# Messages

Everything that gitloop refuses, finds or warns of, as it stands in its code. `{GAP}` is a name, a path or a number. A
message names the file, the column or the key, the rule, and how to mend it; of those that need more words,
[Troubleshooting](../troubleshooting.md) says what is behind them. The exit code is 2 where the input or the
configuration is wrong, 1 where a check says no; a line without one is part of a result, a warning, or one of several.
"""


class Message(NamedTuple):
    room: str
    module: str
    text: str
    code: str  # the exit code; "" where the line alone ends nothing


def on_files(files: Files, config: Any) -> Files:
    files.append(File.generated(config, "reference/messages.md", content=page()))
    return files


def page() -> str:
    lines = [HEAD]
    for room, found in groupby(messages(), lambda one: one.room):
        lines += [f"## {ROOMS[room]}", ""]
        for one in found:  # as a heading: the search weighs those most, so that a pasted message finds its own
            code = f", exit code {one.code}" if one.code else ""
            lines += [f"#### {_code(one.text)}", "", f"In `{one.module}`{code}.", ""]
    return "\n".join(lines)


def messages() -> list[Message]:
    """Each text once, by room and module."""
    found: dict[str, Message] = {}
    for room in ROOMS:
        for path in sorted((SOURCE / room).glob("*.py")):
            for said, code in _said(path):
                text = re.sub(f"{GAP}+", GAP, " ".join(said.split()))
                if not re.search(r"[a-z]{2,}", text):  # it passes on what another one says
                    continue
                found.setdefault(text, Message(room, path.relative_to(SOURCE).as_posix(), text, code))
    order = list(ROOMS)
    return sorted(found.values(), key=lambda one: order.index(one.room))


def _said(path: Path) -> Iterator[tuple[str, str]]:
    """What a module raises, and what else it says in the form of a message: `what: rule; how to mend`."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    inside: set[int] = set()
    for call in ast.walk(tree):
        if not isinstance(call, ast.Call) or not isinstance(call.func, ast.Name) or not call.args:
            continue
        text = _text(call.args[0]) if call.func.id in RAISED else None
        if call.func.id == FOUND and len(call.args) == len(("check", "where", "why", "mend")):
            text = "{}: {}; {}".format(GAP, *(_text(one) or GAP for one in call.args[2:]))
        if text:
            inside |= {id(part) for part in ast.walk(call)}
            yield from ((line, RAISED.get(call.func.id, "1")) for line in text.splitlines())
    if any(word in path.stem.split("_") for word in PAGES):
        return
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr) and id(node) not in inside:
            text = _text(node) or ""
            mends = "; " in text.strip("; ") and text[-1] not in ".\n" and "<" not in text and "#" not in text
            if mends or "nearest(" in ast.unparse(node):
                yield text, ""


def _text(node: ast.expr) -> str | None:
    """A literal with `…` for what is put in; None where there is none."""
    if isinstance(node, ast.Constant):
        return node.value if isinstance(node.value, str) else None
    if isinstance(node, ast.JoinedStr):
        return "".join(str(one.value) if isinstance(one, ast.Constant) else GAP for one in node.values)
    if isinstance(node, ast.BinOp):
        left, right = _text(node.left), _text(node.right)
        return None if left is None or right is None else left + right
    if isinstance(node, ast.Call):  # "\n".join(a line for each)
        inner = next((one for one in ast.walk(node) if isinstance(one, ast.GeneratorExp)), None)
        return _text(inner.elt) if inner is not None else None
    return None


def _code(text: str) -> str:
    return f"`` {text} ``" if "`" in text else f"`{text}`"
