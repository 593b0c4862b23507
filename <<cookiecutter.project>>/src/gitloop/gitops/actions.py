"""What GitHub Actions tells a step, and what a step tells it back. Outside Actions all of it is silent."""

from __future__ import annotations

import base64
import os
from pathlib import Path

from gitloop import layout

ROLES = ("AUTHOR", "COMMITTER")
BOT = ("github-actions[bot]", "41898282+github-actions[bot]@users.noreply.github.com")


def fork() -> bool:
    """Whether the run is for a fork's pull request: train.yml trains no other pull request. It may write nothing."""
    return layout.in_actions() and os.environ.get("GITHUB_EVENT_NAME") == "pull_request"


def identity() -> dict[str, str]:
    """For Git: in Actions commits and tags are the bot's; on a laptop they are whoever Git knows."""
    if not layout.in_actions():
        return {}
    name, address = BOT
    return {f"GIT_{role}_NAME": name for role in ROLES} | {f"GIT_{role}_EMAIL": address for role in ROLES}


def credential() -> dict[str, str]:
    """The token for Git, by its environment: not in an argument, not on disk."""
    token = os.environ.get("GITHUB_TOKEN")
    if not token:
        return {}
    server = os.environ.get("GITHUB_SERVER_URL", "https://github.com")
    basic = base64.b64encode(f"x-access-token:{token}".encode()).decode()
    return {
        "GIT_CONFIG_COUNT": "1",
        "GIT_CONFIG_KEY_0": f"http.{server}/.extraheader",
        "GIT_CONFIG_VALUE_0": f"AUTHORIZATION: basic {basic}",
    }


def page() -> str | None:
    """The page of this run; None outside Actions."""
    server, name, run = (os.environ.get(f"GITHUB_{key}") for key in ("SERVER_URL", "REPOSITORY", "RUN_ID"))
    return f"{server}/{name}/actions/runs/{run}" if layout.in_actions() and server and name and run else None


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
