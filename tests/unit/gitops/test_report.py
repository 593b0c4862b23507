"""`gitloop report`: what a reviewer reads, in every way in which a run may end."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
import yaml
from charted import charts, complaints
from markdown_it import MarkdownIt
from repositories import commit, git

from gitloop import layout
from gitloop.cli import main
from gitloop.files import write_json
from gitloop.gitops.inert import JOINER, inert
from gitloop.gitops.limits import LIMIT, fit
from gitloop.gitops.markdown import Part, plain
from gitloop.modeling.report import Section

Json = dict[str, Any]
RUNS = "https://github.com/me/flights/actions/runs/"
HOSTILE = [
    "|<img src=x>|",
    "`$(id)`",
    "a\nb",
    "# a",
    "**bold** _it_ [x](http://e.org) ![y](z)",
    "@everyone #1 closes #2 GH-3 o/r#4 www.e.org https://github.com/o/r/issues/5",
    "&lt;b&gt; &commat;all &#64;all",
    "\\| x \\",
    "~~a~~ $x$ :tada: x@e.org",
    "<!-- gitloop:report -->",
    "</details><script>",
    "``` ~~~",
    "a\u202eb\u200bc\x00",
]


def ranking(linear: float, forest: float) -> list[Json]:
    found = [("linear", linear, 1), ("forest", forest, 2), ("dummy", 0.5, 0)]
    return [{"candidate": name, "mean": mean, "se": 0.01, "complexity": level} for name, mean, level in found]


def chosen(sha256: str, linear: float = 0.69) -> Json:
    model = {"path": "models/linear.skops", "sha256": sha256}
    return {
        "candidate": "linear",
        "reason": "linear has the best cross-validated roc_auc.",
        "metric": "roc_auc",
        "model": model,
        "ranking": ranking(linear, 0.67),
    }


def evaluation(value: float) -> Json:
    return {
        "candidate": "linear",
        "rows": 15589,
        "metric": "roc_auc",
        "metrics": {
            "log_loss": {"value": 0.36, "low": 0.35, "high": 0.37},
            "roc_auc": {"value": value, "low": value - 0.01, "high": value + 0.01},
        },
        "baseline": {"log_loss": 0.41, "roc_auc": 0.5},
        "train": {"log_loss": 0.37, "roc_auc": 0.74},
        "slices": {"origin": {name: {"rows": 5000, "metrics": {"roc_auc": value}} for name in ("EWR", "JFK")}},
        "fairness": {"origin": {"difference": {"selection_rate": {"value": 0.12, "low": 0.11, "high": 0.13}}}},
        "calibration": {"error": 0.01, "bins": [{"predicted": n / 10, "observed": n / 11} for n in range(10)]},
    }


def compared(sha256: str, gain: float, revision: str = "model@v0.1.0") -> Json:
    def part(by: float) -> Json:
        interval = {"value": by, "low": by - 0.01, "high": by + 0.01}
        return {"rows": 5000, "champion": 0.7, "challenger": 0.7 + by, "gain": interval}

    return {
        "judged": True,
        "why": None,
        "champion": {"revision": revision},
        "challenger": {"sha256": sha256},
        "metric": "roc_auc",
        "rows": 15000,
        "note": None,
        "metrics": {"log_loss": {"champion": 0.4, "challenger": 0.38}, "roc_auc": part(gain)},
        "gain": part(gain)["gain"],
        "slices": {"origin": {"EWR": part(-0.05), "JFK": part(-0.002), "LGA": part(0.03)}},
    }


def rule(name: str, passed: bool | None, why: str = "") -> Json:
    return {"rule": name, "value": 0.7, "sense": "≥", "bound": 0.65, "passed": passed, "why": why}


def judged(sha256: str, *verdicts: Json, loosened: tuple[Json, ...] = ()) -> Json:
    found = [rule("floor roc_auc", True), rule("gap", True), rule("champion", None, "off"), *verdicts]
    return {"sha256": sha256, "verdicts": found, "loosened": list(loosened)}


RUN: Json = {
    "ok": True,
    "ran": ["train@linear", "select"],
    "cached": ["ingest", "split"],
    "failed": None,
    "seconds": {"train@linear": 90.0, "select": 1.2},
    "total_seconds": 95.0,
    "pulled_bytes": 1_234_567,
    "storage": "s3",
}
CHECKS: Json = {"passed": True, "findings": []}


@pytest.fixture
def project(params: Json, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """On branch `work`, of a main that has a model; nothing differs yet. The working directory."""
    for name in ("ACTIONS", "STEP_SUMMARY", "SERVER_URL", "REPOSITORY", "RUN_ID"):
        monkeypatch.delenv(f"GITHUB_{name}", raising=False)
    params["project"]["name"] = "Late flights"
    params["data"]["window"] = {"since": "2013-01-01", "until": "2013-04-01"}
    where = tmp_path / "project"
    where.mkdir()
    monkeypatch.chdir(where)
    git(where, "init", "--quiet", "--initial-branch=main")
    (where / ".gitignore").write_text("/reports/\n")
    lay(params, "1" * 64, 0.73)
    commit(where, "Train")
    git(where, "switch", "--quiet", "--create", "work")
    return where


def lay(params: Json, sha256: str, value: float, test: str = "a" * 32) -> None:
    """What a run of the pipeline leaves in Git."""
    layout.PARAMS.write_text(yaml.safe_dump(params, sort_keys=False, allow_unicode=True))
    outs = [{"path": "data/test.parquet", "md5": test}]
    layout.DVC_LOCK.write_text(yaml.safe_dump({"schema": "2.0", "stages": {"split": {"outs": outs}}}))
    write_json(layout.SELECTED, chosen(sha256, value - 0.04))
    write_json(layout.EVALUATION, evaluation(value))
    write_json(layout.SOURCE, {"rows": 70000 + int(value * 100), "sha256": sha256})
    write_json(layout.VALIDATION, {"rows": 70000, "invalid": 3, "duplicates": 1})
    write_json(layout.SPLIT, {"rows": {"train": 398, "test": 171}})


def say(*, checks: Json | None = CHECKS, run: Json | None = RUN, gates: Json | None = None, **champions: Json) -> None:
    """What the verbs before the report leave."""
    for path, content in ((layout.CHECKS, checks), (layout.RUN, run), (layout.GATES, gates)):
        if content is not None:
            write_json(path, content)
    if champions:
        write_json(layout.COMPARISON, {"champion": None, "main": None, **champions})


@pytest.fixture
def better(project: Path, params: Json) -> Path:
    """A later window and another model, which keeps every gate."""
    params["data"]["window"]["until"] = "2013-05-01"
    lay(params, "2" * 64, 0.75, test="b" * 32)
    commit(project, "May")
    say(gates=judged("2" * 64), champion=compared("2" * 64, 0.02), main=compared("2" * 64, 0.01, "main"))
    return project


@pytest.fixture
def in_actions(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """As a push to `work` has it; the file of the step's summary."""
    summary = tmp_path / "summary.md"
    values = {
        "ACTIONS": "true",
        "EVENT_NAME": "push",
        "REF_NAME": "work",
        "REF_TYPE": "branch",
        "SERVER_URL": "https://github.com",
        "REPOSITORY": "me/flights",
        "RUN_ID": "42",
        "STEP_SUMMARY": str(summary),
    }
    for name, value in values.items():
        monkeypatch.setenv(f"GITHUB_{name}", value)
    return summary


