"""Generated projects for tests: small, real, quick."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from cookiecutter.main import cookiecutter
from ruamel.yaml import YAML

ROOT = Path(__file__).resolve().parent.parent


def generate(where: Path, git: bool = True, **answers: str) -> Path:
    """Generate a project below `where` with the stock answers but `answers`; its root."""
    home = os.environ.get("GITLOOP_SKIP_GIT")
    os.environ["GITLOOP_SKIP_GIT"] = "" if git else "1"
    try:
        return Path(cookiecutter(str(ROOT), no_input=True, extra_context=answers, output_dir=str(where)))
    finally:
        os.environ.pop("GITLOOP_SKIP_GIT")
        if home is not None:
            os.environ["GITLOOP_SKIP_GIT"] = home


def environment(project: Path, **more: str) -> dict[str, str]:
    """The environment in which the project's own gitloop runs, with this interpreter's packages."""
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    return {**os.environ, "PATH": path, "PYTHONPATH": str(project / "src"), **more}


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
