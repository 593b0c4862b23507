"""The registry is Git's tags: numbered by what changed, once each, read by GTO and DVC too."""

from __future__ import annotations

import json
import os
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from project import environment
from repositories import git

from gitloop.cli import main
from gitloop.gitops import registry


def tags(where: Path = Path()) -> list[str]:
    return git(where, "tag", "--list", "--sort=version:refname").splitlines()


def test_the_number_says_what_changed(repository: Callable[..., str], capsys: pytest.CaptureFixture[str]) -> None:
    def registered(says: str) -> None:
        assert main(["register", "--push"]) == 0
        assert says in " ".join(capsys.readouterr().out.split())

    registered("v0.1.0 registered: the first version")
    registered("v0.1.0 is this commit's version")
    repository(model=False, file="notes.md")
    registered("the model is that of the newest version: nothing to register")
    repository(data__window__until="2013-05-01")
    registered("v0.1.1 registered: patch, for nothing but the data changed")
    repository(tuning__trials=9)
    registered("v0.2.0 registered: minor, for conf/tuning/ changed")
    repository(file="src/late_flights/features.py")
    registered("v0.3.0 registered: minor, for code or libraries changed")
    repository(data__columns__extra={"type": "numeric", "role": "feature"})
    registered("v1.0.0 registered: major, for what the service takes or gives changes")
    expected = [f"model@{name}" for name in ("v0.1.0", "v0.1.1", "v0.2.0", "v0.3.0", "v1.0.0")]
    assert tags() == tags(Path("../origin.git")) == expected
    repository(data__window__until="2013-06-01")
    assert main(["register", "--bump", "minor"]) == 0
    assert "v1.1.0 registered: minor as asked, though nothing but the data changed" in capsys.readouterr().out
    assert "model@v1.1.0" not in tags(Path("../origin.git"))  # without --push it stays here


def test_gto_reads_the_same(repository: Callable[..., str]) -> None:
    first = git(Path(), "rev-parse", "HEAD")
    assert main(["register"]) == 0
    repository(tuning__trials=9)
    assert main(["register"]) == 0
    git(Path(), "tag", "--annotate", "model#production#1", first, "--message", "runs")
    shown = subprocess.run(
        ["gto", "show", "--json"], capture_output=True, text=True, check=True, env=environment(Path())
    )
    model = json.loads(shown.stdout)["model"]
    assert model["version"] == "v0.2.0"
    assert model["stage"]["production"] == "v0.1.0"
    found = registry.read()
    assert found.runs("production") == found.at(first) == found.named("v0.1.0")
    git(Path(), "tag", "--annotate", "model#production!#2", first, "--message", "retired")
    shown = subprocess.run(
        ["gto", "show", "--json"], capture_output=True, text=True, check=True, env=environment(Path())
    )
    assert "production" not in json.loads(shown.stdout)["model"]["stage"]
    assert registry.read().runs("production") is None


def test_two_runs_at_a_time_register_once(repository: Callable[..., str], tmp_path: Path) -> None:
    """Of the same commit there is one version; of two commits each has its own."""
    clones = [tmp_path / name for name in ("a", "b", "c")]
    for clone in clones:
        git(tmp_path, "clone", "--quiet", str(tmp_path / "origin.git"), str(clone))
    command = ["gitloop", "register", "--push"]
    running = [subprocess.Popen(command, cwd=clone, env=environment(Path())) for clone in clones]
    assert [one.wait() for one in running] == [0, 0, 0]
    assert tags(tmp_path / "origin.git") == ["model@v0.1.0"]
    assert all(tags(clone) == ["model@v0.1.0"] for clone in clones)


