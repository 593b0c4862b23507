"""How this machine reaches the indexes of packages: told to the build of an image, kept out of the image."""

from __future__ import annotations

import configparser
import os
import sys
from collections.abc import Mapping
from pathlib import Path

KEYS = ("index-url", "extra-index-url", "trusted-host", "proxy", "timeout")
# pip's variables, and what other tools call the same; the first that is set counts.
VARIABLES = {
    "index-url": ("PIP_INDEX_URL", "UV_DEFAULT_INDEX", "UV_INDEX_URL"),
    "extra-index-url": ("PIP_EXTRA_INDEX_URL", "UV_INDEX", "UV_EXTRA_INDEX_URL"),
    "trusted-host": ("PIP_TRUSTED_HOST", "UV_INSECURE_HOST"),
    "proxy": ("PIP_PROXY", "HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy"),
    "timeout": ("PIP_DEFAULT_TIMEOUT", "PIP_TIMEOUT"),
}
CERTIFICATES = ("PIP_CERT", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE")
INSIDE = "/run/secrets/certificates"  # where the build of the image sees them


def pip_files(environment: Mapping[str, str]) -> list[Path]:
    """pip's configuration files, the later before the earlier: https://pip.pypa.io/en/stable/topics/configuration/"""
    home = Path(environment.get("HOME", "/"))
    own = Path(environment.get("XDG_CONFIG_HOME") or home / ".config")
    files = [Path("/etc/pip.conf"), home / ".pip/pip.conf", own / "pip/pip.conf", Path(sys.prefix) / "pip.conf"]
    return [*files, Path(environment.get("PIP_CONFIG_FILE") or os.devnull)]


def secrets(folder: Path, environment: Mapping[str, str], files: list[Path]) -> list[str]:
    """Write what the build needs to know into the folder; the options that hand it over, if any."""
    read = configparser.RawConfigParser()
    read.read(files, encoding="utf-8")
    found: dict[str, str] = {}
    for section in ("global", "install"):
        if read.has_section(section):
            found |= dict(read.items(section))
    for key, names in VARIABLES.items():
        if value := next((environment[name] for name in names if environment.get(name)), None):
            found[key] = value
    certificates = next((environment[name] for name in CERTIFICATES if environment.get(name)), found.get("cert"))
    options = []
    written = {key: value for key, value in found.items() if key in KEYS}
    if certificates and Path(certificates).is_file():
        written["cert"] = INSIDE
        options.append(f"id=certificates,src={Path(certificates).resolve()}")
    if written:
        path = folder / "pip.conf"
        path.touch(mode=0o600)
        configuration = configparser.RawConfigParser()
        configuration["global"] = written
        with path.open("w", encoding="utf-8") as file:
            configuration.write(file)
        options.append(f"id=pip.conf,src={path}")
    return options
