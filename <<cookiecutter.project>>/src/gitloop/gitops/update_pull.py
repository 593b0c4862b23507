"""An update of the template as a pull request.

What makes the update runs programs of the template, so it is a job without secrets whose token may only read. What it
leaves, a bundle of one commit and a few words, is not trusted here: it is a branch that people review, and text.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from gitloop import git, ui
from gitloop.errors import InputError, Refused
from gitloop.files import write_text
from gitloop.gitops import actions, forge, limits, origin, proposal
from gitloop.gitops.commit import TRAILER as TRAINED
from gitloop.gitops.markdown import Part, plain
from gitloop.gitops.origin import NoWorkflows
from gitloop.modeling.report import Section

BRANCH, LABEL, MARK = "gitloop/update", "gitloop:update", "update"
TRAILER = "Gitloop-Template"  # the template's commit that was updated to
REF = "refs/gitloop/update"
BUNDLE, ABOUT = "update.bundle", "update.json"
LISTED = 40  # commits of the template
FILES = 300
Text = Annotated[str, Field(max_length=1000)]
Hash = Annotated[str, Field(pattern=r"^([0-9a-f]{40}([0-9a-f]{24})?)?$")]


class Update(BaseModel):
    """What an update is, in words. `changed`: `M path`, as Git says it."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    found: bool
    old: Hash = ""
    new: Hash = ""
    name: Text = ""
    versions: tuple[Text, Text] = ("", "")
    tree: Hash = ""
    changed: tuple[Text, ...] = ()
    conflicts: tuple[Text, ...] = ()
    kept: tuple[Text, ...] = ()
    gone: tuple[Text, ...] = ()
    added: tuple[Text, ...] = ()
    listed: tuple[Text, ...] = ()
    asked: dict[Text, Text] = {}
    dropped: tuple[Text, ...] = ()
    needs: tuple[Text, ...] = ()
    log: tuple[Text, ...] = ()

    def title(self) -> str:
        return f"Update the template to {' '.join(self.name.split())[:60]}"

    def message(self) -> str:
        return f"{self.title()}\n\nFrom {self.old[:12]} to {self.new[:12]}.\n\n{TRAILER}: {self.new}\n"


def points(about: Update) -> Iterator[str]:
    """What a person should know beside the files."""
    for name, value in about.asked.items():
        yield f"new question {name}: answered with its default, {value!r}; .gitloop.json keeps it"
    for name in about.dropped:
        yield f"question {name}: is not asked any more"
    for name in about.added:
        line = ", with its line in conf/config.yaml" if name in about.listed else ""
        yield f"{name}/: is new and yours from now on{line}"
    for name in about.kept:
        yield f"{name}: you changed it, so it stays; the template has it no more"
    for name in about.gone:
        yield f"{name}: you deleted it, so it stays away; the template changed it"


def write(folder: Path, about: Update, commit: str | None) -> None:
    """Leave the update in a folder, without a commit where there is nothing to do."""
    if commit is not None:
        git.git("update-ref", REF, commit)
        folder.mkdir(parents=True, exist_ok=True)
        git.git("bundle", "create", "--quiet", str(folder / BUNDLE), REF, "^HEAD")
        git.git("update-ref", "-d", REF)
    write_text(folder / ABOUT, about.model_dump_json(indent=2) + "\n")


def read(folder: Path) -> Update:
    """Raises `InputError` where the folder does not hold what `gitloop update --write` leaves."""
    try:
        return Update.model_validate_json((folder / ABOUT).read_bytes())
    except (OSError, ValidationError) as error:
        raise InputError(
            f"{folder / ABOUT}: is not what `gitloop update --write {folder}` leaves ({type(error).__name__}); run that"
        ) from error


