"""`gitloop build`: what a Bento holds, when it is the same, and what is refused."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import customers
import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from gitloop import layout
from gitloop.cli import main
from gitloop.serving import contents

ROOT = Path(__file__).resolve().parents[3]
TEMPLATE = ROOT / "<<cookiecutter.project>>"
LOCKS = [TEMPLATE / "requirements-serving.txt", TEMPLATE / "requirements-serving-skops.txt"]
DERIVE = """
import numpy as np
from clients import helpers

def derive(columns):
    return {"old": np.where(columns["age"] > helpers.OLD, 1.0, 0.0)}
"""
TRAINING = {"dvc", "evidently", "optuna", "pandera", "hydra-core", "fairlearn", "matplotlib", "skl2onnx", "onnx", "uv"}


def copy_locks(folder: Path) -> None:
    for lock in LOCKS:
        shutil.copy(lock, folder)


@pytest.fixture(scope="module")
def derived(stock: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A packaged project with a derivation and a helper of its own, and a module that nothing imports."""
    folder = tmp_path_factory.mktemp("derived") / "project"
    package = folder / "src/clients"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("")
    (package / "features.py").write_text(DERIVE)
    (package / "helpers.py").write_text("OLD = 60\n")
    (package / "sources.py").write_text("import pandas\n")

    def change(values: dict[str, Any]) -> None:
        values["project"]["package"] = "clients"
        values["features"]["derive"] = "clients.features.derive"

    sys.path.insert(0, str(folder / "src"))
    try:
        values = customers.values_of("binary", stock, change=change)
        customers.make(folder, values, "linear", customers.table("binary"))
        with customers.inside(folder):
            assert main(["package"]) == 0
    finally:
        sys.path.remove(str(folder / "src"))
    copy_locks(folder)
    return folder


Build = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def build(derived: Path, tmp_path: Path) -> tuple[Path, Build]:
    """A copy of the project in Git, and `gitloop build` in it, with a store of Bentos of its own."""
    folder = tmp_path / "project"
    shutil.copytree(derived, folder, ignore=shutil.ignore_patterns("__pycache__"))
    (folder / ".gitignore").write_text("/dist/\n__pycache__/\n")
    commit(folder)

    def run(*options: str, home: str = "bentoml") -> subprocess.CompletedProcess[str]:
        path = os.pathsep.join([str(folder / "src"), str(contents.OURS)])
        return subprocess.run(
            [sys.executable, "-m", "gitloop", "build", *options],
            cwd=folder,
            env={**os.environ, "PYTHONPATH": path, "BENTOML_HOME": str(tmp_path / home), "COLUMNS": "200"},
            capture_output=True,
            text=True,
            check=False,
        )

    return folder, run


def commit(folder: Path) -> str:
    for command in (["init", "-q"], ["add", "."], ["commit", "-q", "-m", "All"]):
        subprocess.run(["git", *command], cwd=folder, check=True)
    done = subprocess.run(["git", "rev-parse", "HEAD"], cwd=folder, capture_output=True, text=True, check=True)
    return done.stdout.strip()


def tree(bento: Path) -> dict[str, bytes]:
    """What a Bento holds, without the moment of its creation."""
    found = {}
    for path in sorted(bento.rglob("*")):
        if path.is_file():
            found[path.relative_to(bento).as_posix()] = re.sub(rb"creation_time: .*", b"", path.read_bytes())
    return found


def test_a_bento_holds_what_the_service_needs_and_no_more(build: tuple[Path, Build], tmp_path: Path) -> None:
    folder, run = build
    done = run("--version", "v1.0.0")
    assert done.returncode == 0, done.stderr
    assert "clients:v1.0.0 is built" in done.stdout
    assert done.stderr == ""
    src = tmp_path / "bentoml/bentos/clients/v1.0.0/src"
    modules = {path.relative_to(src).as_posix() for path in src.rglob("*.py")}
    assert {name for name in modules if name.startswith("clients/")} == {
        "clients/__init__.py",
        "clients/features.py",
        "clients/helpers.py",
    }
    rooms = {name.split("/")[1] for name in modules if name.startswith("gitloop/") and name.count("/") == 2}
    assert rooms <= {"serving", "modeling", "data"}
    assert not modules & {f"gitloop/modeling/{name}.py" for name in ("train", "tuning", "store", "features", "gates")}
    assert "gitloop/serving/build.py" not in modules
    assert {path.name for path in (src / "model").iterdir()} == {path.name for path in (folder / "model").iterdir()}
    assert (src / "params.yaml").read_bytes() == (folder / "params.yaml").read_bytes()
    assert (src / "requirements.txt").read_bytes() == LOCKS[0].read_bytes()
    origin = json.loads((src / "origin.json").read_text())
    head = subprocess.run(["git", "rev-parse", "HEAD"], cwd=folder, capture_output=True, text=True, check=True)
    assert origin == {"commit": head.stdout.strip(), "dirty": False, "dvc_lock_sha256": None, "version": "v1.0.0"}
    with tarfile.open(folder / "dist/clients-v1.0.0.bento") as archive:
        assert {"bento.yaml", "src/model/model.onnx", "env/docker/Dockerfile"} <= {
            name.removeprefix("./") for name in archive.getnames()
        }
    assert not list((folder / "dist").glob("*.tmp"))


