"""Two that watch at once, and one that is killed: one pull request, no window lost, the same end."""

from __future__ import annotations

import shutil
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from pathlib import Path

import pytest
import year
from killing import killed
from project import edit, environment, run
from repositories import git

from gitloop.gitops.local import Local

SINCE, UNTIL = datetime(2013, 4, 1), datetime(2013, 5, 1)
MONITOR = ("monitor", "--since", f"{SINCE:%Y-%m-%d}", "--until", f"{UNTIL:%Y-%m-%d}")
VERBS = (("recall",), MONITOR, ("decide",), ("act",))


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bare origin and a clone whose version has answered the flights of April: the weather is another."""
    folder = tmp_path_factory.mktemp("watched")
    with year.made(folder, every=20, trees=10) as made:
        edit(made.root / "conf/monitoring/default.yaml", policy={"windows": 1, "needed": 1, "retire": 3})
        year.train()
        version = year.release(made)
        rows = year.between(made, SINCE, UNTIL)
        year.log(made.models[version], version, rows, year.asked(made.models[version], rows).scores)
        year.tell(rows, UNTIL)
        made.root.rename(folder / "clone")
    return folder


def copied(site: Path, to: Path, *clones: str) -> Path:
    shutil.copytree(site / "origin.git", to / "origin.git")
    for name in clones:
        shutil.copytree(site / "clone", to / name, symlinks=True)
    return to


def reports(clone: Path) -> dict[str, bytes]:
    """What monitor and decide leave, of Evidently's pages the names: they order categories by hash."""
    folder = clone / "reports"
    found = [folder / "decision.json", *sorted((folder / "monitoring").glob("*.json"))]
    pages = {str(path.relative_to(folder)): b"" for path in (folder / "monitoring").rglob("*.*") if path not in found}
    return pages | {str(path.relative_to(folder)): path.read_bytes() for path in found}


def ends(origin: Path) -> tuple[list[tuple[str, str]], list[str], str]:
    """The pull requests, the files of branch monitoring and what is in them, and the tree that is proposed."""
    pulls = [(one.title, one.state) for one in Local(origin).pulls(state="all")]
    kept = git(origin, "ls-tree", "-r", "monitoring").splitlines()
    return pulls, kept, git(origin, "rev-parse", "gitloop/retrain^{tree}")


@pytest.fixture(scope="module")
def both(site: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two clones of one origin in which the same is done at the same time."""
    folder = copied(site, tmp_path_factory.mktemp("both"), "one", "two")

    def watch(name: str) -> None:
        for verb in VERBS:
            run(folder / name, "gitloop", *verb)

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(watch, ("one", "two")))
    return folder


def test_two_at_once_make_one_pull_request(both: Path) -> None:
    assert reports(both / "one") == reports(both / "two")
    pulls, kept, _ = ends(both / "origin.git")
    assert pulls == [("Retrain with data until 2013-05-01", "open")]
    assert [line.split("\t")[1] for line in kept] == [
        "decisions/2013-05-01T000000.json",
        "windows/2013-05-01T0000.json",
    ]


def kill(clone: Path, verb: tuple[str, ...], where: str, name: str) -> None:
    """Run a verb that is killed as it calls `where.name`."""
    code = killed("from gitloop.monitoring import decide, monitor", where, name, "before")
    command = [sys.executable, "-c", f"{code}\nfrom gitloop.cli import main; main({list(verb)})"]
    done = subprocess.run(command, cwd=clone, env=environment(clone), capture_output=True, check=False)
    assert done.returncode == -signal.SIGKILL, done.stderr.decode()


def test_killed_in_its_middle_and_run_again_it_ends_the_same(both: Path, site: Path, tmp_path: Path) -> None:
    """Once when all but the result is there, once when all but the decision is."""
    clone = copied(site, tmp_path, "clone") / "clone"
    kill(clone, MONITOR, "monitor.findings", "write")
    assert list((clone / "reports/monitoring").rglob("*.html"))
    assert not list((clone / "reports/monitoring").glob("*.json")), "a window that was not looked at to its end"
    run(clone, "gitloop", *MONITOR)
    kill(clone, ("decide",), "decide", "write_json")
    assert not (clone / "reports/decision.json").exists()
    for verb in VERBS[2:]:
        run(clone, "gitloop", *verb)
    assert reports(clone) == reports(both / "one")
    assert ends(tmp_path / "origin.git") == ends(both / "origin.git")
