"""Before anything is written: does every answer work? Each that does not gets one line, and nothing is generated."""

from __future__ import annotations

import difflib
import json
import keyword
import re
import shutil
import sys
import unicodedata
from collections.abc import Iterator
from pathlib import Path

CONTEXT = json.loads(r"""<<cookiecutter|jsonify>>""")
GIVEN = json.loads(r"""<<given|jsonify>>""")
HERE = Path(json.loads(r"""<<[here]|jsonify>>""")[0])
ANSWERS = {name: value for name, value in CONTEXT.items() if not name.startswith("_")}

REMOTES = ("s3", "gs", "azure", "ssh", "webdavs")
# What the project imports under another name than its distribution's, and folders of its own.
TAKEN = {"gitloop", "tests", "conf", "data", "hydra", "sklearn", "yaml", "ruamel", "git"}
# What YAML 1.1 reads as something else than text.
YAML_WORDS = {"yes", "no", "on", "off", "true", "false", "null"}


def problems(answers: dict[str, str], given: list[str], locked: set[str], home: Path) -> Iterator[str]:
    """One line for each thing that is wrong. `locked` are the distributions a project installs."""
    for name in given:
        if name not in answers:
            near = difflib.get_close_matches(name, answers, n=1)
            hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(answers)}"
            yield f"{name}: is not a question; {hint}"
    if not all(isinstance(value, str) for value in answers.values()):
        yield from (f"{name}: is not text" for name, value in answers.items() if not isinstance(value, str))
        return
    for name, value in answers.items():
        if any(unicodedata.category(character) in ("Cc", "Cs", "Zl", "Zp") for character in value):
            yield f"{name}: has a line break or a control character; remove it"
        for mark in ("${", "<" * 2, "<" + "%", "<" + "#"):
            if mark in value:
                yield f"{name}: has {mark}, which the configuration would read as a variable; remove it"
    for name in ("project_name", "owner"):
        if not answers[name].strip():
            yield f"{name}: is empty; give a name"
    yield from project(answers["project"], locked)
    yield from package(answers["package"], locked)
    if answers["handle"] and not re.fullmatch(r"@?[A-Za-z0-9-]+(/[A-Za-z0-9._-]+)?", answers["handle"]):
        yield f"handle: {answers['handle']!r} is not a GitHub user or org/team; give one such as octo-org/flight-team"
    if answers["contact"] and not re.fullmatch(r"[^\s@]+@[^\s@]+|https?://\S+", answers["contact"]):
        yield f"contact: {answers['contact']!r} is neither an e-mail address nor a URL; give one of them"
    yield from table(answers["table"], answers["start"])
    yield from remote(answers["remote"], home)


def project(name: str, locked: set[str]) -> Iterator[str]:
    if not re.fullmatch(r"[a-z0-9]([a-z0-9._-]*[a-z0-9])?", name):
        yield f"project: {name!r} cannot name the repository; use small letters, digits and hyphens"
    elif re.sub(r"[-_.]+", "-", name) in locked | {"gitloop"}:
        yield f"project: {name!r} is the name of a package that the project needs; choose another"


def package(name: str, locked: set[str]) -> Iterator[str]:
    if not re.fullmatch(r"[a-z][a-z0-9_]*", name):
        yield f"package: {name!r} cannot be imported; use small letters, digits and underscores, a letter first"
    elif keyword.iskeyword(name) or keyword.issoftkeyword(name):
        yield f"package: {name!r} is a word of Python; choose another"
    elif name in YAML_WORDS:
        yield f"package: {name!r} is a word of YAML; choose another"
    elif name in sys.stdlib_module_names:
        yield f"package: {name!r} is a module of Python; choose another"
    elif name in TAKEN or name.replace("_", "-") in locked:
        yield f"package: {name!r} is the name of a package that the project needs; choose another"


def table(answer: str, start: str) -> Iterator[str]:
    if not answer:
        return
    source, _, target = answer.rpartition("#")
    if not source or not target:
        yield f"table: {answer!r} names no column to predict; write TABLE#COLUMN, such as customers.csv#churned"
    elif "://" not in source and not source.startswith("env:") and not (HERE / Path(source).expanduser()).exists():
        yield f"table: {source!r} is not in {HERE}; give the path of a file that is there, or leave it empty"
    if start != "own":
        yield "table: belongs to the start from your own data; say start=own, or leave it empty"
    if shutil.which("make") is None:
        yield "table: needs make, which sets up what reads it; install it, or leave it empty"


def remote(url: str, home: Path) -> Iterator[str]:
    if not url:
        return
    scheme, separator, rest = url.partition("://")
    if not separator:
        if not Path(url).is_absolute():
            yield f"remote: {url!r} is not an absolute path; give one, or a URL ({', '.join(REMOTES)})"
        elif Path(url).resolve().is_relative_to(home):
            yield f"remote: {url!r} lies inside the project; give a folder outside of it"
    elif scheme not in REMOTES:
        near = difflib.get_close_matches(scheme, REMOTES, n=1, cutoff=0.5)
        hint = f"did you mean {near[0]}?" if near else f"use one of {', '.join(REMOTES)}, or an absolute path"
        yield f"remote: {scheme}:// is not supported; {hint}"
    elif not rest.strip("/"):
        yield f"remote: {url!r} names no place; write {scheme}://<bucket or host>/<path>"
    elif re.match(r"[^/]*:[^/]*@", rest):
        yield "remote: has a password in it; leave it out, DVC asks for it or finds it in the environment"
    if re.search(r"[,;#'\"]", url) or (separator and re.search(r"\s", url)):
        yield f"remote: {url!r} has a character that DVC's configuration cannot hold; choose another place"


def main() -> int:
    lock = next(Path(CONTEXT["_repo_dir"]).glob("*cookiecutter*/requirements.txt"))
    locked = set(re.findall(r"^([a-z0-9._-]+)==", lock.read_text(encoding="utf-8"), flags=re.MULTILINE))
    found = list(problems(ANSWERS, GIVEN, locked, Path.cwd()))
    for line in found:
        print(f"cookiecutter-gitloop: {line}", file=sys.stderr)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
