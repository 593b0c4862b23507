"""Which version runs where: environments/NAME.yaml is the desired state, and merging a change of it deploys."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import Field, StringConstraints, ValidationError, field_validator, model_validator
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from gitloop import layout
from gitloop.contract import Frozen
from gitloop.errors import InputError
from gitloop.gitops.lines import replaced
from gitloop.gitops.registry import Registry, Version
from gitloop.settings import keys, nearest

NONE, NEWEST = "none", "newest"
NAME = re.compile(r"[a-z][a-z0-9-]*")  # as in a stage tag
VERSION = re.compile(r"none|newest|v\d+\.\d+\.\d+")
IMAGE = re.compile(r"[a-z0-9]([a-z0-9._:-]*[a-z0-9])?(/[a-z0-9]([a-z0-9._-]*[a-z0-9])?)*")
CANARY = ("local", "kubernetes")  # targets that can give a share of the requests to a version

Label = Annotated[str, StringConstraints(pattern=r"^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$")]  # of DNS, RFC 1123
Port = Annotated[int, Field(ge=1, le=65535)]


class Smoke(Frozen):
    """What a version must keep when it is tried."""

    latency_ms: float | None = Field(
        default=None, gt=0, description="Bound of the median of the expected rows, one by one; null: no bound"
    )


class Watch(Frozen):
    """When a canary is stopped: it has no requests from then on. On kubernetes each of its pods counts for itself."""

    errors: float = Field(
        default=5, gt=0, le=100, description="Percent of its last requests that may fail: 5xx, or none"
    )
    requests: int = Field(
        default=100, ge=1, description="How many its last requests are; a deploy looks on for so many"
    )
    seconds: float = Field(
        default=60, ge=0, description="How long a deploy to this machine looks on at most; the front does for ever"
    )


class Local(Frozen):
    """Processes on this machine."""

    port: Port = Field(default=8080, description="The port that callers use")


class Image(Frozen):
    """A target that pulls the image of a version, `image:v1.2.0`."""

    image: str = Field(description="The image without a tag: the version is added")

    @field_validator("image")
    @classmethod
    def _without_a_tag(cls, value: str) -> str:
        if not IMAGE.fullmatch(value) or ":" in value.rpartition("/")[2]:
            raise ValueError(
                f"{value!r} is not the name of an image without a tag; write registry.example.org/team/name"
            )
        return value


class Replicas(Frozen):
    """How many pods there are, by load."""

    min: int = Field(default=2, ge=1, description="There are never fewer")
    max: int = Field(default=4, ge=1, description="There are never more")
    cpu: int = Field(default=70, ge=1, le=100, description="Percent of what is requested, which more pods are to keep")
    in_flight: int | None = Field(
        default=None,
        ge=1,
        description="Requests in flight of a pod, which more pods are to keep; null: not looked at. Needs `monitor`",
    )

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.min > self.max:
            raise ValueError(f"min {self.min} is above max {self.max}; swap them")
        return self


class Resources(Frozen):
    """What a pod is given, as Kubernetes writes quantities."""

    cpu: Annotated[str, StringConstraints(pattern=r"^\d+(\.\d+|m)?$")] = Field(
        default="250m", description="What is requested; it may use more"
    )
    memory: Annotated[str, StringConstraints(pattern=r"^\d+(Mi|Gi|M|G)$")] = Field(
        default="1Gi", description="What is requested, and the limit"
    )


class Kubernetes(Image):
    """Manifests on branch env/NAME, which Argo CD or Flux brings into a cluster."""

    namespace: Label = Field(description="Where everything is put")
    replicas: Replicas = Replicas()
    resources: Resources = Resources()
    secret: Label | None = Field(
        default=None,
        description="The Secret whose keys become environment variables: tokens, a database's URL",
    )
    monitor: bool = Field(default=False, description="Whether there is a ServiceMonitor, of the Prometheus operator")

    @model_validator(mode="after")
    def _measured(self) -> Self:
        if self.replicas.in_flight is not None and not self.monitor:
            raise ValueError("replicas.in_flight: is measured by Prometheus; put `monitor: true`, or null in its place")
        return self


class Compose(Image):
    """A compose.yaml on branch env/NAME, which one machine pulls."""

    port: Port = Field(default=3000, description="The port of that machine")
    env_file: str | None = Field(
        default=None, description="A file of that machine that holds environment variables: tokens, a database's URL"
    )


class BentoCloud(Frozen):
    """A deployment at BentoCloud. What else is set there stays as it is."""

    deployment: Label = Field(description="Its name")
    secrets: tuple[str, ...] = Field(
        default=(), description="Names of secrets at BentoCloud that become environment variables: tokens, a URL"
    )


class Environment(Frozen):
    """One file in environments/."""

    version: str = Field(description="Which version runs: v1.2.0, or newest, or none, which callers are told")
    target: Literal["local", "kubernetes", "compose", "bentocloud"] = Field(
        default="local", description="Where it runs; only the block of that name is needed"
    )
    canary: int | None = Field(
        default=None,
        ge=1,
        le=50,
        description="Percent of the requests (kubernetes: of the pods) that `version` has, the one before the rest; "
        "null: all. Targets local and kubernetes",
    )
    watch: Watch = Watch()
    smoke: Smoke = Smoke()
    local: Local = Local()
    kubernetes: Kubernetes | None = None
    compose: Compose | None = None
    bentocloud: BentoCloud | None = None

    @field_validator("version")
    @classmethod
    def _named(cls, value: str) -> str:
        if not VERSION.fullmatch(value):
            raise ValueError(f"{value!r} is no version; write one as v1.2.0, or newest, or none")
        return value

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if getattr(self, self.target) is None:
            raise ValueError(f"{self.target}: is missing, for the target is {self.target}; add it")
        if self.canary is not None:
            if self.target not in CANARY:
                raise ValueError(f"canary: target {self.target} has none; put null, or use {' or '.join(CANARY)}")
            if self.kubernetes and self.kubernetes.replicas.max < pods(self.canary):
                raise ValueError(
                    f"canary: {self.canary} percent is one of {pods(self.canary)} pods, and kubernetes.replicas.max is "
                    f"{self.kubernetes.replicas.max}; raise one of them"
                )
        return self


def pods(canary: int) -> int:
    """The fewest pods of which one is no larger a share than `canary` percent."""
    return -(-100 // canary)


def names(root: Path = Path()) -> list[str]:
    """The environments that there are."""
    return sorted(one.stem for one in (root / layout.environment("x")).parent.glob("*.yaml"))


def read(name: str, root: Path = Path()) -> Environment:
    """Raises `InputError` where there is no such file, or it is wrong."""
    path = root / layout.environment(name)
    if not NAME.fullmatch(name) or not path.is_file():
        known = names(root)
        raise InputError(f"{name}: is no environment{nearest(name, known) if known else '; add ' + str(path)}")
    return parse(name, path.read_bytes())


def parse(name: str, content: bytes) -> Environment:
    """Raises `InputError`, a line for each key that is wrong."""
    path = layout.environment(name)
    try:
        raw = YAML(typ="safe").load(content)
    except (YAMLError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: is not valid YAML ({_reason(error)}); mend it") from error
    if not isinstance(raw, dict):
        raise InputError(f"{path}: is empty or not a mapping; write `version: none`, at least")
    try:
        return Environment.model_validate(raw)
    except ValidationError as error:
        raise InputError("\n".join(f"{path}: {_line(detail)}" for detail in error.errors())) from error


def _reason(error: Exception) -> str:
    problem, mark = getattr(error, "problem", None), getattr(error, "problem_mark", None)
    return f"line {mark.line + 1}: {problem}" if problem and mark else " ".join(str(error).split())


def _line(detail: Any) -> str:
    place = detail["loc"]
    key = "".join(f"{part}." for part in place)[:-1]
    if detail["type"] == "extra_forbidden":
        return f"{key}: unknown key{nearest(str(place[-1]), keys(Environment, place[:-1]))}"
    if detail["type"] == "missing":
        return f"{key}: is missing; add it"
    if detail["type"] == "value_error":
        return f"{key + ': ' if key else ''}{detail['msg'].removeprefix('Value error, ')}"
    return f"{key}: {detail['msg'][0].lower() + detail['msg'][1:]}; mend it"


def wanted(one: Environment, found: Registry) -> Version | None:
    """The version that is to run. Raises `InputError` where it was never registered."""
    if one.version == NEWEST:
        return found.newest()
    return None if one.version == NONE else found.named(one.version)


def moved(name: str, content: bytes, version: str) -> bytes:
    """The file with another version in its one line that names it, and nothing else of it changed.

    Raises `InputError` where the file is wrong, or the name is none of a version.
    """
    now = parse(name, content).version
    changed = replaced(content, ["version"], version)
    if changed is None:
        raise InputError(f"{layout.environment(name)}: version: cannot be changed; write `version: {now}`, on one line")
    parse(name, changed)
    return changed
