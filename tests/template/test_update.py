"""A generated repository is brought to a newer template: by Git, with what people changed in place."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest
from killing import killed
from project import ROOT, edit, run
from repositories import commit, git
from updating import INSIDE, addressed, edited, generated, repository, saved

from gitloop import cli
from gitloop.gitops import threeway, update

Captured = pytest.CaptureFixture[str]


class World(NamedTuple):
    """The template with four commits, and a project of the third."""

    origin: Path
    first: str
    present: str
    noted: str
    next: str
    project: Path


def newer(origin: Path) -> None:
    """What a newer template may bring, all at once."""
    inside = origin / INSIDE
    edited(inside / ".github/workflows/ci.yml", "timeout-minutes: 20", "timeout-minutes: 21")
    edited(inside / ".github/workflows/monitor.yml", "cron: '17 5 * * 1'", "cron: '18 6 * * 1'")
    edited(inside / "Makefile", "# `make` lists", "# Type `make`: it lists")
    (inside / "NOTES-a.md").unlink()
    (inside / "NOTES-b.md").unlink()
    (inside / "NOTES-c.md").write_text("of the template, newer\n")
    edited(inside / "conf/gates/default.yaml", "leakage: ", "leakage:  ")
    edited(inside / "tests/test_features.py", '"""', '"""Newer. ')
    (inside / "tests/test_newer.py").write_text("def test_newer():\n    raise AssertionError\n")
    (inside / "conf/candidate/newer.yaml").write_text("newer: {}\n")
    (inside / "conf/colour").mkdir()
    (inside / "conf/colour/red.yaml").write_text("# @package _global_\n")
    questions = json.loads((origin / "cookiecutter.json").read_text())
    del questions["season"]
    (origin / "cookiecutter.json").write_text(json.dumps({"colour": "red", **questions}, indent=2))
    hook = origin / "hooks/post_gen_project.py"
    told = "Path('ENVIRONMENT.txt').write_text(' '.join(sorted(os.environ)))"
    hook.write_text(hook.read_text().replace("    tidy()\n", f"    tidy()\n    {told}\n", 1))


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    folder = tmp_path_factory.mktemp("updating")
    origin, first, present = repository(folder / "cookiecutter-gitloop")
    for letter in "abc":
        (origin / INSIDE / f"NOTES-{letter}.md").write_text("of the template\n")
    questions = json.loads((origin / "cookiecutter.json").read_text())
    (origin / "cookiecutter.json").write_text(json.dumps({"season": "summer", **questions}, indent=2))
    noted = saved(origin, "Notes")
    newer(origin)
    last = saved(origin, "Newer")
    (folder / "made").mkdir()
    project = generated(origin, noted, folder / "made", project="mine", package="mine")
    assert json.loads((project / ".gitloop.json").read_text())["commit"] == noted
    addressed(project, origin)
    return World(origin, first, present, noted, last, project)


@pytest.fixture
def mine(world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the project, which is where we are."""
    for name in ("ACTIONS", "TOKEN", "REPOSITORY", "OUTPUT"):
        monkeypatch.delenv(f"GITHUB_{name}", raising=False)
    copy = tmp_path / "mine"
    subprocess.run(["cp", "-R", str(world.project), str(copy)], check=True)
    monkeypatch.chdir(copy)
    return copy


def tracked(project: Path, *below: str) -> dict[str, bytes]:
    names = git(project, "ls-files", "--", *below).splitlines()
    return {name: (project / name).read_bytes() for name in names}


