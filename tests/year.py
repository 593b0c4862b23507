"""The flights of 2013 month after month, in a generated project: predictions, truth that comes late, what follows."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from io import StringIO
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import own
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from project import edit, generate
from repositories import git
from windows import put

from gitloop import layout, settings
from gitloop.arrays import Array
from gitloop.cli import main
from gitloop.data.protocol import Request
from gitloop.data.table import arrays
from gitloop.gitops import registry, stages
from gitloop.gitops.local import Local
from gitloop.modeling.features import target
from gitloop.modeling.intervals import Draws, Interval, Scored, paired
from gitloop.modeling.metrics import compute
from gitloop.monitoring import decide, findings, references, watched
from gitloop.monitoring.watch import watch
from gitloop.serving import runtime
from gitloop.serving.answer import outcomes, record

FIRST, LAST = 4, 12  # months that are predicted, after a model of those before
LATE = timedelta(days=2)  # the truth


class Month(NamedTuple):
    """What became of one month."""

    month: str
    version: str  # that answered
    decision: str
    reasons: tuple[str, ...]  # kind and column of what the decision rests on
    found: tuple[str, ...]  # kind and column of all that was found
    never: float  # live metric of the model that is never retrained
    live: float  # and of the one that answered
    better: Interval  # by how much that is better, on the same rows
    pull: str  # what became of the pull request
    gain: float | None  # of the challenger over the champion, on rows that neither was trained on


@dataclass
class Year:
    """A project whose source holds each `every`-th flight, and what happened in it so far."""

    root: Path
    rows: pa.Table
    models: dict[str, Path] = field(default_factory=dict)
    told: list[Month] = field(default_factory=list)

    @property
    def origin(self) -> Path:
        return self.root.parent / "origin.git"


@contextmanager
def made(folder: Path, every: int, trees: int = 60) -> Iterator[Year]:
    """The project, without a model yet; the working directory."""
    root = generate(folder)
    git(folder, "init", "--quiet", "--bare", "--initial-branch=main", "origin.git")
    git(root, "remote", "add", "origin", "../origin.git")
    with pytest.MonkeyPatch.context() as patch, own.project(root, patch):
        rows = flights(every)
        pq.write_table(rows, folder / "flights.parquet")
        data = root / "conf/data/flights.yaml"
        edit(data, source={"_target_": "gitloop.data.sources.Parquet", "path": str(folder / "flights.parquet")})
        for name in ("forest", "linear"):
            (root / f"conf/candidate/{name}.yaml").unlink()
        contents = root / "conf/config.yaml"
        contents.write_text(contents.read_text().replace("[boosting, dummy, forest, linear]", "[boosting, dummy]"))
        edit(root / "conf/candidate/boosting.yaml", boosting__classifier__max_iter=trees)
        edit(root / "conf/tuning/optuna.yaml", method="none", folds=2)
        edit(root / "conf/evaluation/default.yaml", bootstrap=50, importance_rows=100)
        edit(root / "conf/gates/default.yaml", behaviour=None)
        edit(root / "conf/monitoring/default.yaml", window=31)
        yield Year(root, rows)


def flights(every: int) -> pa.Table:
    from late_flights.sources import Flights

    columns = settings.load().data.columns
    rows = Flights().batches(Request(columns, "time_hour")).read_all()
    rows = rows.sort_by([(name, "ascending") for name in ("time_hour", "carrier", "flight", "origin", "dest")])
    return rows.take(pa.array(range(0, rows.num_rows, every)))


def quietly(*arguments: str) -> int:
    with redirect_stdout(StringIO()):
        return main(list(arguments))


def train() -> None:
    """Train and commit, as the run of a pull request does, in this process."""
    for verb in (["params"], *([one] for one in own.STAGES[:3]), ["train", "boosting"], ["train", "dummy"]):
        assert quietly("--debug", *verb) == 0, verb
    for verb in ("select", "evaluate", "package"):
        assert quietly("--debug", verb) == 0, verb
    layout.PROFILE.parent.mkdir(exist_ok=True)
    layout.PROFILE.touch()
    subprocess.run([sys.executable, "-m", "dvc", "commit", "--force", "--quiet"], check=True)
    git(Path(), "add", "--all")
    git(Path(), "commit", "--quiet", "--message", "Train")


def release(year: Year) -> str:
    """Push, register, and let it run in production at once."""
    git(year.root, "push", "--quiet", "origin", "HEAD:main")
    assert quietly("register", "--push") == 0
    version = registry.read().newest()
    assert version is not None
    stages.record("production", version, "", public=False)
    year.models[version.name] = shutil.copytree(layout.MODEL, year.root.parent / "kept" / version.name)
    return version.name


def month(year: Year, number: int, version: str) -> str:
    """One month of predictions by a version, and all that follows; the version of the next."""
    since = datetime(2013, number, 1)
    until = datetime(2013, number + 1, 1) if number < LAST else datetime(2014, 1, 1)
    rows = between(year, since, until)
    never, live = (asked(year.models[one], rows) for one in (next(iter(year.models)), version))
    log(year.models[version], version, rows, live.scores)
    late = tell(rows, until)
    result = look(since, until)
    assert quietly("decide") == 0
    decision = decide.last()
    assert decision is not None
    assert quietly("act") == 0
    put(Path("predictions"), "feedback", late)
    after, pull, gain = version, "", None
    if Local(year.origin).pulls(head="gitloop/retrain", state="open"):
        after, pull, gain = reviewed(year, version)
    loaded = settings.load()
    contract, y = loaded.data, target(rows, loaded.data)
    values = [compute(contract.task, y, *one)[contract.metric] for one in (never, live)]
    better = paired(contract.task, y, live, never, metric=contract.metric, draws=Draws(loaded.evaluation.bootstrap))
    reasons, found = (tuple(map(named, of)) for of in (decision.evidence, result.findings))
    name = f"{since:%Y-%m}"
    year.told.append(Month(name, version, decision.action, reasons, found, *values, better, pull, gain))
    return after


def between(year: Year, since: datetime, until: datetime) -> pa.Table:
    times = year.rows.column("time_hour").to_numpy().astype("datetime64[us]")
    return year.rows.filter(pa.array((times >= np.datetime64(since)) & (times < np.datetime64(until))))


def named(one: findings.Finding) -> str:
    return " ".join(filter(None, (one.kind, one.column, one.slice)))


def look(since: datetime, until: datetime) -> findings.Result:
    """`gitloop monitor` without Evidently's page."""
    loaded = settings.load()
    log, how = loaded.serving.log, loaded.monitoring
    assert log is not None
    seen = watched.read(log, loaded.data, since, until, most=how.sample, truth_days=how.truth_days, now=until)
    result, _ = watch(loaded, seen, references.found, findings.history())
    findings.write(result)
    return result


