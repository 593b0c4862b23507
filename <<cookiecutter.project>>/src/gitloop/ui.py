"""What a person sees in the terminal: tables on stdout, progress on stderr."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Protocol

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table


def say(text: str) -> None:
    """Print one line. Names from outside are never read as markup."""
    Console(highlight=False, soft_wrap=True).print(escape(text))


def note(text: str) -> None:
    """Print one line of what a tool says meanwhile."""
    Console(stderr=True, highlight=False, soft_wrap=True).print(escape(text), style="dim")


def warn(text: str) -> None:
    Console(stderr=True, highlight=False, soft_wrap=True).print(f"[yellow]warning:[/] {escape(text)}")


def table(title: str, columns: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """Print a table; cells that are not text stand to the right."""
    shown = Table(title=escape(title), title_justify="left", title_style="bold")
    for index, name in enumerate(columns):
        right = bool(rows) and all(isinstance(row[index], int | float) for row in rows)
        shown.add_column(escape(name), justify="right" if right else "left", overflow="fold")
    for row in rows:
        shown.add_row(*(escape(cell(value)) for value in row))
    width = None if sys.stdout.isatty() else 120
    Console(width=width, highlight=False).print(shown)


def cell(value: object) -> str:
    if value is None:
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, int):
        return f"{value:,}"
    return str(value)


class Advance(Protocol):
    def __call__(self, steps: int = 1, note: str = "") -> None: ...


@contextmanager
def progress(what: str, total: int | None) -> Iterator[Advance]:
    """Show how far `what` is, of `total` steps (None: unknown); call the yielded function to advance, with a note."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    console = Console(stderr=True)
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bars:
        task = bars.add_task(escape(what), total=total)
        yield lambda steps=1, note="": bars.update(task, advance=steps, description=escape(f"{what} {note}".rstrip()))
