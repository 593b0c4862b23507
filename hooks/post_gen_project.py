"""After the files are written: the chosen start, the record of the answers, DVC's remote, the first commit, your table.

Run again over the same project it changes nothing. GITLOOP_SKIP_GIT=1 leaves Git alone.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import yaml  # cookiecutter needs it too

CONTEXT = json.loads(r"""<<cookiecutter|jsonify>>""")
ANSWERS = {name: value for name, value in CONTEXT.items() if not name.startswith("_")}
HERE = Path(json.loads(r"""<<[here]|jsonify>>""")[0])  # where a path in an answer starts
STARTS = Path(".starts")
# Git must not take the repository from a hook or a script around cookiecutter.
ENVIRONMENT = {
    name: value for name, value in os.environ.items() if not name.startswith(("GIT_DIR", "GIT_WORK", "GIT_INDEX"))
}


def main() -> None:
    tidy()
    choose(ANSWERS["start"])
    record()
    if ANSWERS["remote"]:
        set_remote(ANSWERS["remote"])
    if os.environ.get("GITLOOP_SKIP_GIT", "") in ("", "0"):
        commit()
    declared = declare(ANSWERS["table"])
    print(next_steps(declared))


def tidy() -> None:
    """Remove what running the template's own tests leaves in it."""
    for folder in [*Path("src").rglob("__pycache__"), *Path("tests").rglob("__pycache__"), *Path().glob(".*_cache")]:
        shutil.rmtree(folder)


def choose(start: str) -> None:
    """The template lies there as the flights demo; another start replaces what differs."""
    params = Path("params.yaml")
    comment, _, text = params.read_text(encoding="utf-8").partition("\n")
    composed = yaml.safe_load(text)
    if start == "own" and STARTS.exists():
        own = STARTS / "own"
        for old in [Path("conf/data/flights.yaml"), *Path("tests").rglob("*.py")]:
            old.unlink()
        shutil.copytree(own / "package", Path("src") / ANSWERS["package"], dirs_exist_ok=True)
        for folder in ("conf", "data", "tests"):
            shutil.copytree(own / folder, folder, dirs_exist_ok=True)
        replace("conf/config.yaml", r"- data: flights", "- data: own    ")
        composed["data"] = yaml.safe_load(Path("conf/data/own.yaml").read_text(encoding="utf-8"))
    # As `gitloop params` writes it, so that the first change shows nothing else.
    text = yaml.safe_dump(composed, sort_keys=False, allow_unicode=True, width=10**6)
    params.write_text(f"{comment}\n{text}", encoding="utf-8", newline="\n")
    shutil.rmtree(STARTS, ignore_errors=True)


def replace(path: str, pattern: str, by: str) -> None:
    file = Path(path)
    text, times = re.subn(pattern, lambda _: by, file.read_text(encoding="utf-8"))
    if times != 1:
        sys.exit(f"cookiecutter-gitloop: {path}: cannot be adapted to the answers ({pattern} not found); report it")
    file.write_text(text, encoding="utf-8", newline="\n")


def record() -> None:
    """Keep the answers and the template they were given to, for an update. A path of this machine is no address."""
    source = CONTEXT["_template"]
    _, _, version = Path("src/gitloop/__init__.py").read_text(encoding="utf-8").partition("__version__ = ")
    kept = {
        "template": without_password(source) if re.match(r"(?!file:)(\w[\w+]+:|[\w.-]+@)", source) else None,
        "checkout": CONTEXT["_checkout"],
        "commit": commit_of(CONTEXT["_repo_dir"]),
        "version": version.strip().strip('"'),
        "answers": ANSWERS | {"table": ""},  # a path of this machine too, and read once
    }
    text = json.dumps(kept, indent=2, ensure_ascii=False) + "\n"
    Path(".gitloop.json").write_text(text, encoding="utf-8", newline="\n")


def without_password(address: str) -> str:
    """What is recorded is read by everybody who sees the repository."""
    return re.sub(r"^(https?://)[^/@]*@", r"\1", address)


