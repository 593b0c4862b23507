"""What GitHub says when it says no, in one line, with the mend. The token is never in it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import requests
from github import GithubException, RateLimitExceededException

from gitloop.errors import GitloopError, InputError, Refused

LATER = "see https://www.githubstatus.com and run again"
MAY_NOT_PROPOSE = (
    "GitHub Actions may not open pull requests here; turn on Settings → Actions → General → Workflow "
    "permissions → Allow GitHub Actions to create and approve pull requests (of the organization first, where it is "
    "greyed out), or give the workflow a token of a GitHub App"
)


def explained(repository: str, token: str, url: str) -> Callable[[str, str], AbstractContextManager[None]]:
    """A context `(what, grant)` in which GitHub's no becomes `Refused` or `InputError`; `grant` is what a job needs."""

    @contextmanager
    def context(what: str, grant: str) -> Iterator[None]:
        try:
            yield
        except GithubException as error:
            kind, why = _why(error, grant, repository)
            raise kind(f"{what}: {why}".replace(token, "***")) from None
        except requests.RequestException as error:
            raise InputError(f"{what}: {url} does not answer ({type(error).__name__}); {LATER}") from None

    return context


def gone(remove: Callable[[], Any]) -> None:
    """Remove what another run may have removed already."""
    try:
        remove()
    except GithubException as error:
        if error.status != 404:
            raise


def _why(error: GithubException, grant: str, repository: str) -> tuple[type[GitloopError], str]:
    status, said = error.status, _said(error)
    if isinstance(error, RateLimitExceededException) or status == 429:
        return Refused, f"the rate limit of the token is used up ({said}); run again later"
    if status == 403 and "not permitted to create or approve pull requests" in said:
        return Refused, MAY_NOT_PROPOSE
    if status == 422 and "immutable release" in said:
        return Refused, f"it is published with other assets, and may not change ({said}); register a new version"
    known: dict[int, tuple[type[GitloopError], str]] = {
        401: (InputError, f"GITHUB_TOKEN is not accepted ({said}); it has expired, or is for another server"),
        403: (
            Refused,
            f"the token may not ({said}); grant the job `{grant}`, or the token the same; in a fork's run it can only "
            "read",
        ),
        404: (
            InputError,
            f"is not in {repository}, or the token may not see it ({said}); check the name, and grant `{grant}`",
        ),
        422: (InputError, f"was not taken ({said}); check that the branches exist and differ"),
    }
    return known.get(status, (InputError, f"GitHub failed ({status}, {said}); {LATER}"))


def _said(error: GithubException) -> str:
    data = error.data if isinstance(error.data, dict) else {}
    parts = [str(data.get("message") or error.message or "no reason given")]
    errors = data.get("errors") or []
    parts += [str(one.get("message") or one.get("code")) if isinstance(one, dict) else str(one) for one in errors]
    return " ".join(": ".join(parts).split())[:300]
