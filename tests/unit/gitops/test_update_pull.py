"""An update of the template as a pull request: one, for each of its commits once, and what people did stays."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from repositories import commit, git

from gitloop.cli import main
from gitloop.gitops import update_pull
from gitloop.gitops.local import Local
from gitloop.gitops.update_pull import ABOUT, BRANCH, BUNDLE, Update

Captured = pytest.CaptureFixture[str]
FOLDER = Path("reports/update")
NEW, NEWER = "1" * 40, "2" * 40


@pytest.fixture
def clone(origin: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    git(tmp_path, "clone", "--quiet", str(origin), "clone")
    monkeypatch.chdir(tmp_path / "clone")
    return tmp_path / "clone"


def written(new: str, *parents: str, **more: Any) -> Update:
    """As `gitloop update --write` leaves it: the update to a commit of the template adds one file."""
    about = Update(found=True, old="0" * 40, new=new, name="v1.2.0", versions=("1.1.0", "1.2.0"), **more)
    Path("newer.txt").write_text(new)
    git(Path(), "add", "newer.txt")
    tree = git(Path(), "write-tree")
    git(Path(), "reset", "--quiet", "--hard")
    above = [word for parent in parents or ("HEAD",) for word in ("-p", parent)]
    update_pull.write(FOLDER, about, git(Path(), "commit-tree", tree, *above, "-m", about.message()))
    return about


def pulls(state: str = "open") -> list[Any]:
    return Local(Path("../origin.git")).pulls(state=state)


def propose() -> int:
    return main(["update", "--propose", str(FOLDER)])


def tip() -> str:
    return git(Path("../origin.git"), "rev-parse", BRANCH)


def test_an_update_is_one_pull_request_and_closed_means_not_now(clone: Path, capsys: Captured) -> None:
    written(
        NEW,
        changed=("M .github/workflows/ci.yml", "A newer.txt"),
        asked={"colour": "red"},
        needs=("conf/gates/default.yaml: gates.x: is missing",),
        log=("Closes #1, @everybody",),
    )
    assert propose() == 0, capsys.readouterr().err
    (pull,) = pulls()
    assert (pull.head, pull.title, pull.labels) == (BRANCH, "Update the template to v1.2.0", ("gitloop:update",))
    for words in (
        "From 000000000000 to 111111111111 of the template, version 1.1.0 to 1.2.0.",
        "new question colour: answered with its default, 'red'",
        "conf/gates/default.yaml: gates.x: is missing",
        ".github/workflows/ci.yml",
    ):
        assert words in pull.body
    assert "@everybody" not in pull.body
    assert "conflict" not in pull.body
    first = tip()
    assert git(clone, "log", "-1", "--format=%P", first) == git(clone, "rev-parse", "main")

    written(NEW)  # another commit of the same content
    assert propose() == 0
    assert "the update to v1.2.0 is proposed already: pull request 1" in capsys.readouterr().out
    assert tip() == first

    written(NEWER, conflicts=("Makefile",))  # brought up to date, in place
    assert propose() == 0
    (pull,) = pulls()
    assert (pull.number, "Files with conflicts: 1" in pull.body, "- Makefile" in pull.body) == (1, True, True)
    assert git(clone, "rev-list", "--count", f"main..origin/{BRANCH}") == "1"

    git(clone, "push", "--quiet", "origin", f":{BRANCH}")
    assert pulls() == []
    assert propose() == 0
    assert "was proposed and closed, which means not now; `gitloop update` does it here" in capsys.readouterr().out
    assert pulls() == []
    written("3" * 40)
    assert propose() == 0
    assert [one.number for one in pulls()] == [2]


def test_what_people_put_on_the_branch_is_not_overwritten(clone: Path, person: Path, capsys: Captured) -> None:
    written(NEW)
    assert propose() == 0
    git(person, "fetch", "--quiet", "origin", BRANCH)
    git(person, "switch", "--quiet", "--detach", "FETCH_HEAD")
    git(person, "commit", "--quiet", "--allow-empty", "--message", "Train\n\nGitloop-Trained: 1234")
    git(person, "push", "--quiet", "origin", f"HEAD:{BRANCH}")
    written(NEWER)
    assert propose() == 0  # a run of the workflow trained it: that can be done again
    git(person, "fetch", "--quiet", "origin", BRANCH)
    git(person, "switch", "--quiet", "--detach", "FETCH_HEAD")
    mended = commit(person, "Mended by hand", **{"mended.txt": "by hand\n"})
    git(person, "push", "--quiet", "origin", f"HEAD:{BRANCH}")
    capsys.readouterr()
    assert propose() == 0
    assert "is proposed already" in capsys.readouterr().out
    written("3" * 40)
    assert propose() == 1
    said = capsys.readouterr().err
    assert f"{BRANCH}: has commits of people ({mended[:7]}" in said
    assert "merge or close pull request 1 first" in said
    assert tip() == mended


REFUSES = """#!/bin/sh
if [ "$1" = refs/heads/gitloop/update ]; then
  echo 'refusing to allow a GitHub App to create or update workflow `.github/workflows/ci.yml` without `workflows`' >&2
  exit 1
fi
"""


def test_a_token_that_may_not_change_workflows_leads_to_an_issue(clone: Path, origin: Path, capsys: Captured) -> None:
    hook = origin / "hooks/update"
    hook.write_text(REFUSES)
    hook.chmod(0o755)
    for _ in range(2):
        written(NEW, changed=("M .github/workflows/ci.yml", "M Makefile"))
        assert propose() == 1
        said = capsys.readouterr().err
        assert "the token may not change .github/workflows, which GITHUB_TOKEN never may" in said
        assert "issue 1 says what to do" in said
    book = json.loads(git(origin, "show", "refs/gitloop/forge"))
    (issue,) = book["threads"]
    assert issue["title"] == "Update the template to v1.2.0: the token may not"
    assert "GITLOOP_UPDATE_TOKEN" in issue["body"]
    assert ".github/workflows/ci.yml" in issue["body"]
    assert "Makefile" not in issue["body"]
    # It was done on a machine meanwhile.
    update_pull.write(FOLDER, Update(found=False), None)
    assert propose() == 0
    assert "the repository has the newest template: nothing to propose" in capsys.readouterr().out
    assert json.loads(git(origin, "show", "refs/gitloop/forge"))["threads"][0]["state"] == "closed"


def test_what_the_other_job_left_is_not_trusted(clone: Path, capsys: Captured) -> None:
    """It ran programs of the template: only one commit on main is taken, and text."""
    git(clone, "commit", "--quiet", "--allow-empty", "--message", "not on origin's main")
    written(NEW)
    assert propose() == 2
    assert "is not one commit on main; run `gitloop update --write` on main" in capsys.readouterr().err
    git(clone, "reset", "--quiet", "--hard", "origin/main")
    written(NEW, "HEAD", git(clone, "commit-tree", "HEAD^{tree}", "-m", "another root"))
    assert propose() == 2
    assert "is not one commit on main" in capsys.readouterr().err
    (FOLDER / BUNDLE).write_bytes(b"no bundle")
    assert propose() == 2
    assert f"{FOLDER / BUNDLE}: is no update of this repository" in capsys.readouterr().err
    about = json.loads((FOLDER / ABOUT).read_text())
    for wrong in ({**about, "new": "--all"}, {**about, "more": 1}, {**about, "name": "x" * 2000}):
        (FOLDER / ABOUT).write_text(json.dumps(wrong))
        assert propose() == 2
        assert "is not what `gitloop update --write reports/update` leaves" in capsys.readouterr().err
    assert pulls("all") == []