def test_a_number_that_is_taken_is_left_alone(
    repository: Callable[..., str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Another run registered what main had before, and this clone does not know it yet."""
    assert main(["register"]) == 0  # only here
    git(Path(), "tag", "--delete", "model@v0.1.0")
    other = tmp_path / "other"
    git(tmp_path, "clone", "--quiet", str(tmp_path / "origin.git"), str(other))
    subprocess.run(["gitloop", "register", "--push"], cwd=other, env=environment(Path()), check=True)
    repository(data__window__until="2013-05-01")
    git(Path(), "tag", "--delete", "model@v0.1.0", check=False)
    assert main(["register", "--push"]) == 0
    assert "v0.1.1 registered" in capsys.readouterr().out
    assert tags(tmp_path / "origin.git") == ["model@v0.1.0", "model@v0.1.1"]


def test_only_what_follows_the_newest_version_is_registered(
    repository: Callable[..., str], capsys: pytest.CaptureFixture[str]
) -> None:
    repository(tuning__trials=9)
    assert main(["register"]) == 0
    git(Path(), "checkout", "--quiet", "HEAD^")
    assert main(["register"]) == 1
    assert "v0.1.0 (" in (said := capsys.readouterr().err)
    assert "is not in the history of" in said


@pytest.mark.parametrize("field", ["owner", "contact", "description", "limits"])
def test_what_a_person_must_say_is_asked_for(
    field: str, repository: Callable[..., str], capsys: pytest.CaptureFixture[str]
) -> None:
    repository(**{f"project__{field}": " "})
    assert main(["register"]) == 1
    assert (
        f"conf/project.yaml: project.{field}: is blank, and the model card needs it; say it" in capsys.readouterr().err
    )
    assert tags() == []


def test_a_version_that_was_never_registered(
    repository: Callable[..., str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["fetch", "v9.9.9"]) == 2
    assert "v9.9.9: was never registered (there are none yet); see `gitloop versions`" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("content", "says"),
    [(None, "has no params.yaml"), ("a: [", "is no valid YAML"), ("- 1", "is no mapping")],
)
def test_a_version_whose_parameters_cannot_be_read(
    content: str | None, says: str, repository: Callable[..., str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["register"]) == 0
    if content is None:
        git(Path(), "rm", "--quiet", "params.yaml")
    else:
        Path("params.yaml").write_text(content)
    git(Path(), "commit", "--quiet", "--all", "--message", "broken")
    capsys.readouterr()
    assert main(["register"]) == 2
    said = capsys.readouterr().err
    assert says in said
    assert said.endswith("run `gitloop params` and commit it\n")


def test_a_light_tag_is_no_version(repository: Callable[..., str], capsys: pytest.CaptureFixture[str]) -> None:
    git(Path(), "tag", "model@v7.0.0")
    assert main(["versions"]) == 0
    assert "no version yet" in capsys.readouterr().out


def test_a_shallow_clone_hides_versions(
    repository: Callable[..., str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    repository(model=False)
    shallow = tmp_path / "shallow"
    git(tmp_path, "clone", "--quiet", "--depth=1", "--no-tags", f"file://{tmp_path}/origin.git", str(shallow))
    os.chdir(shallow)
    assert main(["register"]) == 2
    assert (
        "a shallow clone without tags shows no versions; run `git fetch --unshallow --tags`" in capsys.readouterr().err
    )


def test_versions_are_shown(repository: Callable[..., str], capsys: pytest.CaptureFixture[str]) -> None:
    first = git(Path(), "rev-parse", "HEAD")
    assert main(["register"]) == 0
    second = repository(data__window__until="2013-05-01")
    assert main(["register"]) == 0
    git(Path(), "tag", "--annotate", "model#staging#1", second, "--message", "runs")
    git(Path(), "tag", "--annotate", "model#production#1", second, "--message", "runs")
    git(Path(), "tag", "--annotate", "model#production#2", first, "--message", "back")
    capsys.readouterr()
    assert main(["versions"]) == 0
    lines = [
        [cell.strip() for cell in line.split("│")[1:-1]]
        for line in capsys.readouterr().out.splitlines()
        if "v0.1" in line
    ]
    assert [(line[0], *line[2:]) for line in lines] == [
        ("v0.1.1", second[:10], "2013-01-01 to 2013-05-01", "linear", "roc_auc 0.702", "staging"),
        ("v0.1.0", first[:10], "2013-01-01 to 2013-04-01", "linear", "roc_auc 0.701", "production"),
    ]


def test_hundreds_of_versions_are_read_in_a_few_processes(
    repository: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What it costs does not grow with a process a version (the figure stands in the benchmarks)."""
    head = git(Path(), "rev-parse", "HEAD")
    for number in range(50):
        git(Path(), "tag", "--annotate", f"model@v0.{number}.0", head, "--message", "x")
    ran: list[Any] = []
    original = subprocess.run
    monkeypatch.setattr(subprocess, "run", lambda *a, **k: (ran.append(a), original(*a, **k))[1])
    start = time.monotonic()
    assert main(["versions"]) == 0
    assert len(ran) < 10, time.monotonic() - start
