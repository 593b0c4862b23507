"""Batch scoring beside the pipeline over pandas chunks, and its memory from 1M to 10M rows."""

from __future__ import annotations

import hashlib
import json
import shutil
import statistics
import sys
from pathlib import Path

from benchmarks.bench import Cost, measure, project, run, say
from benchmarks.scale import SIZES, source

TIMES = 3
ROWS = 1_000_000
MODELS = ("linear", "boosting")
SCORE = (sys.executable, "-m", "gitloop", "score")
# What a plain script does: no contract, no keys, no end that it could be taken up from.
CHUNKS = """
import json, sys, time
from pathlib import Path
import pyarrow as pa, pyarrow.parquet as pq
from gitloop import settings
from gitloop.modeling import chosen, inputs
loaded = settings.load()
model, derive = chosen.model(loaded), inputs.derivation(loaded.features)
seconds, rows, writer = 0.0, 0, None
for batch in pq.ParquetFile("data/source/flights.parquet").iter_batches(100_000):
    chunk = batch.to_pandas()
    given = {name: chunk[name].to_numpy(object if chunk[name].dtype == "str" else None) for name in chunk}
    chunk = chunk.assign(**derive(given))
    if "object" in sys.argv:
        chunk = chunk.astype({name: object for name in model.schema.categorical})
    start = time.perf_counter()
    scores = model.pipeline.predict_proba(chunk)[:, 1]
    seconds += time.perf_counter() - start
    rows += len(chunk)
    chunk["probability"] = scores
    table = pa.Table.from_pandas(chunk[["time_hour", "carrier", "flight", "probability"]], preserve_index=False)
    writer = writer or pq.ParquetWriter("chunks.parquet", table.schema)
    writer.write_table(table)
writer.close()
Path("chunks.json").write_text(json.dumps(rows / seconds))
"""


def against_chunks() -> None:
    """Rows per second beside `pipeline.predict_proba` over pandas chunks. To reach: at least 5 times."""
    with project() as where:
        run(where, "dvc", "repro")
        source(where, ROWS)
        rows = []
        for name in MODELS:
            choose(where, name)
            rows += _compared(where, name)
    columns = ["model", "1M rows by", "seconds", "rows/s", "of that predict_proba alone, rows/s", "ratio (≥ 5)", "MB"]
    say(f"Batch scoring of 1M rows from Parquet to Parquet (median of {TIMES}, by turns)", columns, rows)


def flat() -> None:
    """Peak memory of `gitloop score`, first run and one that finds nothing new. To reach: the same at ten times."""
    costs: dict[str, list[Cost]] = {}
    with project() as where:
        run(where, "dvc", "repro")
        for name, rows in SIZES.items():
            source(where, rows)
            shutil.rmtree(where / "scores", ignore_errors=True)
            costs[name] = [measure(where, *SCORE), measure(where, *SCORE)]
    table = []
    for index, what in enumerate(("all rows new", "nothing new")):
        small, large = (costs[name][index] for name in SIZES)
        ratio = round(large.megabytes / small.megabytes, 2)
        speeds = [round(rows / costs[name][index].seconds) for name, rows in SIZES.items()]
        table.append([what, *speeds, round(small.megabytes), round(large.megabytes), ratio])
    columns = ["gitloop score", "1M, rows/s", "10M, rows/s", "1M, MB", "10M, MB", "memory ratio"]
    say("Batch scoring of 1M and 10M rows: speed and peak memory of the process", columns, table)


def _compared(where: Path, name: str) -> list[list[object]]:
    commands = {
        "gitloop score": SCORE,
        "pandas chunks": (sys.executable, "-c", CHUNKS),
        "pandas chunks, text as objects": (sys.executable, "-c", CHUNKS, "object"),
    }
    costs: dict[str, list[Cost]] = {what: [] for what in commands}
    alone: dict[str, list[float]] = {what: [] for what in commands}
    for _ in range(TIMES):
        for what, command in commands.items():
            shutil.rmtree(where / "scores", ignore_errors=True)
            costs[what].append(measure(where, *command))
            if what != "gitloop score":
                alone[what].append(json.loads((where / "chunks.json").read_text()))
    seconds = {what: statistics.median(cost.seconds for cost in taken) for what, taken in costs.items()}
    rows: list[list[object]] = []
    for what, taken in costs.items():
        predicting = round(statistics.median(alone[what])) if alone[what] else None
        ratio = round(seconds[what] / seconds["gitloop score"], 2)
        memory = round(max(cost.megabytes for cost in taken))
        rows.append([name, what, round(seconds[what], 1), round(ROWS / seconds[what]), predicting, ratio, memory])
    return rows


def choose(where: Path, name: str) -> None:
    """Package another candidate than the one that was selected."""
    path = where / "metrics/selected.json"
    selected = json.loads(path.read_text())
    model = where / f"models/{name}.skops"
    selected["candidate"] = name
    selected["model"] = {
        "path": f"models/{name}.skops",
        "sha256": hashlib.sha256(model.read_bytes()).hexdigest(),
    }
    path.unlink()
    path.write_text(json.dumps(selected))
    for verb in ("evaluate", "package"):
        run(where, "gitloop", verb)
