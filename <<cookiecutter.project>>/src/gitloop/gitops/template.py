"""The template that a repository was generated from: what is recorded of it, and the same generation again.

Generating runs the template's hooks, which are programs: they get an environment without tokens, an empty home folder,
and a folder to write to.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from dataclasses import asdict, dataclass, replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from gitloop import git, layout
from gitloop.errors import InputError
from gitloop.gitops import actions

QUESTIONS = Path("cookiecutter.json")
SHORT = {"gh": "https://github.com/{}", "gl": "https://gitlab.com/{}", "bb": "https://bitbucket.org/{}"}
RELEASE = re.compile(r"v\d+\.\d+\.\d+")
COMMIT = re.compile(r"[0-9a-f]{40}([0-9a-f]{24})?")
PASSED = ("PATH", "LANG", "LC_ALL", "TZ")  # of the environment, to programs of the template
BACK = f"`git log --all -- {layout.ANSWERS}` shows where it was right"


@dataclass(frozen=True)
class Record:
    """What .gitloop.json says."""

    template: str | None  # its address; None: a folder of some machine
    checkout: str | None  # the branch or tag that was asked for
    commit: str | None  # of the template; None: not known
    version: str
    answers: dict[str, str]

    def text(self) -> str:
        return json.dumps(asdict(self), indent=2, ensure_ascii=False) + "\n"


@dataclass(frozen=True)
class Template:
    """A clone of the template, and the commit to go to."""

    address: str
    clone: Path
    commit: str
    name: str  # as people call that commit: a tag, a branch, a part of its hash

    def has(self, revision: str) -> str | None:
        """The full hash of a commit; None where the template has no such commit."""
        found = git.asked(
            "rev-parse", "--verify", "--quiet", "--end-of-options", f"{revision}^{{commit}}", root=self.clone
        )
        return found or None

    def log(self, since: str) -> list[str]:
        """What each commit since another one says, newest first."""
        return git.git("log", "--no-merges", "--format=%s", f"{since}..{self.commit}", root=self.clone).splitlines()


def read() -> Record:
    """What was recorded at generation, or by the last update. Raises `InputError` where it cannot be used."""
    try:
        found = json.loads(layout.ANSWERS.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise InputError(f"{layout.ANSWERS}: not there; an update needs the answers in it: {BACK}") from error
    except (ValueError, OSError) as error:
        raise InputError(f"{layout.ANSWERS}: is not JSON ({error}); {BACK}") from error
    return parsed(found)


def parsed(found: Any) -> Record:
    """Raises `InputError`, one line for each key that is wrong."""
    if not isinstance(found, dict):
        raise InputError(f"{layout.ANSWERS}: is not a mapping; {BACK}")
    places = ("template", "checkout")
    problems = [f"{name}: is neither text nor null" for name in places if not isinstance(found.get(name), str | None)]
    commit, answers = found.get("commit"), found.get("answers")
    if commit is not None and not (isinstance(commit, str) and COMMIT.fullmatch(commit)):
        problems.append("commit: is not the full hash of a commit")
    if not isinstance(answers, dict) or not answers:
        problems.append("answers: are not there")
    else:
        problems += [f"answers: {name}: is not text" for name, value in answers.items() if not isinstance(value, str)]
    if problems:
        raise InputError("\n".join(f"{layout.ANSWERS}: {one}; {BACK}" for one in problems))
    version = str(found.get("version", ""))
    return Record(found.get("template"), found.get("checkout"), commit, version, dict(answers or {}))


def fetched(record: Record, address: str | None, to: str | None, folder: Path) -> Template:
    """Clone the template into a folder. Raises `InputError` where it has no address, or cannot be had from there."""
    address = address or record.template
    if address is None:
        raise InputError(
            f"{layout.ANSWERS}: template: is null: this repository was generated from a folder; say where the template "
            "is with --template ADDRESS, or write its address there"
        )
    kind, _, rest = address.partition(":")
    url = SHORT[kind].format(rest) if kind in SHORT else address
    clone = folder / "template"
    try:
        git.git("clone", "--quiet", "--no-checkout", "--", url, str(clone), environment=actions.credential())
    except InputError as error:
        raise InputError(
            f"{address}: the template cannot be fetched from there ({str(error).removeprefix('git clone: ')}); try "
            f"again, or say where it is now with --template ADDRESS ({layout.ANSWERS} keeps it)"
        ) from error
    commit, name = _wanted(clone, record.checkout, to)
    found = Template(address, clone, commit, name)
    if git.asked("cat-file", "-e", f"{commit}:{QUESTIONS}", root=clone) is None:
        raise InputError(f"{address}: has no {QUESTIONS} at {name}, so it is no template; check the address")
    return found


def _wanted(clone: Path, checkout: str | None, to: str | None) -> tuple[str, str]:
    """The commit to go to, with its name: what was asked for, the branch that was generated from, the newest release.

    Without any release it is the newest commit.
    """

    def commit(revision: str) -> str | None:
        return git.asked("rev-parse", "--verify", "--quiet", "--end-of-options", f"{revision}^{{commit}}", root=clone)

    if to is not None:
        for place in (f"refs/tags/{to}", f"refs/remotes/origin/{to}", to):
            if found := commit(place):
                return found, to if place != to else found[:10]
        raise InputError(f"--to {to}: the template has no such tag, branch or commit; leave --to out for the newest")
    if checkout and (found := commit(f"refs/remotes/origin/{checkout}")):
        return found, f"{checkout} at {found[:10]}"
    tags = (git.asked("tag", "--list", "v*", "--sort=-version:refname", root=clone) or "").splitlines()
    release = next((tag for tag in tags if RELEASE.fullmatch(tag)), None)
    if release and (found := commit(f"refs/tags/{release}")):
        return found, release
    if found := commit("HEAD"):
        return found, found[:10]
    raise InputError("the template has no commit; check its address")


def generated(template: Template, commit: str, record: Record, folder: Path) -> tuple[Path, Record]:
    """Generate what a commit of the template gives for the recorded answers; where that is, and what it recorded.

    Questions that are new get their defaults; answers to questions that are gone are left out. Raises `InputError`
    where the template does not take the answers.
    """
    if find_spec("cookiecutter") is None:
        raise InputError("cookiecutter: is not installed here, and an update generates with it; run `make setup`")
    source, out, home = folder / "source", folder / "out", folder / "home"
    for one in (out, home):
        one.mkdir(parents=True)
    git.git("worktree", "add", "--quiet", "--detach", str(source.resolve()), commit, root=template.clone)
    questions = json.loads((source / QUESTIONS).read_text(encoding="utf-8"))
    given = [f"{name}={value}" for name, value in record.answers.items() if name in questions]
    arguments = ["--no-input", "--default-config", "--output-dir", str(out), str(source), *given]
    done = program(folder, folder, "-I", "-m", "cookiecutter", *arguments)
    made = list(out.iterdir())
    if done.returncode or len(made) != 1:
        raise InputError(
            f"{layout.ANSWERS}: the template at {commit[:10]} generates nothing for these answers: {_said(done)}; put "
            f"them right ({BACK})"
        )
    recorded = parsed(json.loads((made[0] / layout.ANSWERS).read_text(encoding="utf-8")))
    return made[0], replace(recorded, template=record.template, checkout=record.checkout, commit=commit)


def program(where: Path, scratch: Path, *arguments: str, **more: str) -> subprocess.CompletedProcess[str]:
    """Run this Python on a program of the template: without our environment, with a home of its own below `scratch`."""
    home = scratch / "home"
    home.mkdir(parents=True, exist_ok=True)
    environment = {name: os.environ[name] for name in PASSED if name in os.environ}
    environment |= {"HOME": str(home), "TMPDIR": str(home), "GITLOOP_SKIP_GIT": "1", "PYTHONDONTWRITEBYTECODE": "1"}
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=where,
        env=environment | more,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )


def _said(done: subprocess.CompletedProcess[str]) -> str:
    """What the template's own checks say, else the last line."""
    lines = [line.strip() for line in done.stderr.splitlines() if line.strip()]
    ours = [line.removeprefix("cookiecutter-gitloop: ") for line in lines if line.startswith("cookiecutter-gitloop: ")]
    return " · ".join(ours or lines[-1:]) or f"it ended with {done.returncode}"
