"""What GitHub sends with an event: of the payload, what a workflow or gitloop may look at."""

from __future__ import annotations

from typing import Any

BOT = {"login": "github-actions[bot]", "type": "Bot"}
Payload = dict[str, Any]


def repository(name: str, fork: bool = False) -> Payload:
    owner, _, short = name.partition("/")
    return {
        "full_name": name,
        "name": short,
        "owner": {"login": owner, "type": "Organization"},
        "default_branch": "main",
        "fork": fork,
        "private": True,
    }


def push(name: str, branch: str, before: str, after: str) -> Payload:
    return {
        "ref": f"refs/heads/{branch}",
        "before": before,
        "after": after,
        "created": before == "0" * 40,
        "deleted": False,
        "forced": False,
        "repository": repository(name),
        "sender": {"login": "octocat", "type": "User"},
    }


def pull_request(
    name: str, action: str, number: int, branch: str, sha: str, base: str, fork: str | None = None
) -> Payload:
    head = repository(fork or name, fork=fork is not None)
    return {
        "action": action,
        "number": number,
        "pull_request": {
            "number": number,
            "state": "open",
            "head": {"ref": branch, "sha": sha, "repo": head, "label": f"{head['owner']['login']}:{branch}"},
            "base": {"ref": "main", "sha": base, "repo": repository(name)},
        },
        "repository": repository(name),
        "sender": {"login": head["owner"]["login"], "type": "User"},
    }


def dispatch(name: str, workflow: str, branch: str) -> Payload:
    return {
        "ref": f"refs/heads/{branch}",
        "inputs": {},
        "workflow": f".github/workflows/{workflow}",
        "repository": repository(name),
        "sender": BOT,
    }


def workflow_run(name: str, run: Payload, pulls: list[Payload]) -> Payload:
    """`run` has id, name, path, event, branch, sha, repository, conclusion, url. A fork has no pull request."""
    owner = run["repository"].partition("/")[0]
    inside = run["repository"] == name
    return {
        "action": "completed",
        "workflow": {"name": run["name"], "path": f".github/workflows/{run['path']}"},
        "workflow_run": {
            "id": run["id"],
            "name": run["name"],
            "path": f".github/workflows/{run['path']}",
            "event": run["event"],
            "status": "completed",
            "conclusion": run["conclusion"],
            "head_branch": run["branch"],
            "head_sha": run["sha"],
            "head_repository": {
                "full_name": run["repository"],
                "name": run["repository"].partition("/")[2],
                "owner": {"login": owner},
                "fork": not inside,
            },
            "repository": repository(name),
            "pull_requests": pulls if inside else [],
            "run_attempt": 1,
            "run_number": run["id"],
            "html_url": run["url"],
        },
        "repository": repository(name),
        "sender": BOT,
    }
