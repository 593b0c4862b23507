"""The commands in the documentation: where each stands, and what is wrong with it."""

from __future__ import annotations

import argparse
import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple, NoReturn

from dvc.cli.parser import get_main_parser as dvc_parser
from markdown_it import MarkdownIt
from project import ROOT

from gitloop import cli

TEMPLATE = ROOT / "<<cookiecutter.project>>"
PAGES = [*sorted((ROOT / "docs").glob("*.md")), ROOT / "README.md", TEMPLATE / "README.md"]
SHELL = ("", "bash", "console")  # what is in a block of these is typed, or shown with what is typed
LINE = re.compile(r"^(?:\$ )?((?:\.venv/bin/)?(?:gitloop|make|dvc)\b(?! \w+: ).*)$")  # not a message
VARIABLE = re.compile(r"^[A-Z]+=")


DVC = dvc_parser()


class Command(NamedTuple):
    page: Path
    line: int
    text: str
    inline: bool  # in a sentence or a table, where the rest of it may be left out


class Block(NamedTuple):
    line: int
    kind: str
    text: str


class Wrong(Exception):
    pass


def blocks(page: Path) -> list[Block]:
    tokens = MarkdownIt("commonmark").parse(page.read_text(encoding="utf-8"))
    return [
        Block(token.map[0] + 2, token.info.strip(), token.content)
        for token in tokens
        if token.type == "fence" and token.map
    ]


def commands(page: Path) -> Iterator[Command]:
    """Every gitloop, make and dvc command of a page, in blocks and in code within a line."""
    for block in blocks(page):
        if block.kind in SHELL:
            for number, line in enumerate(block.text.splitlines()):
                if found := LINE.match(line.strip()):
                    yield Command(page, block.line + number, found[1], inline=False)
    for token in MarkdownIt("commonmark").enable("table").parse(page.read_text(encoding="utf-8")):
        for child in token.children or ():
            if child.type == "code_inline" and (found := LINE.match(child.content.strip())):
                lines = page.read_text(encoding="utf-8").splitlines()
                start = token.map[0] if token.map else 0
                number = next((n for n, line in enumerate(lines[start:], start) if child.content in line), start)
                yield Command(page, number + 1, found[1], inline=True)


def wrong(command: Command) -> str | None:
    """`file:line: command: why`; None where each word of it exists."""
    text = command.text.replace("…", "X")
    try:
        for part in re.split(r" && | \|\| | \| |; ", text):
            words = shlex.split(part, comments=True)
            check = CHECKS.get(Path(words[0]).name) if words else None
            if check:
                check(words[1:], command.inline)
    except (Wrong, ValueError) as error:
        page = command.page.relative_to(ROOT) if command.page.is_relative_to(ROOT) else command.page.name
        return f"{page}:{command.line}: {command.text}: {' '.join(str(error).split())}"
    return None


def _gitloop(words: list[str], inline: bool) -> None:
    if words:
        _parsed(cli.parser(), words, inline)


def _dvc(words: list[str], inline: bool) -> None:
    if words:
        _parsed(DVC, words, inline)


def _make(words: list[str], _: bool) -> None:
    known = set()
    text = ""
    for makefile in (ROOT / "Makefile", TEMPLATE / "Makefile"):
        text += makefile.read_text()
        known |= set(re.findall(r"^\.PHONY: (.+)", text, re.MULTILINE)[-1].split())
    for word in words:
        if VARIABLE.match(word):
            name = word.partition("=")[0]
            if f"$({name})" not in text:
                raise Wrong(f"no Makefile reads {name}")
        elif word not in known:
            raise Wrong(f"no Makefile has the target {word}; there are {', '.join(sorted(known))}")


def _parsed(parser: argparse.ArgumentParser, words: list[str], inline: bool) -> None:
    def refuse(_: object, message: str | None = None, *__: object) -> NoReturn:
        said = message or "cannot be parsed"
        if inline and "arguments are required" in said and not any(word.startswith("-") for word in words):
            raise SystemExit  # the verb alone is spoken of
        raise Wrong(said)

    kind = type(parser)  # of its subparsers too
    before = kind.error
    kind.error = refuse  # type: ignore[method-assign,assignment]
    try:
        parser.parse_args(words)
    except Wrong:
        raise
    except SystemExit:
        return  # --help too
    except Exception as error:
        raise Wrong(str(error)) from error
    finally:
        kind.error = before  # type: ignore[method-assign]


CHECKS = {"gitloop": _gitloop, "make": _make, "dvc": _dvc}
