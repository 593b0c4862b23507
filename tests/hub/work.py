"""What a person does before a push."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from project import edit, run
from repositories import git

from hub.hub import Hub


def branched(here: Hub, branch: str, edits: dict[str, dict[str, Any]] | None = None, **files: str) -> Path:
    """A clone with a branch on which files were written or edited, and committed."""
    clone = here.clone(f"work-{branch.replace('/', '-')}")
    git(clone, "switch", "--quiet", "--create", branch)
    for name, changes in (edits or {}).items():
        edit(clone / name, **changes)
    if any(name.startswith("conf/") for name in edits or {}):
        run(clone, "gitloop", "params")
    for name, text in files.items():
        path = clone / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    git(clone, "add", "--all")
    git(clone, "commit", "--quiet", "--message", f"Work of {branch}")
    return clone
