"""What was decided is done once: an issue, a proposal, a way back; and what was looked at is kept on a branch."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml
from killing import killed
from project import ROOT, environment
from repositories import git

from gitloop import layout
from gitloop.cli import main
from gitloop.files import write_json
from gitloop.gitops import proposal
from gitloop.gitops.local import Local
from gitloop.monitoring import findings
from gitloop.monitoring.decide import Action, Decision
from gitloop.monitoring.findings import Distance, Finding, Part, Result, Truth

DRIFT = Finding("drift", "temp: drifted by 0.5 standard deviations; the bound is 0.1", "temp", 0.5, 0.1, 5000, "v0.1.0")
WORSE = Finding("performance", "roc_auc is 0.61, 0.1 below the test slice", None, 0.61, 0.66, 5000, "v0.1.0")
SLOW = Finding("latency", "5 of 100 predictions took longer than 400 ms", None, 400, 250, 5000)
ORIGIN = Path("../origin.git")


def windows(count: int, start: str = "2013-04-01") -> list[Result]:
    """A week each, with truth."""
    first = datetime.fromisoformat(start)
    found = []
    for number in range(count):
        since = first + number * timedelta(days=7)
        truth = Truth(5000, 0.9, 24.0, 48.0, {"roc_auc": {"value": 0.7 - number / 100, "low": 0.6, "high": 0.8}})
        drifted = {"temp": Distance(0.5, 0.1, 0.0, drifted=True, rows=5000, method="wasserstein")}
        part = Part(5000, "judged", columns=drifted, truth=truth)
        until = (since + timedelta(days=7)).isoformat()
        found.append(Result(since.isoformat(), until, "judged", 5000, 1.0, 0.0, {"v0.1.0": part}, (DRIFT,)))
    return found


def decided(
    action: Action, evidence: Sequence[Finding] = (), alerts: Sequence[Finding] = (), count: int = 3, **more: Any
) -> Decision:
    """Windows and a decision, as `gitloop monitor` and `gitloop decide` leave them."""
    known = windows(count)
    for one in known:
        findings.write(one)
    given = {"wanted": action, "until": known[-1].until, "version": "v0.1.0"} | more
    made = Decision(action, "Because.", evidence=tuple(evidence), alerts=tuple(alerts), **given)
    write_json(layout.DECISION, asdict(made))
    return made


@pytest.fixture
def project(repository: Callable[..., str]) -> Callable[..., str]:
    """With the configuration of flights, and a version that runs in production."""
    shutil.copytree(ROOT / "<<cookiecutter.project>>/conf", "conf")
    Path(".gitignore").write_text("/reports/\n")
    Path("environments").mkdir()
    Path("environments/production.yaml").write_text("version: v0.1.0\n")
    # Generated projects have this name filled in.
    for path in Path("conf").rglob("*.yaml"):
        path.write_text(path.read_text().replace("<<cookiecutter.package>>", "late_flights"))
    repository()
    assert main(["params"]) in (0, 2)
    git(Path(), "add", "--all")
    git(Path(), "commit", "--quiet", "--allow-empty", "--message", "composed")
    git(Path(), "push", "--quiet", "origin", "main")
    assert main(["register", "--push"]) == 0
    says = ("--message", "v0.1.0 runs in production")
    git(Path(), "tag", "--annotate", "model#production#1", "model@v0.1.0^{commit}", *says)
    return repository


def pulls(state: str = "open") -> list[Any]:
    return Local(ORIGIN).pulls(state=state)


def issues() -> list[dict[str, Any]]:
    said = git(ORIGIN, "cat-file", "blob", "refs/gitloop/forge", check=False)
    return [one for one in json.loads(said)["threads"] if one["kind"] == "issue"] if said else []


def test_without_a_decision_there_is_nothing_to_do(project: Any, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["act"]) == 2
    assert (
        "reports/decision.json: not there; run `gitloop monitor` and `gitloop decide` first" in capsys.readouterr().err
    )


def test_nothing_is_nothing_but_a_window_that_is_kept(project: Any) -> None:
    decided("nothing")
    assert main(["act"]) == 0
    assert (pulls("all"), issues()) == ([], [])
    names = git(ORIGIN, "ls-tree", "-r", "--name-only", "monitoring").splitlines()
    assert names == [
        "decisions/2013-04-22T000000.json",
        *(f"windows/2013-04-{day:02}T0000.json" for day in (8, 15, 22)),
    ]
    before = git(ORIGIN, "rev-parse", "monitoring")
    assert main(["act"]) == 0
    assert git(ORIGIN, "rev-parse", "monitoring") == before


def test_an_alert_is_one_issue_that_goes_when_it_is_over(project: Any) -> None:
    decided("alert", alerts=[SLOW])
    assert main(["act"]) == 0
    assert main(["act"]) == 0
    ((state, title, body),) = [(one["state"], one["title"], one["body"]) for one in issues()]
    assert (state, title) == ("open", "Predictions need a look")
    assert "5 of 100 predictions took longer than 400 ms" in body
    decided("nothing", count=4)
    assert main(["act"]) == 0
    assert [one["state"] for one in issues()] == ["closed"]


def test_another_run_that_pushes_at_the_same_moment_is_no_error(project: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    def second(refspec: str) -> bool:
        """Origin has it, from the other run, and refuses ours."""
        asked.append(refspec)
        pushed(refspec)
        return "gitloop/retrain" not in refspec

    pushed = proposal.origin.push
    monkeypatch.setattr(proposal.origin, "push", second)
    decided("retrain", [DRIFT])
    assert main(["act"]) == 0
    assert [one.head for one in pulls()] == ["gitloop/retrain"]
    assert sum("gitloop/retrain" in one for one in asked) == 1


def test_a_branch_that_origin_never_takes_is_said(
    project: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pushed = proposal.origin.push
    monkeypatch.setattr(proposal.origin, "push", lambda ref: "gitloop/retrain" not in ref and pushed(ref))
    decided("retrain", [DRIFT])
    assert main(["act"]) == 2
    assert "gitloop/retrain was not taken by origin; allow this workflow `contents: write`" in capsys.readouterr().err


def test_a_retraining_is_one_line_with_what_was_found(project: Any, capsys: pytest.CaptureFixture[str]) -> None:
    decided("retrain", [DRIFT, WORSE])
    assert main(["act"]) == 0
    (pull,) = pulls()
    assert (pull.head, pull.title, pull.labels) == (
        "gitloop/retrain",
        "Retrain with data until 2013-04-22",
        ("gitloop:retrain",),
    )
    assert git(ORIGIN, "diff", "--name-only", "main", pull.head).splitlines() == [
        "conf/data/flights.yaml",
        "params.yaml",
    ]
    differs = git(ORIGIN, "diff", "--unified=0", "main", pull.head, "--", "conf").splitlines()
    assert [line for line in differs if line[0] in "+-" and line[:3] not in ("+++", "---")] == [
        "-  until: 2013-04-01",
        "+  until: 2013-04-22",
    ]
    # It composes: the run of the branch finds params.yaml in step.
    params = yaml.safe_load(git(ORIGIN, "show", f"{pull.head}:params.yaml"))
    assert str(params["data"]["window"]["until"])[:10] == "2013-04-22"
    body = pull.body.replace("\u2060", "")
    assert "Because." in body
    assert "| drift | temp | 0.5 | 0.1 | 5000 |" in body.replace("5,000", "5000")
    assert "| 2013-04-22T00:00 | judged |" in body
    assert body.count("```mermaid") == 2  # the metric, and what drifted
    assert "from 2013-04-01 to 2013-04-22, one line" in body
    assert "15,000 predictions were made, and truth had come of 15,000" in body
    assert "reports/monitoring/2013-04-22T0000/" in body
    assert "Not now?" in body
    head = git(ORIGIN, "rev-parse", pull.head)
    assert main(["act"]) == 0
    assert git(ORIGIN, "rev-parse", pull.head) == head
    # A later window with the same reasons brings it up to date, though it would be too soon for another.
    decided("nothing", [DRIFT, WORSE], count=4, wanted="retrain")
    assert main(["act"]) == 0
    assert [(one.number, one.title) for one in pulls("all")] == [(pull.number, "Retrain with data until 2013-04-29")]


def test_too_soon_opens_nothing(project: Any) -> None:
    decided("nothing", [DRIFT], wanted="retrain")
    assert main(["act"]) == 0
    assert pulls("all") == []


def test_closed_means_not_now_for_these_reasons(project: Any, capsys: pytest.CaptureFixture[str]) -> None:
    decided("retrain", [DRIFT])
    assert main(["act"]) == 0
    git(Path(), "push", "--quiet", "--delete", "origin", "gitloop/retrain")
    capsys.readouterr()
    decided("retrain", [DRIFT], count=4)
    assert main(["act"]) == 0
    assert "was proposed and closed, which means not now" in capsys.readouterr().out
    assert pulls() == []
    decided("retrain", [DRIFT, WORSE], count=5)
    assert main(["act"]) == 0
    assert [one.title for one in pulls()] == ["Retrain with data until 2013-05-06"]


def test_a_window_that_ends_later_is_left(project: Any, capsys: pytest.CaptureFixture[str]) -> None:
    path = Path("conf/data/flights.yaml")
    path.write_text(path.read_text().replace("until: 2013-04-01", "until: 2014-01-01"))
    assert main(["params"]) == 0
    git(Path(), "commit", "--quiet", "--all", "--message", "all of it")
    git(Path(), "push", "--quiet", "origin", "main")
    decided("retrain", [DRIFT])
    assert main(["act"]) == 0
    assert "the data's window ends at 2014-01-01" in capsys.readouterr().out
    assert pulls("all") == []


def test_a_window_without_an_end_cannot_be_moved(project: Any, capsys: pytest.CaptureFixture[str]) -> None:
    path = Path("conf/data/flights.yaml")
    path.write_text(path.read_text().replace("until: 2013-04-01", "until: null"))
    assert main(["params"]) == 0
    git(Path(), "commit", "--quiet", "--all", "--message", "no end")
    git(Path(), "push", "--quiet", "origin", "main")
    decided("retrain", [DRIFT])
    assert main(["act"]) == 1
    assert "conf/data/flights.yaml: window.until: is null, so there is no end to move" in capsys.readouterr().err


def test_a_model_below_the_floor_is_taken_down(project: Callable[..., str]) -> None:
    decided("retire", [WORSE])
    assert main(["act"]) == 0
    (pull,) = pulls()
    assert pull.title == "Retire the model in production"
    assert pull.body.startswith("Because.")


def test_or_the_one_before_comes_back(project: Callable[..., str]) -> None:
    project(tuning__trials=9)
    assert main(["register", "--push"]) == 0
    path = Path("environments/production.yaml")
    path.write_text("version: v0.2.0\n")
    git(Path(), "commit", "--quiet", "--all", "--message", "v0.2.0")
    git(Path(), "push", "--quiet", "origin", "main")
    says = ("--message", "v0.2.0 runs in production")
    git(Path(), "tag", "--annotate", "model#production#2", "model@v0.2.0^{commit}", *says)
    decided("retire", [WORSE], version="v0.2.0")
    assert main(["act"]) == 0
    assert [one.title for one in pulls()] == ["Roll production back to v0.1.0"]


def test_what_was_kept_comes_back_in_another_clone(
    project: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = decided("nothing")
    assert main(["recall"]) == 0  # nothing is there yet
    assert main(["act"]) == 0
    other = tmp_path / "other"
    git(tmp_path, "clone", "--quiet", str(tmp_path / "origin.git"), str(other))
    monkeypatch.chdir(other)
    assert main(["recall"]) == 0
    assert [one.until for one in findings.history()] == [one.until for one in windows(3)]
    assert json.loads(layout.DECISION.read_text())["until"] == made.until


def test_two_at_a_time_are_both_kept(project: Any, tmp_path: Path) -> None:
    """Each clone has looked at another window."""
    clones = []
    for number, count in enumerate((1, 2)):
        clone = tmp_path / f"clone-{number}"
        git(tmp_path, "clone", "--quiet", str(tmp_path / "origin.git"), str(clone))
        one = windows(count)[-1]
        findings.write(one, clone / layout.MONITORING)
        write_json(clone / layout.DECISION, asdict(Decision("nothing", "Quiet.", one.until, "v0.1.0")))
        clones.append(clone)
    running = [subprocess.Popen(["gitloop", "act"], cwd=clone, env=environment(Path())) for clone in clones]
    assert [one.wait() for one in running] == [0, 0]
    names = git(ORIGIN, "ls-tree", "-r", "--name-only", "monitoring").splitlines()
    assert [name for name in names if name.startswith("windows")] == [
        "windows/2013-04-08T0000.json",
        "windows/2013-04-15T0000.json",
    ]


def test_killed_anywhere_and_run_again_it_ends_the_same(project: Any) -> None:
    points = (("windows", "keep"), ("act", "_alert"), ("proposal.origin", "push"), ("local.Local", "propose"))
    for number, (where, name) in enumerate((one for one in points for _ in range(2)), 3):
        decided("retrain", [DRIFT], [SLOW], count=number)
        imports = "from gitloop.gitops import act, local, proposal, windows"
        code = killed(imports, where, name, "before" if number % 2 else "after")
        command = [sys.executable, "-c", f"{code}\nfrom gitloop.cli import main; main(['act'])"]
        done = subprocess.run(command, env=environment(Path()), check=False)
        assert done.returncode == -signal.SIGKILL, (where, name)
        assert main(["act"]) == 0
        assert [one.title for one in pulls("all")] == [f"Retrain with data until {windows(number)[-1].until[:10]}"]
        assert [one["state"] for one in issues()] == ["open"]
        kept = git(ORIGIN, "ls-tree", "-r", "--name-only", "monitoring:windows").splitlines()
        assert len(kept) == number
