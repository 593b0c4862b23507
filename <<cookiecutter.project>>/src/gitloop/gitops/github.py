"""The forge at GitHub, github.com or an Enterprise Server, by PyGithub."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from dataclasses import replace
from functools import cached_property, partial
from pathlib import Path
from typing import Literal

from github import Auth, Consts, Github, GithubException, GithubRetry, set_log_level
from github.Issue import Issue
from github.IssueComment import IssueComment
from github.NamedUser import NamedUser
from github.Organization import Organization
from github.PullRequest import PullRequest

from gitloop.errors import Refused
from gitloop.gitops import github_releases as releases
from gitloop.gitops.forge import Pull, bears, marked, sent
from gitloop.gitops.refusals import MAY_NOT_PROPOSE, explained, gone

TRIES = 5
TIMEOUT = 60  # seconds without a byte: what was uploaded is answered late
LONGEST_WAIT = 300  # seconds that a rate limit is waited for


class GitHub:
    """`repository` is `owner/name`, `url` that of the REST API."""

    def __init__(
        self, repository: str, token: str, url: str, pause: float = Consts.DEFAULT_SECONDS_BETWEEN_WRITES
    ) -> None:
        """`pause`: seconds between two writes, as GitHub asks for."""
        set_log_level(logging.WARNING)  # else each request that is refused is said twice
        self._token = token
        methods = GithubRetry.DEFAULT_ALLOWED_METHODS | {"GET", "POST", "PATCH"}
        self._github = Github(
            auth=Auth.Token(token),
            base_url=url.rstrip("/"),
            timeout=TIMEOUT,
            per_page=100,
            user_agent="gitloop",
            lazy=True,
            seconds_between_requests=min(pause, Consts.DEFAULT_SECONDS_BETWEEN_REQUESTS),
            seconds_between_writes=pause,
            retry=GithubRetry(
                total=TRIES,
                backoff_factor=min(pause, 1.0),
                allowed_methods=methods,
                max_rate_limit_wait=LONGEST_WAIT,
                retry_after_max=LONGEST_WAIT,
            ),
        )
        self._name = repository
        self._owner = repository.partition("/")[0]
        self._repository = self._github.get_repo(repository)
        self._explained = explained(repository, token, url)

    def pulls(
        self, head: str | None = None, base: str | None = None, label: str | None = None, state: str = "open"
    ) -> list[Pull]:
        asked: dict[str, str] = {"state": state if state in ("open", "all") else "closed"}
        if head is not None:
            asked["head"] = head if ":" in head else f"{self._owner}:{head}"
        if base is not None:
            asked["base"] = base
        with self._explained("pull requests", "pull-requests: read"):
            found = [self._pull(one) for one in self._repository.get_pulls(sort="created", direction="asc", **asked)]
        return [
            one
            for one in found
            if (label is None or label in one.labels)
            and state in ("all", one.state)
            and (head is None or (one.fork is not None) == (":" in head))
        ]

    def propose(self, head: str, base: str, title: str, body: str, labels: Iterable[str] = ()) -> Pull:
        with self._explained(f"pull request of {head}", "pull-requests: write"):
            found = self._opened(head)
            if found is None:
                try:
                    found = self._repository.create_pull(base=base, head=head, title=title, body=body)
                except GithubException as error:
                    found = self._opened(head) if error.status == 422 else None  # another run was first
                    if found is None:
                        raise
            if (found.title, sent(found.body), found.base.ref) != (title, sent(body), base):
                found.edit(title=title, body=body, base=base)
            pull = self._pull(found)
            self._label(found, pull.labels, labels, ())
            return replace(pull, labels=tuple(sorted({*pull.labels, *labels})))

    def comment(self, number: int, mark: str, body: str) -> None:
        with self._explained(f"comment on #{number}", "pull-requests: write"):
            issue = self._repository.get_issue(number)
            wanted = marked(mark, body)
            ours = self._comments(issue, mark)
            if not ours:
                issue.create_comment(wanted)
                ours = self._comments(issue, mark)  # of runs at the same time each sees the oldest, and keeps that
            for other in ours[1:]:
                gone(other.delete)
            if ours and sent(ours[0].body) != sent(wanted):
                ours[0].edit(wanted)

    def label(self, number: int, add: Iterable[str] = (), remove: Iterable[str] = ()) -> None:
        with self._explained(f"labels of #{number}", "pull-requests: write"):
            issue = self._repository.get_issue(number)
            self._label(issue, [one.name for one in issue.get_labels()], add, remove)

    def dispatch(self, workflow: str, ref: str, inputs: Mapping[str, str]) -> None:
        with self._explained(f"workflow {workflow} at {ref}", "actions: write"):
            self._repository.get_workflow(workflow).create_dispatch(ref, dict(inputs), throw=True)

    def issue(self, mark: str, title: str, body: str, labels: Iterable[str] = ()) -> int:
        wanted = marked(mark, body)
        with self._explained(f"issue {mark}", "issues: write"):
            found = self._issues(mark)
            if not found:
                self._repository.create_issue(title=title, body=wanted, labels=sorted(labels))
                found = self._issues(mark)
            for other in found[1:]:
                other.create_comment(f"The same as #{found[0].number}.")
                other.edit(state="closed", state_reason="not_planned")
            kept = found[0]
            if (kept.title, sent(kept.body)) != (title, sent(wanted)):
                kept.edit(title=title, body=wanted)
            self._label(kept, [one.name for one in kept.labels], labels, ())
            return kept.number

    def close_issue(self, mark: str, why: str) -> None:
        with self._explained(f"issue {mark}", "issues: write"):
            for one in self._issues(mark):
                one.create_comment(why)
                one.edit(state="closed", state_reason="completed")

    def publish(self, tag: str, title: str, body: str, files: Iterable[Path]) -> str:
        with self._explained(f"tag {tag}", "contents: read"):
            self._repository.get_git_ref(f"tags/{tag}").complete()  # GitHub would make one that is not there
        with self._explained(f"release {tag}", "contents: write"):
            return releases.publish(self._repository, tag, title, body, files)

    def asset(self, tag: str, name: str, to: Path) -> bool:
        with self._explained(f"{name} of release {tag}", "contents: read"):
            found = releases.asset(self._repository, tag, name)
            if found is not None:
                releases.download(found, self._token, to)
            return found is not None

    def may(self, what: Literal["propose", "issue"]) -> None:
        """What the repository's own description says; the setting of Actions can be read by an administrator only."""
        repository = self._github.get_repo(self._name)
        if repository.archived:
            raise Refused(f"{self._name}: is archived, so nothing can be changed; unarchive it in its settings")
        if what == "issue" and not repository.has_issues:
            raise Refused(f"{self._name}: has no issues; turn them on in Settings → General → Features")
        if what == "propose" and self._setting() is False:
            raise Refused(f"{self._name}: {MAY_NOT_PROPOSE}")

    def _setting(self) -> bool | None:
        """Whether Actions may open pull requests here; None where this token may not know."""
        try:
            _, answer = self._repository.requester.requestJsonAndCheck(
                "GET", f"{self._repository.url}/actions/permissions/workflow"
            )
        except GithubException:
            return None
        return bool(answer["can_approve_pull_request_reviews"])

    def _opened(self, head: str) -> PullRequest | None:
        asked = self._repository.get_pulls(state="open", head=f"{self._owner}:{head}")
        return next((one for one in asked if self._pull(one).fork is None), None)

    def _pull(self, one: PullRequest) -> Pull:
        # The head's repository is null where the fork was deleted.
        where = one.head.raw_data["repo"]
        source = where["full_name"] if where else f"{one.head.raw_data['label'].partition(':')[0]}/(deleted)"
        return Pull(
            number=one.number,
            head=one.head.ref,
            base=one.base.ref,
            sha=one.head.sha,
            title=one.title,
            body=sent(one.body),
            labels=tuple(sorted(label.name for label in one.labels)),
            state="merged" if one.merged_at else "open" if one.state == "open" else "closed",
            fork=None if source.lower() == self._name.lower() else source,
            url=one.html_url,
            merged=one.merge_commit_sha if one.merged_at else None,
        )

    def _comments(self, issue: Issue, mark: str) -> list[IssueComment]:
        found = [one for one in issue.get_comments() if bears(one.body, mark) and self._ours(one.user)]
        return sorted(found, key=lambda one: one.id)

    def _issues(self, mark: str) -> list[Issue]:
        found = [
            one
            for one in self._repository.get_issues(state="open", sort="created", direction="asc")
            if bears(one.body, mark) and "/pull/" not in one.html_url and self._ours(one.user)
        ]
        return sorted(found, key=lambda one: one.number)

    def _ours(self, author: NamedUser | Organization | None) -> bool:
        """Anybody can write our mark: what a person wrote is ours only where the token is that person's."""
        return author is not None and (author.type == "Bot" or author.login == self._login)

    @cached_property
    def _login(self) -> str | None:
        """Who the token is; None for an app, GITHUB_TOKEN too, which may not ask."""
        try:
            return self._github.get_user().login
        except GithubException:
            return None

    @staticmethod
    def _label(one: Issue | PullRequest, has: Iterable[str], add: Iterable[str], remove: Iterable[str]) -> None:
        if missing := sorted(set(add) - set(has)):
            one.add_to_labels(*missing)
        for name in sorted(set(remove) & set(has)):
            gone(partial(one.remove_from_labels, name))
