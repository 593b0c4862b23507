"""The hooks: a clear word where something is missing, a repository with one commit, and no harm when run again."""

from __future__ import annotations

import ast
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from project import ROOT, generate, run, template
from sklearn import datasets

PRE_PROMPT = ROOT / "hooks/pre_prompt.py"


def command_line(where: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "cookiecutter", str(template()), "--no-input", "--output-dir", str(where)]
    command += ["--config-file", str(template().parent / "config.yaml")]
    env = {**os.environ, **environment}
    return subprocess.run(command, capture_output=True, text=True, env=env, check=False)


def answered(where: Path, answer: str) -> subprocess.CompletedProcess[str]:
    """As somebody who has a table, typed in `where`; this interpreter's environment is the project's."""
    command = [sys.executable, "-m", "cookiecutter", str(template()), "--no-input", "start=own", f"table={answer}"]
    command += ["--config-file", str(template().parent / "config.yaml")]
    env = {**os.environ, "VENV": sys.prefix}
    return subprocess.run(command, capture_output=True, text=True, env=env, check=False, cwd=where)


def stand_in(folder: Path, script: str) -> str:
    """A `git` that runs the script, with the real one as $git; the PATH that finds it first."""
    folder.mkdir()
    real = subprocess.run(["sh", "-c", "command -v git"], capture_output=True, text=True, check=True).stdout.strip()
    (folder / "git").write_text(f"#!/bin/sh\ngit={real}\n{script}\n")
    (folder / "git").chmod(0o755)
    return os.pathsep.join([str(folder), os.environ["PATH"]])


def test_pre_prompt_says_that_git_is_missing(tmp_path: Path) -> None:
    done = command_line(tmp_path, PATH=str(tmp_path))
    assert done.returncode == 1
    assert done.stderr.splitlines()[0] == "cookiecutter-gitloop: git does not run; install it and try again"
    assert "Traceback" not in done.stdout + done.stderr
    assert list(tmp_path.iterdir()) == []


