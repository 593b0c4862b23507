"""What must be right before anything is trained: configuration, lock, metrics, workflows, no secret in a file."""

from __future__ import annotations

import argparse
import hashlib
import json
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from gitloop import config, git, layout, ui
from gitloop.errors import GitloopError, InputError, Refused
from gitloop.files import write_json

WORKFLOWS = Path(".github")
LARGE = 1_000_000  # bytes; a larger file is data
# What looks like a secret by chance: hashes and addresses. The rest of detect-secrets' plugins know shapes.
BY_CHANCE = frozenset({"Base64HighEntropyString", "HexHighEntropyString", "IPPublicDetector"})
HASHED = ("dvc.lock", "requirements*.txt")


class Finding(NamedTuple):
    """What is wrong: which check says so, where, why, and the mend."""

    check: str
    where: str
    why: str
    mend: str

    def __str__(self) -> str:
        return f"{self.where}: {self.why}; {self.mend}"


def run(_: argparse.Namespace) -> None:
    """`gitloop check`. Raises `Refused`, one line a finding; reports/checks.json holds them all."""
    found = findings(Path())
    write_json(layout.CHECKS, {"passed": not found, "findings": [one._asdict() for one in found]})
    ui.table("checks", ["check", "verdict"], [[name, _verdict(name, found)] for name in CHECKS])
    if found:
        raise Refused("\n".join(str(one) for one in found))


def findings(root: Path) -> list[Finding]:
    return [one for check in CHECKS.values() for one in check(root)]


def configuration(root: Path) -> Iterator[Finding]:
    """conf/ composes, keeps the rules of the contract and the settings, and is what params.yaml holds."""
    try:
        config.sync(root, check=True)
    except GitloopError as error:
        check = "params" if isinstance(error, Refused) else "contract"
        for line in str(error).splitlines():
            where, _, rest = line.partition(": ")
            why, _, mend = rest.rpartition("; ")
            yield Finding(check, where, why or rest, mend if why else "mend it, then `gitloop params`")


def lock(root: Path) -> Iterator[Finding]:
    """dvc.lock can be read, and the metrics in Git are those that it records."""
    path = root / layout.DVC_LOCK
    if not path.exists():
        return
    text = path.read_text(encoding="utf-8")
    if "\n<<<<<<< " in text or "\n>>>>>>> " in text:
        yield Finding("lock", str(layout.DVC_LOCK), "holds the marks of a merge conflict", "run `gitloop resolve`")
        return
    try:
        stages = yaml.safe_load(text)["stages"]
        recorded = [(name, out) for name, stage in stages.items() for out in stage.get("outs", [])]
        kept = _in_git(root)
        for stage, out in recorded:
            if out["path"] in kept:
                yield from _as_recorded(root, stage, out["path"], out["md5"])
    except (yaml.YAMLError, KeyError, TypeError, AttributeError):
        yield Finding("lock", str(layout.DVC_LOCK), "is not what DVC writes", "take main's, then run `make train`")


def _as_recorded(root: Path, stage: str, path: str, md5: str) -> Iterator[Finding]:
    file = root / path
    if not file.is_file():
        yield Finding("metrics", path, f"is gone, and dvc.lock has it from stage {stage}", f"run `git checkout {path}`")
    elif hashlib.md5(file.read_bytes(), usedforsecurity=False).hexdigest() != md5:
        why = f"is not what stage {stage} wrote (dvc.lock has another hash): it was edited by hand, or the lock was"
        yield Finding("metrics", path, why, f"run `rm {path} && make train`, and commit what comes")


def _in_git(root: Path) -> set[str]:
    """The outputs that Git keeps: those that dvc.yaml declares with `cache: false`."""
    declared = yaml.safe_load((root / "dvc.yaml").read_text(encoding="utf-8"))["stages"]
    found = set()
    for entry in declared.values():
        stage = entry.get("do", entry)
        for out in [*stage.get("outs", []), *stage.get("metrics", [])]:
            if isinstance(out, dict):
                found |= {path for path, options in out.items() if options.get("cache") is False}
    names = config.candidates(root)
    return {path.replace("${key}", name) for path in found for name in names}


