"""A database that somebody points at: its URL, kept out of the repository where it holds a password, and its query."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

from gitloop.data.places import reason, redact
from gitloop.errors import InputError
from gitloop.settings import nearest

HOME = Path("data/source")


def place(source: str) -> tuple[dict[str, str], Path | None]:
    """`url` or `url_env` of a SQL source, and the file of a database that must be copied into the repository."""
    import sqlalchemy
    from sqlalchemy.exc import ArgumentError

    if source.startswith("env:"):
        name = source.removeprefix("env:")
        if not re.fullmatch(r"[A-Za-z_]\w*", name):
            raise InputError(f"{source}: name an environment variable after `env:`, such as env:DATABASE_URL")
        if not os.environ.get(name):
            raise InputError(f"{source}: the environment variable {name} is not set; set it to the database's URL")
        return {"url_env": name}, None
    given = source if "://" in source else f"sqlite:///{source}"
    try:
        url = sqlalchemy.make_url(given)
    except (ArgumentError, ValueError) as error:
        raise InputError(f"{redact(source)}: is no database URL; it has the form dialect://user@host/name") from error
    if url.password:
        raise InputError(
            f"{redact(source)}: holds a password, which does not belong into a file; "
            "put the URL into an environment variable and say env:ITS_NAME"
        )
    if url.get_backend_name() != "sqlite":
        return {"url": given}, None
    path = Path(url.database or "")
    if not path.is_file():
        raise InputError(f"{path}: no such database; put the file there, or mend the path")
    home = HOME.resolve()
    if path.resolve().is_relative_to(home):
        return {"url": f"sqlite:///{(HOME / path.resolve().relative_to(home)).as_posix()}"}, None
    return {"url": given}, path


def statement(where: dict[str, str], query: str | None) -> str:
    """The SELECT that reads the table: `query`, all of the table it names, or all of the only one that there is.

    Rows come in a fixed order: without a timestamp the pipeline keeps it.
    """
    import sqlalchemy
    from sqlalchemy.exc import SQLAlchemyError

    if query is not None and re.search(r"\s", query.strip()):
        return query.strip().rstrip(";")
    given = where.get("url") or os.environ[where["url_env"]]
    try:
        engine = sqlalchemy.create_engine(given, poolclass=sqlalchemy.NullPool)
        inspector = sqlalchemy.inspect(engine)
        tables = [*inspector.get_table_names(), *inspector.get_view_names()]
        name = _table(tables, query)
        columns = inspector.get_columns(name)
        quote = engine.dialect.identifier_preparer.quote
        keys = inspector.get_pk_constraint(name)["constrained_columns"] if name in inspector.get_table_names() else []
        order = [quote(key) for key in keys] or [quote(column["name"]) for column in columns]
    except (SQLAlchemyError, ModuleNotFoundError) as error:
        raise _unreachable(where, error) from error
    return f"SELECT * FROM {quote(name)} ORDER BY {', '.join(order)}".replace(":", r"\:")  # not a bound parameter


def _table(tables: list[str], wanted: str | None) -> str:
    if wanted is not None:
        if wanted not in tables:
            raise InputError(f"--query: there is no table {wanted!r}{nearest(wanted, tables)}")
        return wanted
    if len(tables) != 1:
        named = f"has {len(tables)} tables ({', '.join(sorted(tables)[:10])})" if tables else "has no table"
        raise InputError(f"--query: the database {named}; name one, or write a SELECT")
    return tables[0]


def _unreachable(where: dict[str, Any], error: Exception) -> InputError:
    shown = redact(where.get("url") or f"the database of {where['url_env']}")
    words = reason(getattr(error, "orig", None) or error)
    return InputError(f"{shown}: cannot be reached ({words}); check the URL, its driver, and that it runs")
