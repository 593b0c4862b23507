"""What surrounds gitloop: Makefiles, locks, pages."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from project import ROOT

from gitloop.contract import Column, Rules
from gitloop.settings import Data

TEMPLATE = ROOT / "<<cookiecutter.project>>"
LOCKS = [ROOT / "requirements.txt", TEMPLATE / "requirements.txt"]


def locked(lock: Path) -> dict[str, list[str]]:
    """Versions by distribution; there are several where they differ by Python or platform."""
    versions: dict[str, list[str]] = {}
    for line in lock.read_text().splitlines():
        if not line.startswith(" "):
            name, _, version = line.split(" ")[0].partition("==")
            versions.setdefault(name, []).append(version)
    return versions


def make(where: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["make", "-C", str(where), *arguments], capture_output=True, text=True, check=False)


@pytest.mark.parametrize("where", [ROOT, TEMPLATE], ids=["template", "project"])
class TestMakefile:
    def test_lists_every_target(self, where: Path) -> None:
        targets = re.findall(r"^\.PHONY: (.+)", (where / "Makefile").read_text(), re.MULTILINE)[0].split()
        assert targets == re.findall(r"^  make (\w+) +\S", make(where).stdout, re.MULTILINE)

    def test_leaves_an_environment_of_somebody_else_alone(self, where: Path) -> None:
        done = make(where, "--dry-run", "setup", f"VENV={sys.prefix}")
        assert "Nothing to be done" in done.stdout

    def test_says_that_python_is_too_old(self, where: Path, tmp_path: Path) -> None:
        for name in ("Makefile", "requirements.txt", "pyproject.toml"):
            (tmp_path / name).write_bytes((where / name).read_bytes())
        old = tmp_path / "python3"
        old.write_text(
            f"#!{sys.executable}\nimport sys\nsys.version_info = (3, 9, 1)\n"
            "exec(sys.argv[sys.argv.index('-c') + 1])\nsys.exit('went on')\n"
        )
        old.chmod(0o755)
        done = make(tmp_path, "setup", f"PYTHON={old}")
        assert done.returncode == 2
        assert "Python 3.11 or newer is needed: make setup PYTHON=python3.12" in done.stderr
        assert "went on" not in done.stderr

    def test_takes_first_what_installs_the_rest(self, where: Path, tmp_path: Path) -> None:
        """pip gets uv and setuptools with all their hashes, and nothing else."""
        script = re.search(r"awk '(/\^\(.+\})' requirements", (where / "Makefile").read_text())
        assert script
        program = script[1].replace("$$", "$")
        command = ["awk", program, str(where / "requirements.txt")]
        first = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        (tmp_path / "first.txt").write_text(first)
        assert sorted(locked(tmp_path / "first.txt")) == ["setuptools", "uv"]
        assert first.count("--hash=sha256:") > 2
        assert not first.rstrip().endswith("\\")


@pytest.mark.parametrize("lock", LOCKS, ids=["template", "project"])
def test_a_lock_has_hashes_and_no_address(lock: Path) -> None:
    lines = lock.read_text().splitlines()
    for index, line in enumerate(lines):
        assert re.match(r"[a-z0-9._-]+(\[[a-z,]+\])?==\S+|    --hash=sha256:[0-9a-f]{64}", line), line
        if not line.startswith(" "):
            assert lines[index + 1].startswith("    --hash="), line
    assert "://" not in lock.read_text()


def test_a_project_and_the_template_use_the_same_versions() -> None:
    """So that a project can run in the template's environment: `make demo` and the tests do."""
    ours, theirs = (locked(lock) for lock in LOCKS)
    assert {name: versions for name, versions in ours.items() if name in theirs} == theirs


@pytest.mark.parametrize("where", [ROOT, TEMPLATE], ids=["template", "project"])
def test_a_lock_is_in_step_with_its_ranges(where: Path) -> None:
    versions = locked(where / "requirements.txt")
    declared = tomllib.loads((where / "pyproject.toml").read_text())
    for text in [*declared["project"]["dependencies"], *declared["dependency-groups"]["dev"]]:
        wanted = Requirement(text)
        for version in versions[canonicalize_name(wanted.name)]:
            assert wanted.specifier.contains(version), text


REMOTES = ("azure", "gs", "s3", "ssh", "webdav")


@pytest.mark.parametrize("name", REMOTES)
def test_what_a_remote_needs_stands_beside_the_lock(name: str) -> None:
    beside, lock = locked(TEMPLATE / f"requirements-{name}.txt"), locked(TEMPLATE / "requirements.txt")
    declared = tomllib.loads((TEMPLATE / "pyproject.toml").read_text())["dependency-groups"][name]
    for wanted in map(Requirement, declared):
        assert all(wanted.specifier.contains(version) for version in beside[wanted.name])
    assert not beside.keys() & lock.keys()


@pytest.mark.parametrize(
    ("url", "installs"), [*((f"{name}://x/y", name) for name in REMOTES), ("webdavs://x", "webdav")]
)
def test_set_up_installs_what_the_remote_needs(url: str, installs: str, tmp_path: Path) -> None:
    """One place says where data are kept: .dvc/config. A change of it is a change of what is installed."""
    for name in ("Makefile", "pyproject.toml", *(path.name for path in TEMPLATE.glob("requirements*.txt"))):
        (tmp_path / name).write_bytes((TEMPLATE / name).read_bytes())
    (tmp_path / ".venv").mkdir()
    (tmp_path / ".venv/.ready").write_text("")  # set up without a remote
    assert "Nothing to be done" in make(tmp_path, "--dry-run", "setup").stdout
    (tmp_path / ".dvc").mkdir()
    (tmp_path / ".dvc/config").write_text(f"[core]\n    remote = a\n['remote \"a\"']\n    url = {url}\n")
    said = make(tmp_path, "--dry-run", "setup").stdout
    assert f"requirements.txt requirements-{installs}.txt\n" in said


def test_what_gitloop_imports_is_declared() -> None:
    """No library is there only because another one happens to bring it."""
    known = {"yaml": "pyyaml", "ruamel": "ruamel-yaml", "hydra": "hydra-core", "sklearn": "scikit-learn"}
    known |= {"github": "pygithub", "markdown_it": "markdown-it-py"}
    declared = {
        canonicalize_name(Requirement(text).name)
        for text in tomllib.loads((TEMPLATE / "pyproject.toml").read_text())["project"]["dependencies"]
    }
    imported = {
        known.get(name, canonicalize_name(name))
        for path in (TEMPLATE / "src").rglob("*.py")
        for one, other in re.findall(
            r"^\s*(?:import ([a-z]\w*)|from ([a-z][\w.]*) import)", path.read_text(), re.MULTILINE
        )
        if (name := (one or other).split(".")[0]) not in sys.stdlib_module_names | {"gitloop", "pydantic_core"}
    }
    assert imported - declared == set()


def test_the_page_about_the_contract_names_every_key() -> None:
    page = (ROOT / "docs/contract.md").read_text()
    for model in (Column, Rules, Data):
        for key in model.model_fields:
            assert f"`{key}`" in page, key
    named = re.findall(r"^\| ((?:`\w+`(?:, )?)+) \|", page, re.MULTILINE)
    keys = {key for cell in named for key in re.findall(r"`(\w+)`", cell)}
    assert keys == {key for model in (Column, Rules, Data) for key in model.model_fields}
