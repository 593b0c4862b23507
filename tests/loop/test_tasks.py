"""A regression and a task of several classes as people see them: report, card, plots, page, labels, HTTP, monitoring.

Real data (Fair 1978, in statsmodels): how long women have been married, and how they rate it. Religion and education
are declared sensitive and are no features.
"""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import own
import pytest
from project import edit, generate
from repositories import git
from service import serving
from statsmodels.datasets import fair

from gitloop import layout
from gitloop.cli import main
from gitloop.gitops import retrain
from gitloop.modeling import verdicts
from gitloop.monitoring import findings
from gitloop.monitoring.decide import Decision
from gitloop.monitoring.site_card import card

RATINGS = {1: "poor", 2: "poor", 3: "fair", 4: "good", 5: "very good"}
RELIGION = {1: "not", 2: "mildly", 3: "fairly", 4: "strongly"}
CLASSES = ["fair", "good", "poor", "very good"]
TARGET = {"regression": "years", "multiclass": "rating"}
LOOSE = [f"gates.{name}" for name in ("champion=1", "slice_regression=1", "fairness=null", "behaviour=null")]
LOOSE += ["evaluation.slice_rows=30"]
FORBIDDEN = {
    "regression": r"probabilit|threshold|roc_auc|accuracy|label differs",
    "multiclass": r"threshold|\br2\b|mae",
}


class Lived(NamedTuple):
    """A project with a version, a challenger on a branch, and a window of predictions whose truth has come."""

    task: str
    folder: Path
    report: str  # as `gitloop report` wrote it for the challenger

    @property
    def card(self) -> str:
        return layout.CARD.read_text()

    def file(self, path: Path) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(path.read_text())
        return found


@pytest.fixture(scope="module")
def generated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = generate(tmp_path_factory.mktemp("tasks"), start="own")
    own.smaller(made)
    return made


@pytest.fixture(scope="module", params=["regression", "multiclass"])
def lived(request: pytest.FixtureRequest, generated: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lived]:
    """The working directory is the project as long as tests of its task run."""
    folder = tmp_path_factory.mktemp(request.param)
    copy = shutil.copytree(generated, folder / "project", symlinks=True)
    with pytest.MonkeyPatch.context() as patch, own.project(copy, patch) as there:
        declared(request.param, folder)
        own.pipeline("candidate=[dummy,linear]", *LOOSE, without=["profile"])
        kept("Linear")
        git(there, "tag", "--annotate", "--message", "First", "model@v0.1.0")
        git(there, "checkout", "--quiet", "-b", "better")
        own.pipeline("candidate=[dummy,boosting]", *LOOSE, without=own.STAGES)
        kept("Boosting")
        assert main(["report", "--base", "main"]) == 0
        yield Lived(request.param, there, layout.REPORT.read_text())


def declared(task: str, folder: Path) -> None:
    """`gitloop init`, then what only a person knows: who must not be treated differently, and the target's unit."""
    frame = fair.load_pandas().data.iloc[::4]
    frame = frame.rename(columns={"rate_marriage": "rating", "yrs_married": "years"})
    frame = frame.assign(rating=frame.rating.map(RATINGS), religious=frame.religious.map(RELIGION))
    frame.to_csv(folder / "marriages.csv", index=False)
    assert main(["init", str(folder / "marriages.csv"), "--target", TARGET[task]]) == 0
    assert own.contract("marriages")["task"] == task
    about = {"description": "As she says", **({"unit": "winters"} if task == "regression" else {})}
    changes = {f"columns__{TARGET[task]}__{key}": value for key, value in about.items()}
    sensitive = {f"columns__{name}__role": "sensitive" for name in ("religious", "educ")}
    slices = ["rating" if task == "regression" else "occupation"]
    edit(layout.data_conf("marriages"), slices=slices, **sensitive, **changes)


def kept(message: str) -> None:
    git(Path(), "add", "--all")
    git(Path(), "commit", "--quiet", "--message", message)


