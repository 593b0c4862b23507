"""Artifacts in a folder. Their root is the deepest folder that all patterns share, as it is of the real action."""

from __future__ import annotations

import os
import re
import shutil
import sys
from pathlib import Path

WILD = re.compile(r"[*?\[]")
ILLEGAL = re.compile(r'["<>|*?:\r\n]')  # in a path: the real action refuses them


def searched(pattern: str) -> Path:
    """Where a pattern begins: the folder before its first wildcard, or what it names."""
    fixed = WILD.split(pattern)[0]
    return Path(fixed if fixed == pattern else fixed.rpartition("/")[0])


def files(pattern: str) -> list[Path]:
    there = [one for path in Path().glob(pattern) for one in ([path] if path.is_file() else path.rglob("*"))]
    return [one for one in there if one.is_file() and not any(part.startswith(".") for part in one.parts)]


def root(patterns: list[str]) -> Path:
    starts = sorted({searched(pattern) for pattern in patterns})
    tops = [one for one in starts if not any(other in one.parents for other in starts)]
    if len(tops) > 1:
        return Path(os.path.commonpath(tops))
    return tops[0].parent if tops[0].is_file() else tops[0]


patterns = [line.strip() for line in os.environ["ARTIFACT_PATH"].split("\n") if line.strip()]
found = sorted({one for pattern in patterns for one in files(pattern)})
if not found:
    print(f"No files were found with the provided path: {', '.join(patterns)}")
    sys.exit(os.environ["ARTIFACT_NONE"] == "error")
if bad := [str(one) for one in found if ILLEGAL.search(str(one))]:
    sys.exit(f"The path for one of the files in artifact is not valid: {bad[0]}")
target = Path(os.environ["HUB_STORE"]) / "artifacts" / os.environ["GITHUB_RUN_ID"] / os.environ["ARTIFACT_NAME"]
if target.exists():
    sys.exit("Failed to CreateArtifact: an artifact with this name already exists on the workflow run")
for one in found:
    copy = target / one.relative_to(root(patterns))
    copy.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy(one, copy)
print(f"Artifact {target.name} has been successfully uploaded: {', '.join(map(str, found))}")
