"""What each operation does."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

from standin import releases, shown
from standin.asked import Asked, Refusal, done, invalid, limited, paged
from standin.published import example
from standin.state import BOT, Answer, State, error


def handle(state: State, method: str, address: str, body: Any, token: str) -> Answer:
    """Answer a request; what stands in a switch comes first."""
    if state.failures and (failure := state.failures.pop(0)) is not None:
        return failure
    login = state.tokens.get(token)
    if login is None:
        return error(401, "Bad credentials")
    where = urlsplit(address)
    asked = Asked(where.path, dict(parse_qsl(where.query)), body, login)
    for verb, pattern, operation in ROUTES:
        found = re.fullmatch(pattern.replace("REPO", f"/repos/{re.escape(state.repository)}"), where.path)
        if not found or verb != method:
            continue
        if method != "GET" and state.read_only:
            return error(403, "Resource not accessible by integration")
        try:
            return operation(state, asked, *map(unquote, found.groups()))
        except Refusal as refusal:
            return refusal.answer
    return error(404, "Not Found")


def see_repository(state: State, _: Asked) -> Answer:
    return done(200, shown.repository(state, state.repository))


def see_user(state: State, asked: Asked) -> Answer:
    if asked.login.endswith("[bot]"):
        return error(403, "Resource not accessible by integration")
    found = example("private-user-response-with-public-profile-information", state.base_url)
    return done(200, {**found, "login": asked.login, "type": "User"})


def see_setting(state: State, _: Asked) -> Answer:
    if not state.administrator:
        return error(403, "Resource not accessible by integration")
    found = example("actions-default-workflow-permissions", state.base_url)
    return done(200, {**found, "can_approve_pull_request_reviews": state.may_propose})


def list_pulls(state: State, asked: Asked) -> Answer:
    owner, query = state.repository.partition("/")[0], asked.query
    found = [
        one
        for one in state.threads.values()
        if one["pull"]
        and query.get("state", "open") in ("all", one["state"])
        and query.get("base", one["base"]) == one["base"]
        and query.get("head") in (None, one["head"] if ":" in one["head"] else f"{owner}:{one['head']}")
    ]
    return paged(state, asked, found, lambda one: shown.pull(state, one, whole=False))


def open_pull(state: State, asked: Asked) -> Answer:
    limited(asked)
    head, base = asked.body["head"], asked.body["base"]
    if asked.login == BOT and not state.may_propose:
        raise Refusal(403, "GitHub Actions is not permitted to create or approve pull requests.")
    if any((one["head"], one["base"]) == (head, base) for one in state.pulls()):
        invalid(f"A pull request already exists for {state.repository.partition('/')[0]}:{head}.")
    for name in (base, head):
        if state.sha(name) is None:
            invalid(f"{name} is not a branch")
    if state.sha(head) == state.sha(base):
        invalid(f"No commits between {base} and {head}")
    words = {name: asked.body.get(name) for name in ("title", "body", "head", "base")}
    return done(201, shown.pull(state, state.threads[state.add(asked.login, pull=True, **words)]))


def see_pull(state: State, _: Asked, number: str) -> Answer:
    return done(200, shown.pull(state, _thread(state, number, pull=True)))


def edit_pull(state: State, asked: Asked, number: str) -> Answer:
    limited(asked)
    one = _thread(state, number, pull=True)
    one.update({name: value for name, value in asked.body.items() if name in ("title", "body", "state", "base")})
    return done(200, shown.pull(state, one))


def list_issues(state: State, asked: Asked) -> Answer:
    found = [one for one in state.threads.values() if asked.query.get("state", "open") in ("all", one["state"])]
    return paged(state, asked, found, lambda one: shown.issue(state, one))


def open_issue(state: State, asked: Asked) -> Answer:
    limited(asked)
    if not state.has_issues:
        raise Refusal(410, "Issues are disabled for this repo")
    words = {name: asked.body.get(name) for name in ("title", "body")}
    number = state.add(asked.login, pull=False, labels=list(asked.body.get("labels", [])), **words)
    return done(201, shown.issue(state, state.threads[number]))


def edit_issue(state: State, asked: Asked, number: str) -> Answer:
    limited(asked)
    one = _thread(state, number)
    one.update({name: value for name, value in asked.body.items() if name in ("title", "body", "state")})
    one["reason"] = asked.body.get("state_reason", one["reason"])
    return done(200, shown.issue(state, one))


def list_comments(state: State, asked: Asked, number: str) -> Answer:
    _thread(state, number)
    found = [one for one in state.comments.values() if one["number"] == int(number)]
    return paged(state, asked, found, lambda one: shown.comment(state, one))


def make_comment(state: State, asked: Asked, number: str) -> Answer:
    limited(asked)
    _thread(state, number)
    return done(201, shown.comment(state, state.comments[state.say(int(number), asked.login, asked.body["body"])]))


def edit_comment(state: State, asked: Asked, identity: str) -> Answer:
    """A token that may write may edit anybody's comment."""
    limited(asked)
    one = _comment(state, identity)
    one["body"] = asked.body["body"]
    return done(200, shown.comment(state, one))


