"""`gitloop score --environment`: a batch is predicted by the version that runs there, whatever main has become."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import customers
import duckdb
import pyarrow.parquet as pq
import pytest
import sqlalchemy
import yaml
from deployed import Site, environment
from repositories import git

SAID = "v0.1.0 did not score every row, as is said above; mend that and run again"


@pytest.fixture
def batch(site: Site) -> Site:
    """v0.1.0 runs in production; main's model is another, whose derivation is not even there."""
    said = ("--message", "v0.1.0 runs in production")
    git(site.root, "tag", "--annotate", "model#production#1", "model@v0.1.0^{}", *said)
    (site.root / "data/source").mkdir(parents=True)
    pq.write_table(customers.table("binary").drop_columns(["outcome"]), site.root / "data/source/rows.parquet")
    change(site.root, features={"derive": "customers.features.none"}, project={"name": "Other"})
    configure(site.root)
    shutil.rmtree(site.root / "model")
    return site


def change(root: Path, **groups: dict[str, Any]) -> None:
    """Keys of params.yaml."""
    path = root / "params.yaml"
    values = yaml.safe_load(path.read_text())
    for name, keys in groups.items():
        values[name] |= keys
    path.write_text(yaml.safe_dump(values, sort_keys=False))


def configure(root: Path, **scoring: Any) -> None:
    source = {"_target_": "gitloop.data.sources.Parquet", "path": "data/source/rows.parquet"}
    change(root, scoring={"source": source, **scoring})


def scored(site: Site, *options: str, **env: str) -> tuple[subprocess.CompletedProcess[str], str, dict[str, str]]:
    """What is said, the summary, and the outputs of the step."""
    files = {name: site.root / f"../{name}" for name in ("GITHUB_STEP_SUMMARY", "GITHUB_OUTPUT")}
    for path in files.values():
        path.unlink(missing_ok=True)
    given = environment() | {name: str(path) for name, path in files.items()} | {"COLUMNS": "200"} | env
    command = [sys.executable, "-m", "gitloop", "score", "--environment", "production", *options]
    done = subprocess.run(command, cwd=site.root, env=given, capture_output=True, text=True, check=False)
    summary, output = (path.read_text() if path.exists() else "" for path in files.values())
    return done, summary, dict(line.split("=", 1) for line in output.splitlines())


def test_what_runs_in_production_scores_each_row_once(batch: Site) -> None:
    done, summary, output = scored(batch)
    assert done.returncode == 0, done.stderr
    assert "v0.1.0 runs in production: scoring with it" in done.stdout
    assert "| 900 | 900 | 0 | 0 | 0 |" in summary
    assert "With v0.1.0, which runs in production: rows of conf/scoring/: source, to scores/v0.1.0." in summary
    assert output == {"folder": "scores"}
    told = json.loads((batch.root / "reports/scored.json").read_text())
    assert (told["version"], told["scored"], told["since"]) == ("v0.1.0", 900, None)
    there = "SELECT version, count(*), count(DISTINCT id) FROM read_parquet('{}/scores/**/*.parquet') GROUP BY ALL"
    assert duckdb.sql(there.format(batch.root)).fetchall() == [("v0.1.0", 900, 900)]
    before = {path: path.stat().st_mtime_ns for path in (batch.root / "scores").rglob("*.parquet")}
    done, summary, _ = scored(batch, "--since", "2024-01-02", "--until=2024-01-03")
    assert done.returncode == 0, done.stderr
    assert "| 24 | 0 | 24 | 0 | 0 |" in summary
    assert ": source, since 2024-01-02T00:00:00 (UTC), until 2024-01-03T00:00:00 (UTC), to scores" in summary
    assert {path: path.stat().st_mtime_ns for path in (batch.root / "scores").rglob("*.parquet")} == before
    assert git(batch.root, "status", "--porcelain", "src", "conf") == ""


def test_a_database_has_each_row_once_and_no_folder_is_kept(batch: Site) -> None:
    url = f"sqlite:///{batch.root}/scores.db"
    configure(batch.root, url_env="SCORES_URL")
    for cells in ("| 900 | 900 | 0 | 0 | 0 |", "| 900 | 0 | 900 | 0 | 0 |"):
        done, summary, output = scored(batch, SCORES_URL=url)
        assert done.returncode == 0, done.stderr
        assert cells in summary
        assert output == {"folder": ""}
    with sqlalchemy.create_engine(url).connect() as connection:
        rows = connection.execute(sqlalchemy.text("SELECT version, count(*) FROM scores GROUP BY version")).fetchall()
    assert [tuple(row) for row in rows] == [("v0.1.0", 900)]


def test_where_nothing_runs_nothing_is_scored(batch: Site) -> None:
    git(batch.root, "tag", "--delete", "model#production#1")
    done, summary, output = scored(batch)
    said = "production runs no version, so nothing is scored; what is deployed there is recorded as model#production#N"
    assert (done.returncode, done.stdout, output) == (0, f"{said}\n", {})
    assert "production runs no version, so nothing is scored" in summary
    wrong = batch.verb("score", "--environment", "producton")
    assert wrong.returncode == 2
    assert "producton: is no environment; did you mean 'production'?" in wrong.stderr


def test_what_the_version_refuses_is_refused(batch: Site) -> None:
    configure(batch.root, source={"_target_": "gitloop.data.sources.Parquet", "path": "data/source/gone.parquet"})
    done, summary, output = scored(batch)
    assert (done.returncode, summary, output) == (2, "", {})
    assert "gone.parquet" in done.stderr
    assert SAID in done.stderr
    rows = customers.table("binary").drop_columns(["outcome"]).to_pandas()
    rows.loc[:99, "age"] = 200
    rows.to_parquet(batch.root / "data/source/rows.parquet")
    configure(batch.root)
    done, summary, output = scored(batch)
    assert done.returncode == 1
    assert SAID in done.stderr
    assert "| 900 | 800 | 0 | 0 | 100 |" in summary
    assert "| age: " in summary
    assert output == {"folder": "scores"}


def test_a_version_whose_tag_was_moved_does_not_score(batch: Site) -> None:
    git(batch.root, "tag", "--force", "--annotate", "model@v0.1.0", "main", "--message", "Registered v0.1.0: moved")
    git(
        batch.root,
        "tag",
        "--force",
        "--annotate",
        "model#production#1",
        "main",
        "--message",
        "v0.1.0 runs in production",
    )
    done, _, _ = scored(batch)
    assert done.returncode == 1
    assert "model@v0.1.0: is another tag at origin" in done.stderr
    assert not (batch.root / "scores").exists()