def reported(*arguments: str) -> str:
    assert main(["report", *arguments]) == 0  # a report is no judge
    return layout.REPORT.read_text(encoding="utf-8")


def first(text: str) -> str:
    return text.splitlines()[0]


def titles(text: str) -> list[str]:
    return [line.removeprefix("### ") for line in text.splitlines() if line.startswith("### ")]


def test_pass(better: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = reported()
    assert first(text) == "## ✅ Late flights: may be merged: linear keeps all 2 gates, roc_auc 0.75 (main: 0.73)"
    assert titles(text) == [
        "Gates",
        "Metrics",
        f"Against model@{JOINER}v0.1.0 on the same rows",
        "Against main on the same rows",
        "What changed since main",
        "Candidates",
        "Slices that got worse",
        "Charts",
        "Cost of the run",
        "Where to look",
    ]
    for line in (
        "| ✅ | floor roc_auc | 0.7 | ≥ 0.65 |",
        "- Not judged: champion (off)",
        "| roc_auc | 0.75 | 0.74 to 0.76 | 0.73 | 0.5 | 0.74 |",
        "| roc_auc | 0.72 | 0.7 | 0.02 better (+0.01 to +0.03) |",
        "| log_loss | 0.38 | 0.4 | 0.02 better |",
        "Released, it is a patch version: nothing but the data changed.",
        "- data.window.until: 2013-04-01 → 2013-05-01",
        "- data: rows 70,073 → 70,075",
        "- data: fingerprint 111111111111 → 222222222222",
        "| linear | 0.71 | 0.01 | 0.69 | 1 | ✅ |",
        "| origin EWR | 5,000 | 0.65 | 0.7 | -0.05 (-0.06 to -0.04) | yes |",
        "| rows set aside | 3 |",
    ):
        assert line in text.splitlines()
    assert f"2 of 3 slices are worse than with model@{JOINER}v0.1.0, 1 of them beyond chance." in text
    assert "Those of main were measured on other rows (15,589)" in text
    assert f"1.6 minutes. Stages that ran: train@{JOINER}linear (1.5 minutes), select (1 s)" in text
    assert "did not need to: 2. Data fetched: 1.23 MB." in text
    shown = capsys.readouterr().out
    assert "may be merged" in shown
    assert "mermaid" not in shown
    again = layout.REPORT.read_bytes()
    reported()
    assert layout.REPORT.read_bytes() == again


def test_fail(better: Path) -> None:
    say(gates=judged("2" * 64, rule("floor log_loss", False, "log_loss 0.5 is worse than 0.4")))
    text = reported()
    assert first(text) == "## ❌ Late flights: not to be merged: 1 gate failed (floor log_loss)"
    assert text.splitlines()[2] == "- ❌ floor log_loss: log_loss 0.5 is worse than 0.4"
    table = [line for line in text.splitlines() if line.startswith(("| ✅", "| ❌"))]
    assert table[0].startswith("| ❌ | floor log_loss")


def test_no_change(project: Path, params: Json) -> None:
    params["serving"]["port"] = 3100
    layout.PARAMS.write_text(yaml.safe_dump(params, sort_keys=False))
    same = {"judged": False, "why": "the model is that of main", "same": True, "champion": {"revision": "main"}}
    say(gates=judged("1" * 64), run={**RUN, "ran": [], "seconds": {}, "pulled_bytes": 0}, champion=same)
    text = reported()
    assert first(text) == "## ➖ Late flights: the model stays as it is: linear is main's and keeps all 2 gates"
    assert "No new version: the model stays what it is." in text
    assert "- serving.port: 3000 → 3100" in text
    assert "Stages that ran: none" in text
    assert "Against" not in text
    assert "| metric | test | 95% interval | baseline | train |" in text
    assert titles(text) == ["What changed since main", "Cost of the run", "Where to look"]  # the rest is folded
    assert "mermaid" not in text


def test_nothing_at_all_differs(project: Path) -> None:
    say(gates=judged("1" * 64))
    assert "No parameter, column, data or code differs from main." in reported()


def test_failed_checks_show_no_metrics(better: Path) -> None:
    finding = {
        "check": "params",
        "where": "params.yaml",
        "why": "is not what conf/ composes to",
        "mend": "run `gitloop params`",
    }
    say(checks={"passed": False, "findings": [finding]}, run=None)
    layout.RUN.unlink()
    text = reported()
    assert first(text) == "## ❌ Late flights: not to be merged: 1 check failed, nothing was trained"
    assert text.splitlines()[2].startswith("- ❌ params.yaml: is not what conf/ composes to; run ")
    assert "This is params.yaml as it is committed, which is not what conf/ says." in text
    assert "- data.window.until: 2013-04-01 → 2013-05-01" in text
    assert titles(text) == ["What changed since main", "Where to look"]
    assert "0.75" not in text


@pytest.mark.parametrize(
    "broken",
    [
        "project: [",
        "",
        "- a\n",
        "project: x\ndata: {columns: 3}\n",
        "data: {columns: {a: 1, b: {role: 5}}}\nfeatures: 3\n",
    ],
)
def test_configuration_that_cannot_be_read_is_reported_too(broken: str, project: Path, in_actions: Path) -> None:
    layout.PARAMS.write_text(broken)
    finding = {"check": "contract", "where": "conf/", "why": "cannot be composed", "mend": "mend it"}
    say(checks={"passed": False, "findings": [finding]}, run=None)
    assert "❌" in first(reported())


def test_a_broken_pipeline_shows_no_metrics(better: Path) -> None:
    say(run={**RUN, "ok": False, "failed": "train@linear"})
    text = reported()
    what = f"stage train@{JOINER}linear failed"
    assert first(text) == f"## ❌ Late flights: not to be merged: {what}, there is no model to judge"
    assert titles(text) == ["What changed since main", "Cost of the run", "Where to look"]
    assert "0.75" not in text


def test_a_loosened_bound_stands_at_the_top(better: Path, params: Json) -> None:
    bound = {"gate": "floor.roc_auc", "was": 0.65, "now": 0.5, "breaks": ""}
    say(gates=judged("2" * 64, loosened=(bound,)))
    text = reported()
    assert first(text).endswith("roc_auc 0.75 (main: 0.73); 1 bound loosened")
    assert text.splitlines()[2] == "- ⚠️ floor.roc_auc was loosened from 0.65 to 0.5"
    needs = {**bound, "now": None, "breaks": "roc_auc 0.6 is worse than 0.65"}
    say(gates=judged("2" * 64, rule("loosened floor.roc_auc", False, "needed"), loosened=(needs,)))
    lines = reported().splitlines()
    assert lines[0].startswith("## ❌")
    assert lines[2] == "- ⚠️ floor.roc_auc was loosened from 0.65 to off, and the model needs that"
    assert lines[3] == "- ❌ loosened floor.roc_auc: needed"


def test_a_loosened_bound_is_seen_without_gates(better: Path, params: Json) -> None:
    params["gates"]["floor"]["roc_auc"] = 0.4
    layout.PARAMS.write_text(yaml.safe_dump(params, sort_keys=False))
    say(run={**RUN, "ok": False, "failed": "select"})
    assert reported().splitlines()[2] == "- ⚠️ floor.roc_auc was loosened from 0.65 to 0.4"


@pytest.mark.parametrize(
    ("missing", "word"),
    [
        (layout.CHECKS, "the checks could not be run, nothing was trained"),
        (layout.RUN, "the pipeline could not be run, nothing was trained"),
        (layout.GATES, "the gates could not be checked"),
    ],
)
def test_in_actions_silence_is_no_pass(missing: Path, word: str, better: Path, in_actions: Path) -> None:
    missing.unlink()
    lines = reported().splitlines()
    assert lines[0] == f"## ❌ Late flights: not to be merged: {word}"
    assert lines[2] == "- ❌ why stands in the log of the run"


@pytest.mark.parametrize("stale", ["another model", "older than params.yaml"])
def test_verdicts_on_something_else_are_not_shown(stale: str, better: Path) -> None:
    failed = judged("2" * 64, rule("gap", False, "old"))
    say(gates={**failed, "sha256": "0"} if stale == "another model" else failed, checks={**CHECKS, "passed": False})
    if stale != "another model":
        os.utime(layout.PARAMS, ns=(2**62, 2**62))
    else:
        say(gates={**failed, "sha256": "0"})
    text = reported()
    assert first(text) == "## ➖ Late flights: linear is not judged yet; run \\`gitloop gate\\`"
    assert "### Gates" not in text


def test_a_comparison_of_another_model_is_not_shown(better: Path) -> None:
    say(gates=judged("2" * 64), champion=compared("3" * 64, 0.2))
    assert "Against" not in reported()


def test_why_there_is_no_comparison_is_said(better: Path) -> None:
    about = {"champion": {"revision": "model@v0.1.0"}, "challenger": {"sha256": "2" * 64}}
    say(gates=judged("2" * 64), champion={"judged": False, "why": "it needs column x", **about})
    text = reported()
    assert f"### Against model@{JOINER}v0.1.0 on the same rows\n\nNot compared: it needs column x." in text
    assert "Slices that got worse" not in text


@pytest.mark.parametrize(
    ("environment", "message", "word"),
    [
        ({"GITHUB_EVENT_NAME": "pull_request"}, "x", "a fork cannot be committed to; run "),
        ({}, "x\n\nGitloop-Trained: 1", "a stage does not give the same twice"),
        ({"GITHUB_REF_NAME": "main"}, "x", "merge the pull request that this run opens"),
        ({}, "x", ""),
    ],
    ids=["fork", "twice", "main", "branch"],
)
def test_what_will_not_be_committed_is_not_in_order(
    environment: Json, message: str, word: str, better: Path, in_actions: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    git(better, "commit", "--quiet", "--allow-empty", "--message", message)
    write_json(layout.VALIDATION, {"rows": 70001, "invalid": 3, "duplicates": 1})
    text = reported()
    assert first(text).startswith("## ❌" if word else "## ✅")
    assert word in text.splitlines()[2]
    git(better, "checkout", "--quiet", "--", "metrics")
    assert "❌" not in first(reported())


def test_in_actions_the_lock_is_written_after_the_checks(better: Path, in_actions: Path) -> None:
    os.utime(layout.CHECKS, ns=(1, 1))
    assert first(reported()).startswith("## ✅")


def test_in_actions_it_is_the_summary_and_links_the_run(better: Path, in_actions: Path) -> None:
    text = reported()
    assert in_actions.read_text() == text
    url = "https://github.com/me/flights/actions/runs/42"
    assert f" of work · [the run and its log]({url}) · [report, numbers, plots]({url}#artifacts)" in text
    assert "Where to look" not in text
    assert inert(text, RUNS).replace(JOINER, "") == text.replace(JOINER, "")  # as report.yml posts it
    assert f"({url})" in inert(text, RUNS)


def test_another_base(better: Path, capsys: pytest.CaptureFixture[str]) -> None:
    git(better, "tag", "model@v9")
    text = reported("--base", "model@v9")
    assert "the model stays as it is" in first(text)
    assert f"linear is that of model@{JOINER}v9" in first(text)
    assert main(["report", "--base", "nowhere"]) == 2
    assert "--base nowhere: is not a revision of this repository; fetch it" in capsys.readouterr().err


def test_on_main_it_is_compared_with_the_commit_before(better: Path) -> None:
    git(better, "switch", "--quiet", "main")
    git(better, "merge", "--quiet", "--ff-only", "work")
    say(gates=judged("2" * 64))
    text = reported()
    assert "## ✅ Late flights: in order: linear" in first(text)
    assert "(the commit before: 0.73)" in first(text)
    assert "### What changed since the commit before" in text


def test_the_first_model(project: Path, params: Json) -> None:
    git(project, "rm", "--quiet", "-r", "--cached", "metrics", "dvc.lock")
    git(project, "commit", "--quiet", "--amend", "--message", "no model")
    git(project, "branch", "--force", "main")
    say(gates=judged("1" * 64))
    text = reported()
    assert first(text).endswith("may be merged: linear keeps all 2 gates, roc_auc 0.73")
    assert "| candidate | cross-validated roc_auc | standard error | complexity | chosen |" in text


def test_a_base_that_cannot_be_read_is_left_out(project: Path, params: Json) -> None:
    layout.EVALUATION.write_text("{")
    layout.PARAMS.write_text("a: [")
    commit(project, "broken")
    git(project, "branch", "--force", "main")
    lay(params, "2" * 64, 0.75)
    commit(project, "mended")
    say(gates=judged("2" * 64))
    assert first(reported()).endswith("roc_auc 0.75")


class Seen(HTMLParser):
    """The elements and the text of a page."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.text = ""

    def handle_starttag(self, tag: str, attrs: object) -> None:
        self.tags.append(tag)

    def handle_comment(self, data: str) -> None:
        self.tags.append("comment")

    def handle_data(self, data: str) -> None:
        self.text += data


def page(markdown: str) -> Seen:
    """As GitHub renders it, but for the links that it finds itself."""
    seen = Seen()
    seen.feed(MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"]).render(markdown))
    return seen


@pytest.mark.parametrize("name", HOSTILE)
def test_a_name_is_only_text(name: str) -> None:
    said = " ".join(name.split())
    said = "".join("\ufffd" if letter in "\u202e\u200b\x00" else letter for letter in said)
    for text in (f"- {plain(name)}\n", f"| a |\n| --- |\n| {plain(name)} |\n"):
        found = page(text)
        assert found.text.replace(JOINER, "").strip().removeprefix("a\n\n\n\n\n").strip() == said
        assert set(found.tags) <= {"ul", "li", "table", "thead", "tbody", "tr", "th", "td"}
    assert inert(plain(name), RUNS).replace(JOINER, "") == plain(name).replace(JOINER, "")
    assert not re.search(r"[@#][a-zA-Z0-9]|://|GH-\d|www\.|:tada:", plain(name))


def test_no_name_breaks_the_report(project: Path, params: Json) -> None:
    name = " ".join(HOSTILE)
    for column in HOSTILE:
        params["data"]["columns"][column] = {"type": "categorical", "role": "sensitive"}
    params["project"]["name"] = name
    lay(params, "2" * 64, 0.75)
    write_json(layout.SELECTED, {**chosen("2" * 64), "candidate": name, "reason": name})
    judgement = evaluation(0.75)
    judgement["slices"] = {one: {two: {"rows": 1, "metrics": {"roc_auc": 0.6}} for two in HOSTILE} for one in HOSTILE}
    write_json(layout.EVALUATION, judgement)
    other = compared("2" * 64, 0.1, revision=name)
    other["slices"] = {one: dict.fromkeys(HOSTILE, other["slices"]["origin"]["EWR"]) for one in HOSTILE}
    say(gates=judged("2" * 64, *(rule(one, False, one) for one in HOSTILE)), champion=other)
    git(project, "switch", "--quiet", "--create", "`$(id)`|@everyone|#1")
    text = reported()
    assert len(text.encode()) <= LIMIT
    allowed = {"h2", "h3", "ul", "li", "table", "thead", "tbody", "tr", "th", "td", "p", "details", "summary", "b"}
    assert set(page(text).tags) <= allowed | {"pre", "code", "em"}
    assert page(text).tags.count("h2") == 1
    widths = [line.count("|") for line in text.splitlines() if line.startswith("| ")]
    assert all(width >= 3 for width in widths)
    outside = "".join(text.split("```mermaid")[:1])
    for word in ("@everyone", "#1", "#2", "GH-3", "https://", "<img", "<script"):
        assert word not in outside
    assert complaints(charts(text)) == [""] * len(charts(text))


def test_no_value_of_personal_data(better: Path, params: Json) -> None:
    params["data"]["columns"]["name"] = {"type": "categorical", "role": "pii", "categories": ["Ada", "Alan"]}
    layout.PARAMS.write_text(yaml.safe_dump(params, sort_keys=False))
    commit(better, "pii")
    git(better, "branch", "--force", "main")
    params["data"]["columns"]["name"] = {"type": "categorical", "role": "pii", "categories": ["Ada", "Grace"]}
    layout.PARAMS.write_text(yaml.safe_dump(params, sort_keys=False))
    say(gates=judged("2" * 64))
    text = reported()
    assert "- column name: categories changed (personal data: its values are not shown)" in text
    assert not any(word in text for word in ("Ada", "Alan", "Grace"))


def parts(rows: int) -> list[Part]:
    body = [[f"name {row}", "x" * 40] for row in range(rows)]
    sizes = (("Gates", 30), ("Slices", rows), ("Candidates", 5))
    return [Part(Section(title, ["a", "b"], body[:size]), more="chart") for title, size in sizes]


@pytest.mark.parametrize(
    ("rows", "limit", "said"),
    [
        (40, 10_000, ""),
        (4000, 10_000, "Shortened: Slices."),
        (4000, 2_400, "Shortened: Gates, Slices."),
        (4000, 1_300, "Shortened: Gates. Left out: Slices, Candidates."),
        (4000, 300, "Left out: Gates, Slices, Candidates."),
    ],
)
def test_it_degrades_by_sections(rows: int, limit: int, said: str) -> None:
    text = fit("## verdict\n\n", parts(rows), limit)
    assert len(text.encode()) <= limit
    assert text.startswith("## verdict\n")
    assert said in text
    assert ("To fit into a comment" in text) == bool(said)
    assert ("The first 10 of 4000." in text) == ("Shortened: " in said and "Slices" in said.partition(" Left")[0])


def test_a_report_of_thousands_of_slices_fits(better: Path) -> None:
    judgement = evaluation(0.75)
    judgement["slices"] = {"s": {f"{n} é日本": {"rows": n, "metrics": {"roc_auc": 0.7}} for n in range(20_000)}}
    write_json(layout.EVALUATION, judgement)
    say(gates=judged("2" * 64, *(rule(f"r{n}", False, "|" * 400) for n in range(500))))
    text = reported()
    assert len(text.encode()) <= LIMIT
    assert text.startswith("## ❌ Late flights: not to be merged: 500 gates failed (r0, r1, r2, …)")
    assert "- and 490 more" in text
    assert "_To fit into a comment. Shortened: " in text


def test_it_loads_no_library_that_trains(better: Path) -> None:
    code = (
        "import sys; from gitloop.cli import main; assert main(['report']) == 0; "
        "print([name for name in ('sklearn', 'pandas', 'pyarrow', 'skops', 'dvc', 'github') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"