def remove_comment(state: State, _: Asked, identity: str) -> Answer:
    del state.comments[_comment(state, identity)["id"]]
    return Answer(204, None, {})


def list_labels(state: State, asked: Asked, number: str) -> Answer:
    return paged(state, asked, _thread(state, number)["labels"], lambda name: shown.label(state, name))


def add_labels(state: State, asked: Asked, number: str) -> Answer:
    one = _thread(state, number)
    names = asked.body if isinstance(asked.body, list) else asked.body["labels"]
    one["labels"] += [name for name in names if name not in one["labels"]]
    return done(200, [shown.label(state, name) for name in one["labels"]])


def remove_label(state: State, _: Asked, number: str, name: str) -> Answer:
    one = _thread(state, number)
    if name not in one["labels"]:
        raise Refusal(404, "Label does not exist")
    one["labels"].remove(name)
    return done(200, [shown.label(state, each) for each in one["labels"]])


def dispatch(state: State, asked: Asked, workflow: str) -> Answer:
    if workflow not in state.workflows:
        raise Refusal(404, "Not Found")
    if state.sha(asked.body["ref"]) is None:
        raise Refusal(422, f"No ref found for: {asked.body['ref']}")
    state.dispatches.append({"workflow": workflow, "ref": asked.body["ref"], "inputs": asked.body.get("inputs", {})})
    return Answer(204, None, {})


ROUTES: tuple[tuple[str, str, Callable[..., Answer]], ...] = (
    ("GET", "/user", see_user),
    ("GET", "REPO", see_repository),
    ("GET", "REPO/actions/permissions/workflow", see_setting),
    ("POST", "REPO/actions/workflows/([^/]+)/dispatches", dispatch),
    ("GET", "REPO/pulls", list_pulls),
    ("POST", "REPO/pulls", open_pull),
    ("GET", "REPO/pulls/([0-9]+)", see_pull),
    ("PATCH", "REPO/pulls/([0-9]+)", edit_pull),
    ("GET", "REPO/issues", list_issues),
    ("POST", "REPO/issues", open_issue),
    ("PATCH", "REPO/issues/([0-9]+)", edit_issue),
    ("GET", "REPO/issues/([0-9]+)/comments", list_comments),
    ("POST", "REPO/issues/([0-9]+)/comments", make_comment),
    ("PATCH", "REPO/issues/comments/([0-9]+)", edit_comment),
    ("DELETE", "REPO/issues/comments/([0-9]+)", remove_comment),
    ("GET", "REPO/issues/([0-9]+)/labels", list_labels),
    ("POST", "REPO/issues/([0-9]+)/labels", add_labels),
    ("DELETE", "REPO/issues/([0-9]+)/labels/([^/]+)", remove_label),
    *releases.ROUTES,
)


def _thread(state: State, number: str, pull: bool = False) -> dict[str, Any]:
    found: dict[str, Any] | None = state.threads.get(int(number))
    if found is None or (pull and not found["pull"]):
        raise Refusal(404, "Not Found")
    return found


def _comment(state: State, identity: str) -> dict[str, Any]:
    found: dict[str, Any] | None = state.comments.get(int(identity))
    if found is None:
        raise Refusal(404, "Not Found")
    return found