def test_the_same_model_and_commit_give_the_same_bento(build: tuple[Path, Build], tmp_path: Path) -> None:
    folder, run = build
    first, again, elsewhere = run(), run(), run(home="other")
    assert "is built (content" in first.stdout
    assert "was built before from the same content" in again.stdout
    one, two = ([*(tmp_path / home / "bentos/clients").iterdir()] for home in ("bentoml", "other"))
    bentos = [next(path for path in paths if path.is_dir()) for paths in (one, two)]
    assert tree(bentos[0]) == tree(bentos[1])
    assert elsewhere.stdout.splitlines()[0] == first.stdout.splitlines()[0]

    # Of another commit, under the same hash of the model: what was built is replaced.
    (folder / "note.txt").write_text("another commit\n")
    sha = commit(folder)
    done = run()
    assert "is built (content" in done.stdout
    assert done.stdout.splitlines()[0] != first.stdout.splitlines()[0]
    assert yaml.safe_load((bentos[0] / "bento.yaml").read_text())["labels"]["commit"] == sha


def test_a_version_with_a_name_stands_for_one_content(build: tuple[Path, Build]) -> None:
    folder, run = build
    assert run("--version", "v1.0.0").returncode == 0
    (folder / "dist/clients-v1.0.0.bento").unlink()
    assert "was built before" in run("--version", "v1.0.0").stdout
    assert (folder / "dist/clients-v1.0.0.bento").exists()
    (folder / "note.txt").write_text("another commit\n")
    commit(folder)
    done = run("--version", "v1.0.0")
    assert done.returncode == 1
    assert "clients:v1.0.0: is built already, of other content (commit " in done.stderr
    assert "use another --version, or `bentoml delete clients:v1.0.0`" in done.stderr


def test_a_version_with_a_name_is_a_clean_commit(build: tuple[Path, Build]) -> None:
    folder, run = build
    (folder / "dvc.lock").write_text("schema: '2.0'\n")  # of a pipeline that is not there
    (folder / "params.yaml").write_text((folder / "params.yaml").read_text() + "# changed\n")
    done = run("--version", "v1.0.0")
    assert done.returncode == 1
    assert done.stderr.splitlines() == [
        "gitloop build: --version v1.0.0: tracked files differ from the commit; commit them, or take the changes back",
        "gitloop build: --version v1.0.0: the pipeline is not up to date with its inputs; run `make train` and commit "
        "dvc.lock",
    ]
    shutil.rmtree(folder / ".git")
    done = run()
    assert done.returncode == 0
    assert "warning: this is not a commit of a Git repository; commit first" in done.stderr


def test_what_is_missing_in_a_bento_is_missed_when_it_is_built(build: tuple[Path, Build], tmp_path: Path) -> None:
    """The service is imported from what lies in the Bento alone."""
    folder, run = build
    source = (folder / "src/clients/features.py").read_text()
    hidden = source.replace("from clients import helpers", "helpers = __import__('clients.helpers').helpers")
    (folder / "src/clients/features.py").write_text(hidden)
    manifest, signature = folder / "model/manifest.json", folder / "model/signature.json"

    def sha(text: str) -> str:
        return hashlib.sha256(text.encode()).hexdigest()

    old = signature.read_text()
    new = old.replace(sha(source), sha(hidden))
    signature.write_text(new)
    manifest.write_text(manifest.read_text().replace(sha(old), sha(new)))
    done = run()
    assert done.returncode == 2, done.stdout
    assert "cannot be built (" in done.stderr
    assert "No module named 'clients.helpers'" in done.stderr
    assert "Traceback" not in done.stderr
    assert not (folder / "dist").exists()


def test_the_bill_of_materials_lists_the_locked_packages_and_the_model(build: tuple[Path, Build]) -> None:
    from cyclonedx.schema import SchemaVersion
    from cyclonedx.validation.json import JsonStrictValidator

    folder, run = build
    assert run("--version", "v1").returncode == 0
    path = folder / "dist/clients-v1.cdx.json"
    text = path.read_text()
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(text) is None
    bill = json.loads(text)
    assert bill["metadata"]["component"] | {"bom-ref": ""} == {
        "type": "application",
        "bom-ref": "",
        "name": "clients",
        "version": "v1",
    }
    listed = {c["name"]: c["version"] for c in bill["components"] if c["type"] == "library"}
    locked = dict(line.partition(" --hash")[0].split("==") for line in contents.requirements(LOCKS[0]))
    assert listed == locked
    assert len(listed) > 30
    (model,) = [c for c in bill["components"] if c["type"] == "machine-learning-model"]
    assert model["version"] == model["hashes"][0]["content"][:12]
    run("--version", "v1")
    assert path.read_text() == text


