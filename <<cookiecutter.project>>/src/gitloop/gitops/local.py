"""The forge in a folder: pull requests, issues, comments and dispatches in a ref of the repository that origin is.

`git show refs/gitloop/forge` there shows them all, `git ls-tree -r refs/gitloop/releases/TAG` a release. Clones do not
see the refs.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, Literal

from gitloop.errors import InputError, Refused
from gitloop.gitops.forge import Pull
from gitloop.gitops.records import Records

REF = "refs/gitloop/forge"
RELEASES = "refs/gitloop/releases"

Thread = dict[str, Any]  # a pull request or an issue
Book = dict[str, list[Any]]  # threads, of which the first has number 1, and dispatches


class Local:
    """`folder` is the repository, bare as a rule, that pull requests are for."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._records = Records(folder, REF, {"threads": [], "dispatches": []})

    def pulls(
        self, head: str | None = None, base: str | None = None, label: str | None = None, state: str = "open"
    ) -> list[Pull]:
        threads: list[Thread] = self._change(lambda book: book["threads"])
        found = [_pull(number, one) for number, one in enumerate(threads, 1) if one["kind"] == "pull"]
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
        words = {"base": base, "title": title, "body": body}
        return _pull(*self._one_open({"kind": "pull", "head": head}, words, labels, sha=tip))

    def comment(self, number: int, mark: str, body: str) -> None:
        def write(book: Book) -> None:
            comments = self._thread(book, number)["comments"]
            ours = [one for one in comments if one["mark"] == mark]
            if not ours:
                comments.append({"mark": mark, "body": body})
            for one in ours:
                one["body"] = body

        self._change(write)

    def label(self, number: int, add: Iterable[str] = (), remove: Iterable[str] = ()) -> None:
        add, remove = set(add), set(remove)

        def write(book: Book) -> None:
            thread = self._thread(book, number)
            thread["labels"] = sorted((set(thread["labels"]) | add) - remove)

        self._change(write)

    def dispatch(self, workflow: str, ref: str, inputs: Mapping[str, str]) -> None:
        if self._branch(ref) is None:
            raise InputError(f"workflow {workflow} at {ref}: is not a branch of origin; push it first")
        asked = {"workflow": workflow, "ref": ref, "inputs": dict(inputs)}
        self._change(lambda book: book["dispatches"].append(asked))

    def dispatches(self) -> list[dict[str, Any]]:
        """The workflows that were asked for, in that order: who runs workflows here takes them from this."""
        found: list[dict[str, Any]] = self._change(lambda book: book["dispatches"])
        return found

    def issue(self, mark: str, title: str, body: str, labels: Iterable[str] = ()) -> int:
        number, _ = self._one_open({"kind": "issue", "mark": mark}, {"title": title, "body": body}, labels)
        return number

    def close_issue(self, mark: str, why: str) -> None:
        def write(book: Book) -> None:
            for one in _open(book, {"kind": "issue", "mark": mark}):
                one["state"] = "closed"
                one["comments"].append({"mark": None, "body": why})

        self._change(write)

    def publish(self, tag: str, title: str, body: str, files: Iterable[Path]) -> str:
        if self._records.tip(f"refs/tags/{tag}") is None:
            raise InputError(f"release {tag}: {tag} is not a tag of origin; push it first")
        words = json.dumps({"title": title, "body": body}, indent=2, ensure_ascii=False) + "\n"
        about = self._stored("hash-object", "-w", "--stdin", given=words)
        assets = [
            f"100644 blob {self._stored('hash-object', '-w', '--no-filters', '--', str(file.resolve()))}\t{file.name}\0"
            for file in files
        ]
        held = self._stored("mktree", "-z", given="".join(assets))
        whole = self._stored("mktree", given=f"100644 blob {about}\trelease.json\n040000 tree {held}\tassets\n")
        self._stored("update-ref", f"{RELEASES}/{tag}", whole)
        return ""

    def asset(self, tag: str, name: str, to: Path) -> bool:
        return self._records.copy(f"{RELEASES}/{tag}:assets/{name}", to)

    def may(self, what: Literal["propose", "issue"]) -> None:
        if not os.access(self._folder, os.W_OK):
            raise Refused(f"{self._folder}: may not be written, so no {what} is possible; ask its owner for permission")

    def _one_open(self, key: Thread, words: Thread, labels: Iterable[str], **fresh: Any) -> tuple[int, Thread]:
        """The open thread that `key` is of, with its number, opened or brought up to date."""
        wanted = set(labels)

        def write(book: Book) -> tuple[int, Thread]:
            found = _open(book, key)
            if not found:
                found = [{**key, "state": "open", **fresh, "labels": [], "comments": []}]
                book["threads"] += found
            found[0] |= words | {"labels": sorted({*found[0]["labels"], *wanted})}
            return book["threads"].index(found[0]) + 1, found[0]

        found: tuple[int, Thread] = self._change(write)
        return found

    def _change(self, how: Callable[[Book], Any]) -> Any:
        def write(book: Book) -> Any:
            for one in _open(book, {"kind": "pull"}):
                self._settle(one)
            return how(book)

        return self._records.change(write)

    def _settle(self, pull: Thread) -> None:
        """What pushes did: a pull request follows its branch, is merged once base holds it, closed without a branch."""
        tip, onto = self._branch(pull["head"]), self._branch(pull["base"])
        pull["sha"] = tip or pull["sha"]
        if onto and self._records.reaches(onto, pull["sha"]):
            pull["state"] = "merged"
        elif not tip:
            pull["state"] = "closed"

    def _stored(self, *arguments: str, given: str = "") -> str:
        return self._records.git(*arguments, given=given).strip()

    def _thread(self, book: Book, number: int) -> Thread:
        if not 0 < number <= len(book["threads"]):
            raise InputError(f"#{number}: is not in {self._folder}; check the number")
        found: Thread = book["threads"][number - 1]
        return found

    def _branch(self, name: str) -> str | None:
        return self._records.tip(f"refs/heads/{name}")


def _open(book: Book, key: Thread) -> list[Thread]:
    return [one for one in book["threads"] if one["state"] == "open" and key.items() <= one.items()]


def _pull(number: int, one: Thread) -> Pull:
    words = {name: one[name] for name in ("head", "base", "sha", "title", "body", "state")}
    merged = one["sha"] if one["state"] == "merged" else None
    return Pull(number, **words, labels=tuple(one["labels"]), fork=None, url="", merged=merged)
