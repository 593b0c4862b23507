"""A file is written whole or not at all."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from gitloop import files
from gitloop.errors import InputError


def test_a_file_appears_only_when_it_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "new" / "a.json"
    with files.whole(path) as temporary:
        temporary.write_text("half")
        assert not path.exists()
    assert path.read_text() == "half"
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.parametrize("failure", [RuntimeError("bug"), KeyboardInterrupt()])
def test_a_failure_leaves_the_old_file(tmp_path: Path, failure: BaseException) -> None:
    path = tmp_path / "a.json"
    path.write_text("old")
    with pytest.raises(type(failure)), files.whole(path) as temporary:
        temporary.write_text("half")
        raise failure
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_full_disk_is_said_in_one_line(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_text("old")
    with pytest.raises(InputError, match=r"a\.json: cannot be written \(No space left on device\)"), files.whole(path):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    assert path.read_text() == "old"


def test_what_a_crash_left_is_overwritten(tmp_path: Path) -> None:
    (tmp_path / ".a.json.tmp").write_text("left by a kill")
    files.write_json(tmp_path / "a.json", {"b": 1})
    assert [path.name for path in tmp_path.iterdir()] == ["a.json"]


def test_json_has_no_nan_and_keeps_its_order(tmp_path: Path) -> None:
    files.write_json(tmp_path / "a.json", {"z": 1, "a": "ü"})
    assert (tmp_path / "a.json").read_text() == '{\n  "z": 1,\n  "a": "ü"\n}\n'
    with pytest.raises(ValueError, match="not JSON compliant"):
        files.write_json(tmp_path / "a.json", float("nan"))


def test_missing_and_broken_json_say_what_to_run(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="not there; run `gitloop select` first"):
        files.read_json(tmp_path / "a.json", "gitloop select")
    (tmp_path / "a.json").write_text("{")
    with pytest.raises(InputError, match="is not valid JSON .*run `gitloop select` again"):
        files.read_json(tmp_path / "a.json", "gitloop select")
