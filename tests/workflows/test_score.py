"""Batch scoring, run by act: off at first, nothing without a version, then with the one that runs, not with main's."""

from __future__ import annotations

import tarfile
from pathlib import Path

import duckdb
import pyarrow.parquet as pq
from hub import events
from hub.act import Run
from hub.hub import NAME, Hub
from project import edit, run
from repositories import git

ROWS = 300


def scheduled(here: Hub) -> Run:
    commit = here.commit("main")
    payload = {"schedule": "41 3 * * *", "repository": events.repository(NAME)}
    here._add("schedule", "refs/heads/main", commit, payload, only="score.yml")
    (made,) = here.settle()
    return made


def configured(here: Hub) -> None:
    """v0.1.0 was trained and runs in production; then main became another, and its conf/scoring/ names a source."""
    git(here.origin, "tag", "--annotate", "model@v0.1.0", "main", "--message", "Registered v0.1.0: a test")
    said = ("--message", "v0.1.0 runs in production")
    git(here.origin, "tag", "--annotate", "model#production#1", "main", *said)
    clone = here.clone("configured")
    (tar,) = (here.store / "caches").glob("*/*.tar")
    with tarfile.open(tar) as archive:
        archive.extractall(clone, filter="data")
    run(clone, "dvc", "checkout", "--quiet", "data/valid.parquet")
    rows = pq.read_table(clone / "data/valid.parquet").slice(0, ROWS).drop_columns(["late"])
    pq.write_table(rows, clone / "data/source/batch.parquet")
    source = {"_target_": "gitloop.data.sources.Parquet", "path": "data/source/batch.parquet"}
    edit(clone / "conf/scoring/default.yaml", source=source)
    features = clone / "src/late_flights/features.py"
    features.write_text(features.read_text() + "\n# Another derivation than the model was trained with.\n")
    run(clone, "gitloop", "params")
    git(clone, "add", "--all")
    git(clone, "commit", "--quiet", "--message", "Score a batch, and derive anew")
    here.push(clone, "main")


def test_from_off_to_the_predictions_of_production(here: Hub) -> None:
    here.workflows = ("score.yml",)
    off = scheduled(here)
    assert off.ok, off.log[-3000:]
    assert "score" not in off.steps

    (nothing,) = here.dispatch("score.yml", "main")
    assert nothing.ok, nothing.log[-3000:]
    assert "production runs no version, so nothing is scored" in nothing.log
    assert "Keep the predictions" not in nothing.steps["score"]

    configured(here)
    here.variables["GITLOOP_SCORE"] = "on"
    made = scheduled(here)
    assert made.ok, made.log[-3000:]
    assert "v0.1.0 runs in production: scoring with it" in made.log
    assert made.steps["score"]["Keep the predictions"] == "success"
    kept: Path = here.store / "artifacts" / str(made.id) / "scores"
    query = f"SELECT version, count(*), count(DISTINCT probability) > 50 FROM '{kept}/**/*.parquet' GROUP BY version"
    assert duckdb.sql(query).fetchall() == [("v0.1.0", ROWS, True)]
