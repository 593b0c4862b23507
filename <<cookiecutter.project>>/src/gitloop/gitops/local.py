"""The forge in a folder: pull requests and issues as JSON in the refs of the repository that origin is.

`refs/gitloop/threads/<number>` is a pull request or an issue with its comments, `refs/gitloop/open/<key>` the number of
the open one of a branch or a mark, `refs/gitloop/dispatches/<number>` a workflow that was asked for. Each change is
whole and starts from what was read: nothing is lost and no number given twice, however many write at a time.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, Literal, TypeVar

from gitloop.errors import InputError, Refused
from gitloop.gitops.forge import Pull
from gitloop.gitops.records import NEVER, Change, Moved, Record, Records

THREADS, OPEN, DISPATCHES = "refs/gitloop/threads", "refs/gitloop/open", "refs/gitloop/dispatches"
TRIES = 200  # after each that fails somebody else got on

Result = TypeVar("Result")
Thread = dict[str, Any]


class Local:
    """`folder` is the repository, bare as a rule, that pull requests are for."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._records = Records(folder)

    def pulls(
        self, head: str | None = None, base: str | None = None, label: str | None = None, state: str = "open"
    ) -> list[Pull]:
        self._settle()
        found = [_pull(one.value) for one in self._records.below(THREADS) if one.value["kind"] == "pull"]
        return [
            one
            for one in found
            if head in (None, one.head)
            and base in (None, one.base)
            and (label is None or label in one.labels)
            and state in ("all", one.state)
        ]

    def propose(self, head: str, base: str, title: str, body: str, labels: Iterable[str] = ()) -> Pull:
        what = f"pull request of {head}"
        tip, onto = self._branch(head), self._branch(base)
        if tip is None or onto is None:
            raise InputError(f"{what}: {base if tip else head} is not a branch of origin; push it first")
        if self._records.reaches(onto, tip):
            raise InputError(f"{what}: it has no commit that {base} lacks; commit and push first")
        fresh = {"kind": "pull", "state": "open", "head": head, "sha": tip}
        return _pull(self._one_open(_key("pull", head), fresh, {"base": base, "title": title, "body": body}, labels))

    def comment(self, number: int, mark: str, body: str) -> None:
        def write(thread: Thread) -> None:
            if mark not in (marks := [one["mark"] for one in thread["comments"]]):
                thread["comments"].append({"mark": mark, "body": body})
            else:
                thread["comments"][marks.index(mark)]["body"] = body

        self._change(number, write)

    def label(self, number: int, add: Iterable[str] = (), remove: Iterable[str] = ()) -> None:
        add, remove = set(add), set(remove)

        def write(thread: Thread) -> None:
            thread["labels"] = sorted((set(thread["labels"]) | add) - remove)

        self._change(number, write)

    def dispatch(self, workflow: str, ref: str, inputs: Mapping[str, str]) -> None:
        if self._branch(ref) is None:
            raise InputError(f"workflow {workflow} at {ref}: is not a branch of origin; push it first")
        asked = {"workflow": workflow, "ref": ref, "inputs": dict(inputs)}
        self._until_done(lambda: self._records.write({f"{DISPATCHES}/{self._next(DISPATCHES)}": Change(asked, NEVER)}))

    def dispatches(self) -> list[dict[str, Any]]:
        """The workflows that were asked for, in that order: who runs workflows here takes them from this."""
        return [one.value for one in self._records.below(DISPATCHES)]

    def issue(self, mark: str, title: str, body: str, labels: Iterable[str] = ()) -> int:
        fresh = {"kind": "issue", "state": "open", "mark": mark}
        number: int = self._one_open(_key("issue", mark), fresh, {"title": title, "body": body}, labels)["number"]
        return number

    def close_issue(self, mark: str, why: str) -> None:
        key = _key("issue", mark)

        def attempt() -> None:
            if (pointer := self._records.read(key)) is not None:
                found = self._thread(pointer.value)
                comments = [*found.value["comments"], {"mark": None, "body": why}]
                self._close(found, pointer, {"state": "closed", "comments": comments})

        self._until_done(attempt)

    def may(self, what: Literal["propose", "issue"]) -> None:
        if not os.access(self._folder, os.W_OK):
            raise Refused(f"{self._folder}: may not be written, so no {what} is possible; ask its owner for permission")

    def _one_open(self, key: str, fresh: Thread, words: Thread, labels: Iterable[str]) -> Thread:
        """The open thread that `key` names, opened or brought up to date."""
        wanted = sorted(set(labels))

        def attempt() -> Thread:
            self._settle()
            pointer = self._records.read(key)
            if pointer is not None:
                return self._changed(
                    pointer.value, lambda one: one | words | {"labels": sorted({*one["labels"], *wanted})}
                )
            number = self._next(THREADS)
            made = {"number": number, **fresh, **words, "labels": wanted, "comments": []}
            self._records.write({f"{THREADS}/{number}": Change(made, NEVER), key: Change(number, NEVER)})
            return made

        return self._until_done(attempt)

    def _change(self, number: int, write: Callable[[Thread], None]) -> None:
        def changed(thread: Thread) -> Thread:
            write(thread)
            return thread

        self._until_done(lambda: self._changed(number, changed))

    def _changed(self, number: int, change: Callable[[Thread], Thread]) -> Thread:
        found = self._thread(number)
        after = change({**found.value, "comments": [dict(one) for one in found.value["comments"]]})
        if after != found.value:
            self._records.write({found.ref: Change(after, found.version)})
        return after

    def _settle(self) -> None:
        """What pushes did: an open pull request follows its branch, is merged once base holds it, closed without it."""
        for found in self._records.below(THREADS):
            one = found.value
            if (one["kind"], one["state"]) != ("pull", "open"):
                continue
            tip, onto = self._branch(one["head"]), self._branch(one["base"])
            sha = tip or one["sha"]
            state = "merged" if onto and self._records.reaches(onto, sha) else "open" if tip else "closed"
            if (sha, state) == (one["sha"], one["state"]):
                continue
            try:
                if state == "open":
                    self._records.write({found.ref: Change({**one, "sha": sha}, found.version)})
                elif (pointer := self._records.read(_key("pull", one["head"]))) is not None:
                    self._close(found, pointer, {"sha": sha, "state": state})
            except Moved:
                continue  # somebody else saw the same

    def _close(self, found: Record, pointer: Record, last: Thread) -> None:
        self._records.write(
            {found.ref: Change({**found.value, **last}, found.version), pointer.ref: Change(None, pointer.version)}
        )

    def _thread(self, number: int) -> Record:
        found = self._records.read(f"{THREADS}/{number}")
        if found is None:
            raise InputError(f"#{number}: is not in {self._folder}; check the number")
        return found

    def _branch(self, name: str) -> str | None:
        return self._records.tip(f"refs/heads/{name}")

    def _next(self, prefix: str) -> int:
        return max((int(one.ref.rpartition("/")[2]) for one in self._records.below(prefix)), default=0) + 1

    def _until_done(self, attempt: Callable[[], Result]) -> Result:
        reason = ""
        for _ in range(TRIES):
            try:
                return attempt()
            except Moved as error:
                reason = str(error)
        raise Refused(f"{self._folder}: could not be written in {TRIES} tries ({reason}); run again")


def _key(kind: str, name: str) -> str:
    """A ref for any name: names may hold what a ref may not."""
    return f"{OPEN}/{hashlib.sha256(f'{kind}:{name}'.encode()).hexdigest()}"


def _pull(one: Thread) -> Pull:
    words = {name: one[name] for name in ("number", "head", "base", "sha", "title", "body", "state")}
    return Pull(**words, labels=tuple(one["labels"]), fork=None, url="")
