"""Generated projects for tests: small, real, quick."""

from __future__ import annotations

import atexit
import os
import shutil
import subprocess
import sys
import tempfile
from functools import cache
from pathlib import Path
from typing import Any

import warm
from cookiecutter.main import cookiecutter
from ruamel.yaml import YAML

ROOT = Path(__file__).resolve().parent.parent


@cache
def template() -> Path:
    """A copy of the template alone: cookiecutter copies all of what it is given, `.venv` too.

    Beside it lies a configuration that keeps cookiecutter away from the home folder.
    """
    home = Path(tempfile.mkdtemp(prefix="gitloop-template-"))
    atexit.register(shutil.rmtree, home, ignore_errors=True)
    (home / "config.yaml").write_text(f"cookiecutters_dir: {home}/cloned\nreplay_dir: {home}/replay\n")
    copy = home / "cookiecutter-gitloop"
    copy.mkdir()
    for name in ("cookiecutter.json", "gitloop_answers.py"):
        shutil.copy(ROOT / name, copy)
    for name in ("hooks", "<<cookiecutter.project>>"):
        shutil.copytree(ROOT / name, copy / name, ignore=shutil.ignore_patterns("__pycache__", ".*_cache"))
    return copy


def generate(where: Path, git: bool = True, over: bool = False, **answers: str) -> Path:
    """Generate a project below `where` with the stock answers but `answers`, `over` one that is there; its root."""
    before = os.environ.get("GITLOOP_SKIP_GIT")
    os.environ["GITLOOP_SKIP_GIT"] = "" if git else "1"
    config = str(template().parent / "config.yaml")
    try:
        made = cookiecutter(
            str(template()),
            no_input=True,
            extra_context=answers,
            output_dir=str(where),
            config_file=config,
            overwrite_if_exists=over,
        )
        return Path(made)
    finally:
        os.environ.pop("GITLOOP_SKIP_GIT")
        if before is not None:
            os.environ["GITLOOP_SKIP_GIT"] = before


def cold(project: Path) -> dict[str, str]:
    """The environment in which the project's own gitloop runs, with this interpreter's packages.

    Plugins of pytest that only the template's tests use are not loaded: a project's environment does not have them.
    """
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    ours = {"PATH": path, "PYTHONPATH": str(project / "src"), "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    return {**os.environ, **ours}


def environment(project: Path, **more: str) -> dict[str, str]:
    """The same with commands that start warm, for tests."""
    ours = cold(project)
    return {**ours, "PATH": os.pathsep.join([str(warm.commands()), ours["PATH"]]), **more}


def run(project: Path, *command: str, check: bool = True, **more: str) -> subprocess.CompletedProcess[str]:
    """Run a command in the project; its output is shown when it fails although it should not."""
    done = subprocess.run(
        command, cwd=project, env=environment(project, **more), capture_output=True, text=True, check=False
    )
    assert not check or done.returncode == 0, (
        f"{' '.join(command)} ended with {done.returncode}\n{done.stdout}\n{done.stderr}"
    )
    return done


def edit(path: Path, **changes: Any) -> None:
    """Change keys of a YAML file, comments kept. `a__b` is the key b below a; None as text is YAML's null."""
    editor = YAML()
    editor.preserve_quotes = True
    tree = editor.load(path)
    for key, value in changes.items():
        *place, last = key.split("__")
        branch = tree
        for part in place:
            branch = branch[part]
        branch[last] = value
    editor.dump(tree, path)


def shrink(project: Path, until: str = "2013-01-11") -> None:
    """The flights project at a size for tests: ten days, no tuning, small models, few resamples."""
    edit(project / "conf/data/flights.yaml", window__until=until)
    edit(project / "conf/tuning/optuna.yaml", method="none", folds=2)
    edit(project / "conf/evaluation/default.yaml", bootstrap=20, importance_rows=100, slice_rows=50)
    edit(project / "conf/candidate/forest.yaml", forest__classifier__n_estimators=10)
    edit(project / "conf/candidate/boosting.yaml", boosting__classifier__max_iter=20)
    edit(project / "conf/gates/default.yaml", floor={"roc_auc": 0.55})
    run(project, "gitloop", "params")