def commit_of(template: str) -> str | None:
    """The commit that was generated from; None where it is not known, or the files are not those of a commit."""
    if git("-C", template, "rev-parse", "--show-prefix", "--is-inside-work-tree", check=False) != "true":
        return None  # no repository, or below the root of another one
    # cookiecutter makes hooks executable.
    if git("-C", template, "-c", "core.fileMode=false", "status", "--porcelain", "--untracked-files=no", check=False):
        return None
    return git("-C", template, "rev-parse", "--verify", "--quiet", "HEAD", check=False) or None


def set_remote(url: str) -> None:
    """What `dvc remote add --default storage URL` writes."""
    if "remote = storage" in Path(".dvc/config").read_text(encoding="utf-8"):
        return
    replace(".dvc/config", r"\[hydra\]", "    remote = storage\n[hydra]")
    with Path(".dvc/config").open("a", encoding="utf-8", newline="\n") as config:
        config.write(f"['remote \"storage\"']\n    url = {url}\n")


def commit() -> None:
    """A repository on `main` whose first commit holds everything. One that has commits is left as it is."""
    if not Path(".git").exists():
        git("init", "--quiet")
        git("symbolic-ref", "HEAD", "refs/heads/main")
    if git("rev-parse", "--verify", "--quiet", "HEAD", check=False):
        return
    if not all(named(who) for who in ("AUTHOR", "COMMITTER")):
        for who in ("AUTHOR", "COMMITTER"):
            ENVIRONMENT.update({f"GIT_{who}_NAME": "gitloop", f"GIT_{who}_EMAIL": "gitloop@localhost"})
        print("Git does not know your name and e-mail address: the first commit is by gitloop.")
    git("add", "--all")
    git("commit", "--quiet", "--no-verify", "--no-gpg-sign", "--message", "Generate from cookiecutter-gitloop")


def named(who: str) -> bool:
    """Has a person set the identity? What Git makes up from the host's name does not count."""
    return all(
        ENVIRONMENT.get(f"GIT_{who}_{key.upper()}") or git("config", f"user.{key}", check=False)
        for key in ("name", "email")
    )


def git(*arguments: str, check: bool = True) -> str:
    done = subprocess.run(["git", *arguments], capture_output=True, text=True, env=ENVIRONMENT, check=False)
    if check and done.returncode:
        reason = " ".join(done.stderr.split())
        sys.exit(f"cookiecutter-gitloop: git {arguments[0]} failed: {reason}; mend that, or set GITLOOP_SKIP_GIT=1")
    return done.stdout.strip() if done.returncode == 0 else ""


def declare(answer: str) -> bool:
    """Set up an environment and have `gitloop init` read the table: changes to be read and committed by a person.

    Whether that is done. Where it fails it has said why, and the project stays as the start made it.
    """
    if not answer:
        return False
    source, _, target = answer.rpartition("#")
    file = HERE / Path(source).expanduser()
    source = str(file) if file.exists() else source  # else an address, as has been looked at before
    program = Path(os.environ.get("VENV", ".venv")) / "bin/gitloop"
    for command in (["make", "setup"], [str(program), "init", source, "--target", target]):
        print(f"== {shlex.join(command)}", flush=True)
        if subprocess.run(command, env=ENVIRONMENT | {"PYTHONPATH": "src"}, check=False).returncode:
            print(
                f"cookiecutter-gitloop: table: {Path(command[0]).name} {command[1]} did not end well, see above",
                file=sys.stderr,
            )
            return False
    return True


def next_steps(declared: bool) -> str:
    setup, own = "\n  make setup   # an environment in .venv", ""
    if declared:
        setup = "\n  $EDITOR conf/data/   # what was read out of your table; `git diff` shows it all"
    elif ANSWERS["start"] == "own":
        own = "\n  .venv/bin/gitloop init TABLE --target COLUMN   # your own table, a file or a database's URL"
    return f"""
{ANSWERS["project"]} is ready. Next:
  cd {Path.cwd()}{setup}{own}
  make train   # data, candidates, the best of them, its gates
"""


if __name__ == "__main__":
    main()
