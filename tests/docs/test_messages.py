"""Whatever gitloop says no with is on a page of its own, and who pastes it into the search finds it there."""

from __future__ import annotations

import importlib
import re
import shutil
import subprocess
import threading
from collections.abc import Callable
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from browsing import GET, browsing, chromium
from project import ROOT, edit

from gitloop.cli import main


@pytest.fixture(scope="module")
def code() -> ModuleType:
    """docs/messages.py."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(ROOT / "docs"))
        return importlib.import_module("messages")


@pytest.fixture(scope="module")
def listed(code: ModuleType) -> list[Any]:
    found: list[Any] = code.messages()
    return found


def test_every_form_of_a_message_is_found(code: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Raised at once, put together, for each of several, collected first; docstrings and words in passing are none."""
    (tmp_path / "one.py").write_text('''
"""A module: it has words; they are no message."""
def check(path, names):
    """Look; say what is wrong."""
    wrong = [f"{path}: {name}: is {len(names)}{path} too many; leave it out" for name in names]
    if wrong:
        raise Refused("\\n".join(wrong))
    raise InputError("\\n".join(f"{name}: is | not there" for name in names))
def validator(value):
    if value:
        raise ValueError(f"`{value}` stands alone")
    raise InputError(f"{value}: is " + "put together")
    raise InputError(f"{value}: {value}")
def check(value):
    yield Finding("lock", value, f"holds {value}", "run it again")
def shown(value):
    return f"<b>{value}; as it is</b>", f"Of {value}; that is a sentence."
''')
    monkeypatch.setattr(code, "SOURCE", tmp_path)
    assert {one.text: one.code for one in code.messages()} == {
        "…: is | not there": "2",
        "…: is put together": "2",
        "…: holds …; run it again": "1",
        "`…` stands alone": "2",
        "…: …: is … too many; leave it out": "",
    }
    assert "#### `` `…` stands alone ``\n\nIn `one.py`, exit code 2.\n" in code.page()


@pytest.fixture
def bare(template: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A repository in which nothing has run."""
    for name in ("conf", "environments"):
        shutil.copytree(template / name, tmp_path / name)
    for name in ("params.yaml", "dvc.yaml", "pyproject.toml"):
        shutil.copy(template / name, tmp_path)
    subprocess.run(["git", "init", "--quiet", str(tmp_path)], check=True)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def nothing(_: Path) -> None:
    pass


CASES: list[tuple[list[str], int, Callable[[Path], object]]] = [
    (["explain", "data.windw"], 2, nothing),
    (["params", "data.windw.until=2013-07-01"], 2, nothing),
    (["params", "--check"], 1, lambda root: edit(root / "conf/tuning/optuna.yaml", trials=9)),
    (["params"], 2, lambda root: edit(root / "conf/tuning/optuna.yaml", trails=9)),
    (["params"], 2, lambda root: edit(root / "conf/data/flights.yaml", columns__late={"type": "numeric"})),
    (["params"], 2, lambda root: (root / "conf/config.yaml").unlink()),
    (["init", "none.csv", "--target", "sold"], 2, nothing),
    (["init", "one.csv", "--target", "sold"], 2, lambda root: (root / "one.csv").write_text("a,a\n1,2\n")),
    (["validate"], 2, nothing),
    (["report"], 2, nothing),
    (["rollback", "production"], 2, nothing),
    (["check"], 1, lambda root: edit(root / "conf/tuning/optuna.yaml", trials=9)),
    (["deploy", "production"], 2, lambda root: edit(root / "environments/production.yaml", version="newer")),
]


@pytest.mark.parametrize(("words", "ends", "before"), CASES, ids=lambda one: "-".join(one) if type(one) is list else "")
def test_what_is_said_is_on_the_page(
    words: list[str],
    ends: int,
    before: Callable[[Path], object],
    listed: list[Any],
    bare: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    before(bare)
    assert main(words) == ends
    for line in capsys.readouterr().err.splitlines():
        said = line.removeprefix(f"gitloop {words[0]}: ")
        fitting = [one for one in listed if pattern(one.text).fullmatch(said)]
        assert fitting, said
        assert {one.code for one in fitting} & {str(ends), ""}, said


def pattern(text: str) -> re.Pattern[str]:
    return re.compile(".*" + ".*".join(re.escape(part) for part in text.split("…")) + ".*")


PASTED = (
    "params.yaml: is not what conf/ composes to (first difference: tuning.trials); run `gitloop params`",
    "data/source/x.csv: no such file; put it there or mend `source.path`",
    "conf/data/own.yaml: has a conflict that is yours; edit it, `git add conf/data/own.yaml`, run again",
    "127.0.0.1: port: 3000 cannot be used (in use); stop what uses it, or give another with --port",
    "GITHUB_TOKEN is not accepted (401); it has expired, or is for another server",
)


@pytest.mark.skipif(chromium() is None, reason=GET)
def test_a_pasted_message_is_found(site: Path) -> None:
    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(site))) as server, browsing() as browser:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        page = browser.new_page()
        for said in PASTED:
            page.goto(f"http://127.0.0.1:{server.server_port}/index.html")
            page.click(".md-search__input")
            page.keyboard.insert_text(said[:-1])
            page.keyboard.press(said[-1])
            page.wait_for_selector(".md-search-result__item a", state="attached")
            first = page.locator(".md-search-result__item a").first.get_attribute("href") or ""
            assert "/troubleshooting.html" in first or "/reference/messages.html" in first, (said, first)
        server.shutdown()