def rows_of(text: str, title: str) -> dict[str, list[str]]:
    """The table below a heading of Markdown: cells by the first cell; the header is `""`."""
    part = re.split(rf"(?:^#+ |<b>){re.escape(title)}\b", text, flags=re.MULTILINE)[1]
    lines = re.search(r"(?:^\|.*\n)+", part, re.MULTILINE)
    assert lines, title
    cells = [[one.strip() for one in line.strip("|").split(" | ")] for line in lines[0].splitlines()]
    return {"": cells[0]} | {"/".join(one[:2]) if title == "Fairness" else one[0]: one for one in cells[2:]}


def test_metrics_say_what_they_are_measured_in(lived: Lived) -> None:
    for text in (lived.report, lived.card):
        if lived.task == "regression":
            found = lived.file(layout.EVALUATION)["calibration"]
            assert "- mae, rmse, median_error are in winters." in text.replace("median&#95;error", "median_error")
            side = "above" if found["bias"] > 0 else "below"
            assert f"Predicted is on average {abs(found['bias']):.4g} {side} actual" in text
            assert f"standard deviation is {found['spread']:.4g}." in text
        else:
            assert "probability of the called class and the share of right calls are 0." in text
        assert not re.search(FORBIDDEN[lived.task], text.partition("### What changed")[0])


def test_a_calibration_that_is_refused_says_what_is_off(lived: Lived) -> None:
    evaluation = lived.file(layout.EVALUATION)
    (verdict,) = verdicts.calibration(0.0, evaluation)
    error = f"{evaluation['calibration']['error']:.3g}"
    said = {
        "regression": rf"predicted is on average {error} standard deviations (above|below) actual, more than 0;",
        "multiclass": rf"predicted and observed are {error} apart on average, more than 0;",
    }
    assert verdict.passed is False
    assert re.match(said[lived.task], verdict.why)


def test_the_card_says_what_is_predicted(lived: Lived) -> None:
    said = {
        "regression": "- Predicts years (As she says), a number in winters.",
        "multiclass": f"- Predicts rating (As she says), one of {', '.join(CLASSES)}, with a probability of each.",
    }[lived.task]
    lines = lived.card.splitlines()
    assert said in lines
    assert "- Fairness was looked at by religious, educ alone." in lines
    assert not re.search(FORBIDDEN[lived.task], lived.card.partition("## How it is served")[2])
    page = card(lived.card)  # points above a table do not swallow it
    assert page.count("<table>") == sum(line.startswith("| ---") for line in lines)


def test_each_class_is_judged(lived: Lived) -> None:
    evaluation = lived.file(layout.EVALUATION)
    if lived.task == "regression":
        assert "classes" not in evaluation
        assert "Classes" not in lived.report + lived.card
        return
    found = evaluation["classes"]
    assert sorted(found) == CLASSES
    assert sum(one["rows"] for one in found.values()) == sum(one["called"] for one in found.values())
    assert sum(one["rows"] for one in found.values()) == evaluation["rows"]
    f1 = sum(one["f1"] for one in found.values()) / len(CLASSES)
    assert f1 == pytest.approx(evaluation["metrics"]["f1"]["value"], rel=1e-4)
    for text in (lived.report, lived.card):
        table = rows_of(text, "Classes")
        assert table.pop("") == ["class", "rows", "called", "precision", "recall", "f1", "roc_auc"]
        assert sorted(table) == CLASSES
        assert [float(one[5]) for one in table.values()] == sorted(float(one[5]) for one in table.values())
        assert table["very good"][4] == f"{found['very good']['recall']:.4g}"


def test_groups_that_are_no_features_are_audited(lived: Lived) -> None:
    """With intervals, which groups, and which were too small."""
    evaluation, rate = lived.file(layout.EVALUATION), {"regression": "mean_error", "multiclass": "accuracy"}[lived.task]
    assert not {"religious", "educ"} & set(evaluation["importance"])
    found = evaluation["fairness"]["religious"]
    one = found["difference"][rate]
    assert 0 <= one["low"] <= one["high"]
    most = max(found["groups"], key=lambda name: found["groups"][name][rate])
    for text in (lived.report, lived.card):
        table = rows_of(text, "Fairness")
        assert table[""][2:] == ["largest difference", "low", "high", "least", "most"]
        value, low, high = (f"{one[end]:.4g}" for end in ("value", "low", "high"))
        row = table[f"religious/{rate}"]
        assert row[2:5] == [value, low, high]
        assert row[6] == f"{most}: {found['groups'][most][rate]:.4g}"
        assert f"educ/{rate}" in table
        assert ("standard deviations of years" in text) == (lived.task == "regression")
        small = ", ".join(f"{name} ({rows})" for name, rows in found["left_out"].items())
        assert (f"religious: left out, too few rows: {small}." in text) == bool(small)


