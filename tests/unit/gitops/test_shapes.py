"""No file in which a scan line by line finds a secret is left out of it."""

from __future__ import annotations

import base64
import json
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from detect_secrets.core.plugins.util import get_mapping_from_secret_type_to_class
from detect_secrets.core.scan import scan_file
from detect_secrets.plugins.keyword import REGEX_BY_FILETYPE
from detect_secrets.settings import transient_settings
from hypothesis import given, settings
from hypothesis import strategies as st

from gitloop.gitops import shapes
from gitloop.gitops.checks import BY_CHANCE, secrets

PLUGINS = {one.__name__: one for one in get_mapping_from_secret_type_to_class().values()}
USED = sorted(PLUGINS.keys() - BY_CHANCE)
ENDINGS = ("py", "yaml", "ini", "toml", "go", "cpp", "c", "txt")
AROUND = (("", ""), ("x = '", "'"), ('key: "', '"'), ("# see ", " there"), ("[section]\nname = ", ""))


def token() -> str:
    """A JSON Web Token, which no pattern alone describes."""
    parts = (
        json.dumps(one).encode() for one in ({"alg": "HS256", "typ": "JWT"}, {"sub": "1234", "name": "x"}, {"a": 1})
    )
    return ".".join(base64.urlsafe_b64encode(part).decode().rstrip("=") for part in parts)


def texts(name: str) -> st.SearchStrategy[str]:
    """What the patterns of a plugin match, made from them, so that no file of this repository looks like a secret."""
    patterns: list[re.Pattern[str]] = list(getattr(PLUGINS[name], "denylist", []))
    if name == "KeywordDetector":
        patterns = list({one.pattern: one for groups in REGEX_BY_FILETYPE.values() for one in groups}.values())
    made = st.one_of(*(st.from_regex(one, alphabet=st.characters(codec="utf-8")) for one in patterns))
    return st.just(token()) if name == "JwtTokenDetector" else made


@pytest.fixture
def used() -> Iterator[None]:
    with transient_settings({"plugins_used": [{"name": name} for name in USED]}):
        yield


@pytest.mark.usefixtures("used")
@pytest.mark.parametrize("name", USED)
def test_what_a_scan_finds_is_possible(name: str, tmp_path: Path) -> None:
    kinds = set()

    @settings(max_examples=20, derandomize=True, deadline=None, database=None)
    @given(text=texts(name), around=st.sampled_from(AROUND), ending=st.sampled_from(ENDINGS))
    def look(text: str, around: tuple[str, str], ending: str) -> None:
        file = tmp_path / f"file.{ending}"
        file.write_bytes(f"first\n{around[0]}{text}{around[1]}\nlast\n".encode())
        found = list(scan_file(str(file)))
        assert shapes.possible(file) or not found
        kinds.update(one.type for one in found)

    look()
    assert PLUGINS[name].secret_type in kinds


@pytest.mark.usefixtures("used")
def test_what_is_no_text_is_not(tmp_path: Path) -> None:
    (tmp_path / "file.bin").write_bytes(b"\xff\xfe\x00password = 'hunter2hunter2'\n")
    assert not shapes.possible(tmp_path / "file.bin")


def test_the_findings_in_a_project_are_those_of_a_scan_of_all_of_it(template: Path, tmp_path: Path) -> None:
    """Every ninth file as it is, every 27th with a secret in it."""
    names = subprocess.run(
        ["git", "ls-files", "-z", "--", "."], cwd=template, capture_output=True, text=True, check=True
    ).stdout.split("\0")
    kept = [name for name in names if (template / name).is_file() and not name.startswith("requirements")][::9]
    for number, name in enumerate(kept):
        file = tmp_path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        lines = (template / name).read_text().splitlines(keepends=True)
        if number % 3 == 0:
            secret = (f"AKIA{'Q7Z2' * 4}", "password" + ' = "x9k2m4q8r1"', "BEGIN RSA " + "PRIVATE KEY")[
                number // 3 % 3
            ]
            lines.insert(len(lines) // 2, f"{secret}\n")
        file.write_text("".join(lines))
    subprocess.run(["git", "init", "--quiet", str(tmp_path)], check=True)
    subprocess.run(["git", "add", "--all", "--force"], cwd=tmp_path, check=True)
    with transient_settings({"plugins_used": [{"name": name} for name in USED]}):
        every = [
            (f"{name}:{one.line_number}", one.type) for name in sorted(kept) for one in scan_file(str(tmp_path / name))
        ]
    found = [(one.where, one.why.partition("(")[2].rstrip(")")) for one in secrets(tmp_path)]
    assert sorted(found) == sorted(every)
    assert len({kind for _, kind in every}) == 3
