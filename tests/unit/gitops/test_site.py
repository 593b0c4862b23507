"""`gitloop site` in a repository with a life behind it, and in those that have none yet."""

from __future__ import annotations

import json
import shutil
import stat
from pathlib import Path
from typing import Any

import pytest
from lived import Life, live
from repositories import commit, git

from gitloop.cli import main
from gitloop.gitops import site
from gitloop.monitoring.findings import named

Said = pytest.CaptureFixture[str]


@pytest.fixture(scope="module")
def lived(tmp_path_factory: pytest.TempPathFactory, stock: dict[str, Any]) -> Life:
    return live(tmp_path_factory.mktemp("lived"), stock, versions=4, windows=10)


@pytest.fixture
def life(lived: Life, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Life:
    """A copy, in whose clone the test works."""
    shutil.copytree(lived.folder, tmp_path / "life")
    git(tmp_path / "life/clone", "remote", "set-url", "origin", str(tmp_path / "life/origin.git"))
    monkeypatch.chdir(tmp_path / "life/clone")
    monkeypatch.delenv("GITHUB_REPOSITORY", raising=False)
    copy = Life.__new__(Life)
    copy.folder, copy.bare, copy.clone = tmp_path / "life", tmp_path / "life/origin.git", tmp_path / "life/clone"
    copy.params = lived.params
    return copy


def index() -> str:
    return Path("site/index.html").read_text(encoding="utf-8")


def test_all_that_git_knows_is_on_the_page_and_a_second_run_changes_nothing(life: Life, capsys: Said) -> None:
    life.proposed("gitloop/retrain", "Retrain with data until 2026-03-16", "gitloop:retrain")
    life.proposed("gitloop/evil", "<script>alert(1)</script>", "gitloop:promote")
    life.proposed("feature", "Somebody's own", "mine")
    assert main(["site"]) == 0
    assert "site/index.html: 4 versions, 10 windows" in capsys.readouterr().out
    html = index()
    for words in (
        "Late flights",
        "v0.4.0",
        "rolled back",
        "24 expected rows, median 3.1 ms",
        "Retrain with data until",
    ):
        assert words in html, words
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in html
    assert "Somebody" not in html
    assert (html.count("✓</span> passed"), html.count("✕</span> failed")) == (7, 1)
    assert "roc_auc in 8 of 10 windows" in html
    assert git(Path(), "status", "--porcelain") == ""
    assert [path.name for path in Path("site").iterdir()] == ["index.html"]
    before = Path("site/index.html").read_bytes()
    assert main(["site"]) == 0
    assert Path("site/index.html").read_bytes() == before


def test_another_clone_makes_the_same_page(life: Life, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert main(["site"]) == 0
    html = index()
    git(tmp_path, "clone", "--quiet", str(life.bare), "other")
    monkeypatch.chdir(tmp_path / "other")
    assert main(["site"]) == 0
    assert index() == html


def test_the_page_is_of_main_whatever_is_checked_out(life: Life) -> None:
    assert main(["site"]) == 0
    html = index()
    git(Path(), "switch", "--quiet", "--create", "work")
    commit(Path(), "work", metrics__evaluation="{}")
    Path("environments/production.yaml").write_text("version: nonsense\n")
    assert main(["site"]) == 0
    assert index() == html


def test_a_repository_in_which_nothing_happened_yet(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Said
) -> None:
    monkeypatch.delenv("GITHUB_REPOSITORY", raising=False)
    monkeypatch.chdir(tmp_path)
    assert main(["site"]) == 2
    assert "not a git repository" in capsys.readouterr().err
    git(tmp_path, "init", "--quiet", "--initial-branch=main")
    assert main(["site"]) == 0
    for words in ("No version yet", "No window was kept yet", "No model was trained on main yet", "Not shown"):
        assert words in index(), words
    commit(tmp_path, "first", conf__a="a: 1")
    assert main(["site"]) == 0
    assert "of main" in index()
    said = capsys.readouterr()
    assert "site/index.html: 0 versions, 0 windows" in said.out
    assert "warning: Open pull requests are not shown: nobody could be asked. origin: is not set" in said.err


def test_evidentlys_reports_lie_beside_the_page(life: Life) -> None:
    found = site.gathered([]).windows
    for one in (found[2], found[5]):
        folder = Path("reports/monitoring") / named(one.end)
        folder.mkdir(parents=True)
        (folder / "v0.2.0.html").write_text(one.until)
        (folder / "v0.2.0.json").write_text("{}")
    assert main(["site"]) == 0
    pages = [path.relative_to("site").as_posix() for path in Path("site/reports").rglob("*") if path.is_file()]
    assert pages == [f"reports/{named(found[5].end)}/v0.2.0.html"]
    assert f'href="{pages[0]}"' in index()
    assert Path("site", pages[0]).read_text() == found[5].until


def test_the_page_is_written_whole_or_not_at_all(life: Life, monkeypatch: pytest.MonkeyPatch, capsys: Said) -> None:
    assert main(["site"]) == 0
    html = index()
    folder = Path("reports/monitoring") / named(site.gathered([]).windows[-1].end)
    folder.mkdir(parents=True)
    (folder / "v0.4.0.html").write_text("x")

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(shutil, "copyfile", full)
        assert main(["site"]) == 2
    assert "site: cannot be written (No space left on device)" in capsys.readouterr().err
    assert index() == html
    assert [path.name for path in Path().glob(".site*")] == []
    assert main(["site"]) == 0
    assert Path("site/reports").is_dir()


def test_a_file_of_the_branch_that_is_broken_is_left_out(life: Life, capsys: Said) -> None:
    clone = life.folder / "monitoring"
    git(life.folder, "clone", "--quiet", "--branch", "monitoring", str(life.bare), str(clone))
    one, other = sorted((clone / "windows").glob("*.json"))[:2]
    one.write_text("{")
    other.write_text(json.dumps(json.loads(other.read_text()) | {"until": "<b>never</b>"}))
    sorted((clone / "decisions").glob("*.json"))[0].write_text("[]")
    (clone / "windows/notes.txt").write_text("mine")
    git(clone, "add", "--all")
    git(clone, "commit", "--quiet", "--message", "broken")
    git(clone, "push", "--quiet")
    assert main(["site"]) == 0
    said = capsys.readouterr()
    assert "4 versions, 8 windows" in said.out
    notes = [line for line in said.err.splitlines() if "is not what gitloop writes" in line]
    assert [line.split()[1] for line in notes] == [
        "decisions/2026-01-12T000000.json",
        f"windows/{one.name}",
        f"windows/{other.name}",
    ]
    assert "is left out" in index()
    assert "never" not in index()


def test_without_origin_it_shows_what_was_fetched(life: Life, capsys: Said) -> None:
    shutil.rmtree(life.bare)
    assert main(["site"]) == 0
    assert "windows are those that were fetched last" in capsys.readouterr().err
    assert "roc_auc in 8 of 10 windows" in index()
    assert "Not shown: the forge could not be asked" in index()
    assert str(life.folder) not in index()  # nothing of this machine


def test_what_cannot_be_read_of_a_version_or_of_main_is_left_out(life: Life, capsys: Said) -> None:
    commit(Path(), "broken", metrics__evaluation='{"metric": "roc_auc", "metrics": {}}', metrics__selected="{")
    git(Path(), "tag", "--annotate", "model@v0.5.0", "--message", "Registered v0.5.0: broken")
    git(Path(), "push", "--quiet", "origin", "main")
    assert main(["site"]) == 0
    assert "5 versions" in capsys.readouterr().out
    assert "Gates are not shown: params.yaml or metrics/evaluation.json of main is not what gitloop writes." in index()
    commit(Path(), "none", metrics__evaluation="[", environments__production="x")
    (Path() / "environments/production.yaml").write_text("- no\n")
    commit(Path(), "none of it")
    git(Path(), "push", "--quiet", "origin", "main")
    assert main(["site"]) == 0
    assert "No model was trained on main yet" in index()


@pytest.mark.parametrize(
    ("url", "address"),
    [
        ("https://user:token@github.com/octo/flights.git", "https://github.com/octo/flights"),
        ("https://github.com/octo/flights/", "https://github.com/octo/flights"),
        ("git@github.com:octo/flights.git", "https://github.com/octo/flights"),
        ("ssh://git@github.com/octo/flights.git", ""),
        ("/srv/flights.git", ""),
        ("javascript://alert(1)", ""),
    ],
)
def test_commits_are_linked_where_origin_has_a_page(life: Life, url: str, address: str) -> None:
    git(Path(), "remote", "set-url", "origin", url)
    assert site._address() == address


def test_it_is_opened_in_a_browser(life: Life, monkeypatch: pytest.MonkeyPatch) -> None:
    browser = life.folder / "browser"
    browser.write_text(f'#!/bin/sh\necho "$1" > {life.folder}/opened\n')
    browser.chmod(browser.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setattr("webbrowser._tryorder", None)
    monkeypatch.setenv("BROWSER", f"{browser} %s")
    assert main(["site", "--open"]) == 0
    assert (life.folder / "opened").read_text().strip() == (life.clone / "site/index.html").as_uri()