def test_pre_prompt_says_that_python_is_too_old() -> None:
    code = "import sys; sys.hexversion = 0x03090000; sys.version_info = (3, 9, 1); exec(open(sys.argv[1]).read())"
    done = subprocess.run([sys.executable, "-c", code, PRE_PROMPT], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr == ("cookiecutter-gitloop: Python 3.9 is too old; run cookiecutter with Python 3.11 or newer\n")


def test_pre_prompt_is_python_that_an_old_one_can_read() -> None:
    source = PRE_PROMPT.read_text()
    ast.parse(source, feature_version=(3, 7))
    assert 'f"' not in source
    assert "<<" not in source  # cookiecutter does not render it


def test_generating_again_over_a_project_changes_nothing(tmp_path: Path) -> None:
    for start in ("flights", "own"):
        answers = {"start": start, "remote": "s3://bucket/x", "project": start}
        project = generate(tmp_path, **answers)
        before = run(project, "git", "rev-parse", "HEAD").stdout
        assert generate(tmp_path, over=True, **answers) == project
        assert run(project, "git", "rev-parse", "HEAD").stdout == before
        assert run(project, "git", "status", "--porcelain").stdout == ""


def test_a_repository_with_commits_is_left_for_review(tmp_path: Path) -> None:
    """An update by generating over a project shows as changes that nobody has committed yet."""
    project = generate(tmp_path)
    generate(tmp_path, over=True, owner="Another Team")
    assert run(project, "git", "rev-list", "--count", "HEAD").stdout == "1\n"
    changed = run(project, "git", "diff", "--name-only").stdout.split()
    assert changed == [".gitloop.json", "LICENSE", "README.md", "conf/project.yaml", "params.yaml"]


def test_a_generation_that_was_killed_before_its_commit_is_finished(tmp_path: Path) -> None:
    project = generate(tmp_path, git=False)
    run(project, "git", "init", "--quiet")
    generate(tmp_path, over=True)
    assert run(project, "git", "rev-list", "--count", "HEAD").stdout == "1\n"


def test_git_can_be_skipped(tmp_path: Path) -> None:
    done = command_line(tmp_path, GITLOOP_SKIP_GIT="1")
    assert done.returncode == 0
    assert not (tmp_path / "late-flights/.git").exists()
    assert (tmp_path / "late-flights/.gitloop.json").exists()
    assert done.stdout.split("\n")[1:5] == [
        "late-flights is ready. Next:",
        f"  cd {tmp_path}/late-flights",
        "  make setup   # an environment in .venv",
        "  make train   # data, candidates, the best of them, its gates",
    ]


def test_a_table_that_was_answered_is_declared_but_not_committed(tmp_path: Path) -> None:
    """By `gitloop init` itself; what it made of the table is for a person to read, so it is a change."""
    datasets.load_breast_cancer(as_frame=True).frame.to_csv(tmp_path / "my table.csv", index=False)
    done = answered(tmp_path, "my table.csv#target")
    assert done.returncode == 0, done.stderr
    assert "$EDITOR conf/data/   # what was read out of your table" in done.stdout
    assert "make setup   #" not in done.stdout
    project = tmp_path / "late-flights"
    changed = run(project, "git", "status", "--porcelain", "--untracked-files=all").stdout
    assert "conf/config.yaml" in changed
    assert "conf/data/my_table.yaml" in changed
    assert "data/source/my table.csv" in changed
    run(project, "gitloop", "params", "--check")
    contract = yaml.safe_load((project / "conf/data/my_table.yaml").read_text())
    assert contract["columns"]["target"]["role"] == "target"
    assert json.loads((project / ".gitloop.json").read_text())["answers"]["table"] == ""


def test_a_table_that_cannot_be_declared_leaves_the_project_as_it_starts(tmp_path: Path) -> None:
    datasets.load_wine(as_frame=True).frame.to_csv(tmp_path / "wines.csv", index=False)
    done = answered(tmp_path, f"{tmp_path}/wines.csv#colour")
    assert done.returncode == 0
    assert "wines.csv: has no column 'colour'; use one of alcohol," in done.stderr
    assert "cookiecutter-gitloop: table: gitloop init did not end well, see above" in done.stderr
    assert "gitloop init TABLE --target COLUMN" in done.stdout
    assert run(tmp_path / "late-flights", "git", "status", "--porcelain").stdout == ""


@pytest.mark.parametrize("half", [False, True])
def test_without_an_identity_the_commit_is_gitloops(
    half: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for who in ("AUTHOR", "COMMITTER"):
        monkeypatch.delenv(f"GIT_{who}_EMAIL")
        if not half:
            monkeypatch.delenv(f"GIT_{who}_NAME")
    done = command_line(tmp_path)
    assert "Git does not know your name and e-mail address: the first commit is by gitloop." in done.stdout
    log = run(tmp_path / "late-flights", "git", "log", "--format=%an <%ae> %cn <%ce>").stdout
    assert log == "gitloop <gitloop@localhost> gitloop <gitloop@localhost>\n"


def test_the_commit_is_made_by_the_user(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By the identity in Git's configuration, whatever hooks and signatures that configuration asks for."""
    for who in ("AUTHOR", "COMMITTER"):
        monkeypatch.delenv(f"GIT_{who}_EMAIL")
        monkeypatch.delenv(f"GIT_{who}_NAME")
    hooks = tmp_path / "hooks"
    hooks.mkdir()
    (hooks / "pre-commit").write_text("#!/bin/sh\nexit 1\n")
    (hooks / "pre-commit").chmod(0o755)
    config = tmp_path / "gitconfig"
    config.write_text(
        f"[user]\nname = Ada\nemail = ada@example.org\n[commit]\ngpgSign = true\n[core]\nhooksPath = {hooks}\n"
        "autocrlf = true\n[init]\ndefaultBranch = trunk\n"
    )
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(config))
    project = generate(tmp_path / "made")
    assert run(project, "git", "log", "--format=%an <%ae> %cn %D").stdout == "Ada <ada@example.org> Ada HEAD -> main\n"
    assert run(project, "git", "status", "--porcelain").stdout == ""


def test_the_repository_of_a_surrounding_git_is_left_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A hook of Git's, from which somebody generates, sets GIT_DIR."""
    outer = tmp_path / "outer"
    subprocess.run(["git", "init", "--quiet", str(outer)], check=True)
    monkeypatch.setenv("GIT_DIR", str(outer / ".git"))
    project = generate(outer)
    monkeypatch.delenv("GIT_DIR")
    assert run(project, "git", "rev-list", "--count", "main").stdout == "1\n"
    assert run(outer, "git", "rev-parse", "--verify", "HEAD", check=False).returncode != 0


def test_a_failing_git_is_said_in_one_line(tmp_path: Path) -> None:
    path = stand_in(tmp_path / "bin", 'if [ "$1" = add ]; then echo disk full >&2; exit 1; fi; exec $git "$@"')
    done = command_line(tmp_path, PATH=path)
    assert done.returncode == 1
    assert "cookiecutter-gitloop: git add failed: disk full; mend that, or set GITLOOP_SKIP_GIT=1" in done.stderr
    assert "Traceback" not in done.stdout + done.stderr
    assert not (tmp_path / "late-flights").exists()


def test_dvc_init_writes_what_the_template_holds(tmp_path: Path) -> None:
    """DVC is not needed to generate: its files are part of the template. They must be those it would write."""
    for command in (["git", "init", "--quiet"], ["dvc", "init", "--quiet"]):
        subprocess.run(command, cwd=tmp_path, check=True)
    subprocess.run(["dvc", "config", "core.analytics", "false"], cwd=tmp_path, check=True)
    subprocess.run(["dvc", "config", "hydra.enabled", "true"], cwd=tmp_path, check=True)
    project = generate(tmp_path / "made", git=False)
    listed = subprocess.run(["git", "ls-files"], cwd=tmp_path, check=True, capture_output=True, text=True).stdout
    assert listed.split() == [".dvc/.gitignore", ".dvc/config", ".dvcignore"]
    for name in (".dvc/.gitignore", ".dvc/config"):
        assert (project / name).read_text() == (tmp_path / name).read_text()


@pytest.mark.parametrize(
    "url",
    [
        "s3://bucket/path",
        "gs://bucket",
        "azure://container/x",
        "ssh://u@host:22/x",
        "webdavs://host/a%20b",
        "/srv/dvc store",
    ],
)
def test_dvc_remote_add_writes_what_the_hook_writes(url: str, tmp_path: Path) -> None:
    plain = generate(tmp_path, git=False, project="plain")
    project = generate(tmp_path, git=False, project="kept", remote=url)
    subprocess.run(["git", "init", "--quiet"], cwd=plain, check=True)
    run(plain, "dvc", "remote", "add", "--default", "storage", url)
    assert (project / ".dvc/config").read_text() == (plain / ".dvc/config").read_text()