def test_fairness_is_gated(lived: Lived, capsys: pytest.CaptureFixture[str]) -> None:
    rate = {"regression": "mean_error", "multiclass": "accuracy"}[lived.task]
    before = layout.GATES.read_bytes(), layout.PARAMS.read_bytes()
    strict = f"gates.fairness={{{rate}: 0.0001}}"
    assert main(["params", *own.QUICK, "candidate=[dummy,boosting]", *LOOSE, strict]) == 0
    assert main(["gate"]) == 1
    assert f"fairness religious {rate}: {rate} differs by " in capsys.readouterr().err
    for path, content in zip((layout.GATES, layout.PARAMS), before, strict=True):
        path.write_bytes(content)


def test_the_challenger_is_compared_with_the_champion(lived: Lived) -> None:
    found = lived.file(layout.COMPARISON)["champion"]
    metric = {"regression": "r2", "multiclass": "roc_auc"}[lived.task]
    assert found["judged"]
    assert (found["champion"]["candidate"], found["challenger"]["candidate"]) == ("linear", "boosting")
    assert found["gain"]["low"] < found["gain"]["value"] < found["gain"]["high"]
    table = rows_of(lived.report, "Against model@\u2060v0.1.0 on the same rows")
    first = list(table)[1]
    assert first == metric
    assert table[metric][1:3] == [f"{found['metrics'][metric][who]:.4g}" for who in ("challenger", "champion")]
    assert re.fullmatch(r"[\d.e-]+ (better|worse) \([+-].* to [+-].*\)", table[metric][3])
    if lived.task == "regression":  # of a loss less is better
        better = found["metrics"]["mae"]["challenger"] < found["metrics"]["mae"]["champion"]
        assert table["mae"][3].endswith(" better" if better else " worse")


def test_plots_name_what_is_drawn(lived: Lived) -> None:
    curves, errors, calibration = (
        (layout.PLOTS / f"{one}.svg").read_text() for one in ("curves", "errors", "calibration")
    )
    if lived.task == "regression":
        assert ">actual years (winters)<" in curves
        assert ">Residuals<" in errors
        assert ">Fifths of the actual years (winters) (colour: share of the row)<" in errors
        assert ">mean actual years (winters)<" in calibration
        assert not re.search("probability|ROC", curves + errors + calibration)
    else:
        assert all(f">{name}<" in curves for name in CLASSES)
        assert ">Confusion (colour: share of the row)<" in errors
        assert ">share of right calls<" in calibration


