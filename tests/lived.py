"""A repository with a life behind it: versions, deployments and windows as Git holds them, without any training."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Mapping
from dataclasses import asdict
from datetime import datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any

import yaml
from repositories import git

from gitloop import git as ours
from gitloop.gitops import origin, proposal
from gitloop.gitops.local import Local
from gitloop.gitops.stages import message
from gitloop.modeling.metrics import rounded
from gitloop.monitoring import findings
from gitloop.monitoring.decide import Decision, decide
from gitloop.monitoring.findings import Distance, Finding, Part, Result, Truth
from gitloop.settings import Policy

FIRST = datetime(2026, 1, 5, 9, 30)
WEEK = timedelta(days=7)
COLUMNS = ("carrier", "origin", "dest", "hour", "minute", "distance", "temp", "dewp", "humid", "wind_dir")
COLUMNS += ("wind_speed", "precip", "pressure", "visib")
CARD = """# Late flights: linear

## What it is for

- Predicts whether late (Arrives more than 30 minutes late) is true, as a probability; yes from 0.25 on.
- Owner: Example Team.

## Inputs

| column | type | allowed | meaning |
| --- | --- | --- | --- |
| carrier | categorical |  | Airline |
| hour | numeric | 0 to 23 | Scheduled local hour of departure, h |

## Data

|  |  |
| --- | --- |
| data | flights |
| training rows | 62,220 |

## Limits

