"""What a run made comes back to the branch once, whole, and never over somebody's work."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from repositories import commit, git, write

from gitloop.cli import main
from gitloop.gitops import commit as module
from gitloop.gitops import origin
from gitloop.gitops.local import Local


def tip(origin: Path, branch: str = "work") -> str:
    return git(origin, "rev-parse", branch)


def test_only_what_was_made_is_committed(run: Path, origin: Path, person: Path) -> None:
    before = tip(origin)
    (run / "scratch.txt").write_text("not mine\n")
    assert main(["commit", "--push"]) == 0
    after = tip(origin)
    assert git(origin, "rev-parse", f"{after}^") == before
    files = git(origin, "show", "--format=", "--name-only", after).splitlines()
    assert files == ["dvc.lock", "metrics/evaluation.json", "metrics/selected.json"]
    message = git(origin, "log", "-1", "--format=%B", after)
    assert message == f"Train: boosting is chosen\n\nboosting is best.\n\nGitloop-Trained: {before}"


def test_a_second_run_finds_nothing_to_do(run: Path, origin: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["commit", "--push"]) == 0
    after = tip(origin)
    assert main(["commit", "--push"]) == 0
    assert tip(origin) == after
    assert "nothing to commit" in capsys.readouterr().out


def test_in_actions_it_is_the_bot_s(run: Path, origin: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    monkeypatch.setenv("GITHUB_REF_NAME", "work")
    monkeypatch.setenv("GITLOOP_APP", "1")  # its pushes start workflows by themselves
    assert main(["commit", "--push"]) == 0
    assert git(origin, "log", "-1", "--format=%an %cn", "work") == "github-actions[bot] github-actions[bot]"


def test_without_an_app_the_new_head_is_asked_to_be_checked(
    run: Path, origin: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Once: the run that is asked for finds nothing to do."""
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    monkeypatch.setenv("GITHUB_REF_NAME", "work")
    assert main(["commit", "--push"]) == 0
    assert main(["commit", "--push"]) == 0
    assert Local(origin).dispatches() == [{"workflow": "train.yml", "ref": "work", "inputs": {}}]


def test_a_laptop_commits_and_does_not_push(run: Path, origin: Path) -> None:
    before = tip(origin)
    assert main(["commit"]) == 0
    assert tip(origin) == before
    assert git(run, "log", "-1", "--format=%an %s") == "Tester Train: boosting is chosen"


def test_a_commit_that_touches_no_input_is_kept_and_followed(
    run: Path, origin: Path, person: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And the head that came of both is asked to be checked."""
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    monkeypatch.setenv("GITHUB_REF_NAME", "work")
    theirs = commit(person, "docs", notes="read this too\n")
    git(person, "push", "--quiet", "origin", "work")
    assert main(["commit", "--push"]) == 0
    assert git(origin, "rev-parse", "work^") == theirs
    assert Local(origin).dispatches() == [{"workflow": "train.yml", "ref": "work", "inputs": {}}]


def test_it_yields_to_a_commit_that_changes_an_input(
    run: Path, origin: Path, person: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    theirs = commit(person, "another change", conf__config="a: 3\n")
    git(person, "push", "--quiet", "origin", "work")
    assert main(["commit", "--push"]) == 0
    assert tip(origin) == theirs
    said = " ".join(capsys.readouterr().out.split())
    assert f"work moved on to {theirs[:12]}, which changed conf/config.yaml: its own run trains it" in said


def test_a_branch_that_is_gone_stays_gone(run: Path, origin: Path) -> None:
    """A push would bring a merged branch back; the race is settled by origin, as for any push."""
    git(origin, "update-ref", "-d", "refs/heads/work")
    assert main(["commit", "--push"]) == 0


def test_two_runs_at_a_time_lose_nothing(run: Path, origin: Path, tmp_path: Path) -> None:
    """Both made the same of the same commit: one is pushed, the other yields."""
    other = tmp_path / "other"
    subprocess.run(["cp", "-R", str(run), str(other)], check=True)
    from project import environment

    command = ["gitloop", "commit", "--push"]
    both = [subprocess.Popen(command, cwd=where, env=environment(where)) for where in (run, other)]
    assert [one.wait() for one in both] == [0, 0]
    assert git(origin, "rev-list", "--count", "main..work") == "2"


def test_a_fork_is_told_what_to_do(
    run: Path, origin: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    before = tip(origin)
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    monkeypatch.setenv("GITHUB_EVENT_NAME", "pull_request")
    assert main(["commit", "--push"]) == 1
    assert (
        "dvc.lock: is out of step with what the pull request changes, and a fork cannot be committed to; run `make"
        in (capsys.readouterr().err)
    )
    assert tip(origin) == before


def test_what_is_stale_twice_is_no_loop(run: Path, origin: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["commit", "--push"]) == 0
    before = tip(origin)
    write(run, metrics__evaluation='{"by": "the clock"}')
    assert main(["commit", "--push"]) == 1
    assert tip(origin) == before
    assert (
        "was made by a run and is stale again (train@boosting, select): a stage does not give"
        in capsys.readouterr().err
    )


def test_main_is_never_pushed_to(run: Path, origin: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What brings main's lock in step is proposed."""
    git(run, "switch", "--quiet", "--force-create", "main", "HEAD")
    before = tip(origin, "main")
    assert main(["commit", "--push"]) == 1
    assert tip(origin, "main") == before
    assert git(origin, "log", "-1", "--format=%s", module.BRANCH) == "Train: boosting is chosen"
    assert "dvc.lock: is stale on main; merge pull request 1, which mends it" in capsys.readouterr().err
    (pull,) = Local(origin).pulls()
    assert (pull.head, pull.base, pull.labels) == (module.BRANCH, "main", ("gitloop:train",))
    git(run, "reset", "--quiet", "--soft", "HEAD^")
    assert main(["commit", "--push"]) == 1  # again: the same one, brought up to date
    assert [one.number for one in Local(origin).pulls()] == [1]


def test_data_go_before_the_commit_that_names_them(
    run: Path, origin: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A remote that takes nothing: the branch is left as it was, and the mend is said."""
    before = tip(origin)
    (run / ".dvc").mkdir()
    (run / ".dvc/config").write_text("[core]\n    remote = storage\n['remote \"storage\"']\n    url = nowhere://x\n")
    assert main(["commit", "--push"]) == 2
    assert "dvc push: " in (said := capsys.readouterr().err)
    assert "see that the run may write to the remote in .dvc/config" in said
    assert tip(origin) == before


def test_the_token_stands_in_no_argument(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[tuple[tuple[str, ...], dict[str, str]]] = []
    monkeypatch.setenv("GITHUB_TOKEN", "very-secret")
    monkeypatch.setenv("GITHUB_SERVER_URL", "https://git.example.org")
    monkeypatch.setattr(origin.git, "git", lambda *a, environment=None: seen.append((a, environment)) or "")
    origin.push("HEAD:refs/heads/work")
    ((arguments, environment),) = seen
    assert arguments == ("push", "--quiet", "origin", "HEAD:refs/heads/work")
    assert environment["GIT_CONFIG_KEY_0"] == "http.https://git.example.org/.extraheader"
    assert environment["GIT_CONFIG_VALUE_0"] == "AUTHORIZATION: basic eC1hY2Nlc3MtdG9rZW46dmVyeS1zZWNyZXQ="
