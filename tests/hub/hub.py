"""A repository at the hub: what people and tokens do to it starts workflows, as at GitHub, until all have run."""

from __future__ import annotations

import json
import shutil
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from fnmatch import fnmatch
from pathlib import Path
from typing import Any, NamedTuple

from repositories import git
from standin.server import standing_in
from standin.state import BOT, State

from hub import act, events
from hub.gitserver import Push, Server, branches, serving

NAME = "octo/late-flights"
WRITES, READS, APP = "ghs_bot", "ghs_read", "ghs_app"
# Secrets of the repository, which a fork's run must not see.
SECRETS = {"GITLOOP_APP_KEY": "the-key-of-the-app", "STORE_PASSWORD": "not-for-forks"}
HELD = {"GITLOOP_RELEASE": "off"}  # what is merged is not released, but in the tests of that
LIMIT = 12  # runs that one act of a person may lead to


class Event(NamedTuple):
    kind: str
    ref: str  # GITHUB_REF
    commit: str  # GITHUB_SHA
    revision: str  # whose workflows run
    payload: dict[str, Any]
    only: str | None = None  # a single workflow
    fork: bool = False


@dataclass
class Hub:
    folder: Path
    server: Server
    state: State
    origin: Path
    variables: dict[str, str] = field(default_factory=lambda: dict(HELD))  # `vars` of the repository
    more: dict[str, str] = field(default_factory=dict)  # environment of every step
    workflows: tuple[str, ...] = ("train.yml", "report.yml")  # those that events start; the others have their own tests
    jobs: dict[str, str] = field(default_factory=dict)  # by event: the one job that is run of its workflows, not all
    visibility: str = "private"
    queue: deque[Event] = field(default_factory=deque)
    runs: list[act.Run] = field(default_factory=list)

    @property
    def store(self) -> Path:
        return self.folder / "store"

    @property
    def home(self) -> Path:
        return self.folder / "home"

    @property
    def pushes(self) -> list[Push]:
        return self.server.pushes

    def page(self, run: act.Run) -> str:
        return f"{self.server.url}/{NAME}/actions/runs/{run.id}"

    def commit(self, branch: str) -> str:
        return git(self.origin, "rev-parse", f"refs/heads/{branch}")

    def clone(self, name: str = "work", branch: str = "main", of: Path | None = None) -> Path:
        """A person's clone; what it pushes comes past the rules, as by the button of a pull request."""
        git(self.folder, "clone", "--quiet", "--branch", branch, str(of or self.origin), name)
        return self.folder / name

    def push(self, clone: Path, branch: str, follow: bool = True) -> list[act.Run]:
        """A person pushes the clone's head; the runs that come of it, or only those of the push itself."""
        before = branches(self.origin).get(branch, "0" * 40)
        git(clone, "push", "--quiet", "origin", f"HEAD:refs/heads/{branch}")
        after = self.commit(branch)
        self._add("push", f"refs/heads/{branch}", after, events.push(NAME, branch, before, after))
        for number, pull in self._open(branch):
            self._pull(number, pull["head"], "synchronize")
        return self.settle(follow)

    def propose(self, branch: str, fork: str | None = None) -> tuple[int, list[act.Run]]:
        """A person opens a pull request, of a branch here or of `owner/name`; its number and the runs."""
        head = branch if fork is None else f"{fork.partition('/')[0]}:{branch}"
        if fork is not None:
            self.state.branches[head] = branches(self.server.root / fork)[branch]
        number = self.state.propose(head)
        self._pull(number, head, "opened", fork)
        return number, self.settle()

    def dispatch(self, workflow: str, branch: str) -> list[act.Run]:
        self._dispatched(workflow, branch)
        return self.settle()

    def merge(self, branch: str) -> list[act.Run]:
        """Merge a branch into main, which must be possible, and see what main's own runs do."""
        clone = self.clone(f"merge-{len(self.runs)}")
        git(clone, "merge", "--quiet", "--no-ff", "-m", f"Merge {branch}", f"origin/{branch}")
        for number, _ in self._open(branch):
            self.state.threads[number].update(state="closed", merged=git(clone, "rev-parse", "HEAD"))
        return self.push(clone, "main")

    def settle(self, follow: bool = True) -> list[act.Run]:
        """Run what was started, and what that starts, until nothing is left; or the former alone."""
        done: list[act.Run] = []
        started = len(self.queue)
        while self.queue and (follow or started > 0):
            started -= 1
            event = self.queue.popleft()
            checkout = self._checkout(event.revision)
            for workflow in self._started(checkout, event):
                assert len(done) < LIMIT, f"no end: {[(run.workflow, run.event, run.ref) for run in done]}"
                done.append(self._run(checkout, workflow, event))
            shutil.rmtree(checkout)
        self.queue.clear()
        return done

    def _run(self, checkout: Path, workflow: str, event: Event) -> act.Run:
        number = len(self.runs) + 1
        payload = self.folder / f"event-{number}.json"
        event.payload["repository"]["visibility"] = self.visibility
        payload.write_text(json.dumps(event.payload))
        writes = not event.fork
        environment = {
            "GITHUB_SERVER_URL": self.server.url,
            "GITHUB_API_URL": self.state.base_url,
            "GITHUB_REPOSITORY": NAME,
            "GITHUB_REF": event.ref,
            "SHA_REF": event.commit,
            "GITHUB_RUN_ID": str(number),
            "HUB_STORE": str(self.store),
            "VENV": str(act.venv()),
            "PYTHONPATH": "src",
            **self.more,
        }
        arguments = act.command(
            checkout,
            workflow,
            event.kind,
            payload,
            self.jobs.get(event.kind),
            env=environment,
            var=self.variables if writes else {},
            secret={"GITHUB_TOKEN": WRITES if writes else READS, **(SECRETS if writes else {})},
        )
        self.state.read_only = not writes
        before, asked = branches(self.origin), len(self.state.dispatches)
        made = act.Run(number, workflow, event.kind, event.ref, event.commit, -1)
        made.artifact = self.store / "artifacts" / str(number) / "report"
        act.run(made, arguments, self.home)
        self.runs.append(made)
        (self.folder / f"run-{number}.log").write_text(made.log)
        self._follow(checkout, event, made, before, asked)
        return made

    def _follow(self, checkout: Path, event: Event, run: act.Run, before: dict[str, str], asked: int) -> None:
        """What the run itself starts: what GITHUB_TOKEN pushes starts nothing, what the app's token pushes does."""
        name = act.document((checkout / ".github/workflows" / run.workflow).read_text())["name"]
        for push in self.pushes:
            if push.token == APP and before.get(push.branch) != push.commit == branches(self.origin).get(push.branch):
                was = before.get(push.branch, "0" * 40)
                payload = events.push(NAME, push.branch, was, push.commit)
                self._add("push", f"refs/heads/{push.branch}", push.commit, payload)
        for one in self.state.dispatches[asked:]:
            self._dispatched(one["workflow"], one["ref"])
        pull = event.payload.get("pull_request")
        about = {
            "id": run.id,
            "name": name,
            "path": run.workflow,
            "event": event.kind,
            "branch": pull["head"]["ref"] if pull else event.ref.removeprefix("refs/heads/"),
            "sha": pull["head"]["sha"] if pull else event.commit,
            "repository": pull["head"]["repo"]["full_name"] if pull else NAME,
            "conclusion": "success" if run.ok else "failure",
            "url": self.page(run),
        }
        if event.kind != "workflow_run":
            pulls = [{"number": number, "head": {"sha": about["sha"]}} for number, _ in self._open(about["branch"])]
            main = self.commit("main")
            self._add("workflow_run", "refs/heads/main", main, events.workflow_run(NAME, about, pulls))

    def _started(self, checkout: Path, event: Event) -> list[str]:
        """The workflows of a revision that an event starts."""
        found = []
        for file in sorted((checkout / ".github/workflows").glob("*.yml")):
            on = act.document(file.read_text())["on"]
            if event.kind not in on or file.name not in self.workflows or event.only not in (None, file.name):
                continue
            wanted = (on[event.kind] if isinstance(on, dict) else None) or {}
            if event.kind == "workflow_run" and event.payload["workflow_run"]["name"] not in wanted["workflows"]:
                continue
            if "types" in wanted and event.payload["action"] not in wanted["types"]:
                continue
            if event.kind != "push" or self._pushed(wanted, event):
                found.append(file.name)
        return found

    def _pushed(self, wanted: dict[str, Any], event: Event) -> bool:
        """Whether a push is of the branches and the paths that a workflow names."""
        if not any(fnmatch(event.ref, f"refs/heads/{name}") for name in wanted.get("branches", ["**"])):
            return False
        before = event.payload["before"]
        if "paths" not in wanted or before == "0" * 40:
            return True
        touched = git(self.origin, "diff", "--name-only", before, event.commit).splitlines()
        return any(fnmatch(path, name) for path in touched for name in wanted["paths"])

    def _checkout(self, revision: str) -> Path:
        folder = self.folder / "checkout"
        git(self.folder, "clone", "--quiet", "--no-checkout", str(self.origin), str(folder))
        git(folder, "fetch", "--quiet", "origin", revision)
        git(folder, "checkout", "--quiet", revision)
        return folder

    def _add(self, kind: str, ref: str, commit: str, payload: dict[str, Any], **more: Any) -> None:
        self.queue.append(Event(kind, ref, commit, more.pop("revision", commit), payload, **more))

    def _dispatched(self, workflow: str, branch: str) -> None:
        commit = self.commit(branch)
        payload = events.dispatch(NAME, workflow, branch)
        self._add("workflow_dispatch", f"refs/heads/{branch}", commit, payload, only=workflow)

    def _pull(self, number: int, head: str, action: str, fork: str | None = None) -> None:
        """The event of a pull request runs on the merge of its head with main, with the workflows of that."""
        branch = head.rpartition(":")[2]
        source = self.origin if fork is None else self.server.root / fork
        clone = self.clone(f"pull-{number}-{len(self.runs)}")
        git(clone, "fetch", "--quiet", str(source), f"refs/heads/{branch}")
        sha = git(clone, "rev-parse", "FETCH_HEAD")
        git(clone, "push", "--quiet", "origin", f"+{sha}:refs/pull/{number}/head")
        git(clone, "merge", "--quiet", "--no-ff", "-m", f"Merge {sha}", sha)
        git(clone, "push", "--quiet", "origin", f"+HEAD:refs/pull/{number}/merge")
        merged = git(clone, "rev-parse", "HEAD")
        payload = events.pull_request(NAME, action, number, branch, sha, self.commit("main"), fork)
        self._add("pull_request", f"refs/pull/{number}/merge", merged, payload, fork=fork is not None)

    def _open(self, branch: str) -> list[tuple[int, dict[str, Any]]]:
        return [(one["number"], one) for one in self.state.pulls() if one["head"] == branch]


@contextmanager
def opened(
    folder: Path, origin: Path | None = None, store: Path | None = None, home: Path | None = None
) -> Iterator[Hub]:
    """A hub in a folder, with a copy of a repository, of what its runs kept, and of a home with what mypy keeps."""
    act.binary()
    root = folder / "repositories"
    root.mkdir(parents=True)
    with serving(Server(root, {WRITES: True, APP: True, READS: False})) as server:
        bare = server.make(NAME)
        if origin is not None:
            git(bare, "fetch", "--quiet", str(origin), "+refs/*:refs/*")
        if store is not None:
            shutil.copytree(store / "caches", folder / "store/caches")
        if home is not None:
            shutil.copytree(home, folder / "home", ignore=shutil.ignore_patterns("act"))
        state = State(repository=NAME, origin=bare, tokens={WRITES: BOT, READS: BOT, APP: "gitloop[bot]"})
        with standing_in(state):
            yield Hub(folder, server, state, bare)