def asked(model: Path, rows: pa.Table) -> Scored:
    served = runtime.load(model, contract=settings.load().data)
    columns = arrays(rows, served.signature.contract.columns, served.signature.inputs)
    return Scored(served.scores(columns), served.signature.threshold)


def log(model: Path, version: str, rows: pa.Table, scores: Array) -> None:
    """What a service that answers each row at its own time writes."""
    served = runtime.load(model)
    given = rows.select([*served.signature.inputs, *served.signature.passengers]).to_pylist()
    lines = []
    for id, time, one, of in zip(ids(rows), utc(rows), outcomes(served, scores), given, strict=True):
        inputs = {name: value.isoformat() if isinstance(value, datetime) else value for name, value in of.items()}
        lines.append(record({"id": id, "version": version, **one}, inputs, time, 0.002))
    put(Path("predictions"), "predictions", lines)


def tell(rows: pa.Table, until: datetime) -> list[dict[str, Any]]:
    """Tell the truth that has come by the month's end; that which has not is returned."""
    lines = [
        {"id": id, "time": (time + LATE).isoformat(), "truth": late}
        for id, time, late in zip(ids(rows), utc(rows), rows.column("late").to_pylist(), strict=True)
    ]
    come = [one for one in lines if one["time"] < until.replace(tzinfo=UTC).isoformat()]
    put(Path("predictions"), "feedback", come)
    return lines[len(come) :]


def ids(rows: pa.Table) -> list[str]:
    random = np.random.default_rng(rows.num_rows).bytes(16 * rows.num_rows)
    return [random[16 * row : 16 * row + 16].hex() for row in range(rows.num_rows)]


def utc(rows: pa.Table) -> list[datetime]:
    return [time.replace(tzinfo=UTC) for time in rows.column("time_hour").to_pylist()]


def reviewed(year: Year, version: str) -> tuple[str, str, float | None]:
    """Train on the branch, compare with the champion, and merge where the gates allow it."""
    git(year.root, "fetch", "--quiet", "origin")
    git(year.root, "switch", "--quiet", "--detach", "origin/gitloop/retrain")
    train()
    code = quietly("gate", "--champion", f"model@{version}")
    comparison = json.loads(layout.COMPARISON.read_text())["champion"]
    gain = comparison["gain"]["value"] if comparison["judged"] else None
    if code:
        git(year.root, "switch", "--quiet", "main")
        return version, "refused by its gates", gain
    head = git(year.root, "rev-parse", "HEAD")
    git(year.root, "push", "--quiet", "origin", f"{head}:gitloop/retrain")
    git(year.root, "switch", "--quiet", "main")
    git(year.root, "merge", "--quiet", "--no-ff", "--message", "Merge the retraining", head)
    git(year.root, "push", "--quiet", "origin", "main")
    git(year.root, "push", "--quiet", "--delete", "origin", "gitloop/retrain")
    return release(year), "merged", gain


def replay(folder: Path, every: int, trees: int = 60) -> Year:
    """The whole year in a new project below `folder`."""
    with made(folder, every, trees) as year:
        train()
        version = release(year)
        for number in range(FIRST, LAST + 1):
            version = month(year, number, version)
    return year
