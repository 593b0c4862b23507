"""How the build of an image reaches the indexes of packages: as pip does here, and never from inside the image."""

from __future__ import annotations

import configparser
from pathlib import Path

import pytest

from gitloop.serving import network


def made(folder: Path, environment: dict[str, str], *files: Path) -> tuple[dict[str, str], list[str]]:
    """pip's configuration for the build, and what else is handed over."""
    options = network.secrets(folder, environment, list(files))
    read = configparser.RawConfigParser()
    read.read(folder / "pip.conf")
    others = [option for option in options if not option.startswith("id=pip.conf,")]
    assert len(options) - len(others) == (folder / "pip.conf").exists()
    return dict(read["global"]) if read.has_section("global") else {}, others


def test_a_machine_without_settings_hands_over_nothing(tmp_path: Path) -> None:
    assert made(tmp_path, {}, tmp_path / "absent.conf") == ({}, [])


def test_files_are_read_as_pip_reads_them_and_variables_win(tmp_path: Path) -> None:
    general, own = tmp_path / "general.conf", tmp_path / "own.conf"
    general.write_text(
        "[global]\nindex-url = https://a.example/simple\ntimeout = 9\n[install]\ntrusted-host = a.example\n"
    )
    own.write_text("[global]\nindex-url = https://user:p%40ss@b.example/simple\nquiet = 1\n")
    assert made(tmp_path, {}, general, own)[0] == {
        "index-url": "https://user:p%40ss@b.example/simple",
        "timeout": "9",
        "trusted-host": "a.example",
    }
    environment = {"PIP_INDEX_URL": "https://c.example/simple", "HTTPS_PROXY": "http://proxy.example:3128"}
    found = made(tmp_path, environment, general, own)[0]
    assert found["index-url"] == "https://c.example/simple"
    assert found["proxy"] == "http://proxy.example:3128"


def test_what_uv_is_told_counts_too(tmp_path: Path) -> None:
    found = made(tmp_path, {"UV_DEFAULT_INDEX": "https://u.example/simple", "UV_INSECURE_HOST": "u.example"})[0]
    assert found == {"index-url": "https://u.example/simple", "trusted-host": "u.example"}


def test_certificates_are_handed_over_where_they_are_a_file(tmp_path: Path) -> None:
    bundle = tmp_path / "bundle.pem"
    bundle.write_text("certificates\n")
    expected = ({"cert": network.INSIDE}, [f"id=certificates,src={bundle}"])
    assert made(tmp_path, {"SSL_CERT_FILE": str(bundle)}) == expected
    (tmp_path / "pip.conf").unlink()
    own = tmp_path / "own.conf"
    own.write_text(f"[global]\ncert = {bundle}\n")
    assert made(tmp_path, {}, own) == expected
    (tmp_path / "pip.conf").unlink()
    assert made(tmp_path, {"PIP_CERT": str(tmp_path / "absent.pem")}) == ({}, [])


def test_only_its_owner_reads_what_may_hold_a_password(tmp_path: Path) -> None:
    made(tmp_path, {"PIP_INDEX_URL": "https://user:secret@a.example/simple"})
    assert (tmp_path / "pip.conf").stat().st_mode & 0o077 == 0


@pytest.mark.parametrize("name", ["HOME", "XDG_CONFIG_HOME", "PIP_CONFIG_FILE"])
def test_finds_the_files_of_pip(tmp_path: Path, name: str) -> None:
    value = {"HOME": tmp_path, "XDG_CONFIG_HOME": tmp_path / "config", "PIP_CONFIG_FILE": tmp_path / "x.conf"}[name]
    expected = {
        "HOME": tmp_path / ".pip/pip.conf",
        "XDG_CONFIG_HOME": tmp_path / "config/pip/pip.conf",
        "PIP_CONFIG_FILE": tmp_path / "x.conf",
    }[name]
    files = network.pip_files({name: str(value)})
    assert expected in files
    assert files[0] == Path("/etc/pip.conf")
