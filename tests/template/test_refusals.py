"""Answers that cannot work: one line for each, and nothing is generated."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from cookiecutter.exceptions import FailedHookException
from project import generate, template

Captured = pytest.CaptureFixture[str]


def refused(where: Path, captured: Captured, **answers: str) -> list[str]:
    """Generate, which must fail and leave nothing; the lines that say why."""
    with pytest.raises(FailedHookException):
        generate(where, git=False, **answers)
    assert list(where.iterdir()) == []
    lines = captured.readouterr().err.splitlines()
    assert all(line.startswith("cookiecutter-gitloop: ") for line in lines)
    return [line.removeprefix("cookiecutter-gitloop: ") for line in lines]


@pytest.mark.parametrize(
    ("answers", "line"),
    [
        ({"packge": "x"}, "packge: is not a question; did you mean package?"),
        ({"zzz": "x"}, "zzz: is not a question; there are contact, handle, license, owner, package, project,"),
        ({"_template": "x"}, "_template: is not a question"),
        ({"project_name": " ", "project": "x"}, "project_name: is empty; give a name"),
        ({"owner": ""}, "owner: is empty; give a name"),
        ({"project_name": "costs ${x}"}, "project_name: has ${, which the configuration would read as a variable"),
        ({"owner": "<# x #>"}, "owner: is empty"),  # cookiecutter reads answers as templates
        ({"owner": "two\nlines"}, "owner: has a line break or a control character; remove it"),
        ({"owner": "a\u2028b"}, "owner: has a line break or a control character; remove it"),
        ({"project": "Late Flights", "package": "x"}, "project: 'Late Flights' cannot name the repository"),
        ({"project": "-x", "package": "x"}, "project: '-x' cannot name the repository"),
        (
            {"project": "scikit_learn", "package": "x"},
            "project: 'scikit_learn' is the name of a package that the project needs",
        ),
        ({"project": "gitloop", "package": "x"}, "project: 'gitloop' is the name of a package"),
        ({"package": "my-package"}, "package: 'my-package' cannot be imported; use small letters"),
        ({"package": "2fast"}, "package: '2fast' cannot be imported"),
        ({"package": "größe"}, "package: 'größe' cannot be imported"),
        ({"package": ""}, "package: '' cannot be imported"),
        ({"package": "class"}, "package: 'class' is a word of Python; choose another"),
        ({"package": "match"}, "package: 'match' is a word of Python; choose another"),
        ({"package": "yes"}, "package: 'yes' is a word of YAML; choose another"),
        ({"package": "email"}, "package: 'email' is a module of Python; choose another"),
        ({"package": "gitloop"}, "package: 'gitloop' is the name of a package that the project needs"),
        ({"package": "tests"}, "package: 'tests' is the name of a package that the project needs"),
        ({"package": "sklearn"}, "package: 'sklearn' is the name of a package that the project needs"),
        ({"package": "pandas"}, "package: 'pandas' is the name of a package that the project needs"),
        ({"handle": "not a handle"}, "handle: 'not a handle' is not a GitHub user or org/team"),
        ({"contact": "nowhere"}, "contact: 'nowhere' is neither an e-mail address nor a URL"),
        ({"remote": "s4://bucket"}, "remote: s4:// is not supported; did you mean s3?"),
        ({"remote": "ftp://host/x"}, "remote: ftp:// is not supported; use one of s3, gs, azure, ssh, webdavs"),
        ({"remote": "s3://"}, "remote: 's3://' names no place; write s3://<bucket or host>/<path>"),
        ({"remote": "store"}, "remote: 'store' is not an absolute path; give one, or a URL"),
        ({"remote": "~/store"}, "remote: '~/store' is not an absolute path"),
        ({"remote": "ssh://me:secret@host/x"}, "remote: has a password in it; leave it out"),
        ({"start": "own", "table": "sales.csv"}, "table: 'sales.csv' names no column to predict; write TABLE#COLUMN"),
        ({"start": "own", "table": "#sold"}, "table: '#sold' names no column to predict"),
        ({"start": "own", "table": "sales.csv#sold"}, "table: 'sales.csv' is not in /"),
        (
            {"table": "https://example.org/sales.csv#sold"},
            "table: belongs to the start from your own data; say start=own",
        ),
        ({"remote": "/a#b"}, "remote: '/a#b' has a character that DVC's configuration cannot hold"),
        ({"remote": "s3://a b"}, "remote: 's3://a b' has a character that DVC's configuration cannot hold"),
    ],
    ids=lambda value: "-".join(f"{k}={v}" for k, v in value.items())[:40] if isinstance(value, dict) else "",
)
def test_a_wrong_answer_is_refused(answers: dict[str, str], line: str, tmp_path: Path, capfd: Captured) -> None:
    said = refused(tmp_path, capfd, **answers)
    assert len(said) == 1, said
    assert said[0].startswith(line)
    assert "secret" not in said[0]


def test_a_remote_inside_of_the_project_is_refused(tmp_path: Path, capfd: Captured) -> None:
    place = tmp_path / "late-flights/store"
    assert refused(tmp_path, capfd, remote=str(place)) == [
        f"remote: '{place}' lies inside the project; give a folder outside of it"
    ]


def test_a_table_without_make_is_refused(tmp_path: Path, capfd: Captured, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin/git").symlink_to(shutil.which("git") or "")
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    (tmp_path / "out").mkdir()
    said = refused(tmp_path / "out", capfd, start="own", table="https://example.org/sales.csv#sold")
    assert said == ["table: needs make, which sets up what reads it; install it, or leave it empty"]


def test_all_that_is_wrong_is_said_at_once(tmp_path: Path, capfd: Captured) -> None:
    said = refused(tmp_path, capfd, handel="x", package="class", remote="store", contact="nowhere")
    assert [line.split(":")[0] for line in said] == ["handel", "package", "contact", "remote"]


def test_an_answer_that_is_not_text_is_refused(tmp_path: Path, capfd: Captured) -> None:
    assert refused(tmp_path, capfd, owner=None) == ["owner: is not text"]  # type: ignore[arg-type]


def test_a_choice_that_is_none_is_refused(tmp_path: Path) -> None:
    """By cookiecutter itself, before any hook of ours."""
    with pytest.raises(ValueError, match=re.escape("the choices are ['flights', 'own']")):
        generate(tmp_path, git=False, start="flihgts")
    assert list(tmp_path.iterdir()) == []


def test_the_command_line_ends_with_1_and_no_traceback(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "cookiecutter", str(template()), "--no-input", "--output-dir", str(tmp_path)]
    command += ["--config-file", str(template().parent / "config.yaml"), "packge=x"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr.splitlines()[0] == "cookiecutter-gitloop: packge: is not a question; did you mean package?"
    assert "Traceback" not in done.stdout + done.stderr
    assert list(tmp_path.iterdir()) == []
