"""Environments are moved by pull requests of one line, which say what they rest on."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from killing import killed
from project import environment
from repositories import git

from gitloop import layout
from gitloop.cli import main
from gitloop.gitops import release
from gitloop.gitops.local import Local

FILES = {
    "production": "version: none  # which one runs\nlocal: {port: 18080}\n",
    "staging": "version: newest\nlocal: {port: 18081}\n",
}
Commit = Callable[..., str]


@pytest.fixture
def versions(repository: Commit) -> Commit:
    """v0.1.0 and v0.2.0, neither of which runs."""
    for name, text in FILES.items():
        repository(model=False, file=f"environments/{name}.yaml")
        Path(f"environments/{name}.yaml").write_text(text)
    Path(".gitignore").write_text("/reports/\n")
    repository(model=False)
    assert main(["register", "--push"]) == 0
    repository(tuning__trials=9)
    assert main(["register", "--push"]) == 0
    return repository


def pulls(state: str = "open") -> list[Any]:
    return Local(Path("../origin.git")).pulls(state=state)


def merge(branch: str) -> None:
    git(Path(), "fetch", "--quiet", "origin")
    git(Path(), "merge", "--quiet", "--no-ff", "--message", f"Merge {branch}", f"origin/{branch}")
    git(Path(), "push", "--quiet", "origin", "main")


def records(name: str, version: str, number: int) -> None:
    """As a deploy does."""
    says = f"{version} runs in {name}: ready, 10 expected rows as recorded, median 2 ms"
    git(Path(), "tag", "--annotate", f"model#{name}#{number}", f"model@{version}^{{commit}}", "--message", says)


@pytest.mark.parametrize("words", [["promote"], ["rollback", "production"], ["retire", "production"]], ids=" ".join)
def test_without_an_origin_it_is_said_how_to_get_one(
    words: list[str], repository: Commit, capsys: pytest.CaptureFixture[str]
) -> None:
    repository(model=False)
    git(Path(), "remote", "remove", "origin")
    assert main(words) == 2
    (said,) = capsys.readouterr().err.splitlines()
    assert said.startswith(
        f"gitloop {words[0]}: origin: is not set, so nothing can be proposed or released; `git remote"
    )


def test_the_proposal_is_one_line_with_what_it_rests_on(versions: Commit) -> None:
    records("staging", "v0.2.0", 1)
    layout.GATES.parent.mkdir(exist_ok=True)
    verdicts = [
        {"rule": "floor roc_auc", "value": 0.71, "sense": "≥", "bound": 0.7, "passed": True, "why": ""},
        {"rule": "leakage", "value": 0.95, "sense": "≤", "bound": 0.9, "passed": False, "why": "too good"},
    ]
    chosen = json.loads(layout.SELECTED.read_text())["model"]["sha256"]
    layout.GATES.write_text(json.dumps({"sha256": chosen, "verdicts": verdicts, "loosened": []}))
    Path("README.md").write_text("a change of mine\n")
    assert main(["promote"]) == 0
    (pull,) = pulls()
    assert (pull.head, pull.title) == ("gitloop/promote-production", "Promote v0.2.0 to production")
    assert pull.labels == ("gitloop:promote",)
    assert Path("README.md").read_text() == "a change of mine\n"
    differs = git(Path("../origin.git"), "diff", "--unified=0", "main", pull.head).splitlines()
    assert [line for line in differs if line[0] in "+-" and line[:3] not in ("+++", "---")] == [
        "-version: none  # which one runs",
        "+version: v0.2.0  # which one runs",
    ]
    body = pull.body.replace("\u2060", "")
    assert body.startswith("Deploys v0.2.0 in `production`, where nothing runs. Merging this deploys it.")
    assert "⚠️ Gates that failed: leakage." in body
    assert "v0.2.0 runs in staging: ready, 10 expected rows as recorded, median 2 ms" in body
    assert "| ✅ | floor roc_auc | 0.71 | ≥ 0.7 |" in body
    assert "gitloop rollback production" in body

    before = git(Path("../origin.git"), "rev-parse", pull.head)
    assert main(["promote", "production"]) == 0
    assert git(Path("../origin.git"), "rev-parse", pull.head) == before
    assert [one.number for one in pulls()] == [pull.number]


def test_gates_of_another_model_are_not_shown(versions: Commit) -> None:
    layout.GATES.parent.mkdir(exist_ok=True)
    layout.GATES.write_text(json.dumps({"sha256": "another", "verdicts": [], "loosened": []}))
    assert main(["promote"]) == 0
    assert "### Gates" not in pulls()[0].body


def test_what_changed_since_the_version_in_production_is_shown(versions: Commit) -> None:
    assert main(["promote", "--version", "v0.1.0"]) == 0
    merge("gitloop/promote-production")
    records("production", "v0.1.0", 1)
    assert main(["promote"]) == 0
    (pull,) = pulls()
    assert "where v0.1.0 runs" in pull.body
    assert "tuning.trials: 8 → 9" in pull.body
    assert "### What changed since v0.1.0" in pull.body
    assert "(Seed" in pull.body or "(" in pull.body.partition("Commits")[2]


def test_a_rollback_goes_to_the_version_before(versions: Commit, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["promote", "production", "--version", "v0.1.0"]) == 0
    merge("gitloop/promote-production")
    records("production", "v0.1.0", 1)
    assert main(["rollback", "production"]) == 1
    assert "nothing but v0.1.0 ever ran in production; name a version with --version" in capsys.readouterr().err
    assert main(["promote", "production"]) == 0
    merge("gitloop/promote-production")
    records("production", "v0.2.0", 2)
    assert main(["rollback", "production"]) == 0
    (pull,) = pulls()
    assert (pull.head, pull.title) == ("gitloop/rollback-production", "Roll production back to v0.1.0")
    assert pull.body.startswith("Goes back to v0.1.0 in `production`, where v0.2.0 runs.")
    assert "None: v0.1.0 is older than v0.2.0." in pull.body
    merge(pull.head)
    assert "version: v0.1.0" in Path("environments/production.yaml").read_text()
    assert main(["rollback", "production", "--version", "v0.2.0"]) == 0
    assert [one.title for one in pulls()] == ["Roll production back to v0.2.0"]


def test_retire(versions: Commit, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["retire", "production"]) == 0
    assert "environments/production.yaml says none already: nothing to propose" in capsys.readouterr().out
    assert main(["promote"]) == 0
    merge("gitloop/promote-production")
    records("production", "v0.2.0", 1)
    assert main(["retire", "production"]) == 0
    (pull,) = pulls()
    assert pull.title == "Retire the model in production"
    assert "callers are answered 503" in pull.body
    merge(pull.head)
    assert "version: none" in Path("environments/production.yaml").read_text()


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (["promote", "staging"], 2, "staging.yaml: version: follows the newest version by itself"),
        (["promote", "producton"], 2, "producton: is no environment; did you mean 'production'?"),
        (["promote", "--version", "v9.0.0"], 2, "v9.0.0: was never registered"),
        (["retire", "nowhere"], 2, "nowhere: is no environment"),
    ],
)
def test_what_cannot_be_proposed(
    arguments: list[str], code: int, says: str, versions: Commit, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments) == code
    assert says in capsys.readouterr().err
    assert pulls("all") == []


def test_without_a_version_there_is_nothing_to_promote(repository: Commit, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["promote"]) == 2
    assert "no version is registered yet; run `gitloop register` on main first" in capsys.readouterr().err


def test_a_proposal_that_was_closed_means_not_now(
    versions: Commit, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["promote"]) == 0
    git(Path(), "push", "--quiet", "--delete", "origin", "gitloop/promote-production")
    assert [one.state for one in pulls("all")] == ["closed"]
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    capsys.readouterr()
    assert main(["promote"]) == 0
    assert "Promote v0.2.0 to production: was closed, which means not now" in capsys.readouterr().out
    assert pulls() == []
    # Another version is another question; and a person may ask again.
    monkeypatch.setenv("GITHUB_REF_NAME", "main")
    versions(tuning__trials=10)
    assert main(["register", "--push"]) == 0
    assert main(["promote"]) == 0
    assert [one.title for one in pulls()] == ["Promote v0.3.0 to production"]
    monkeypatch.delenv("GITHUB_ACTIONS")
    assert main(["promote", "--version", "v0.2.0"]) == 0
    assert [one.title for one in pulls()] == ["Promote v0.2.0 to production"]


def test_in_a_workflow_the_proposal_is_checked(versions: Commit, monkeypatch: pytest.MonkeyPatch) -> None:
    """What GITHUB_TOKEN pushes starts no workflow; what an app's token pushes does."""
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    here = Local(Path("../origin.git"))
    monkeypatch.setenv("GITLOOP_APP", "123")
    assert main(["promote"]) == 0
    assert here.dispatches() == []
    monkeypatch.delenv("GITLOOP_APP")
    assert main(["promote"]) == 0
    assert [(one["workflow"], one["ref"]) for one in here.dispatches()] == [("train.yml", "gitloop/promote-production")]