def marks(root: Path) -> Iterator[Finding]:
    """No tracked file holds both marks of a merge conflict, as an update of the template may leave them."""
    both = ("--all-match", "-e", "^<<<<<<< ", "-e", "^>>>>>>> ")
    for name in (git.asked("grep", "--files-with-matches", "-I", *both, root=root) or "").splitlines():
        if name != layout.DVC_LOCK.as_posix():  # has its own answer
            yield Finding("marks", name, "holds the marks of a merge conflict", "edit it: keep what is right of both")


def workflows(root: Path) -> Iterator[Finding]:
    """zizmor finds nothing in .github/. Raises `InputError` where it is not installed."""
    if not (root / WORKFLOWS).is_dir():
        return
    command = [layout.program("zizmor"), "--offline", "--quiet", "--strict-collection", "--format=json", str(WORKFLOWS)]
    try:
        done = subprocess.run(command, cwd=root, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL)
        found = json.loads(done.stdout)
    except FileNotFoundError as error:
        raise InputError("zizmor: is not installed; run `make setup`") from error
    except ValueError:
        reason = " ".join(done.stderr.partition("Stack backtrace")[0].split())[:300]
        yield Finding("workflows", str(WORKFLOWS), f"cannot be read by zizmor: {reason}", "mend the workflow's YAML")
        return
    for one in found:
        yield _workflow(one)


def _workflow(one: dict[str, Any]) -> Finding:
    places = [place for place in one["locations"] if place["symbolic"]["kind"] == "Primary"] or one["locations"]
    where, place = places[0]["symbolic"], places[0]["concrete"]["location"]
    name = where["key"]["Local"]["verbatim_path"]
    line = place["start_point"]["row"] + 1
    feature = " ".join(places[0]["concrete"]["feature"].split())[:100]
    return Finding("workflows", f"{name}:{line}", f"{one['desc']} ({one['ident']}): {feature}", f"see {one['url']}")


def secrets(root: Path) -> Iterator[Finding]:
    """No tracked file, notebooks too, holds what looks like a password, a token or a private key."""
    from detect_secrets.core.plugins.util import get_mapping_from_secret_type_to_class
    from detect_secrets.core.scan import scan_file
    from detect_secrets.settings import transient_settings

    from gitloop.gitops import shapes

    tracked = (git.asked("ls-files", "-z", root=root) or "").split("\0")
    plugins: dict[str, type] = get_mapping_from_secret_type_to_class()
    used = sorted({plugin.__name__ for plugin in plugins.values()} - BY_CHANCE)
    with transient_settings({"plugins_used": [{"name": name} for name in used]}):
        for name in sorted(set(filter(None, tracked))):
            file = root / name
            if not file.is_file() or file.stat().st_size > LARGE or any(file.match(one) for one in HASHED):
                continue
            if not shapes.possible(file):  # a scan goes line by line, which takes several times as long
                continue
            for found in scan_file(str(file)):
                yield Finding(
                    "secrets",
                    f"{name}:{found.line_number}",
                    f"looks like a secret ({found.type})",
                    "make it invalid where it came from, rewrite the commit without it; where it is none, end the line "
                    "with `pragma: allowlist secret`",
                )


CHECKS: dict[str, Callable[[Path], Iterator[Finding]]] = {
    "configuration": configuration,
    "lock": lock,
    "marks": marks,
    "workflows": workflows,
    "secrets": secrets,
}


def _verdict(name: str, found: list[Finding]) -> str:
    mine = {"configuration": ("params", "contract"), "lock": ("lock", "metrics")}.get(name, (name,))
    number = sum(one.check in mine for one in found)
    return f"FAILED: {number}" if number else "passed"
