"""Every setting is described, in one place; `gitloop explain` says what it is, where that stands and what reads it."""

from __future__ import annotations

import ast
import shutil
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

from gitloop.cli import VERBS, main
from gitloop.explain import found
from gitloop.settings_reference import READ_BY, Setting, reference


@pytest.fixture(scope="module")
def known(template: Path) -> list[Setting]:
    return reference(yaml.safe_load((template / "dvc.yaml").read_text())["stages"])


@pytest.fixture
def project(template: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    shutil.copytree(template / "conf", tmp_path / "conf")
    for name in ("params.yaml", "dvc.yaml"):
        shutil.copy(template / name, tmp_path)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def explained(key: str, capsys: pytest.CaptureFixture[str]) -> list[str]:
    assert main(["explain", key]) == 0
    return capsys.readouterr().out.splitlines()


def test_every_setting_is_described(known: list[Setting]) -> None:
    """A description in settings.py or contract.py (`Field(description=...)`), short, plain, with no full stop."""
    wrong = [one.key for one in known if not 8 < len(one.description) < 125 or one.description.endswith(".")]
    assert not wrong
    assert not [one.key for one in known if not one.type]
    assert len({one.key for one in known}) == len(known)


def test_every_key_of_params_can_be_explained(known: list[Setting], stock: dict[str, Any]) -> None:
    def keys(tree: Any, prefix: str = "") -> Iterator[str]:
        for name, inside in tree.items() if isinstance(tree, dict) else ():
            yield prefix + name
            yield from keys(inside, f"{prefix}{name}.")

    for key in keys(stock):
        assert found(key, known, stock).description, key


def test_a_setting_is_read_by_a_stage_or_a_verb(known: list[Setting], template: Path) -> None:
    """And each verb that is said to read a group reaches code that asks for it."""
    assert not [one.key for one in known if not one.stages and not one.verbs]
    for key, verbs in READ_BY.items():
        for verb in verbs:
            asked = set().union(*(_asked(template / "src", name) for name in _reached(template / "src", verb)))
            assert set(key.split(".")) <= asked, f"{verb} does not read {key}"


def test_a_value_its_place_and_its_readers(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert explained("evaluation.bootstrap", capsys) == [
        "evaluation.bootstrap: Resamples behind each interval",
        "takes     whole number, at least 20",
        "default   200",
        "now       200",
        "set in    conf/evaluation/default.yaml:2",
        "also      conf/preset/quick.yaml:8 says 50",
        "also      conf/preset/thorough.yaml:10 says 1000",
        "stages    evaluate, package",
        "verbs     compare, monitor",
    ]


@pytest.mark.parametrize(
    ("key", "lines"),
    [
        ("data.window.until", ["takes     time or null", "now       2013-04-01"]),
        ("data.window.until", ["set in    conf/data/flights.yaml:14"]),
        ("candidate.boosting", ["candidate.boosting: One model that may be chosen"]),
        ("candidate.boosting", ["stages    train, select, package"]),
        ("tuning.method", ["takes     none, optuna or halving", "also      conf/tuning/none.yaml:2 says none"]),
        ("gates.floor.r2", ["gates.floor.r2: The worst value allowed on the test slice, by metric: that of r2"]),
        ("candidate.linear.classifier.C", ["set in    conf/candidate/linear.yaml:5", "now       0.1"]),
        ("project.package", ["set in    conf/project.yaml:4"]),
        ("monitoring", ["stages    none: no stage of the pipeline depends on it"]),
        ("data.columns.temp.unique", ["now       its default, as nothing is set"]),
    ],
)  # fmt: skip
def test_keys_of_every_kind(key: str, lines: list[str], project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shown = explained(key, capsys)
    assert [line for line in lines if line not in shown] == []


def test_a_preset_that_was_composed_is_seen(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["params", "+preset=quick"]) == 0
    shown = explained("evaluation.bootstrap", capsys)
    assert "now       50" in shown
    assert "but       conf/ says 200 and params.yaml does not; `gitloop params` brings them in step" in shown


@pytest.mark.parametrize(
    ("key", "says"),
    [
        ("gates.slice_regresion", "there is no such setting; did you mean 'gates.slice_regression'?"),
        ("max_iter", "there is no such setting; did you mean 'candidate.boosting.classifier.max_iter'"),
        ("until", "there is no such setting; did you mean 'data.window.until'?"),
        ("preset.quick", "is no setting: a file in conf/preset/ is laid over the others for once, as in `make train"),
        ("zzz", "there is no such setting; `gitloop explain` lists all"),
    ],
)
def test_an_unknown_key_is_refused_with_the_nearest(
    key: str, says: str, project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["explain", key]) == 2
    assert f"{key}: {says}" in capsys.readouterr().err


def test_without_a_key_all_are_listed(project: Path, known: list[Setting], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["explain"]) == 0
    shown = capsys.readouterr().out
    assert all(one.key.removesuffix(".*") in shown for one in known)


def test_outside_of_a_project_it_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["explain"]) == 2
    assert "dvc.yaml: cannot be read; run gitloop in the root of the repository" in capsys.readouterr().err


def _reached(src: Path, verb: str) -> set[str]:
    """The modules that a verb may import, at once or later."""
    seen: set[str] = set()
    waiting = [VERBS[verb].module]
    while waiting:
        name = waiting.pop()
        if name in seen or not _file(src, name).exists():
            continue
        seen.add(name)
        for node in _nodes(_file(src, name)):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("gitloop"):
                waiting += [str(node.module), *(f"{node.module}.{one.name}" for one in node.names)]
    return seen - {"gitloop.settings", "gitloop.contract"}


def _asked(src: Path, name: str) -> set[str]:
    return {node.attr for node in _nodes(_file(src, name)) if isinstance(node, ast.Attribute)}


@cache
def _nodes(path: Path) -> list[ast.AST]:
    return list(ast.walk(ast.parse(path.read_text())))


def _file(src: Path, name: str) -> Path:
    return src / f"{name.replace('.', '/')}.py"