def test_killed_anywhere_and_run_again_it_ends_the_same(versions: Commit) -> None:
    for where, name in (("proposal", "commit"), ("proposal.origin", "push"), ("local.Local", "propose")):
        for when in ("before", "after"):
            code = killed("from gitloop.gitops import local, promote, proposal", where, name, when)
            command = [sys.executable, "-c", f"{code}\nfrom gitloop.cli import main; main(['promote'])"]
            done = subprocess.run(command, env=environment(Path()), check=False)
            assert done.returncode == -signal.SIGKILL
            assert main(["promote"]) == 0
            (pull,) = pulls("all")
            assert git(Path("../origin.git"), "rev-list", "--count", f"main..{pull.head}") == "1"
            versions(model=False)  # main goes on, so that there is something to push again


@pytest.mark.parametrize(("labels", "part"), [(("version:minor", "version:major"), "major"), (("bug",), None)])
def test_a_label_says_what_goes_up(labels: tuple[str, ...], part: str | None, versions: Commit) -> None:
    here = Local(Path("../origin.git"))
    git(Path(), "switch", "--quiet", "--create", "work")
    Path("notes.md").write_text("words\n")
    git(Path(), "add", "notes.md")
    git(Path(), "commit", "--quiet", "--message", "words")
    git(Path(), "push", "--quiet", "origin", "work")
    here.propose("work", "main", "Words", "", labels)
    assert release._labelled() is None  # not merged
    git(Path(), "switch", "--quiet", "main")
    merge("work")
    assert release._labelled() == part
    versions(tuning__trials=10)
    assert main(["register", "--push"]) == 0
    assert release._labelled() is None  # it counted for that version
