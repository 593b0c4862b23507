"""Git repositories for tests."""

from __future__ import annotations

import subprocess
from pathlib import Path


def git(where: Path, *arguments: str, check: bool = True) -> str:
    done = subprocess.run(["git", *arguments], cwd=where, capture_output=True, text=True, check=False)
    assert not check or done.returncode == 0, f"git {' '.join(arguments)}: {done.stderr}"
    return done.stdout.strip()


def write(where: Path, **files: str) -> None:
    """`metrics__selected` stands for metrics/selected.json, `conf__a` for conf/a.yaml, the rest as it is named."""
    for name, text in files.items():
        path = where / (name.replace("__", "/") + {"metrics": ".json", "conf": ".yaml"}.get(name.split("__")[0], ""))
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


def commit(where: Path, message: str, **files: str) -> str:
    write(where, **files)
    git(where, "add", "--all")
    git(where, "commit", "--quiet", "--message", message)
    return git(where, "rev-parse", "HEAD")


def selected(candidate: str = "linear") -> str:
    return f'{{"candidate": "{candidate}", "reason": "{candidate} is best.", "model": {{"path": "m", "sha256": "0"}}}}'