class TestRefusals:
    def test_no_model(self, stock: dict[str, Any], root: Any, capsys: pytest.CaptureFixture[str]) -> None:
        root(customers.values_of("binary", stock))
        assert main(["build"]) == 2
        assert "model/manifest.json: not there; run `dvc pull model`, or `dvc repro package`" in capsys.readouterr().err

    def test_a_version_that_no_registry_takes(self, project: Any, capsys: pytest.CaptureFixture[str]) -> None:
        project()
        assert main(["build", "--version", "model@v1"]) == 2
        assert "--version model@v1: use small letters, digits, and" in capsys.readouterr().err

    def test_no_lock(self, project: Any, capsys: pytest.CaptureFixture[str]) -> None:
        project()
        assert main(["build"]) == 2
        assert capsys.readouterr().err == "gitloop build: requirements-serving.txt: not there; run `make lock`\n"

    def test_a_library_that_is_not_locked(
        self, derived: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        folder = tmp_path / "project"
        shutil.copytree(derived, folder)
        monkeypatch.chdir(folder)
        monkeypatch.syspath_prepend(str(folder / "src"))
        for name in [name for name in sys.modules if name.partition(".")[0] == "clients"]:
            monkeypatch.delitem(sys.modules, name)
        (folder / "src/clients/helpers.py").write_text("import pandas\n\nOLD = 60\n")
        assert main(["build"]) == 2
        assert capsys.readouterr().err == (
            "gitloop build: src/clients/helpers.py: needs pandas, which requirements-serving.txt does not hold; add it "
            "to a `serving` group in pyproject.toml and run `make lock`\n"
        )


class TestCode:
    def test_a_model_that_is_not_compiled_brings_what_loads_it(self, project: Any, stock: dict[str, Any]) -> None:
        from gitloop import settings
        from gitloop.serving import signature

        folder = project("binary", "linear")
        read, compiled = settings.load(), signature.read(layout.MODEL)
        kept = compiled.model_copy(update={"format": "skops"})
        ours, theirs = (contents.code(read, one, folder / "src") for one in (compiled, kept))
        more = set(theirs.files) - set(ours.files)
        assert {"gitloop/modeling/store.py", "gitloop/modeling/features.py"} <= more
        assert {"skops", "pandas", "sklearn"} <= set(theirs.libraries)
        assert not {"skops", "pandas", "sklearn", "duckdb", "pyarrow"} & set(ours.libraries)
        contents.check(ours, LOCKS[0])
        contents.check(theirs, LOCKS[1])

    def test_an_estimator_of_a_library_that_is_not_locked(self, project: Any) -> None:
        from gitloop import settings
        from gitloop.errors import InputError
        from gitloop.serving import signature

        folder = project("binary", "linear")
        read = settings.load()
        candidate = read.candidate["linear"].model_copy(update={"classifier": {"_target_": "optuna.Model"}})
        read = read.model_copy(update={"candidate": {"linear": candidate}})
        kept = signature.read(layout.MODEL).model_copy(update={"format": "skops"})
        with pytest.raises(InputError, match=re.escape("conf/candidate/linear.yaml: needs optuna, which ")):
            contents.check(contents.code(read, kept, folder / "src"), LOCKS[1])


@pytest.mark.parametrize("lock", LOCKS, ids=["onnx", "skops"])
class TestLocks:
    def test_is_hashed_and_names_no_address(self, lock: Path) -> None:
        text = lock.read_text()
        assert "://" not in text
        for line in contents.requirements(lock):
            assert re.fullmatch(r"[a-z0-9._-]+==\S+( +--hash=sha256:[0-9a-f]{64}( |$))+", line + " "), line

    def test_has_the_versions_of_the_project(self, lock: Path) -> None:
        pins = [
            {line.partition(" ")[0].replace("[binary]", "") for line in path.read_text().splitlines() if line[0] != " "}
            for path in (lock, TEMPLATE / "requirements.txt")
        ]
        assert pins[0] <= pins[1]

    def test_has_nothing_of_training(self, lock: Path) -> None:
        names = {
            canonicalize_name(Requirement(line.partition(" --hash")[0]).name) for line in contents.requirements(lock)
        }
        assert not names & TRAINING
        assert {"bentoml", "onnxruntime", "numpy", "sqlalchemy", "psycopg-binary"} <= names
        assert ("scikit-learn" in names) == ("skops" in lock.name)
        assert ("pandas" in names) == ("skops" in lock.name)