def propose(folder: Path) -> None:
    """Open the pull request or bring it up to date; nothing where people said not now to this commit.

    What people have put on its branch is never overwritten. Raises `Refused` where they have, and where the token may
    not change workflows: then an issue says so.
    """
    about, here = read(folder), forge.here()
    if not about.found:
        here.close_issue(MARK, "The repository has the newest template.")
        ui.say("the repository has the newest template: nothing to propose")
        return
    mark = forge.line(f"update-{about.new}")
    pulls = [one for one in here.pulls(head=BRANCH, state="all") if one.state != "merged"]
    opened = next((one for one in pulls if one.state == "open"), None)
    if opened is None and any(mark in one.body for one in pulls):
        ui.say(
            f"the update to {about.name} was proposed and closed, which means not now; `gitloop update` does it here"
        )
        return
    main = origin.main()
    tip = origin.fetched(BRANCH) if opened else None
    if opened and tip and about.new in _trailers(main, tip, TRAILER):
        ui.say(f"the update to {about.name} is proposed already: {opened.url or f'pull request {opened.number}'}")
        return
    if opened and tip and (strange := _strange(main, tip)):
        raise Refused(
            f"{BRANCH}: has commits of people ({', '.join(strange[:3])}) and is not overwritten; merge or close pull "
            f"request {opened.number} first"
        )
    made = _fetched(folder, main)
    try:
        pull = proposal.propose(BRANCH, made, about.title(), body(about, mark), LABEL)
    except NoWorkflows as error:
        number = here.issue(MARK, f"{about.title()}: the token may not", _issue(about), (LABEL,))
        raise Refused(f"{error}; issue {number} says what to do") from error
    here.close_issue(MARK, f"Proposed by {pull.url or f'pull request {pull.number}'}.")
    ui.say(f"{about.title()}: {pull.url or f'pull request {pull.number}'}")
    actions.output(pull=pull.number)


def body(about: Update, mark: str) -> str:
    """What a reviewer decides from."""
    was, now = about.versions
    head = f"From {about.old[:12]} to {about.new[:12]} of the template, version {plain(was)} to {plain(now)}.\n\n"
    if about.conflicts:
        head += (
            f"⚠️ Files with conflicts: {len(about.conflicts)}. You and the template changed the same lines. They are "
            f"marked in the files, and the checks stay red until they are mended: `git switch {BRANCH}`, edit, commit, "
            "push. Of requirements files take the template's side, then `make lock`.\n\n"
        )
    parts = [
        Part(Section("Conflicts", (), (), points=list(about.conflicts))) if about.conflicts else None,
        Part(Section("What conf/ has to be given", (), (), points=list(about.needs))) if about.needs else None,
        Part(Section("To know", (), (), points=list(points(about)))) if list(points(about)) else None,
        Part(Section("What the template says", (), (), points=list(about.log))) if about.log else None,
        Part(Section("Files", (), (), points=list(about.changed[:FILES])), folded=True),
        Part(
            Section("What is yours", (), ()),
            more="`conf/`, `environments/`, `data/`, `tests/` and your package are left as they are, but for what is "
            "named above. After the merge: `make setup`.",
        ),
        Part(Section("Not now?", (), (), "Close this pull request: it is opened again for a newer template only.")),
    ]
    return limits.fit(f"{mark}\n{head}", [part for part in parts if part])


def _issue(about: Update) -> str:
    files = [line for line in about.changed if ".github/workflows/" in line]
    return limits.fit(
        f"The template has a newer version, {plain(about.name)}, which changes workflows. GitHub lets no workflow "
        "change them with its own token. One of these, once:\n\n"
        "- on a machine: `gitloop update`, push the branch, open a pull request\n"
        "- a GitHub App with `contents`, `issues`, `pull-requests` and `workflows` (write): its id as the variable "
        "`GITLOOP_APP_ID`, its key as the secret `GITLOOP_APP_KEY`\n"
        "- a fine-grained token with the same rights as the secret `GITLOOP_UPDATE_TOKEN`\n\n",
        [Part(Section("Workflows that change", (), (), points=files))],
    )


def _fetched(folder: Path, main: str) -> str:
    """The commit in the bundle: one, on a commit of main. Raises `InputError` where it is anything else."""
    name = f"{folder / BUNDLE}"
    try:
        git.git("-c", "fetch.fsckObjects=true", "fetch", "--quiet", "--no-tags", name, f"+{REF}:{REF}")
    except InputError as error:
        raise InputError(f"{name}: is no update of this repository ({error}); run `gitloop update --write`") from error
    made, *parents = git.git("rev-list", "--parents", "-1", REF).split()
    if len(parents) != 1 or not git.holds(main, parents[0]):
        raise InputError(f"{name}: is not one commit on {git.MAIN}; run `gitloop update --write` on {git.MAIN}")
    return made


def _trailers(main: str, tip: str, key: str) -> list[str]:
    return git.git("log", f"--format=%(trailers:key={key},valueonly)", f"{main}..{tip}").split()


def _strange(main: str, tip: str) -> list[str]:
    """The commits of a branch that neither an update nor a training has made."""
    made = "".join(f"%(trailers:key={key},valueonly,separator=%x2C)" for key in (TRAILER, TRAINED))
    lines = git.git("log", "--no-merges", f"--format=%h%x09{made}", f"{main}..{tip}").splitlines()
    return [line.partition("\t")[0] for line in lines if not line.partition("\t")[2]]
