"""What a reviewer decides from before a version is moved: both versions side by side, and the way back."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any

from gitloop import git, layout
from gitloop.gitops import evidence, images, limits, sections
from gitloop.gitops.evidence import Evidence
from gitloop.gitops.markdown import Part, plain
from gitloop.gitops.registry import Registry, Version
from gitloop.modeling.report import Section

LISTED = 30  # commits
WORDS = {"promote": "Deploys", "rollback": "Goes back to", "retire": "Takes down"}


def body(
    found: Registry,
    name: str,
    was: Version | None,
    now: Version | None,
    kind: str,
    comparison: Any = None,
    why: str = "",
    parts: Sequence[Part] = (),
) -> str:
    """Markdown for the pull request that moves an environment from a version to another, or to none.

    `comparison`: of the two on the same rows, as `gitloop compare` writes it; None without one. `parts` come first.
    """
    runs = f"where {was.name if was else 'nothing'} runs"
    because = f"{plain(why, 1000)}\n\n" if why else ""
    if now is None:
        text = (
            f"Takes down {was.name if was else 'the model'} in `{name}`. When this is merged, callers are answered 503 "
            "with a notice; nothing is deleted.\n\n"
        )
        return limits.fit(because + text, [*parts, _back(name)])
    about = _evidence(was, now, comparison)
    head = because + f"{WORDS[kind]} {now.name} in `{name}`, {runs}. Merging this deploys it.\n\n"
    failed = [one["rule"] for one in (about.gates or {}).get("verdicts", ()) if one["passed"] is False]
    if failed:
        head += f"⚠️ Gates that failed: {plain(', '.join(failed))}.\n\n"
    return limits.fit(head, [*parts, *_parts(found, about, was, now), _back(name)])


def _parts(found: Registry, about: Evidence, was: Version | None, now: Version) -> Iterator[Part]:
    yield _tried(found, now)
    if about.now.evaluation and about.now.selected:
        yield from sections.gates(about)
        yield sections.metrics(about)
        yield from sections.compared(about)
        yield from sections.worse(about)
    yield from sections.changed(about)
    yield Part(Section("Commits", (), (), points=_commits(was, now)), folded=True)
    yield _lineage(about, now)
    if card := git.content(now.commit, layout.CARD):
        text = re.sub(r"^#", "####", card.decode("utf-8", errors="replace"), flags=re.MULTILINE)
        yield Part(Section("Model card", (), ()), more=text, folded=True)


def _evidence(was: Version | None, now: Version, comparison: Any) -> Evidence:
    """What Git has of both, and what gates and comparison said of this very model."""
    new = evidence.at(now.commit)
    gates = evidence.said(layout.GATES)
    return Evidence(
        now=new,
        was=evidence.at(was.commit) if was else None,
        base=was.name if was else "nothing",
        gates=gates if gates and gates["sha256"] == new.model else None,
        comparisons=evidence.compared({"champion": comparison}, new.model),
        code=_code(was, now),
    )


def _code(was: Version | None, now: Version) -> tuple[str, ...]:
    if was is None:
        return ()
    return tuple((git.asked("diff", "--name-only", was.commit, now.commit, "--", *layout.CODE) or "").splitlines())


def _tried(found: Registry, now: Version) -> Part:
    """Where it runs already, and how it did there."""
    points = [one.says for name in found.stages if (one := found.last(name)) and found.runs(name) == now]
    text = "" if points else "Nowhere yet."
    return Part(Section("Where it was tried", (), (), text, points))


def _commits(was: Version | None, now: Version) -> list[str]:
    """Who merged what between two versions; merges name their pull requests."""
    between = [f"{was.commit}..{now.commit}"] if was else [now.commit]
    log = git.git("log", "--first-parent", f"--max-count={LISTED}", "--format=%h %s (%an)", *between)
    return log.splitlines() or [f"None: {now.name} is older than {was.name if was else 'nothing'}."]


def _lineage(about: Evidence, now: Version) -> Part:
    source: dict[str, Any] = about.now.source or {}
    points = [
        f"registered {now.when.replace('T', ' ').rstrip('Z')} UTC as {now.tag} at {now.commit}",
        f"model file sha256 {about.now.model}",
        f"data fingerprint {source.get('sha256', 'unknown')}, {source.get('rows', 'unknown')} rows",
        f"image {images.digest(now) or 'of none that is recorded'}",
    ]
    return Part(Section("Lineage", (), (), points=points), folded=True)


def _back(name: str) -> Part:
    return Part(
        Section("The way back", (), ()),
        more=f"Revert this pull request when it is merged, or `gitloop rollback {plain(name)}`: either brings back "
        "what ran before.",
    )