- Trained on rows from 2013-01-01 to 2013-03-14. Nothing is known of other times, such as other seasons.
"""


def evaluation(number: int, **more: Any) -> dict[str, Any]:
    value = 0.73 + 0.004 * (number % 5)
    slices = {
        "carrier": {
            name: {"rows": 900 + 300 * index, "metrics": {"roc_auc": round(0.54 + 0.03 * index, 4)}}
            for index, name in enumerate(("9E", "AA", "DL", "MQ", "UA", "EV", "B6"))
        },
        "origin": {
            name: {"rows": 5000, "metrics": {"roc_auc": metric}}
            for name, metric in (("LGA", 0.6814), ("JFK", 0.7161), ("EWR", None))
        },
    }
    difference = {
        "selection_rate": {"value": 0.1237, "low": 0.11, "high": 0.1346},
        "true_positive_rate": {"value": 0.2695, "low": 0.2241, "high": 0.3065},
    }
    groups = {name: {"rows": 5000, "selection_rate": 0.1, "true_positive_rate": 0.3} for name in ("EWR", "JFK", "LGA")}
    return {
        "candidate": "linear",
        "rows": 15589,
        "metric": "roc_auc",
        "metrics": {"roc_auc": {"value": value, "low": round(value - 0.011, 4), "high": round(value + 0.011, 4)}},
        "baseline": {"roc_auc": 0.5},
        "train": {"roc_auc": 0.75},
        "slices": slices,
        "fairness": {"origin": {"groups": groups, "difference": difference}},
        "calibration": {"error": 0.021, "bins": []},
        "leakage": {"hour": 0.31, "temp": 0.2},
    } | more


def window(number: int, version: str, test: float, *, rows: int = 5000, truth: bool = True) -> Result:
    """A week in which the weather drifts away from the version's training rows, the more the later it is."""
    random = Random(number)
    since = FIRST.replace(hour=0, minute=0) + number * WEEK
    until = (since + WEEK).isoformat()
    phase = number % 9
    if rows < 500:
        part = Part(rows, "not enough data")
        return Result(since.isoformat(), until, "not enough data", rows, 1.0, 0.0, {version: part}, ())
    many = max(0, phase - 4)
    distances = {
        name: Distance(round(0.3 if index < many else 0.03, 4), 0.1, 1e-9, index < many, rows, "wasserstein (normed)")
        for index, name in enumerate(COLUMNS)
    }
    value = round(test - 0.005 * phase - random.uniform(0, 0.012), 4)
    known = {"roc_auc": {"value": value, "low": round(value - 0.014, 4), "high": round(value + 0.014, 4), "test": test}}
    told = Truth(rows * 9 // 10, 0.9, 24.0, 48.0, known, 0.03) if truth else Truth(0, 0.0, None, None, why="none yet")
    drifted = [name for name, one in distances.items() if one.drifted]
    found = tuple(
        Finding(
            "drift",
            f"{name}: drifted by 0.3 standard deviations (wasserstein (normed)) on {rows:,} values; the bound is 0.1, "
            "and chance gives as much in less than one window of a million; the mean went from 54.2 to 38.1",
            name,
            0.3,
            0.1,
            rows,
            version,
        )
        for name in drifted
    )
    if number % 13 == 7:
        slow = "5 of 100 predictions took longer than 400 ms; the bound is 250 ms"
        found += (Finding("latency", slow, None, 400, 250),)
    fairness = {"origin": {"selection_rate": 0.13, "true_positive_rate": 0.24}}
    part = Part(rows, "judged", "2026-01-01T00:00:00", distances, truth=told, fairness=fairness)
    return Result(since.isoformat(), until, "judged", rows, 1.0, 0.0, {version: part}, found)


class Life:
    """A clone of a bare repository; the working directory must be the clone while it is written."""

    def __init__(self, folder: Path, params: Mapping[str, Any]) -> None:
        self.folder, self.params = folder, json.loads(json.dumps(params))
        self.bare, self.clone = folder / "origin.git", folder / "clone"
        git(folder, "init", "--quiet", "--bare", "--initial-branch=main", str(self.bare))
        git(folder, "clone", "--quiet", str(self.bare), str(self.clone))
        git(self.clone, "switch", "--quiet", "--create", "main", check=False)
        self.params["project"] |= {"name": "Late flights", "owner": "Example Team", "contact": "team@example.org"}
        self.params["project"]["description"] = "Tells which flights out of New York arrive more than 30 minutes late."
        (self.clone / ".gitignore").write_text("/reports/\n/site/\n")
        (self.clone / "environments").mkdir()
        (self.clone / "environments/staging.yaml").write_text("version: newest\n")
        (self.clone / "environments/production.yaml").write_text("version: none\n")

    def released(self, number: int, when: datetime, card: str = CARD, subject: str = "") -> str:
        """A commit with a model, and its version."""
        (self.clone / "metrics").mkdir(exist_ok=True)
        until = (when - timedelta(days=1)).date().isoformat()
        self.params["data"]["window"]["until"] = until
        (self.clone / "params.yaml").write_text(yaml.safe_dump(self.params))
        model = {"path": "models/linear.skops", "sha256": str(number)}
        (self.clone / "metrics/selected.json").write_text(json.dumps({"candidate": "linear", "model": model}))
        (self.clone / "metrics/evaluation.json").write_text(json.dumps(evaluation(number)))
        (self.clone / "MODEL_CARD.md").write_text(card)
        git(self.clone, "add", "--all")
        self._dated(when, "commit", "--quiet", "--message", subject or f"Retrain with data until {until}")
        name = f"v0.{number}.0"
        self._dated(when, "tag", "--annotate", f"model@{name}", "--message", f"Registered {name}: the model changed")
        return name

    def runs(self, environment: str, number: int, version: str | None, when: datetime, says: str = "") -> None:
        """Recorded as a deploy does."""
        at = f"model@{version}^{{commit}}" if version else "HEAD"
        words = message(version, environment, says) if version else f"nothing runs in {environment}"
        if environment == "production":
            (self.clone / "environments/production.yaml").write_text(f"version: {version or 'none'}\n")
            self._dated(when, "commit", "--quiet", "--all", "--message", f"Promote {version} to {environment}")
        tag = f"model#{environment}{'' if version else '!'}#{number}"
        self._dated(when, "tag", "--annotate", tag, at, "--message", words)

    def pushed(self) -> None:
        git(self.clone, "push", "--quiet", "--tags", "origin", "main")

    def watched(self, windows: list[Result], **more: bytes) -> None:
        """What `gitloop act` leaves on the branch after every window."""
        files: dict[Path, bytes] = {Path(name.replace("__", "/") + ".json"): text for name, text in more.items()}
        policy, acted = Policy(windows=3, needed=2, cooling_days=14), None
        for index, one in enumerate(windows):
            files[Path("windows") / findings.place(one).name] = _json(findings.content(one))
            decision: Decision = decide(windows[: index + 1], policy, acted)
            acted = one.end if decision.action in ("retrain", "retire") else acted
            files[Path(f"decisions/{one.until.replace(':', '')}.json")] = _json(rounded(asdict(decision)))
        assert origin.push(f"{proposal.commit(None, files, 'Windows')}:refs/heads/monitoring")

    def proposed(self, branch: str, title: str, label: str) -> None:
        made = proposal.commit(ours.git("rev-parse", "origin/main"), {Path("note"): branch.encode()}, title)
        assert origin.push(f"{made}:refs/heads/{branch}")
        Local(self.bare).propose(branch, "main", title, "Because.", (label,))

    def _dated(self, when: datetime, *arguments: str) -> None:
        time = f"{when.isoformat()}+00:00"
        environment = os.environ | {"GIT_COMMITTER_DATE": time, "GIT_AUTHOR_DATE": time}
        subprocess.run(["git", *arguments], cwd=self.clone, env=environment, check=True, capture_output=True)


def live(folder: Path, params: Mapping[str, Any], versions: int = 4, windows: int = 26, subject: str = "") -> Life:
    """Versions at equal distances, in staging at once and in production a day later; one is rolled back."""
    life = Life(folder, params)
    before = Path.cwd()
    os.chdir(life.clone)
    try:
        step = windows * WEEK / max(versions, 1)
        ran = {"staging": 0, "production": 0}
        for number in range(1, versions + 1):
            when = FIRST + (number - 1) * step
            name = life.released(number, when, subject=subject)
            steps = [("staging", name, timedelta(hours=1)), ("production", name, timedelta(days=1, hours=3))]
            if number == 3:
                steps.append(("production", "v0.2.0", timedelta(days=3)))
            for environment, version, later in steps:
                ran[environment] += 1
                life.runs(environment, ran[environment], version, when + later, "24 expected rows, median 3.1 ms")
        life.pushed()
        found = []
        for number in range(windows):
            mine = min(number * versions // windows + 1, versions)
            small, late = number % 17 == 5, number == windows - 1
            test = evaluation(mine)["metrics"]["roc_auc"]["value"]
            found.append(window(number, f"v0.{mine}.0", test, rows=120 if small else 5000, truth=not late))
        if found:
            life.watched(found)
    finally:
        os.chdir(before)
    return life


def _json(value: Any) -> bytes:
    return (json.dumps(value, indent=2, ensure_ascii=False) + "\n").encode()