def test_from_the_first_version_to_the_present_with_edits_of_a_person(world: World, tmp_path: Path) -> None:
    """By the one step that docs/update.md describes: then there was no `gitloop update`."""
    project = generated(world.origin, world.first, tmp_path, project="mine", package="mine")
    assert "commit" not in json.loads((project / ".gitloop.json").read_text())
    edit(project / "conf/data/flights.yaml", window__until="2013-02-01", threshold=0.3)
    edit(project / "conf/gates/default.yaml", baseline=0.2)
    (project / "conf/candidate/forest.yaml").unlink()
    edited(project / "conf/config.yaml", ", forest", "")
    features = project / "src/mine/features.py"
    features.write_text(features.read_text() + "\n\nWEEKEND = (5, 6)\n")
    (project / "tests/test_mine.py").write_text("def test_mine() -> None:\n    assert True\n")
    edited(project / ".gitignore", "# Python", "/notebooks/\n\n# Python")
    edited(project / "Makefile", "## run your tests", "## run all of your tests")
    run(project, "gitloop", "params")
    commit(project, "What a person changed")
    yours = tracked(project, "conf", "src/mine", "tests", "data")

    command = [sys.executable, "-m", "gitloop", "update", "--template", str(world.origin), "--from", world.first]
    source = str(ROOT / INSIDE / "src")
    run(project, *command, "--to", world.present, PYTHONPATH=source)

    now = tracked(project, "conf", "src/mine", "tests", "data")
    config = yours.pop("conf/config.yaml")
    assert {name: now[name] for name in yours} == yours
    assert {name.rpartition("/")[0] for name in now.keys() - yours.keys()} == {
        "conf",
        "conf/monitoring",
        "conf/preset",
        "conf/scoring",
        "conf/serving",
    }
    added = now["conf/config.yaml"].decode().splitlines()
    kept = [line for line in added if not line.startswith(("  - serving", "  - scoring", "  - monitoring"))]
    assert kept == config.decode().splitlines()
    assert (project / "environments/production.yaml").is_file()
    assert "/notebooks/" in (project / ".gitignore").read_text()
    assert "## run all of your tests" in (project / "Makefile").read_text()
    assert (project / "src/gitloop/gitops/update.py").is_file()

    assert "in step" in run(project, "gitloop", "params", "--check").stdout
    tested = run(project, "make", "test", f"VENV={sys.prefix}").stdout
    assert "7 passed" in tested
    run(project, "gitloop", "check")
    assert git(project, "status", "--porcelain") == ""
    again = run(project, "gitloop", "update", "--template", str(world.origin), "--to", world.present)
    assert "nothing to do" in again.stdout


