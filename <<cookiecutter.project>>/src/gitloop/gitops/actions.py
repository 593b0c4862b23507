"""What GitHub Actions tells a step, and what a step tells it back. Outside Actions all of it is silent."""

from __future__ import annotations

import os
from pathlib import Path

ROLES = ("AUTHOR", "COMMITTER")
BOT = ("github-actions[bot]", "41898282+github-actions[bot]@users.noreply.github.com")


def running() -> bool:
    return os.environ.get("GITHUB_ACTIONS") == "true"


def fork() -> bool:
    """Whether the run is for a fork's pull request: train.yml trains no other pull request. It may write nothing."""
    return running() and os.environ.get("GITHUB_EVENT_NAME") == "pull_request"


def identity() -> dict[str, str]:
    """For Git: in Actions commits and tags are the bot's; on a laptop they are whoever Git knows."""
    if not running():
        return {}
    name, address = BOT
    return {f"GIT_{role}_NAME": name for role in ROLES} | {f"GIT_{role}_EMAIL": address for role in ROLES}


def output(**values: object) -> None:
    """Give values to later steps (`steps.<id>.outputs.<name>`)."""
    _append("GITHUB_OUTPUT", "".join(f"{name}={value}\n" for name, value in values.items()))


def summary(markdown: str) -> None:
    """Add to the page of the run."""
    _append("GITHUB_STEP_SUMMARY", markdown)


def _append(variable: str, text: str) -> None:
    if path := os.environ.get(variable):
        with Path(path).open("a", encoding="utf-8", newline="\n") as file:
            file.write(text)
