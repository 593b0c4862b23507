"""dvc.yaml tells the truth: each stage declares every module of gitloop that it loads, and nothing that is gone."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from gitloop.cli import VERBS
from gitloop.settings import Settings

# Printing, errors, dispatch and names cannot change a result.
PLUMBING = {
    "gitloop",
    "gitloop.arrays",
    "gitloop.cli",
    "gitloop.errors",
    "gitloop.layout",
    "gitloop.ui",
    "gitloop.settings",
    "gitloop.contract",
    "gitloop.files",
    "gitloop.git",
    "gitloop.targets",
}
OPTIONAL = {"src/gitloop/data/calendar.py"}  # loaded where features.derive names it
STAGES = ("ingest", "validate", "split", "profile", "train", "select", "evaluate", "package")


@pytest.fixture(scope="module")
def stages(template: Path) -> dict[str, dict[str, Any]]:
    loaded = yaml.safe_load((template / "dvc.yaml").read_text())["stages"]
    return {name: stage.get("do", stage) for name, stage in loaded.items()}


def test_the_stages_are_verbs(stages: dict[str, dict[str, Any]]) -> None:
    assert tuple(stages) == STAGES
    for name, stage in stages.items():
        assert stage["cmd"].removeprefix("env PYTHONHASHSEED=0 ").split()[:2] == ["gitloop", name]
        assert name in VERBS


@pytest.mark.parametrize("name", STAGES)
def test_a_stage_depends_on_the_code_it_loads(name: str, stages: dict[str, dict[str, Any]], template: Path) -> None:
    """A change of code that a stage runs must run it again."""
    code = (
        f"import json, sys; import {VERBS[name].module}; "
        "print(json.dumps([m for m in sys.modules if m.split('.')[0] == 'gitloop']))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = set(json.loads(done.stdout)) - PLUMBING - {"gitloop.data", "gitloop.modeling", "gitloop.serving"}
    declared = {dep for dep in stages[name]["deps"] if dep.startswith("src/gitloop/")}
    assert declared - OPTIONAL == {f"src/{module.replace('.', '/')}.py" for module in loaded}
    assert all((template / dep).exists() for dep in declared)


@pytest.mark.parametrize("name", STAGES)
def test_a_stage_declares_params_that_exist(
    name: str, stages: dict[str, dict[str, Any]], stock: dict[str, Any]
) -> None:
    for key in stages[name]["params"]:
        tree: Any = stock
        for part in key.replace("${key}", "linear").split("."):
            assert part in tree, f"{name}: params: {key} is not in params.yaml"
            tree = tree[part]


def test_every_setting_has_a_reader(stages: dict[str, dict[str, Any]]) -> None:
    """A group that no stage depends on is read by a verb outside of the pipeline, or it is dead."""
    read = {key.split(".")[0] for stage in stages.values() for key in stage["params"]}
    assert set(Settings.model_fields) - read == {"serving", "scoring", "monitoring"}
