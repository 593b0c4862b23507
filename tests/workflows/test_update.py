"""update.yml, run by act: a newer template arrives as a pull request, once, or as an issue where the token may not."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from hub import act, hub
from hub.act import Run
from hub.hub import Hub
from repositories import git
from updating import INSIDE, addressed, edited, generated, repository, saved

BRANCH = "gitloop/update"


class Updated:
    """A hub whose repository was generated from a commit of the template, which goes on."""

    def __init__(self, here: Hub, template: Path) -> None:
        self.here, self.template = here, template

    def newer(self, name: str, old: str, new: str) -> str:
        edited(self.template / INSIDE / name, old, new)
        return saved(self.template, f"{name} is better, @octocat")

    def runs(self) -> Run:
        (made,) = self.here.dispatch("update.yml", "main")
        return made

    def pulls(self) -> list[tuple[int, str]]:
        return [(one["number"], one["head"]) for one in self.here.state.pulls()]

    def issues(self) -> list[str]:
        return [one["state"] for one in self.here.state.threads.values() if not one["pull"]]


@pytest.fixture
def updated(tmp_path: Path) -> Iterator[Updated]:
    act.binary()
    template, _, present = repository(tmp_path / "cookiecutter-gitloop")
    (tmp_path / "made").mkdir()
    project = generated(template, present, tmp_path / "made")
    addressed(project, template)
    with hub.opened(tmp_path / "hub", project) as here:
        here.workflows = ("update.yml",)
        yield Updated(here, template)


def test_from_a_newer_template_to_a_pull_request_or_an_issue(updated: Updated) -> None:
    here = updated.here
    first = updated.newer("Makefile", "# `make` lists", "# Type `make`: it lists")
    proposed = updated.runs()
    assert proposed.ok, proposed.log[-3000:]
    ((number, head),) = updated.pulls()
    assert head == BRANCH
    about = here.state.threads[number]
    assert f"update-{first}" in about["body"]
    assert "Makefile is better" in about["body"]
    assert "@octocat" not in about["body"]
    assert git(here.origin, "diff", "--name-only", "main", BRANCH).splitlines() == [".gitloop.json", "Makefile"]
    asked = [(one["workflow"], one["ref"]) for one in here.state.dispatches]
    assert asked == [("train.yml", BRANCH)]  # GITHUB_TOKEN pushed it: nothing would check it

    sha = here.commit(BRANCH)
    again = updated.runs()
    assert again.ok, again.log[-3000:]
    assert (updated.pulls(), here.commit(BRANCH)) == ([(number, head)], sha)

    here.state.threads[number]["state"] = "closed"
    assert updated.runs().ok
    assert updated.pulls() == []

    # A workflow changes: GITHUB_TOKEN may not push that.
    updated.newer(".github/workflows/ci.yml", "timeout-minutes: 20", "timeout-minutes: 21")
    refused = updated.runs()
    assert not refused.ok
    assert refused.jobs == {"merge": "success", "propose": "failure"}
    assert "the token may not change .github/workflows, which GITHUB_TOKEN never may" in refused.log
    assert (updated.pulls(), updated.issues()) == ([], ["open"])
    here.variables["GITLOOP_APP_ID"] = "12345"
    allowed = updated.runs()
    assert allowed.ok, allowed.log[-3000:]
    assert [head for _, head in updated.pulls()] == [BRANCH]
    assert here.pushes[-1].token == hub.APP
    assert updated.issues() == ["closed"]
    assert len(here.state.dispatches) == len(asked)  # the app's push starts workflows by itself
