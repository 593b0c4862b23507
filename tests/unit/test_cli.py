"""The command line: help with an example for each verb, documented exit codes, no traceback unless asked for."""

from __future__ import annotations

import subprocess
import sys
from importlib import import_module
from types import SimpleNamespace

import pytest

from gitloop import cli
from gitloop.errors import InputError, Refused


@pytest.mark.parametrize("verb", cli.VERBS)
def test_each_verb_has_help_with_a_working_example(verb: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        cli.main([verb, "--help"])
    assert stopped.value.code == 0
    example = cli.VERBS[verb].example
    assert f"example:\n  {example}" in capsys.readouterr().out
    assert cli.parser().parse_args(example.split()[1:]).verb == verb  # the example parses


@pytest.mark.parametrize("verb", cli.VERBS)
def test_each_verb_has_its_module(verb: str) -> None:
    assert callable(import_module(cli.VERBS[verb].module).run)


def test_help_documents_the_exit_codes(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        cli.main(["--help"])
    shown = capsys.readouterr().out
    assert all(verb in shown for verb in cli.VERBS)
    for code, meaning in {0: "fine", 1: "a gate or a check says no", 2: "configuration is wrong"}.items():
        assert f"  {code}  " in shown
        assert meaning in shown


@pytest.mark.parametrize(
    ("failure", "code", "shown"),
    [
        (None, 0, ""),
        (Refused("floor: 0.5 is below 0.6"), 1, "gitloop select: floor: 0.5 is below 0.6\n"),
        (InputError("one\ntwo"), 2, "gitloop select: one\ngitloop select: two\n"),
        (ZeroDivisionError("a\nb"), 3, "gitloop select: unexpected ZeroDivisionError: a b; run with --debug"),
        (KeyboardInterrupt(), 130, "gitloop select: stopped\n"),
    ],
)
def test_exit_codes(
    failure: BaseException | None,
    code: int,
    shown: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def run(_: object) -> None:
        if failure:
            raise failure

    monkeypatch.setattr(cli, "import_module", lambda _: SimpleNamespace(run=run))
    assert cli.main(["select"]) == code
    error = capsys.readouterr().err
    assert error.startswith(shown)
    assert "Traceback" not in error
    if isinstance(failure, Exception):
        for arguments in (["--debug", "select"], ["select", "--debug"]):
            with pytest.raises(type(failure)):
                cli.main(arguments)


def test_an_unknown_verb_is_a_wrong_input(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        cli.main(["trian"])
    assert stopped.value.code == 2
    assert "invalid choice: 'trian'" in capsys.readouterr().err


def test_help_loads_nothing_heavy() -> None:
    code = (
        "import sys; from gitloop.cli import parser; parser().format_help(); "
        "print([m for m in ('pydantic', 'numpy', 'rich', 'hydra', 'yaml') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
