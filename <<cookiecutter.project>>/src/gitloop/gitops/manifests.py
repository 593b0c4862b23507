"""What rendered manifests of every target share: what is deployed, and how it is written down."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import yaml

from gitloop import layout
from gitloop.errors import InputError
from gitloop.serving.failing import TERMS

PORT = 3000  # of the image, as its Dockerfile says
USER = 1034
WORK = PurePosixPath("/home/bentoml/bento/src")
# The image's file system is read-only, but for a folder that goes with the container.
TEMPORARY = "/tmp"  # noqa: S108 -- in a container, which has it to itself
ENVIRONMENT = {"HOME": TEMPORARY, "BENTOML_HOME": f"{TEMPORARY}/bentoml"}
NOTICE = Path(__file__).with_name("notice.py")
BEGINS = "# Rendered by `gitloop deploy {name}`: changes go into environments/{name}.yaml on main.\n"


@dataclass(frozen=True)
class Release:
    """A version, and what it asks of what it runs in."""

    version: str
    image: str  # with tag, and digest where it is known
    log: str | None  # the prediction log's folder; None: no log
    megabytes: int  # that the log may take
    token: str | None  # the environment variable that holds what callers must send
    trial: str | None = None  # the terms of a canary, which takes itself out

    @classmethod
    def of(cls, version: str, image: str, params: dict[str, Any], digest: str | None = None) -> Release:
        """`params`: the params.yaml of the version, which may be of another gitloop's time."""
        serving = params.get("serving") or {}
        log = serving.get("log") or {}
        reference = f"{image}:{version}" + (f"@{digest}" if digest else "")
        megabytes = int(log.get("max_megabytes") or 1024)
        return cls(version, reference, log.get("folder"), megabytes, serving.get("token_env"))

    @property
    def folder(self) -> str | None:
        """The log's, in the image."""
        return None if self.log is None else str(WORK / self.log)

    @property
    def variables(self) -> dict[str, str]:
        """The environment of its container."""
        return ENVIRONMENT | {"PORT": str(PORT)} | ({TERMS: self.trial} if self.trial else {})


@dataclass(frozen=True)
class Destination:
    """Where it is deployed."""

    app: str  # a label of DNS, that Bento and image have as their name
    name: str  # of the environment
    repository: str  # its URL, without credentials

    @property
    def path(self) -> str:
        return layout.environment(self.name).as_posix()

    @property
    def branch(self) -> str:
        return f"env/{self.name}"

    @property
    def notice(self) -> str:
        """What callers are told where nothing runs."""
        return f"{self.name} is retired: {self.path} says `version: none`"


def dumped(to: Destination, *documents: dict[str, Any]) -> str:
    """YAML, keys in the order given."""
    said = yaml.safe_dump_all(documents, sort_keys=False, width=120, allow_unicode=True)
    return BEGINS.format(name=to.name) + said


def needs_token(to: Destination, release: Release, key: str, what: str, given: str | None) -> None:
    """Raise `InputError` where the service would not start for want of its token."""
    if release.token and given is None:
        raise InputError(
            f"{to.path}: {key}: {release.version} asks its callers for a token, which it takes from the variable "
            f"{release.token}; name the {what} that holds it"
        )
