"""What each operation on releases does."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Any

from standin import shown
from standin.asked import Asked, Refusal, done, invalid, paged
from standin.published import example
from standin.state import Answer, State

WORDS = ("tag_name", "name", "body", "draft")


def see_ref(state: State, _: Asked, name: str) -> Answer:
    sha = state.sha(name, "refs")
    if sha is None:
        raise Refusal(404, "Not Found")
    return done(200, {**example("git-ref", state.base_url), "ref": f"refs/{name}"})


def list_releases(state: State, asked: Asked) -> Answer:
    """Drafts are for those who may write."""
    found = [one for one in state.releases.values() if not (one["draft"] and state.read_only)]
    return paged(state, asked, found[::-1], lambda one: shown.release(state, one))


def see_release(state: State, _: Asked, tag: str) -> Answer:
    found = _published(state, tag)
    if found is None:
        raise Refusal(404, "Not Found")
    return done(200, shown.release(state, found))


def make_release(state: State, asked: Asked) -> Answer:
    words = {name: asked.body.get(name) for name in WORDS}
    if not words["draft"] and _published(state, words["tag_name"]):
        invalid("tag_name already exists")
    return done(201, shown.release(state, state.releases[state.release(asked.login, **words)]))


def edit_release(state: State, asked: Asked, identity: str) -> Answer:
    one = _release(state, identity)
    other = _published(state, one["tag_name"])
    if not asked.body.get("draft", one["draft"]) and other not in (None, one):
        invalid("tag_name already exists")
    one.update({name: value for name, value in asked.body.items() if name in WORDS})
    return done(200, shown.release(state, one))


def remove_release(state: State, _: Asked, identity: str) -> Answer:
    del state.releases[_release(state, identity)["id"]]
    return Answer(204, None, {})


def list_assets(state: State, asked: Asked, identity: str) -> Answer:
    found = list(_release(state, identity)["assets"].values())
    return paged(state, asked, found, lambda one: shown.asset(state, one))


def upload_asset(state: State, asked: Asked, number: str) -> Answer:
    release = _release(state, number)
    _mutable(state, release, "upload assets to")
    if any(one["name"] == asked.query["name"] for one in release["assets"].values()):
        errors = [{"resource": "ReleaseAsset", "code": "already_exists", "field": "name"}]
        raise Refusal(422, "Validation Failed", errors=errors)
    broke_off = state.breaks_off > 0
    state.breaks_off -= broke_off
    content = asked.body[: len(asked.body) // 2] if broke_off else asked.body
    identity = state.next()
    one = {
        "id": identity,
        "name": asked.query["name"],
        "content": content,
        "size": len(content),
        "digest": None if broke_off or state.old else f"sha256:{hashlib.sha256(content).hexdigest()}",
        "state": "open" if broke_off else "uploaded",
        "login": asked.login,
    }
    release["assets"][identity] = one
    if broke_off:
        raise Refusal(502, "Bad Gateway")
    return done(201, shown.asset(state, one))


def see_asset(state: State, _: Asked, identity: str) -> Answer:
    """Its content lies at another host."""
    return Answer(302, None, {"Location": f"{state.storage}/{_asset(state, identity)[1]['id']}"})


def remove_asset(state: State, _: Asked, identity: str) -> Answer:
    release, one = _asset(state, identity)
    _mutable(state, release, "delete asset from")
    del release["assets"][one["id"]]
    return Answer(204, None, {})


ROUTES: tuple[tuple[str, str, Callable[..., Answer]], ...] = (
    ("GET", "REPO/git/ref/(.+)", see_ref),
    ("GET", "REPO/releases", list_releases),
    ("POST", "REPO/releases", make_release),
    ("GET", "REPO/releases/tags/([^/]+)", see_release),
    ("PATCH", "REPO/releases/([0-9]+)", edit_release),
    ("DELETE", "REPO/releases/([0-9]+)", remove_release),
    ("GET", "REPO/releases/([0-9]+)/assets", list_assets),
    ("POST", "REPO/releases/([0-9]+)/assets", upload_asset),
    ("GET", "REPO/releases/assets/([0-9]+)", see_asset),
    ("DELETE", "REPO/releases/assets/([0-9]+)", remove_asset),
)


def _published(state: State, tag: str) -> dict[str, Any] | None:
    return next((one for one in state.releases.values() if one["tag_name"] == tag and not one["draft"]), None)


def _release(state: State, identity: str) -> dict[str, Any]:
    found: dict[str, Any] | None = state.releases.get(int(identity))
    if found is None:
        raise Refusal(404, "Not Found")
    return found


def _asset(state: State, identity: str) -> tuple[dict[str, Any], dict[str, Any]]:
    for release in state.releases.values():
        if int(identity) in release["assets"]:
            return release, release["assets"][int(identity)]
    raise Refusal(404, "Not Found")


def _mutable(state: State, release: dict[str, Any], what: str) -> None:
    if state.immutable and not release["draft"]:
        raise Refusal(422, f"Cannot {what} an immutable release.")
