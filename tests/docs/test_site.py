"""The site is built without a warning; what it says of verbs, settings, variables and messages is what there is."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from project import ROOT
from pydantic import BaseModel

from gitloop import cli
from gitloop.contract import Column, Rules
from gitloop.gitops.environment import Environment
from gitloop.settings import Data, Settings
from gitloop.settings_reference import reference

TEMPLATE = ROOT / "<<cookiecutter.project>>"
FROM_ELSEWHERE = re.compile(r'<(?:script|link|img)\b[^>]*?(?:src|href)="?(https?://[^">\s]+)')


def test_every_verb_and_setting_is_there(site: Path) -> None:
    verbs = (site / "reference/verbs.html").read_text()
    for name, verb in cli.VERBS.items():
        assert f'id="gitloop-{name}"' in verbs, name
        assert verb.does[1:].split(",")[0] in verbs.replace("&#x27;", "'").replace("&lt;", "<"), name
    assert "<code>--champion REV</code>" in verbs
    settings = (site / "reference/settings.html").read_text()
    for one in reference({}, Settings):
        group, _, key = one.key.partition(".")
        assert f'id="{group}"' in settings
        assert not key or f"<td><code>{key}</code></td>" in settings, one.key
    environments = (site / "reference/environments.html").read_text()
    assert all(f"<td><code>{one.key}</code></td>" in environments for one in reference({}, Environment))
    workflows = (site / "reference/workflows.html").read_text()
    for path in (TEMPLATE / ".github/workflows").glob("*.yml"):
        assert f">{path.name}<" in workflows
    assert "to commit dvc.lock and metrics back" in workflows


def test_every_page_is_in_the_navigation_once() -> None:
    pages = re.findall(r"([\w/-]+\.md)$", (ROOT / "mkdocs.yml").read_text(), re.MULTILINE)
    assert len(pages) == len(set(pages)) > 15


def test_every_setting_is_described() -> None:
    bare = [one.key for model in (Settings, Environment) for one in reference({}, model) if not one.description]
    assert bare == []


@pytest.mark.parametrize(("heading", "model"), [("## Top level", Data), ("## A column", Column), ("## Rules", Rules)])
def test_the_page_of_the_contract_has_its_keys_and_no_others(heading: str, model: type[BaseModel]) -> None:
    """Written by hand, for what stands beside each: so it is held to the settings."""
    section = (ROOT / "docs/contract.md").read_text().partition(f"{heading}\n")[2].partition("\n## ")[0]
    keys = [name for row in re.findall(r"^\| (`.+?) \|", section, re.MULTILINE) for name in re.findall(r"`(\w+)`", row)]
    assert sorted(keys) == sorted(model.model_fields)


def test_the_table_of_checks_has_all_that_check_finds() -> None:
    table = (ROOT / "docs/loop.md").read_text().partition("| the check says no |")[2].partition("\n\n")[0]
    source = (TEMPLATE / "src/gitloop/gitops/checks.py").read_text()
    found = set(re.findall(r"Finding\(\s*\"(\w+)\"", source)) | {"params", "contract"}
    assert set(re.findall(r"^\| `(\w+)` \|", table, re.MULTILINE)) == found
    assert len(found) > 5


def test_nothing_is_fetched_from_elsewhere(site: Path) -> None:
    pages = [path.read_text() for path in site.rglob("*.html")]
    assert len(pages) > 15
    assert [found for page in pages for found in FROM_ELSEWHERE.findall(page)] == []


def test_a_link_to_nowhere_is_found(build: Any, tmp_path: Path) -> None:
    (tmp_path / TEMPLATE.name).symlink_to(TEMPLATE)
    (tmp_path / "mkdocs.yml").write_text((ROOT / "mkdocs.yml").read_text())
    (tmp_path / "docs").mkdir()
    for path in (ROOT / "docs").iterdir():
        if path.name != "start.md":
            (tmp_path / "docs" / path.name).symlink_to(path)
    (tmp_path / "docs/start.md").write_text("# Start\n\n[Gone](gone.md), [there](loop.md#gone)\n")
    done = build(tmp_path, tmp_path / "site")
    assert done.returncode == 1
    assert "'start.md' contains a link 'gone.md', but the target is not found" in done.stderr
    assert "does not contain an anchor '#gone'" in done.stderr


def asked() -> set[str]:
    """Every variable and secret that a workflow or an action of a project reads."""
    text = "".join(path.read_text() for path in (TEMPLATE / ".github").rglob("*.yml"))
    return set(re.findall(r"(?:\bvars|\bsecrets|fromJSON\(inputs\.vars\))\.([A-Z][A-Z0-9_]+)", text))


def tabled(heading: str) -> list[str]:
    section = (ROOT / "docs/operating.md").read_text().partition(heading)[2].partition("\n\nOn a machine")[0]
    return [name for row in re.findall(r"^\| (`.+?) \|", section, re.MULTILINE) for name in re.findall(r"`(\w+)`", row)]


def test_every_variable_and_secret_is_in_the_table_once() -> None:
    assert len(asked()) > 10
    assert sorted(tabled("## Variables and secrets")) == sorted(asked())


def test_environment_variables_are_those_that_are_read() -> None:
    source = "".join(path.read_text() for path in (TEMPLATE / "src").rglob("*.py"))
    source += (TEMPLATE / "Makefile").read_text()
    section = (ROOT / "docs/operating.md").read_text().partition("On a machine")[2].partition("\n\nWhat a service")[0]
    for name in re.findall(r"`([A-Z_]+)`", section):
        assert re.search(rf"['\"(]{name}\b", source), name


@cache
def said() -> list[str]:
    """Every text in the code, `…` for what is put in."""
    texts: list[str] = []
    for path in (TEMPLATE / "src/gitloop").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.JoinedStr):
                parts = [one.value if isinstance(one, ast.Constant) else "…" for one in node.values]
                texts.append("".join(map(str, parts)))
            elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                texts.append(node.value)
    return texts


def spoken(message: str) -> bool:
    """Whether one text of the code holds the parts of a message between its `…`, in their order."""
    parts = [re.escape(part.strip()) for part in message.split("…") if part.strip(" :;,.")]
    pattern = re.compile(".*".join(parts), re.DOTALL)
    return any(pattern.search(text) for text in said())


def messages() -> list[str]:
    page = (ROOT / "docs/troubleshooting.md").read_text()
    headings = re.findall(r"^#### (?:`` (.+?) ``|`(.+?)`)\n\n\S", page, re.MULTILINE)
    return [one or other for one, other in headings]


@pytest.mark.parametrize("message", messages())
def test_a_message_is_one_that_gitloop_says(message: str) -> None:
    assert spoken(message)


def test_a_message_that_nobody_says_is_found() -> None:
    assert len(messages()) > 30
    assert spoken("…: has no rows; widen the window in …")
    assert not spoken("…: has no rows; widen the door in …")
    assert not spoken("widen the window in …: has no rows")


def test_pictures_are_small_and_made_by_the_script() -> None:
    """`make screenshots` takes them; a picture that no page shows is none."""
    script = (ROOT / "docs/screenshots.py").read_text()
    pages = "".join(path.read_text() for path in (ROOT / "docs").glob("*.md"))
    for path in (ROOT / "docs/images").iterdir():
        assert f'"{path.name}"' in script
        assert f"(images/{path.name})" in pages
        assert 1_000 < path.stat().st_size <= 150_000
