"""What a table somebody points at is: its kind, how it is read, and a view of its rows for DuckDB.

A source is a path, a glob, a folder of files of one kind, a URL, a database's URL, or `env:NAME` where the environment
variable NAME holds a database's URL. The view `raw` holds all rows as the pipeline's own source would read them.
"""

from __future__ import annotations

import re
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import duckdb

from gitloop.data import delimited, dialect, places, table
from gitloop.data.places import reason, redact
from gitloop.data.protocol import Request
from gitloop.data.sources import GoogleSheet
from gitloop.data.sql import SQL
from gitloop.data.table import identifier, literal
from gitloop.errors import InputError

HOME = Path("data/source")  # where the pipeline looks for changes
DATABASES = ("sqlite", "postgresql", "postgres", "mysql", "mariadb", "oracle", "mssql")
SQLITE = (".db", ".sqlite", ".sqlite3")
PARQUET = (".parquet", ".pq", ".parq")
TEXT = (".csv", ".tsv", ".txt", ".psv")
OTHER = (".xlsx", ".xls", ".ods", ".json", ".jsonl", ".ndjson", ".feather", ".arrow", ".pkl", ".pickle", ".h5", ".orc")
ROWS = 200_000  # of a database that are looked at


@dataclass(frozen=True)
class Opened:
    """A table with the view `raw`. `spec` is the source as conf/data/ names it; `copy` a file that must lie in HOME."""

    connection: duckdb.DuckDBPyConnection
    shown: str
    spec: dict[str, Any]
    names: list[str]
    text: bool  # every column is text, as in CSV and from a database
    complete: bool = True  # `raw` has all rows
    copy: Path | None = None
    headless: bool = False  # the first line looks like values
    lines: list[list[str]] = field(default_factory=list)  # some that follow the first line


@contextmanager
def opened(source: str, query: str | None) -> Iterator[Opened]:
    """The table at `source`. Raises `InputError` with one line that says how to mend it."""
    if "${" in source:
        raise InputError(f"{redact(source)}: `${{` would be read as a variable in conf/; rename it")
    with table.connect("500MB") as connection, tempfile.TemporaryDirectory(prefix="gitloop-") as temporary:
        folder = Path(temporary)
        if _is_database(source):
            yield _database(connection, source, query)
        elif query is not None:
            raise InputError("--query: belongs to a database; leave it out, or name the database's URL")
        elif re.search(r"docs\.google\.com/spreadsheets", source):
            sheet = GoogleSheet(sheet=source)
            spec = {"_target_": "gitloop.data.sources.GoogleSheet", "sheet": source}
            yield _text(connection, sheet.csv().path, spec, folder, None)
        else:
            location, copy = _placed(source)
            parquet = _is_parquet(location)
            kind = "Parquet" if parquet else "CSV"
            spec = {"_target_": f"gitloop.data.sources.{kind}", "path": _home(location, copy)}
            read = _parquet if parquet else _text
            yield read(connection, location, spec, folder, copy)


def _is_database(source: str) -> bool:
    scheme = source.partition("://")[0].partition("+")[0]
    local = "://" not in source and Path(source).suffix.lower() in SQLITE
    return source.startswith("env:") or ("://" in source and scheme in DATABASES) or local


def _placed(source: str) -> tuple[str, Path | None]:
    """Where to read, and the file that must be copied into the repository for that."""
    if "://" in source:
        _refuse_kind(source.partition("?")[0])
        return source, None
    path = Path(source)
    if path.is_dir():
        return _inside(source, _of_folder(path)), None
    if not path.exists():
        names = places.find(source)[1]
        _refuse_kind(names[0])
        return _inside(source, source), None
    if not path.is_file():
        raise InputError(f"{source}: is not a file; name a table, a URL or a database")
    _refuse_kind(source)
    if path.stat().st_size == 0:
        raise InputError(f"{source}: is empty; it needs a header and rows")
    home = HOME.resolve()
    if path.resolve().is_relative_to(home):
        return (HOME / path.resolve().relative_to(home)).as_posix(), None
    return source, path


def _of_folder(path: Path) -> str:
    files = sorted(one for one in path.iterdir() if one.is_file() and not one.name.startswith("."))
    kinds = sorted({one.suffix.lower() for one in files if one.suffix.lower() in (*TEXT, *PARQUET)})
    if len(kinds) != 1:
        what = f"holds tables of several kinds ({', '.join(kinds)})" if kinds else "holds no CSV or Parquet file"
        raise InputError(f"{path}: is a folder that {what}; name the files, such as {path.as_posix()}/*.csv")
    return f"{path.as_posix()}/*{kinds[0]}"


