"""Below the floor the way back is to the earlier version that does best on the same recent rows, else to none."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import Any

import customers
import numpy as np
import pyarrow as pa
import pytest
import windows
import yaml
from repositories import commit, git

from gitloop import layout
from gitloop.cli import main
from gitloop.files import locked, write_json
from gitloop.gitops.local import Local
from gitloop.modeling.intervals import Interval, Scored
from gitloop.monitoring import earlier, findings
from gitloop.monitoring.decide import Decision
from gitloop.monitoring.earlier import Asked, Standing
from gitloop.monitoring.findings import Part, Result
from gitloop.settings import Settings

ROWS = 900
STAGES = {"stages": {"package": {"cmd": "true", "outs": ["model"]}}}
IN_USE = "v0.4.0"


def inverted(rows: pa.Table) -> pa.Table:
    """What the model in use learned: the opposite."""
    other = {"stays": "leaves", "leaves": "stays"}
    return replaced(rows, "outcome", [other[one] for one in rows.column("outcome").to_pylist()])


def without_balance(rows: pa.Table) -> pa.Table:
    mixed = np.random.default_rng(0).permutation(rows.column("balance").to_numpy())
    return replaced(rows, "balance", mixed)


def replaced(rows: pa.Table, name: str, values: Any) -> pa.Table:
    field = rows.schema.field(name)
    return rows.set_column(rows.column_names.index(name), field, pa.array(values, field.type))


def old_contract(values: dict[str, Any]) -> None:
    values["data"]["columns"]["points"] = {"type": "numeric"}


def with_points(rows: pa.Table) -> pa.Table:
    return rows.append_column("points", rows.column("balance"))


VERSIONS: dict[str, tuple[Callable[[pa.Table], pa.Table], Callable[[dict[str, Any]], None] | None]] = {
    "v0.1.0": (with_points, old_contract),
    "v0.2.0": (lambda rows: rows, None),
    "v0.3.0": (without_balance, None),
    IN_USE: (inverted, None),
}


@pytest.fixture(scope="module")
def site(stock: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four released versions, of which the last runs in production and is worse than a coin, as its log shows."""
    folder = tmp_path_factory.mktemp("retire")
    clone = folder / "clone"
    git(folder, "init", "--quiet", "--bare", "--initial-branch=main", "origin.git")
    git(folder, "init", "--quiet", "--initial-branch=main", "clone")
    git(clone, "remote", "add", "origin", "../origin.git")
    (clone / "environments").mkdir()
    (clone / "dvc.yaml").write_text(yaml.safe_dump(STAGES))
    (clone / ".gitignore").write_text("/model\n/models\n/data\n/reports\n/predictions\n")
    dvc(clone, "init", "--quiet")
    for name, (change, contract) in VERSIONS.items():
        made = folder / name
        made.mkdir()
        customers.make(
            made, customers.values_of("binary", stock, change=contract), "linear", change(customers.table("binary"))
        )
        with customers.inside(made):
            assert main(["package"]) == 0
        shutil.copytree(made, clone, dirs_exist_ok=True)
        (clone / "environments/production.yaml").write_text(f"version: {name}\n")
        dvc(clone, "commit", "--force", "--quiet")
        commit(clone, name)
        git(clone, "tag", "--annotate", f"model@{name}", "--message", f"Registered {name}: a test")
        number = 1 + list(VERSIONS).index(name)
        says = ("--message", f"{name} runs in production")
        git(clone, "tag", "--annotate", f"model#production#{number}", *says)
    (clone / "environments/staging.yaml").write_text("version: newest\n")
    commit(clone, "staging")
    git(clone, "tag", "--annotate", "model#staging#1", f"model@{IN_USE}^{{commit}}", "--message", "it runs in staging")
    git(clone, "push", "--quiet", "--tags", "origin", "main")
    with customers.inside(clone):
        customers.answer(customers.table("binary", ROWS), IN_USE)
        # Of two windows in which it was found, and of none more.
        half = windows.SINCE + (windows.UNTIL - windows.SINCE) / 2
        for since, until in ((windows.SINCE, half), (half, windows.UNTIL)):
            span = since.isoformat(), until.isoformat()
            findings.write(Result(*span, "judged", ROWS // 2, 1.0, 0.0, {IN_USE: Part(ROWS // 2, "judged")}, ()))
        ends = tuple(one.until for one in findings.history())
        made = Decision("retire", "Below the floor.", ends[-1], IN_USE, "retire", windows=ends)
        write_json(layout.DECISION, asdict(made))
    return folder


def dvc(where: Path, *arguments: str) -> None:
    subprocess.run([sys.executable, "-m", "dvc", *arguments], cwd=where, check=True)


@pytest.fixture
def clone(site: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    shutil.copytree(site / "origin.git", tmp_path / "origin.git")
    shutil.copytree(site / "clone", tmp_path / "clone")
    monkeypatch.chdir(tmp_path / "clone")
    return tmp_path / "clone"


def proposed() -> tuple[str, str, str]:
    """Title, what environments/production.yaml would say, and the body of the one pull request."""
    origin = Path("../origin.git")
    (pull,) = Local(origin).pulls(state="open")
    file = git(origin, "show", f"{pull.head}:environments/production.yaml")
    return pull.title, file.splitlines()[0], pull.body.replace("\u2060", "").replace("\\", "")


def line(body: str, version: str) -> list[str]:
    """A row of the table of versions."""
    (found,) = [one for one in body.splitlines() if one.startswith(f"| {version} |")]
    return [cell.strip() for cell in found.strip("|").split("|")]


def test_the_best_is_not_the_one_before(clone: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["act"]) == 0
    assert "staging follows the newest version by itself; it is left as it is" in capsys.readouterr().out
    title, file, body = proposed()
    assert (title, file) == ("Roll production back to v0.2.0", "version: v0.2.0")
    assert body.startswith("Below the floor. Of the versions before it v0.2.0 does best on the same rows, roc_auc 0.")
    assert f"Each on the same {ROWS} predictions from 2026-11-02 00:00:00 to 2026-11-09 00:00:00" in body
    now, best, before, old = (line(body, name) for name in (IN_USE, "v0.2.0", "v0.3.0", "v0.1.0"))
    values = [float(one[1]) for one in (best, before, now)]
    assert values == sorted(values, reverse=True)
    assert all(float(one[2]) <= float(one[1]) <= float(one[3]) and one[4] == str(ROWS) for one in (now, best, before))
    assert best[-1] == "proposed"
    assert before[-1] == "–"
    assert now[-1].startswith("in use; roc_auc 0.")
    assert now[-1].endswith("is not above the floor of 0.55")
    assert old[-1] == "left out: needs column points, which the prediction log does not hold"
    # Again: nothing new.
    head = git(clone.parent / "origin.git", "rev-parse", "gitloop/rollback-production")
    assert main(["act"]) == 0
    assert git(clone.parent / "origin.git", "rev-parse", "gitloop/rollback-production") == head


def floor(clone: Path, **changes: Any) -> None:
    params = yaml.safe_load((clone / "params.yaml").read_text())
    params["monitoring"] |= changes
    (clone / "params.yaml").write_text(yaml.safe_dump(params))


def test_none_is_above_the_floor(clone: Path) -> None:
    floor(clone, performance={"drop": 0.05, "floor": {"roc_auc": 0.995}})
    assert main(["act"]) == 0
    title, file, body = proposed()
    assert (title, file) == ("Retire the model in production", "version: none")
    assert "No version before v0.4.0 is above the floor on the same rows." in body
    assert line(body, "v0.2.0")[-1].endswith("is not above the floor of 0.995")


def test_one_that_cannot_be_fetched_is_named_and_left_out(clone: Path) -> None:
    commit = git(clone, "rev-parse", "model@v0.2.0^{commit}")
    hashed = locked(git(clone, "show", f"{commit}:dvc.lock").encode(), layout.MODEL)
    assert hashed is not None
    (clone / f".dvc/cache/files/md5/{hashed[:2]}/{hashed[2:]}").unlink()
    assert main(["act"]) == 0
    title, _, body = proposed()
    assert title == "Roll production back to v0.3.0"
    assert line(body, "v0.2.0")[-1].startswith("left out: its model is in no cache and no remote that this clone knows")
    assert line(body, "v0.3.0")[-1] == "proposed"


def test_where_none_can_be_fetched_nothing_is_taken_down_for_that(clone: Path) -> None:
    shutil.rmtree(clone / ".dvc/cache")
    assert main(["act"]) == 0
    title, _, body = proposed()
    assert title == "Roll production back to v0.3.0"
    assert "No version was scored on recent rows (none could be fetched and asked); v0.3.0 ran in production" in body
    assert all(line(body, name)[-1].count("left out: its model is in no cache") for name in ("v0.3.0", "v0.2.0"))


def test_no_more_are_scored_than_configured(clone: Path) -> None:
    floor(clone, policy={"earlier": 1})
    assert main(["act"]) == 0
    title, _, body = proposed()
    assert title == "Roll production back to v0.3.0"
    assert "| v0.2.0 |" not in body


def test_without_rows_it_is_the_one_before_and_that_is_said(clone: Path) -> None:
    shutil.rmtree("predictions")
    assert main(["act"]) == 0
    title, _, body = proposed()
    assert title == "Roll production back to v0.3.0"
    assert (
        "No version was scored on recent rows (truth of 0 predictions is in reach, 500 are needed); "
        "v0.3.0 ran in production before." in body
    )


# What follows needs no repository.


def asked(name: str, scores: Any, until: str | None) -> Asked:
    return Asked(name, Scored(np.asarray(scores, dtype=float)), until)


def test_rows_that_a_version_was_trained_on_do_not_count(stock: dict[str, Any]) -> None:
    """Scores are perfect where a version was trained, and chance elsewhere: that must not help it."""
    loaded = windows.settings(stock)
    rows = 3000
    columns = windows.some(rows, 1)
    seen = windows.watched(columns, loaded)
    table = seen.rows.append_column("won", seen.rows.column("_truth"))
    truth = columns["won"].astype(float)
    times = table.column("at").to_pylist()
    middle = rows // 3
    learned = np.random.default_rng(0).random(rows)
    learned[:middle] = truth[:middle]
    honest = columns["_probability"]
    everything = truth
    ends: list[datetime] = times
    found = earlier.standings(
        [
            asked("v3", everything, ends[-100].isoformat()),
            asked("v2", learned, ends[middle].isoformat()),
            asked("v1", honest, "2026-10-01T00:00:00"),
        ],
        table,
        loaded,
    )
    v3, v2, v1 = found
    assert v3.why == (
        f"was trained on rows until {ends[-100].isoformat()}: of 3,000 rows with truth 99 are later, 500 are needed"
    )
    assert (v2.rows, v1.rows) == (rows - middle - 1,) * 2
    assert v2.metrics["roc_auc"].value == pytest.approx(0.5, abs=0.05)
    best = earlier.best(found, loaded)
    assert best is not None
    assert best.version == "v1"


@pytest.fixture
def loaded(stock: dict[str, Any]) -> Settings:
    return windows.settings(stock)


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({"v3": 0.6, "v2": 0.7, "v1": 0.65}, "v2"),
        ({"v3": 0.7, "v2": 0.7}, "v3"),  # of equals the newest, which comes first
        ({"v3": 0.55, "v2": 0.5}, None),  # at the floor is not above it
        ({"v3": float("nan"), "v2": 0.56}, "v2"),
        ({}, None),
    ],
)
def test_which_is_best(values: dict[str, float], expected: str | None, loaded: Settings) -> None:
    found = [
        Standing(name, 1000, {"roc_auc": Interval(value, value - 0.01, value + 0.01)}) for name, value in values.items()
    ]
    best = earlier.best([*found, Standing("v0", why="not there")], loaded)
    assert (best and best.version) == expected
