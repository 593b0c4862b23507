"""Somebody's own table: what `gitloop init` costs, and how long the first gated model takes."""

from __future__ import annotations

import sys
from pathlib import Path

from benchmarks.bench import measure, project, say

ROWS = 20_000
THREADS = """
from gitloop import cli, threads
threads.ENOUGH = 0
raise SystemExit(cli.main(["train", "boosting"]))
"""
MAKE = """
import sys, duckdb
path, rows = sys.argv[1:]
with duckdb.connect() as connection:
    connection.execute("SET memory_limit = '1GB'; SELECT setseed(0.5)")
    connection.execute(f'''COPY (
        WITH drawn AS (SELECT i, random() AS a, random() AS b, random() AS c, random() AS d FROM range({rows}) t(i))
        SELECT i AS id, TIMESTAMP '2020-01-01' + to_minutes(i) AS seen, 'C' || (i * 7919 % 50000) AS city,
               round(a * 100, 4) AS size, (b * 1000)::INT AS visits, CASE WHEN c < 0.1 THEN NULL ELSE c END AS share,
               ['red', 'green', 'blue'][1 + (d * 2.99)::INT] AS colour, round(d * 1e6, 2) AS amount,
               'one of many ' || (i * 104729 % 100003) AS remark, b * c AS both, a + c AS either, c * d AS third,
               a + b + 0.5 * d + random() > 1.9 AS bought
        FROM drawn) TO '{path}' (HEADER)''')
"""


def init() -> None:
    """`gitloop init` on about 1 GB of CSV (to reach: 20 s, 1 GB of memory), and on a thousandth of it."""
    table = []
    with project() as where:
        for name, rows in {"6,500 rows": 6_500, "6.5M rows": 6_500_000}.items():
            path = where.parent / "table.csv"
            _make(where, path, rows)
            cost = measure(where, sys.executable, "-m", "gitloop", "init", str(path), "--target", "bought", "--force")
            table.append([name, round(path.stat().st_size / 1e6), round(cost.seconds, 1), round(cost.megabytes)])
    say("gitloop init (to reach: 1 GB in 20 s and 1,000 MB)", ["table", "MB", "seconds", "peak memory, MB"], table)


def first_model() -> None:
    """From `gitloop init` to a gated model of 20,000 rows with +preset=quick. To reach: at most 90 s."""
    table, total, spent = [], 0.0, 0.0
    train = [sys.executable, "-m", "gitloop", "train", "boosting"]
    with project() as where:
        path = where.parent / "table.csv"
        _make(where, path, ROWS)
        for command in (["init", str(path), "--target", "bought"], ["params", "+preset=quick"], ["repro"], ["gate"]):
            tool = "dvc" if command == ["repro"] else "gitloop"
            cost = measure(where, sys.executable, "-m", tool, *command)
            total, spent = total + cost.seconds, spent + cost.cpu
            table.append([f"{tool} {command[0]}", round(cost.seconds, 1), round(cost.cpu, 1)])
        table.append(["all", round(total, 1), round(spent, 1)])
        for name, command in {
            "one thread, as it does": train,
            "a thread for each core": [*train[:1], "-c", THREADS],
        }.items():
            cost = measure(where, *command)
            table.append([f"gitloop train boosting, {name}", round(cost.seconds, 1), round(cost.cpu, 1)])
    say(
        f"from gitloop init to a gated model of {ROWS:,} rows (to reach: 90 s)",
        ["command", "seconds", "CPU seconds"],
        table,
    )


def _make(where: Path, path: Path, rows: int) -> None:
    """In a process of its own: one that is started by a large process is counted as large."""
    measure(where, sys.executable, "-c", MAKE, str(path), str(rows))