def _inside(source: str, pattern: str) -> str:
    """Many files are not copied: they must lie where the pipeline sees a change."""
    fixed = Path(re.split(r"[*?\[]", pattern)[0]).resolve()
    if not (fixed.is_relative_to(HOME.resolve()) or fixed.parent.is_relative_to(HOME.resolve())):
        raise InputError(f"{source}: several files are not copied; move them below {HOME}/ and name them there")
    root = Path.cwd().resolve()
    return Path(pattern).resolve().relative_to(root).as_posix() if Path(pattern).is_absolute() else pattern


def _home(location: str, copy: Path | None) -> str:
    return location if copy is None else (HOME / copy.name).as_posix()


def _refuse_kind(name: str) -> None:
    if Path(name).suffix.lower() in OTHER:
        raise InputError(
            f"{redact(name)}: {Path(name).suffix} is not read; save the table as CSV or Parquet, or name a database"
        )


def _is_parquet(location: str) -> bool:
    if Path(location.partition("?")[0]).suffix.lower() in PARQUET:
        return True
    if "://" in location or re.search(r"[*?\[]", location):
        return False
    with Path(location).open("rb") as file:
        return file.read(4) == b"PAR1"


def _parquet(
    connection: duckdb.DuckDBPyConnection, location: str, spec: dict[str, Any], folder: Path, copy: Path | None
) -> Opened:
    system, names = _files(location, folder)
    if "://" in location and not places.is_web(location):
        connection.register_filesystem(system)
    read = f"read_parquet([{', '.join(map(literal, names))}], union_by_name = true)"
    try:
        connection.execute(f"CREATE VIEW raw AS SELECT * FROM {read}")
        columns = [name for name, *_ in connection.execute("DESCRIBE raw").fetchall()]
    except duckdb.Error as error:
        raise InputError(f"{redact(location)}: cannot be read as Parquet ({reason(error)}); is it one?") from error
    return Opened(connection, redact(location), spec, _named(redact(location), columns), text=False, copy=copy)


def _files(location: str, folder: Path) -> tuple[Any, list[str]]:
    return places.find(str(places.download(location, folder)) if places.is_web(location) else location)


def _text(
    connection: duckdb.DuckDBPyConnection, location: str, spec: dict[str, Any], folder: Path, copy: Path | None
) -> Opened:
    system, names = _files(location, folder)
    if "://" in location and not places.is_web(location):
        connection.register_filesystem(system)
    queries, header, headless, first = [], None, False, []
    for index, name in enumerate(names):
        shown = redact(location if places.is_web(location) else name)
        encoding = dialect.encoding(delimited.TextFile(system, name, shown, "utf-8-sig"))
        file = delimited.TextFile(system, name, shown, encoding)
        found, delimiter, lines = dialect.header(file)
        if header is None:
            header, headless, first = _named(shown, found), dialect.like_values(found, lines), lines
            if encoding != "utf-8-sig":
                spec["encoding"] = encoding
            if delimiter != ",":
                spec["delimiter"] = delimiter
        elif found != header:
            odd = [repr(name) for name in sorted({*header} ^ {*found})] or ["their order"]
            raise InputError(f"{shown}: has not the columns of {names[0]} ({odd[0]} differs); make them alike")
        place = folder / str(index)
        place.mkdir()
        columns = ", ".join(map(identifier, header))
        queries.append(delimited.query(delimited.readable(file, place), header, delimiter, ("",), columns))
    connection.execute(f"CREATE VIEW raw AS {' UNION ALL '.join(queries)}")
    return Opened(connection, redact(location), spec, header or [], True, copy=copy, headless=headless, lines=first)


def _named(shown: str, names: list[str]) -> list[str]:
    """The names, if a contract can have them. DuckDB does not tell upper case from lower."""
    folded = [name.casefold() for name in names]
    for index, name in enumerate(names):
        if name.casefold() in folded[:index]:
            raise InputError(f"{shown}: the header names {name!r} twice (in any case of letters); rename one")
        if not name.isprintable():
            raise InputError(f"{shown}: the name of column {index + 1} has a control character; rename it")
    return names


def _database(connection: duckdb.DuckDBPyConnection, source: str, query: str | None) -> Opened:
    from gitloop.data import databases

    place, copy = databases.place(source)
    statement = databases.statement(place, query)
    spec = {"_target_": "gitloop.data.sources.SQL", **place, "query": statement}
    if copy is not None:
        spec["url"] = f"sqlite:///{(HOME / copy.name).as_posix()}"
    reader = SQL(query=statement, **place).batches(Request({}))
    rows = reader  # noqa: F841 -- DuckDB finds it by its name
    connection.execute(f"CREATE TABLE raw AS SELECT * FROM rows LIMIT {ROWS}")
    complete = connection.execute("SELECT count(*) FROM raw").fetchall()[0][0] < ROWS
    shown = redact(str(place.get("url") or f"the database of {place['url_env']}"))
    names = [name for name, *_ in connection.execute("DESCRIBE raw").fetchall()]
    return Opened(connection, shown, spec, _named(shown, names), text=True, complete=complete, copy=copy)
