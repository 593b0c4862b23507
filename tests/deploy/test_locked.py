"""Years later: a version runs with the packages that it locked, whatever is installed by then."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import psutil
import pytest
from deployed import Site, environment, opened
from repositories import git
from service import SOURCE, free_port, wait

from gitloop.gitops import packages, processes

LOCK = "requirements-serving.txt"
# One that the service imports, in a version that nobody has any more; its wheel serves every Python.
OLD = """certifi==2026.7.22 \\
    --hash=sha256:62f22742b58a1a33014a2b6b706588a8d7e2a88ae7bd1a6ebe8c992928483775 \\
    --hash=sha256:741e2c3b351ddf169a738da9f2c048608ff7f2c5cc02f1ebc6b118bb090d5d55
"""
TELLS = "import certifi\nprint('certifi', certifi.__version__, flush=True)\n"


def _with(lock: str, pin: str) -> str:
    """The lock with another pin in the place of the one of that package."""
    name = pin.partition("==")[0]
    before, _, rest = lock.partition(f"\n{name}==")
    lines = rest.splitlines(keepends=True)
    end = next(index for index, line in enumerate(lines) if not line.rstrip().endswith("\\")) + 1
    return f"{before}\n{pin}{''.join(lines[end:])}"


@pytest.fixture
def later(site: Site, tmp_path: Path) -> Iterator[Site]:
    """A fresh clone, where data and models come from a remote. v0.5.0 locks an old package, v0.6.0 what is here."""
    lock = (SOURCE.parent / LOCK).read_text()
    for command in (["remote", "add", "--default", "storage", str(tmp_path / "remote")], ["push", "--quiet"]):
        subprocess.run([sys.executable, "-m", "dvc", *command], cwd=site.root, env=environment(), check=True)
    desk = site.root / "src/gitloop/serving/desk.py"
    desk.write_text(desk.read_text().replace("\nimport ", f"\n{TELLS}import ", 1))
    for version, locked in (("v0.5.0", _with(lock, OLD)), ("v0.6.0", lock)):
        (site.root / LOCK).write_text(locked)
        git(site.root, "add", "--all")
        git(site.root, "commit", "--quiet", "--message", version)
        git(site.root, "tag", "--annotate", f"model@{version}", "--message", f"Registered {version}: a test")
        git(site.root, "push", "--quiet", str(tmp_path / "site/origin.git"), "main", f"model@{version}")
    git(tmp_path, "clone", "--quiet", str(tmp_path / "site/origin.git"), "fresh")
    with opened(tmp_path / "fresh") as made:
        yield made


def _loaded(site: Site) -> set[str]:
    """From where the service has numpy's compiled code."""
    running = [one for mark in site.services() for one in processes.marks(mark)[mark]]
    paths = {each.path for one in running for each in one.memory_maps()}
    return {path.partition("/lib/python")[0] for path in paths if "/site-packages/numpy/" in path}


def test_a_version_is_fetched_verified_and_served_with_what_it_locked(later: Site) -> None:
    assert "v0.5.0 is in model-v0.5.0" in later.verb("fetch", "v0.5.0").stdout
    said = later.becomes("v0.5.0")
    assert "v0.5.0: certifi==2026.7.22: not installed here, so an environment is made" in said
    assert "ready, 10 expected rows as recorded" in said
    (log,) = (later.folder / "services").glob("*/log")
    assert "certifi 2026.07.22\n" in log.read_text()
    (made,) = (path for path in (later.root / ".deploy/.packages").iterdir() if path.is_dir())
    assert _loaded(later) == {str(made)}

    # For a version that asks for what is here nothing is installed.
    assert "an environment is made" not in later.becomes("v0.6.0")
    assert _loaded(later) == {str(Path(sys.prefix))}

    # By hand, for a person: the same, at a port of their own, beside what is deployed, from what was made before.
    port = free_port()
    command = [sys.executable, "-m", "gitloop", "serve", "--version", "v0.5.0", "--port", str(port)]
    served = later.root / f".deploy/.served/{port}"
    with (later.root / "served.log").open("wb") as out:
        process = subprocess.Popen(command, cwd=later.root, env=environment(), stdout=out, stderr=out)
    try:
        wait(f"http://127.0.0.1:{port}", process, later.root / "served.log")
        expected = json.loads((later.root / "model-v0.5.0/expected.json").read_text())
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=30, trust_env=False) as client:
            answers = [client.post("/predict", json=row).json() for row in expected["rows"]]
        assert [one["probability"] for one in answers] == pytest.approx(expected["scores"], abs=1e-5)
        assert {one["version"] for one in answers} == {"v0.5.0"}
        assert psutil.Process(process.pid).cwd() == str(served / "v0.5.0")
        assert "certifi 2026.07.22" in (later.root / "served.log").read_text()
        assert "an environment is made" not in (later.root / "served.log").read_text()
        assert len(list((served / "predictions").glob("*.jsonl"))) == 1
    finally:
        process.terminate()
        process.wait(timeout=30)
    assert git(later.root, "status", "--porcelain", "--untracked-files=no") == "M environments/production.yaml"


@pytest.mark.parametrize("broken", ["offline", "a hash", "no uv"])
def test_packages_that_cannot_be_had(
    broken: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "v0.5.0"
    (folder / "model").mkdir(parents=True)
    (folder / "model/signature.json").write_text('{"format": "onnx"}')
    (folder / "model/lineage.json").write_text("{}")
    lock = folder / LOCK
    lock.write_text(OLD)
    reason = "certifi"
    if broken == "offline":
        monkeypatch.setenv("UV_OFFLINE", "1")
        monkeypatch.setenv("UV_CACHE_DIR", str(tmp_path / "empty"))
    elif broken == "a hash":
        lock.write_text(OLD.replace("sha256:6", "sha256:7").replace("sha256:74", "sha256:84"))
        reason = "Hash mismatch"
    else:
        monkeypatch.setattr(packages.layout, "program", lambda name: str(tmp_path / name))
        monkeypatch.setattr(packages.shutil, "which", lambda _: None)
        reason = "uv is not installed"
    with pytest.raises(packages.InputError) as error:
        packages.interpreter(folder, tmp_path)
    assert str(error.value).startswith(f"v0.5.0: {LOCK}: ")
    assert reason in str(error.value)
    assert str(error.value).endswith("where uv's cache holds them" if broken != "no uv" else "run `make setup`")
    assert "v0.5.0: certifi==2026.7.22: not installed here" in capsys.readouterr().out
    assert [path for path in (tmp_path / ".packages").iterdir() if path.is_dir()] == []


def test_a_version_that_locks_nothing_runs_with_what_is_here(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "v0.1.0/model").mkdir(parents=True)
    (tmp_path / "v0.1.0/model/signature.json").write_text('{"format": "onnx"}')
    assert packages.interpreter(tmp_path / "v0.1.0", tmp_path) == sys.executable
    said = f"v0.1.0: its commit has no {LOCK}; it runs with the packages that are installed here"
    assert said in capsys.readouterr().err


def test_pins_of_another_machine_do_not_count() -> None:
    text = f"numpy==1.0 ; python_full_version < '3.0'\npywin32==1 ; sys_platform == 'win32'\n{OLD}"
    assert packages.differs(text) == ["certifi==2026.7.22"]
    assert packages.differs((SOURCE.parent / LOCK).read_text()) == []
