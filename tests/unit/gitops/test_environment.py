"""environments/NAME.yaml: a typo is named, and a change of version is a change of one line."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from gitloop.cli import main
from gitloop.errors import InputError
from gitloop.gitops import environment

FILE = "environments/production.yaml: "
KUBERNETES = "kubernetes: {namespace: late, image: ghcr.io/team/late"
ON_COMPOSE = "version: v1.2.0\ntarget: compose\ncompose: {image: '"
ON_KUBERNETES = f"version: v1.2.0\ntarget: kubernetes\n{KUBERNETES}"


def wrong(content: str) -> str:
    with pytest.raises(InputError) as caught:
        environment.parse("production", content.encode())
    assert caught.value.exit_code == 2
    return str(caught.value)


def test_the_template_s_environments_start_empty_on_this_machine(template: Path) -> None:
    assert environment.names(template) == ["production", "staging"]
    for name, version, port in (("staging", "newest", 8081), ("production", "none", 8080)):
        found = environment.read(name, template)
        assert (found.version, found.target, found.canary, found.local.port) == (version, "local", None, port)


def test_the_template_s_other_targets_are_right(template: Path) -> None:
    """What is commented out is what a user will take in."""
    text = (template / "environments/production.yaml").read_text()
    blocks = text.partition("\n#\n")[2]
    uncommented = "\n".join(line.removeprefix("# ") for line in blocks.splitlines())
    for target in ("kubernetes", "compose", "bentocloud"):
        live = text.replace("target: local", f"target: {target}") + uncommented
        assert environment.parse("production", live.encode()).target == target


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("", "is empty or not a mapping; write `version: none`, at least"),
        ("version: [", "is not valid YAML (line "),
        ("version: none\nversion: v1.0.0\n", "is not valid YAML (line 2: found duplicate key"),
        ("target: local", "version: is missing; add it"),
        ("version: 1.2.0", "version: '1.2.0' is no version; write one as v1.2.0, or newest, or none"),
        ("version: v1.2.0-rc1", "version: 'v1.2.0-rc1' is no version; write one as v1.2.0, or newest, or none"),
        ("version: none\nversoin: none", "versoin: unknown key; did you mean 'version'?"),
        ("version: none\nlocal: {prot: 1}", "local.prot: unknown key; did you mean 'port'?"),
        ("version: none\nlocal: {port: 0}", "local.port: input should be greater than or equal to 1; mend it"),
        ("version: none\nsmoke: {latency_ms: -1}", "smoke.latency_ms: input should be greater than 0; mend it"),
        ("version: none\ntarget: kubernets", "target: input should be 'local', 'kubernetes', 'compose' or"),
        ("version: none\ntarget: compose", "compose: is missing, for the target is compose; add it"),
        (
            "version: none\ntarget: compose\ncompose: {image: a/b}\ncanary: 10",
            "canary: target compose has none; put null, or use local or kubernetes",
        ),
        (
            "version: none\nwatch: {errors: 0}",
            "watch.errors: input should be greater than 0; mend it",
        ),
        (f"{ON_KUBERNETES}}}\ncanary: 60", "canary: input should be less than or equal to 50; mend it"),
        (
            f"{ON_KUBERNETES}}}\ncanary: 10",
            "canary: 10 percent is one of 10 pods, and kubernetes.replicas.max is 4; raise one of them",
        ),
        (f"{ON_KUBERNETES}, replica: 1}}", "kubernetes.replica: unknown key; did you mean 'replicas'?"),
        (f"{ON_KUBERNETES}, replicas: {{mni: 1}}}}", "kubernetes.replicas.mni: unknown key; did you mean 'min'?"),
        (
            f"{ON_KUBERNETES}, replicas: {{min: 5, max: 2}}}}",
            "kubernetes.replicas: min 5 is above max 2; swap them",
        ),
        (
            f"{ON_KUBERNETES}, replicas: {{in_flight: 8}}}}",
            "kubernetes: replicas.in_flight: is measured by Prometheus; put `monitor: true`, or null in its place",
        ),
        (
            f"{ON_COMPOSE}ghcr.io/team/late:v1'}}",
            "compose.image: 'ghcr.io/team/late:v1' is not the name of an image without a tag",
        ),
        (f"{ON_KUBERNETES}, namespace: A_b}}", "is not valid YAML (line 3: found duplicate key"),
        (f"{ON_KUBERNETES}, resources: {{memory: lots}}}}", "kubernetes.resources.memory: string should match pattern"),
    ],
)
def test_what_is_wrong_is_named_by_file_and_key(content: str, says: str) -> None:
    assert wrong(content).startswith(FILE + says)


def test_every_wrong_key_has_its_line() -> None:
    assert len(wrong("version: x\nlocal: {port: 0}\nfoo: 1").splitlines()) == 3


def test_no_such_environment(template: Path) -> None:
    with pytest.raises(InputError, match=r"^producton: is no environment; did you mean 'production'\?$"):
        environment.read("producton", template)
    with pytest.raises(InputError, match="is no environment"):
        environment.read("../conf/project", template)


@pytest.mark.parametrize("ending", ["\n", "\r\n"])
@pytest.mark.parametrize("written", ["none", '"none"', "'v1.0.0'", "v1.0.0", "newest"])
def test_one_line_changes_and_nothing_else(written: str, ending: str) -> None:
    before = f"# version: none\nsmoke:   {{latency_ms:  250.0}}   # slow\nversion: {written}    # none or v1.0.0\n"
    found = environment.moved("production", before.replace("\n", ending).encode(), "v1.2.0")
    after = before.replace(f"version: {written}  ", "version: v1.2.0  ").replace("\n", ending)
    assert found == after.encode()
    assert environment.parse("production", found).version == "v1.2.0"


@pytest.mark.parametrize("name", ["staging", "production"])
def test_the_template_s_files_are_changed_in_one_line(name: str, template: Path) -> None:
    before = (template / f"environments/{name}.yaml").read_bytes()
    after = environment.moved(name, before, "v0.1.0")
    differ = [b for a, b in zip(before.splitlines(), after.splitlines(), strict=True) if a != b]
    assert [line.split(b"#")[0].strip() for line in differ] == [b"version: v0.1.0"]
    assert environment.moved(name, after, environment.parse(name, before).version) == before


@pytest.mark.parametrize(
    ("content", "version", "says"),
    [
        ("version: none\nprot: 1\n", "v1.0.0", "prot: unknown key"),
        ("version: none\n", "1.0.0", "version: '1.0.0' is no version"),
        ("version:\n  >-\n  v1.0.0\n", "v2.0.0", "version: cannot be changed; write `version: v1.0.0`, on one line"),
    ],
)
def test_what_cannot_be_changed_is_refused(content: str, version: str, says: str) -> None:
    with pytest.raises(InputError, match=says):
        environment.moved("production", content.encode(), version)


def test_yaml_s_own_view_agrees(template: Path) -> None:
    """Other tools read these files with PyYAML."""
    for name, version in (("staging", "newest"), ("production", "none")):
        assert yaml.safe_load((template / f"environments/{name}.yaml").read_text())["version"] == version


def test_a_workflow_is_told_what_changed(repository: Callable[..., str], monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("production", "staging"):
        Path("environments").mkdir(exist_ok=True)
        Path(f"environments/{name}.yaml").write_text("version: none\n")
    before = repository()
    Path("environments/production.yaml").write_text("version: newest\n")
    repository()
    monkeypatch.setenv("GITHUB_OUTPUT", "out")
    for arguments, names in (
        (["--since", before], ["production"]),
        (["--since", "HEAD"], []),
        (["--since", "0" * 40], ["production", "staging"]),  # the first push of a branch
        ([], ["production", "staging"]),
    ):
        Path("out").write_text("")
        assert main(["environments", *arguments]) == 0
        assert Path("out").read_text() == f"names={json.dumps(names)}\n"
