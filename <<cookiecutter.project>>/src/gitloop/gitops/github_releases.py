"""Releases at GitHub: a draft until its assets are whole, so that nobody finds a part of one.

Where releases are immutable (a setting of the repository), a published one takes no assets any more.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from pathlib import Path

import requests
from github import GithubException
from github.GitRelease import GitRelease
from github.GitReleaseAsset import GitReleaseAsset
from github.Repository import Repository
from requests.adapters import HTTPAdapter
from urllib3 import Retry

from gitloop.errors import InputError
from gitloop.files import whole
from gitloop.gitops.forge import sent
from gitloop.gitops.refusals import gone

TRIES = 5
TIMEOUT = 60  # seconds without a byte
CHUNK = 1 << 20  # bytes


def publish(repository: Repository, tag: str, title: str, body: str, files: Iterable[Path]) -> str:
    """Its URL. After a kill a draft may be left, which the next call goes on with. Raises `GithubException`."""
    wanted = {file.name: file for file in files}
    found = _releases(repository, tag)
    if not found:
        made = repository.create_git_release(tag, title, body, draft=True)
        found = _releases(repository, tag) or [made]  # of runs at the same time each goes on with the oldest
    kept, *drafts = found
    for other in drafts:
        gone(other.delete_release)
    for one in kept.get_assets():
        if one.name not in wanted:
            gone(one.delete_asset)
    for file in wanted.values():
        _put(kept, file)
    if kept.draft or (kept.name, sent(kept.body)) != (title, sent(body)):
        kept = kept.update_release(title, body)
    return kept.html_url


def asset(repository: Repository, tag: str, name: str) -> GitReleaseAsset | None:
    """None where there is no such release, or it has no such asset that is whole. Raises `GithubException`."""
    try:
        release = repository.get_release(tag)
    except GithubException as error:
        if error.status != 404:
            raise
        return None
    return next((one for one in release.get_assets() if one.name == name and one.state == "uploaded"), None)


def download(one: GitReleaseAsset, token: str, to: Path) -> None:
    """Write it to a file, whole or not at all. Raises `GithubException`, and `InputError` where what came is not it.

    Without PyGithub, which holds all of it in memory and is sent on to GitHub's own hosts only. The host that it is
    sent on to is not given the token.
    """

    def signed(request: requests.PreparedRequest) -> requests.PreparedRequest:
        request.headers["Authorization"] = f"Bearer {token}"
        return request

    headers = {"Accept": "application/octet-stream"}
    with whole(to) as temporary, requests.Session() as session:
        again = Retry(total=TRIES, backoff_factor=1, status_forcelist=(500, 502, 503, 504))
        for scheme in ("https://", "http://"):
            session.mount(scheme, HTTPAdapter(max_retries=again))
        with (
            session.get(one.url, headers=headers, auth=signed, stream=True, timeout=TIMEOUT) as answer,
            temporary.open("wb") as out,
        ):
            if not answer.ok:
                raise GithubException(answer.status_code, answer.json())
            out.writelines(answer.iter_content(CHUNK))
        if temporary.stat().st_size != one.size or (one.digest and one.digest != _digest(temporary)):
            raise InputError(f"{one.name}: what came is not what GitHub says that it keeps; run again")


def _releases(repository: Repository, tag: str) -> list[GitRelease]:
    """The one that is published, then drafts, of which a tag may have many; the oldest first."""
    found = [one for one in repository.get_releases() if one.tag_name == tag]
    return sorted(found, key=lambda one: (one.draft, one.id))


def _put(release: GitRelease, file: Path) -> None:
    """Where an upload broke off, or another run was first, there is something by that name, and GitHub says 422."""
    for last in (False, True):
        there = next((one for one in release.get_assets() if one.name == file.name), None)
        if there is not None and there.state == "uploaded" and there.digest == _digest(file):
            return
        if there is not None:
            gone(there.delete_asset)
        try:
            release.upload_asset(str(file), name=file.name)
        except GithubException as error:
            if last or error.status != 422:
                raise
        else:
            return


def _digest(file: Path) -> str:
    with file.open("rb") as stream:
        return f"sha256:{hashlib.file_digest(stream, 'sha256').hexdigest()}"
