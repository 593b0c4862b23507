"""What the stand-in keeps, as GitHub shows it: its own published examples with our values in them."""

from __future__ import annotations

from typing import Any

from standin.published import example
from standin.state import State

WHEN = "2026-11-21T12:00:00Z"
PAGE = "https://github.example"


def user(state: State, login: str) -> dict[str, Any] | None:
    """None for somebody who has left."""
    if not login:
        return None
    found: dict[str, Any] = example("simple-user", state.base_url)
    return {**found, "login": login, "type": "Bot" if login.endswith("[bot]") else "User"}


def repository(state: State, name: str) -> dict[str, Any]:
    found: dict[str, Any] = example("full-repository-default-response", state.base_url)
    for key in ("parent", "source", "template_repository", "organization"):
        found.pop(key, None)
    found = _renamed(found, "octocat/Hello-World", name)
    owner = user(state, name.partition("/")[0])
    more: dict[str, Any] = {
        "has_issues": state.has_issues,
        "archived": state.archived,
        "fork": name != state.repository,
    }
    more["language"] = "Python"  # required, and not in the example
    return {**found, "full_name": name, "name": name.partition("/")[2], "owner": owner, **more}


def pull(state: State, one: dict[str, Any], whole: bool = True) -> dict[str, Any]:
    kind = example("pull-request", state.base_url) if whole else example("pull-request-simple-items", state.base_url)[0]
    found = _renamed(kind, "octocat/Hello-World", state.repository)
    number = one["number"]
    more = {"merged": bool(one["merged"])} if whole else {}
    return {
        **_numbered(found, number),
        **_words(state, one),
        **more,
        "head": _end(state, one["head"]),
        "base": _end(state, one["base"]),
        "requested_teams": [],
        "merged_at": WHEN if one["merged"] else None,
        "merge_commit_sha": one["merged"] if isinstance(one["merged"], str) else found["merge_commit_sha"],
        "html_url": f"{PAGE}/{state.repository}/pull/{number}",
        "url": f"{state.base_url}/repos/{state.repository}/pulls/{number}",
    }


def issue(state: State, one: dict[str, Any]) -> dict[str, Any]:
    """A pull request is an issue too."""
    found = _renamed(example("issue", state.base_url), "octocat/Hello-World", state.repository)
    number = one["number"]
    where = f"/repos/{state.repository}/pulls/{number}"
    found.pop("pull_request", None)
    more = {"pull_request": dict.fromkeys(_LINKS, state.base_url + where)} if one["pull"] else {}
    return {
        **_numbered(found, number),
        **_words(state, one),
        **more,
        "state_reason": one["reason"],
        "html_url": f"{PAGE}/{state.repository}/{'pull' if one['pull'] else 'issues'}/{number}",
        "url": f"{state.base_url}/repos/{state.repository}/issues/{number}",
    }


def comment(state: State, one: dict[str, Any]) -> dict[str, Any]:
    found = _renamed(example("issue-comment", state.base_url), "octocat/Hello-World", state.repository)
    where = f"{state.base_url}/repos/{state.repository}/issues"
    return {
        **found,
        "id": one["id"],
        "body": one["body"],
        "user": user(state, one["login"]),
        "url": f"{where}/comments/{one['id']}",
        "issue_url": f"{where}/{one['number']}",
    }


def label(state: State, name: str) -> dict[str, Any]:
    found: dict[str, Any] = example("label-items", state.base_url)[0]
    return {**found, "name": name, "url": f"{state.base_url}/repos/{state.repository}/labels/{name}"}


def release(state: State, one: dict[str, Any]) -> dict[str, Any]:
    found = _renamed(example("release", state.base_url), "octocat/Hello-World", state.repository)
    where = f"{state.base_url}/repos/{state.repository}/releases/{one['id']}"
    tag = f"untagged-{one['id']}" if one["draft"] else one["tag_name"]
    return {
        **found,
        **{name: one[name] for name in ("id", "tag_name", "name", "body", "draft")},
        "immutable": state.immutable and not one["draft"],
        "published_at": None if one["draft"] else WHEN,
        "author": user(state, one["login"]),
        "assets": [asset(state, each) for each in one["assets"].values()],
        "url": where,
        "assets_url": f"{where}/assets",
        # As an Enterprise Server has it: the same host, another path.
        "upload_url": f"{where.replace('/api/v3/', '/api/uploads/')}/assets{{?name,label}}",
        "html_url": f"{PAGE}/{state.repository}/releases/tag/{tag}",
    }


def asset(state: State, one: dict[str, Any]) -> dict[str, Any]:
    (found,) = _renamed(example("release-asset-items", state.base_url), "octocat/Hello-World", state.repository)
    return {
        **found,
        **{name: one[name] for name in ("id", "name", "size", "digest", "state")},
        "uploader": user(state, one["login"]),
        "url": f"{state.base_url}/repos/{state.repository}/releases/assets/{one['id']}",
    }


_LINKS = ("url", "html_url", "diff_url", "patch_url")


def _words(state: State, one: dict[str, Any]) -> dict[str, Any]:
    return {
        "title": one["title"],
        "body": one["body"],
        "state": one["state"],
        "closed_at": None if one["state"] == "open" else WHEN,
        "user": user(state, one["login"]),
        "labels": [label(state, name) for name in one["labels"]],
    }


def _end(state: State, name: str) -> dict[str, Any]:
    """The head or the base of a pull request."""
    owner, colon, branch = name.rpartition(":")
    full = f"{owner}/{state.repository.partition('/')[2]}" if colon else state.repository
    owner = full.partition("/")[0]
    return {
        "label": f"{owner}:{branch}",
        "ref": branch,
        "sha": state.sha(name) or "0" * 40,
        "user": user(state, owner),
        "repo": None if full in state.deleted else repository(state, full),
    }


def _numbered(found: dict[str, Any], number: int) -> dict[str, Any]:
    return {**_renamed(found, "/1347", f"/{number}"), "number": number, "id": number}


def _renamed(found: Any, old: str, new: str) -> Any:
    """The same with other addresses."""
    if isinstance(found, dict):
        return {key: _renamed(one, old, new) for key, one in found.items()}
    if isinstance(found, list):
        return [_renamed(one, old, new) for one in found]
    return found.replace(old, new) if isinstance(found, str) else found