def test_the_service_and_what_became_of_its_window(lived: Lived) -> None:
    """Types over HTTP; then the same log watched: live fairness with intervals, in the file and on the page."""
    with serving(lived.folder) as server:
        spec = httpx.get(f"{server.url}/docs.json").json()
        expected = lived.file(layout.MODEL / "expected.json")["rows"][0]
        row = {name: value for name, value in expected.items() if value is not None} | {"religious": "mildly"}
        answer = httpx.post(f"{server.url}/predict", json=row).json()
        wrong, good = {"regression": ("long", 9.5), "multiclass": ("wonderful", "very good")}[lived.task]
        refused = httpx.post(f"{server.url}/feedback", json={"id": answer["id"], "truth": wrong})
        told = httpx.post(f"{server.url}/feedback", json={"id": answer["id"], "truth": good})
        assert server.end() == 0
        (line,) = server.lines()
        (truth,) = server.lines("feedback")
    assert refused.status_code == 400
    assert told.json() == {"id": answer["id"], "kept": True}
    assert truth["truth"] == good
    assert line["inputs"]["religious"] == "mildly"
    assert line["prediction"] == answer["prediction"]
    path = spec["paths"]["/predict"]["post"]
    asked = path["requestBody"]["content"]["application/json"]["schema"]
    assert "religious" in asked["properties"]
    assert "religious" not in asked["required"]
    said = path["responses"]["200"]["content"]["application/json"]["schema"]["properties"]
    if lived.task == "regression":
        assert said["prediction"] == {"description": "As she says, in winters", "title": "Prediction", "type": "number"}
        assert set(answer) == {"id", "version", "prediction"}
        assert 0 < answer["prediction"] < 30
        assert "should be a valid number" in refused.text
    else:
        assert said["prediction"]["enum"] == CLASSES
        assert sorted(answer["probabilities"]) == CLASSES
        assert sum(answer["probabilities"].values()) == pytest.approx(1)
        assert answer["prediction"] == max(answer["probabilities"], key=answer["probabilities"].__getitem__)
        assert "'very good'" in refused.text


def test_monitoring_audits_the_same_groups(lived: Lived, capsys: pytest.CaptureFixture[str]) -> None:
    """With intervals, in what is kept of the window and on the page; people are asked for a truth of the right kind."""
    shutil.rmtree("predictions", ignore_errors=True)
    own.one_window()
    (result,) = findings.history()
    (part,) = result.versions.values()
    rate = {"regression": "mean_error", "multiclass": "accuracy"}[lived.task]
    assert set(part.groups) == {"religious", "educ"}
    one = part.groups["religious"][rate]
    value, low, high = (one[end] for end in ("value", "low", "high"))
    assert low is not None
    assert value == part.fairness["religious"][rate]
    assert part.truth is not None
    assert set(part.truth.metrics) == set(lived.file(layout.EVALUATION)["metrics"])
    git(Path(), "init", "--quiet", "--bare", "--initial-branch", "main", "../origin.git")
    git(Path(), "remote", "add", "origin", str(Path("../origin.git").resolve()))
    git(Path(), "push", "--quiet", "origin", "main", "--follow-tags")
    metric = "log_loss" if lived.task == "multiclass" else "mae"  # not the first of the task
    body = retrain.body(Decision("retrain", "Worse.", result.until, result.version), [result], "2020-01-01", "", metric)
    table = rows_of(body, "The windows")
    assert table[""][4] == metric
    assert table[result.until[:16]][4] == f"{part.truth.metrics[metric]['value']:.4g}"
    assert main(["act"]) == 0
    assert main(["site"]) == 0
    assert "1 version, 1 window" in capsys.readouterr().out
    html = (layout.SITE / "index.html").read_text()
    assert f"{value:.4g} ({low:.4g} to {high:.4g})" in html
    assert ("<h3>Classes</h3>" in html) == (lived.task == "multiclass")
    assert ("in standard deviations of the target" in html) == (lived.task == "regression")
    assert not re.search(FORBIDDEN[lived.task], re.sub(r"<(style|script).*?</\1>", "", html, flags=re.DOTALL))


def test_people_are_asked_for_a_truth_of_its_kind(lived: Lived) -> None:
    """After the window above: what is told is taken away again."""
    for path in Path("predictions").glob("feedback-*"):
        path.unlink()
    assert main(["label", "export"]) == 0
    asked = (layout.LABELS / "0001/config.xml").read_text()
    tasks = json.loads((layout.LABELS / "0001/tasks.json").read_text())
    doubt = next(one["meta"]["why"] for one in tasks if one["meta"]["picked"] == "uncertain")
    if lived.task == "regression":
        assert 'value="years (winters): As she says"' in asked
        assert "<Number " in asked
        assert re.fullmatch(r"predicted [\d.]+, in the middle [\d.]+", doubt)
    else:
        assert re.findall('Choice value="(.*?)"', asked) == CLASSES
        assert re.fullmatch(r"([a-z ]+ 0\.\d{3}(, )?){2}", doubt)
    assert "religious" in tasks[0]["data"]["row"]
