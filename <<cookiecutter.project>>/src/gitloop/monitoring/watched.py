"""A window of the prediction log in memory: typed rows, and what was counted of the lines they came from."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path

import duckdb
import pyarrow as pa

from gitloop.contract import Contract
from gitloop.data.table import connect, identifier, literal
from gitloop.serving import history, sampling, tallied
from gitloop.serving.journal import HOUR, loggable, parts
from gitloop.serving.tallied import Requests
from gitloop.settings import Log

EARLY = "INTERVAL 60 SECOND"  # by which truth may precede its prediction before a clock is wrong


@dataclass(frozen=True)
class Lines:
    """What was counted of the lines that were drawn."""

    predictions: int = 0
    repeated: int = 0  # beyond the first of each id
    torn: int = 0
    broken: tuple[str, ...] = ()  # names of files
    truths: int = 0  # ids of the window that truth has come of
    contradicted: int = 0  # of those, with more than one truth
    early: int = 0  # of those, with truth told before the prediction was made
    early_hours: float | None = None  # their median
    future: int = 0  # predictions made after now
    unknown: int = 0  # feedback of the window whose ids no prediction has; estimated like `predictions`
    told: int = 0  # feedback of the window
    unreadable: dict[str, int] = field(default_factory=dict)  # column → values that are not of its type
    sent: dict[str, tuple[str, ...]] = field(default_factory=dict)  # field → its types in some lines


@dataclass(frozen=True)
class Watched:
    """`rows` has the columns of `history.schema` and `_delay_hours`, from prediction to truth."""

    since: datetime
    until: datetime
    rows: pa.Table
    share: float  # of the predictions that were drawn
    lines: Lines
    requests: Requests = field(default_factory=Requests)

    @property
    def count(self) -> int:
        """All predictions of the window, about."""
        return round(int(self.rows.num_rows) / self.share)


def read(
    log: Log, contract: Contract, since: datetime, until: datetime, *, most: int, truth_days: int, now: datetime
) -> Watched:
    """A window of the log (naive UTC), at most about `most` of its predictions. Raises `InputError`."""
    with history.opened(log, contract, since, until, most) as drawn:
        query = (
            f"SELECT one.*, epoch(told - one._time) / 3600 AS _delay_hours FROM ({history.query(contract)}) AS one "
            "LEFT JOIN (SELECT id, max(instant) AS told FROM feedback GROUP BY id) AS came ON came.id = one._id "
            "ORDER BY one._time, one._id"
        )
        shape = history.schema(contract).append(pa.field("_delay_hours", pa.float64()))
        rows = drawn.connection.sql(query).to_arrow_table().cast(shape)
        lines = _lines(drawn, contract, now, since, until)
        unplaced = _unplaced(drawn.connection, since, until)
    unknown = _unknown(log, since, until, truth_days, unplaced, drawn.share)
    counted = tallied.read(log, since, until)
    return Watched(since, until, rows, drawn.share, Lines(**{**vars(lines), "unknown": unknown}), counted)


def _one(connection: duckdb.DuckDBPyConnection, query: str) -> tuple[int, ...]:
    [found] = connection.execute(query).fetchall()
    return tuple(found)


def _lines(drawn: history.Drawn, contract: Contract, now: datetime, since: datetime, until: datetime) -> Lines:
    connection, target = drawn.connection, contract.columns[contract.target]
    count, ids, future = _one(
        connection,
        "SELECT count(*), count(DISTINCT id), count(*) FILTER (instant > "
        f"TIMESTAMP {literal(now.isoformat(sep=' '))}) FROM predictions",
    )
    truths, contradicted, early, hours = _one(
        connection,
        "SELECT count(*), count(*) FILTER (different > 1), count(*) FILTER (first < made - " + EARLY + "), "
        "median(epoch(made - first) / 3600) FILTER (first < made - " + EARLY + ") FROM "
        "(SELECT id, count(DISTINCT truth) AS different, min(instant) AS first FROM feedback GROUP BY id) "
        "JOIN (SELECT id, min(instant) AS made FROM predictions GROUP BY id) USING (id)",
    )
    (told,) = _one(connection, f"SELECT count(*) FROM feedback WHERE {_inside(since, until)}")
    unreadable = _unreadable(connection, contract)
    if target.type in history.SQL:
        kind = history.SQL[target.type]
        (wrong,) = _one(
            connection, f"SELECT count(*) FROM feedback WHERE truth IS NOT NULL AND TRY_CAST(truth AS {kind}) IS NULL"
        )
        unreadable[contract.target] = wrong
    return Lines(
        predictions=count,
        repeated=count - ids,
        torn=drawn.torn,
        broken=drawn.broken,
        truths=truths,
        contradicted=contradicted,
        early=early,
        early_hours=hours,
        future=future,
        told=told,
        unreadable={name: rows for name, rows in unreadable.items() if rows},
        sent=drawn.sent,
    )


def _unreadable(connection: duckdb.DuckDBPyConnection, contract: Contract) -> dict[str, int]:
    """For each typed column, the values that are there and cannot be read."""
    typed = {
        name: history.SQL[contract.columns[name].type]
        for name in loggable(contract.columns)
        if name != contract.target and contract.columns[name].type in history.SQL
    }
    if not typed:
        return {}
    counts = ", ".join(
        f"count(*) FILTER (inputs[{literal(name)}] IS NOT NULL AND TRY_CAST(inputs[{literal(name)}] AS {kind}) IS NULL)"
        f" AS {identifier(name)}"
        for name, kind in typed.items()
    )
    return dict(zip(typed, _one(connection, f"SELECT {counts} FROM predictions"), strict=True))


def _inside(since: datetime, until: datetime) -> str:
    return " AND ".join(
        f"instant {sign} TIMESTAMP {literal(time.isoformat(sep=' '))}" for sign, time in ((">=", since), ("<", until))
    )


def _unplaced(connection: duckdb.DuckDBPyConnection, since: datetime, until: datetime) -> set[str]:
    """Ids of feedback told in the window of which the window has no prediction."""
    found = connection.execute(
        f"SELECT DISTINCT id FROM feedback ANTI JOIN predictions USING (id) WHERE {_inside(since, until)}"
    ).fetchall()
    return {id for (id,) in found}


def _unknown(log: Log, since: datetime, until: datetime, truth_days: int, unplaced: set[str], share: float) -> int:
    """How many of them no earlier prediction has either, as far back as truth is awaited."""
    if log.url or log.url_env:
        from gitloop.serving import database

        return database.unknown(log, since, until)
    if not unplaced:
        return 0
    begin, end = since - timedelta(days=truth_days) - HOUR, until + HOUR
    files = [
        part.path
        for part in parts(Path(log.folder))
        if part.name == "predictions" and begin <= part.hour.replace(tzinfo=None) <= end
    ]
    good, _ = sampling.readable(files)
    with connect() as connection, tempfile.TemporaryDirectory(prefix="gitloop-") as temporary:
        connection.register("unplaced", pa.table({"id": pa.array(sorted(unplaced), pa.string())}))
        for path in sampling.gathered(good, share, Path(temporary)):
            lines = (
                f"read_json({literal(path)}, columns = {{id: 'VARCHAR'}}, format = 'newline_delimited', "
                "ignore_errors = true)"
            )
            found = connection.execute(f"SELECT DISTINCT id FROM {lines} SEMI JOIN unplaced USING (id)").fetchall()
            unplaced = unplaced - {id for (id,) in found}
    return round(len(unplaced) / share)