def test_all_that_a_newer_template_brings(
    world: World, mine: Path, capsys: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    edited(
        mine / ".github/workflows/ci.yml", "permissions: {}", "permissions: {} # nothing"
    )  # the template: other lines
    (mine / "NOTES-b.md").write_text("of a person\n")
    (mine / "NOTES-c.md").unlink()
    edited(mine / "conf/gates/default.yaml", "baseline: 0.1", "baseline: 0.2")
    run(mine, "gitloop", "params")
    head = commit(mine, "What a person changed")
    yours = tracked(mine, "conf", "src/mine", "tests", "environments", "data")
    monkeypatch.setenv("GITHUB_TOKEN", "ghs_secret")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")

    assert cli.main(["update"]) == 0, capsys.readouterr().err
    said = capsys.readouterr().out
    assert git(mine, "rev-list", "--parents", "-1", "HEAD").split()[1:] == [head]
    assert git(mine, "log", "-1", "--format=%(trailers:key=Gitloop-Template,valueonly)") == world.next
    assert git(mine, "status", "--porcelain") == ""
    assert tracked(mine, "conf", "src/mine", "tests", "environments", "data") == {
        **yours,
        "conf/colour/red.yaml": b"# @package _global_\n",
    }
    ci = (mine / ".github/workflows/ci.yml").read_text()
    assert "permissions: {} # nothing" in ci
    assert "timeout-minutes: 21" in ci
    assert not (mine / "NOTES-a.md").exists()
    assert (mine / "NOTES-b.md").read_text() == "of a person\n"
    assert not (mine / "NOTES-c.md").exists()
    for line in (
        "new question colour: answered with its default, 'red'",
        "question season: is not asked any more",
        "conf/colour/: is new and yours from now on\n",
        "NOTES-b.md: you changed it, so it stays; the template has it no more",
        "NOTES-c.md: you deleted it, so it stays away; the template changed it",
        "Next: `make setup`, `make test`, `make train`.",
    ):
        assert line in said, said
    record = json.loads((mine / ".gitloop.json").read_text())
    assert (record["template"], record["commit"]) == (str(world.origin), world.next)
    assert record["answers"]["colour"] == "red"
    assert "season" not in record["answers"]
    # What ran of the template had nothing of ours.
    environment = set((mine / "ENVIRONMENT.txt").read_text().split())
    assert environment - {"LANG", "LC_ALL", "LC_CTYPE", "TZ", "PWD", "SHLVL", "_"} == {
        "GITLOOP_SKIP_GIT",
        "HOME",
        "PATH",
        "PYTHONDONTWRITEBYTECODE",
        "TMPDIR",
    }

    assert cli.main(["update"]) == 0
    assert "nothing to do: this repository has it already" in capsys.readouterr().out
    # The base is generated anew: however the update was merged, the next one finds it.
    git(mine, "reset", "--quiet", "--soft", head)
    (mine / "NOTES-b.md").unlink()
    commit(mine, "Squashed, without a trailer")
    assert cli.main(["update", "--to", world.noted]) == 0  # the way back
    assert (mine / "NOTES-a.md").read_text() == "of the template\n"
    assert tracked(mine, "conf/gates") == {"conf/gates/default.yaml": yours["conf/gates/default.yaml"]}


def test_a_conflict_is_one_of_git_and_is_mended_as_such(world: World, mine: Path, capsys: Captured) -> None:
    monitor = mine / ".github/workflows/monitor.yml"
    edited(monitor, "cron: '17 5 * * 1'", "cron: '0 0 * * 1'")
    (mine / "NOTES-b.md").write_text("of a person\n")
    head = commit(mine, "What a person changed")
    assert cli.main(["update"]) == 1
    said = capsys.readouterr().err.splitlines()
    assert said == [
        "gitloop update: .github/workflows/monitor.yml: you and the template changed the same lines; edit it, then "
        "`git add .github/workflows/monitor.yml`",
        "gitloop update: then `git cherry-pick --continue`, `make setup`, `gitloop params`, and commit what that "
        "changes; `git cherry-pick --abort` takes all of it back",
    ]
    assert git(mine, "diff", "--name-only", "--diff-filter=U") == ".github/workflows/monitor.yml"
    assert "<<<<<<< HEAD\n    - cron: '0 0 * * 1'" in monitor.read_text()
    assert cli.main(["update"]) == 1
    assert "a merge, cherry-pick or rebase is under way" in capsys.readouterr().err

    copy = mine.with_name("copy")
    subprocess.run(["cp", "-R", str(mine), str(copy)], check=True)
    git(copy, "update-index", "-q", "--refresh", check=False)  # its files are others than those that Git knew
    git(copy, "cherry-pick", "--abort")
    assert (git(copy, "rev-parse", "HEAD"), git(copy, "status", "--porcelain")) == (head, "")

    git(mine, "checkout", "--quiet", "--theirs", str(monitor))
    git(mine, "add", str(monitor))
    git(mine, "-c", "core.editor=true", "cherry-pick", "--continue")
    assert "cron: '18 6 * * 1'" in monitor.read_text()
    assert (mine / "NOTES-b.md").read_text() == "of a person\n"
    assert json.loads((mine / ".gitloop.json").read_text())["commit"] == world.next
    capsys.readouterr()
    assert cli.main(["update"]) == 0
    assert "nothing to do" in capsys.readouterr().out


KILLS = [("threeway", "merge", "after"), ("update", "_commit", "after")]


def test_a_kill_leaves_nothing_behind_and_the_next_run_ends(world: World, mine: Path) -> None:
    head = git(mine, "rev-parse", "HEAD")
    for module, name, when in KILLS:
        code = killed(f"from gitloop.gitops import {module}", module, name, when)
        end = "\nfrom gitloop.cli import main\nsys.exit(main(['update']))\n"
        done = run(mine, sys.executable, "-c", f"import sys\n{code}{end}", check=False, TMPDIR=str(mine.parent))
        assert done.returncode == -9, done.stderr
        assert (git(mine, "rev-parse", "HEAD"), git(mine, "status", "--porcelain")) == (head, "")
        assert git(mine, "worktree", "list").count("\n") == 0
    run(mine, "gitloop", "update")
    assert json.loads((mine / ".gitloop.json").read_text())["commit"] == world.next


def record(**changes: object) -> Callable[[Path], None]:
    def do(mine: Path) -> None:
        path = mine / ".gitloop.json"
        commit(mine, "edited", **{".gitloop.json": json.dumps({**json.loads(path.read_text()), **changes})})

    return do


def text(content: str) -> Callable[[Path], None]:
    return lambda mine: (commit(mine, "edited", **{".gitloop.json": content}), None)[1]


def gone(mine: Path) -> None:
    (mine / ".gitloop.json").unlink()
    commit(mine, "gone")


def dirty(mine: Path) -> None:
    (mine / "README.md").write_text("changed\n")


def nothing(_: Path) -> None:
    pass


def owner(mine: Path) -> None:
    answers = json.loads((mine / ".gitloop.json").read_text())["answers"]
    record(answers={**answers, "contact": "nowhere"})(mine)


BACK = "`git log --all -- .gitloop.json` shows where it was right"


@pytest.mark.parametrize(
    ("before", "arguments", "code", "says"),
    [
        (dirty, [], 1, "README.md: changed and not committed; commit (or `git stash`) it, then run again"),
        (gone, [], 2, f".gitloop.json: not there; an update needs the answers in it: {BACK}"),
        (text("{"), [], 2, ".gitloop.json: is not JSON ("),
        (text("[]"), [], 2, f".gitloop.json: is not a mapping; {BACK}"),
        (record(commit="main"), [], 2, f".gitloop.json: commit: is not the full hash of a commit; {BACK}"),
        (record(answers=None), [], 2, f".gitloop.json: answers: are not there; {BACK}"),
        (record(answers={"owner": 1}), [], 2, f".gitloop.json: answers: owner: is not text; {BACK}"),
        (record(template=1), [], 2, f".gitloop.json: template: is neither text nor null; {BACK}"),
        (record(template=None), [], 2, "say where the template is with --template ADDRESS, or write its address"),
        (record(template="/nowhere/at/all"), [], 2, "/nowhere/at/all: the template cannot be fetched from there ("),
        (record(commit=None), [], 2, "say from which commit of the template with --from COMMIT"),
        (record(commit="a" * 40), [], 2, ".gitloop.json: commit: aaaaaaaaaaaa is not in "),
        (nothing, ["--from", "nonsense"], 2, "with --from COMMIT which commit of it this repository was generated"),
        (nothing, ["--to", "v9.9.9"], 2, "--to v9.9.9: the template has no such tag, branch or commit"),
        (nothing, ["--template", "."], 2, ".: has no cookiecutter.json at "),
        (
            owner,
            [],
            2,
            "generates nothing for these answers: contact: 'nowhere' is neither an e-mail address nor a URL",
        ),
        (nothing, ["--propose", "reports/nothing"], 2, "reports/nothing/update.json: is not what `gitloop update --w"),
    ],
    ids=lambda value: None if isinstance(value, list | int) else getattr(value, "__name__", str(value)[:50]),
)
def test_what_cannot_be_updated_is_refused(
    before: Callable[[Path], None], arguments: list[str], code: int, says: str, mine: Path, capsys: Captured
) -> None:
    before(mine)
    head, status = git(mine, "rev-parse", "HEAD"), git(mine, "status", "--porcelain")
    assert cli.main(["update", *arguments]) == code
    assert says in capsys.readouterr().err
    assert (git(mine, "rev-parse", "HEAD"), git(mine, "status", "--porcelain")) == (head, status)


def test_it_is_run_in_the_root(mine: Path, capsys: Captured, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(mine / "conf")
    assert cli.main(["update"]) == 2
    assert "run it in the root of the repository" in capsys.readouterr().err


def test_without_cookiecutter_it_says_so(mine: Path, capsys: Captured, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gitloop.gitops.template.find_spec", lambda _: None)
    assert cli.main(["update"]) == 2
    assert "cookiecutter: is not installed here, and an update generates with it; run `make setup`" in (
        capsys.readouterr().err
    )


def test_a_newer_gitloop_that_needs_other_packages_is_said(tmp_path: Path) -> None:
    desk = threeway.Scratch(tmp_path / "merge", {})
    (desk.folder / "src/gitloop").mkdir(parents=True)
    (desk.folder / "src/gitloop/__init__.py").write_text("import newest\n")
    assert list(update._parameters(desk)) == [
        "params.yaml: the newer gitloop does not run here (ModuleNotFoundError: No module named 'newest'); "
        "`make setup`, then `gitloop params`"
    ]


def test_a_file_that_git_does_not_know_is_not_overwritten(mine: Path, capsys: Captured) -> None:
    (mine / "conf/colour").mkdir()
    (mine / "conf/colour/red.yaml").write_text("mine\n")
    assert cli.main(["update"]) == 2
    said = capsys.readouterr().err
    assert "conf/colour/red.yaml" in said
    assert "nothing was changed" in said
    assert (mine / "conf/colour/red.yaml").read_text() == "mine\n"


def test_the_newest_release_is_the_default(world: World, mine: Path, tmp_path: Path, capsys: Captured) -> None:
    """Not what the template's branch has beyond it; a branch that was generated from is followed."""
    origin = tmp_path / "tagged"
    git(tmp_path, "clone", "--quiet", str(world.origin), str(origin))
    git(origin, "tag", "v0.9.0", world.first)
    git(origin, "tag", "v0.10.0", world.noted)
    git(origin, "branch", "beta", world.next)
    assert cli.main(["update", "--template", str(origin)]) == 0
    assert "v0.10.0: nothing to do: this repository has it already" in capsys.readouterr().out
    edit(mine / "conf/gates/default.yaml", leakage="much")
    record(checkout="beta")(mine)
    assert cli.main(["update", "--template", str(origin)]) == 1
    said = capsys.readouterr().err
    # What the newer gitloop says against conf/.
    assert "gitloop update: conf/gates/default.yaml: gates.leakage: input should be a valid number" in said
    assert "the update is committed, and asks this of conf/: mend it, then `gitloop params`" in said
    assert git(mine, "status", "--porcelain") == ""
    # Where the template was said to be is a folder of this machine: the address stays as it was.
    kept = json.loads((mine / ".gitloop.json").read_text())
    assert (kept["template"], kept["commit"]) == (str(world.origin), world.next)
