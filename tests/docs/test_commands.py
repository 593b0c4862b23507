"""Commands in the documentation exist, with their options; those of the first pages are run in their order."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import own
import pytest
import warm
from documented import PAGES, Command, blocks, commands, wrong
from project import ROOT, edit, environment, generate, run

RUN = ("start.md", "own-data.md")  # their bash blocks, from generating to a served model of one's own table


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.parent.name + "/" + page.name)
def test_every_command_exists(page: Path) -> None:
    found = [wrong(command) for command in commands(page)]
    assert [line for line in found if line] == []


def test_many_commands_are_looked_at() -> None:
    found = [command for page in PAGES for command in commands(page)]
    assert len(found) > 100
    assert {command.inline for command in found} == {True, False}


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("gitloop trian", "invalid choice: 'trian'"),
        ("gitloop replay --sinse 2013-04-01", "unrecognized arguments: --sinse"),
        ("gitloop init customers.csv", "required: --target"),
        ("gitloop serve --port=many", "invalid int value: 'many'"),
        ("make trian", "no Makefile has the target trian"),
        ("make train OPTION=x", "no Makefile reads OPTION"),
        ("dvc puhs", "invalid choice: 'puhs'"),
        ("dvc remote add --defualt storage URL", "unrecognized arguments: --defualt"),
        ("gitloop params && gitloop gates", "invalid choice: 'gates'"),
    ],
)
def test_a_wrong_command_is_found_with_its_place(text: str, why: str, tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(f"# A page\n\nText.\n\n```bash\nmake setup\n{text}  # as said\n```\n")
    (said,) = filter(None, map(wrong, commands(page)))
    assert said.startswith(f"page.md:7: {text}")
    assert why in said
    page.write_text(f"# A page\n\n| a | b |\n|---|---|\n| x | `{text}` |\n")
    (inline,) = commands(page)
    assert inline == Command(page, 5, text, inline=True)


@pytest.fixture
def small(tmp_path: Path) -> Path:
    """The flights project at a size for a test: ten days, two candidates, no behaviour but what init writes."""
    project = generate(tmp_path)
    assert project.name == "late-flights"
    for name in ("boosting", "forest"):
        (project / f"conf/candidate/{name}.yaml").unlink()
    config = project / "conf/config.yaml"
    config.write_text(config.read_text().replace("[boosting, dummy, forest, linear]", "[dummy, linear]"))
    edit(project / "conf/data/flights.yaml", window__until="2013-01-11")
    edit(project / "conf/evaluation/default.yaml", slice_rows=50)
    edit(project / "conf/gates/default.yaml", slice_floor=None, floor={"roc_auc": 0.55}, behaviour=None)
    run(project, "gitloop", "params")
    run(project, "git", "commit", "--quiet", "--all", "--message", "Smaller")
    return project


def installed(venv: Path) -> Path:
    """What `make setup` would make, with all that is here; its commands start warm."""
    here = Path(sys.prefix)
    (venv / "bin").mkdir(parents=True)
    for path in (*here.iterdir(), *(here / "bin").iterdir()):
        if path.name not in ("bin", "activate", *warm.NAMES):
            (venv / path.relative_to(here)).symlink_to(path)
    activate = (here / "bin/activate").read_text()
    (venv / "bin/activate").write_text(activate.replace(str(here), str(venv)))
    for name in warm.NAMES:
        program = venv / "bin" / name
        program.write_text(f'#!/bin/sh\nexec {warm.commands() / name} "$@"\n')
        program.chmod(0o755)
    return venv


def test_what_the_first_pages_say_works(small: Path, tmp_path: Path) -> None:
    """Every bash block of start.md and own-data.md, in one shell, as it stands there."""
    project = small
    script = ["set -euo pipefail"]
    for name in RUN:
        if name == "own-data.md":
            own.imbalanced(2000).rename(columns={"fraud": "churned"}).to_csv(project / "customers.csv", index=False)
        for block in blocks(ROOT / "docs" / name):
            if block.kind == "bash":
                for number, line in enumerate(block.text.splitlines()):
                    script += [f"echo '@@ docs/{name}:{block.line + number}' >&2", line]
    venv = installed(project / ".venv")
    env = environment(project, VENV=str(venv))
    done = subprocess.run(
        ["bash", "-c", "\n".join(script)], cwd=tmp_path, env=env, capture_output=True, text=True, check=False
    )
    last = [line for line in done.stderr.splitlines() if line.startswith("@@")][-1:]
    assert done.returncode == 0, f"{last}\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
    assert f"docs/{RUN[-1]}" in last[0]
    # What start.md says there is, and what own-data.md says is written.
    for name in (
        "reports/profile.html",
        "reports/plots",
        "MODEL_CARD.md",
        "metrics",
        "predictions",
        "reports/report.md",
    ):
        assert (project / name).exists(), name
    assert (project / "conf/data/customers.yaml").is_file()
    assert "churned" in (project / "MODEL_CARD.md").read_text()
