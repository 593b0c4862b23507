"""Tables beyond memory: the flights of 2013, repeated year after year with new keys."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

from benchmarks.bench import Cost, edit, measure, project, run, say

SIZES = {"1M": 1_000_000, "10M": 10_000_000}
VERBS = ("ingest", "validate", "split")
REPEAT = """
import sys, duckdb
raw, repeated, rows = sys.argv[1:]
with duckdb.connect() as connection:
    connection.execute("SET TimeZone = 'UTC'; SET memory_limit = '1GB'")
    connection.execute(
        f"COPY (SELECT * EXCLUDE (turn) REPLACE (time_hour + to_days(cast(364 * turn AS integer)) AS time_hour) "
        f"FROM '{raw}', range(1 + {rows} // (SELECT count(*) FROM '{raw}')) turns(turn) LIMIT {rows}) "
        f"TO '{repeated}' (FORMAT parquet)"
    )
"""


def ten_million() -> None:
    """Peak memory of ingest, validate and split must not grow with rows beyond a constant."""
    costs: dict[str, dict[str, Cost]] = {}
    for name, rows in SIZES.items():
        with project() as where:
            source(where, rows)
            costs[name] = {verb: measure(where, sys.executable, "-m", "gitloop", verb) for verb in VERBS}
    table = []
    for verb in VERBS:
        small, large = (costs[name][verb] for name in SIZES)
        table.append(
            [
                verb,
                round(small.seconds, 1),
                round(large.seconds, 1),
                round(small.megabytes),
                round(large.megabytes),
                round(large.megabytes / small.megabytes, 2),
            ]
        )
    columns = ["stage", "1M, s", "10M, s", "1M, MB", "10M, MB", "memory ratio"]
    say("ingest, validate and split of 1M and 10M rows: wall time and peak memory of each process", columns, table)


def source(where: Path, rows: int) -> None:
    """Make the project read a Parquet file of `rows` flights."""
    year, repeated = where / "year.parquet", where / "data/source/flights.parquet"
    if not year.exists():
        edit(where / "conf/data/flights.yaml", window__since="2013-01-01", window__until="2014-01-01")
        run(where, "gitloop", "params")
        run(where, "gitloop", "ingest")
        shutil.copy(where / "data/raw.parquet", year)
    # In a process of its own: one that is started by a large process is counted as large.
    measure(where, sys.executable, "-c", REPEAT, str(year), str(repeated), str(rows))
    source = {"_target_": "gitloop.data.sources.Parquet", "path": "data/source/flights.parquet"}
    edit(where / "conf/data/flights.yaml", source=source, window__since=None, window__until=None)
    run(where, "gitloop", "params")
