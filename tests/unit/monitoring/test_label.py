"""`gitloop label`: what is picked, that Label Studio takes it, and that what it exports becomes truth, once."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import customers
import pyarrow as pa
import pytest
import sqlalchemy
import studio
import windows
import yaml
from killing import killed
from servers import postgres

from gitloop import settings
from gitloop.cli import main
from gitloop.monitoring import findings
from gitloop.monitoring.findings import Distance, Part, Result
from gitloop.serving import history
from gitloop.serving.shipper import Shipper

WINDOW = ["--since", "2026-11-02", "--until", "2026-11-09"]
ROWS = 600
TASKS = {"tasks": 40, "uncertain": 0.5, "drifted": 0.25, "random": 0.25}
LATER = "2026-11-10T08:00:00.000000Z"
Task = dict[str, Any]
Project = Callable[..., Path]


@pytest.fixture(scope="session")
def labelled(stock: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """A packaged project by task whose model answered for a week, what came true, and an export of tasks.

    Made once, not to be changed.
    """
    made: dict[str, Path] = {}

    def change(values: dict[str, Any]) -> None:
        values["monitoring"]["labels"] = TASKS
        values["data"]["columns"]["age"]["description"] = 'Years < 120 & "counting"'
        values["data"]["columns"]["outcome"] |= (
            {"range": [-2000, 2000]} if values["data"]["task"] == "regression" else {}
        )

    def get(task: str) -> Path:
        if task not in made:
            folder = tmp_path_factory.mktemp(task)
            rows = customers.table(task, 1200)
            customers.make(folder, customers.values_of(task, stock, text=True, change=change), "linear", rows)
            with customers.inside(folder):
                assert main(["package"]) == 0
                customers.answer(customers.table(task, ROWS))
                for path in sorted(Path("predictions").glob("feedback-*")):
                    path.rename(path.with_suffix(".told"))
                assert main(["label", "export", *WINDOW]) == 0
            made[task] = folder
        return made[task]

    return get


@pytest.fixture
def project(labelled: Callable[[str], Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Path]:
    """The working directory becomes a copy of it; `labels` are settings of it."""

    def get(task: str = "binary", **labels: Any) -> Path:
        folder = tmp_path / "project"
        shutil.copytree(labelled(task), folder, ignore=shutil.ignore_patterns("labels"))
        monkeypatch.chdir(folder)
        change("monitoring.labels", {**TASKS, **labels})
        return folder

    return get


def change(key: str, value: Any) -> None:
    """A key of params.yaml."""
    values = yaml.safe_load(Path("params.yaml").read_text())
    *path, last = key.split(".")
    tree = values
    for part in path:
        tree = tree[part]
    tree[last] = value
    Path("params.yaml").write_text(yaml.safe_dump(values, sort_keys=False))


def exported(folder: str = "labels/0001") -> list[Task]:
    found: list[Task] = json.loads(Path(folder, "tasks.json").read_text())
    return found


def truths() -> dict[str, Any]:
    """What came true, by the id of the prediction."""
    lines = "".join(path.read_text() for path in sorted(Path("predictions").glob("*.told"))).splitlines()
    return {one["id"]: one["truth"] for one in map(json.loads, lines)}


def annotation(value: Any, **more: Any) -> Task:
    number = isinstance(value, float)
    said = {"number": value} if number else {"choices": [value]}
    result = {"from_name": "truth", "to_name": "row", "type": "number" if number else "choices", "value": said}
    return {
        "id": 7,
        "completed_by": 1,
        "result": [result],
        "was_cancelled": False,
        "ground_truth": False,
        "created_at": LATER,
        "updated_at": LATER,
        "lead_time": 3.5,
        **more,
    }


def answered(tasks: list[Task], *values: Any, **more: Any) -> list[Task]:
    """As Label Studio exports them: each answered with its value, or with what came true."""
    true = truths()
    given = values or tuple(true[task["data"]["prediction_id"]] for task in tasks)
    return [
        {"id": number, "annotations": [annotation(value, **more)], "drafts": [], **task}
        for number, (task, value) in enumerate(zip(tasks, given, strict=False), 1)
    ]


def put(tasks: list[Task], name: str = "export.json") -> str:
    Path(name).write_text(json.dumps(tasks))
    return name


def kept() -> dict[str, Any]:
    """The truths that the log holds, by id."""
    loaded = settings.load()
    assert loaded.serving.log is not None
    rows = history.read(loaded.serving.log, loaded.data, windows.SINCE, windows.UNTIL)
    return {
        id: one
        for id, one in zip(*(rows.column(name).to_pylist() for name in ("_id", "_truth")), strict=True)
        if one is not None
    }


def lines(name: str) -> list[str]:
    return Path("predictions", name).read_text().splitlines()


def log() -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in Path("predictions").iterdir()}


@pytest.mark.parametrize("task", ["binary", "multiclass", "regression"])
def test_from_predictions_to_tasks_to_truth(task: str, project: Project, capsys: pytest.CaptureFixture[str]) -> None:
    project(task, show=True)
    assert main(["label", "export", *WINDOW]) == 0
    said = capsys.readouterr().out
    assert "labels/0001: 40 tasks (20 uncertain, 10 drifted, 10 random) of 600 predictions without truth; give" in said
    tasks, config = exported(), Path("labels/0001/config.xml").read_text()
    assert Counter(one["meta"]["picked"] for one in tasks) == {"uncertain": 20, "drifted": 10, "random": 10}
    one = tasks[0]
    assert set(one["data"]) == {"prediction_id", "predicted_at", "row", "text1"}
    cells = [value for task in tasks for value in task["data"]["row"].values()]
    assert not any(isinstance(value, bool) for value in cells)
    assert {"true", "false"} <= set(cells)
    assert {"age", "income (EUR)", "colour"} <= {name for task in tasks for name in task["data"]["row"]}
    assert not any("phone" in task["data"]["row"] or "outcome" in task["data"]["row"] for task in tasks)
    assert one["meta"]["prediction_id"] == one["data"]["prediction_id"]
    assert one["meta"]["version"] == one["predictions"][0]["model_version"]

    answers = answered(tasks)
    judged = studio.judged(config, answers)
    assert judged["faults"] == []
    tags = [["Number" if task == "regression" else "Choices", "truth"], ["Table", "row"], ["Text", "text1"]]
    assert judged["tags"] == tags
    classes = {"binary": ["leaves", "stays"], "multiclass": ["high", "low", "middle"], "regression": []}
    assert judged["labels"] == [classes[task]]

    assert main(["label", "import", put(answers)]) == 0
    assert "export.json: 40 truths kept, 0 there already\n" in capsys.readouterr().out
    true = truths()
    ids = {one["data"]["prediction_id"] for one in tasks}
    assert kept() == {id: true[id] for id in ids}
    before = log()
    for again in (put(answers), put(judged["min"], "min.json")):
        assert main(["label", "import", again]) == 0
        assert f"{again}: 0 truths kept, 40 there already\n" in capsys.readouterr().out
    assert log() == before
    assert [one.stat().st_mode & 0o777 for one in Path("predictions").glob("feedback-*-labels-*")] == [0o640]


def test_what_annotators_should_not_see_is_not_there(project: Project) -> None:
    project()
    change("data.columns.remark.role", "pii")
    change("data.columns.remark.nullable", True)
    assert main(["label", "export", *WINDOW]) == 0
    assert not any({"predictions", "annotations"} & set(one) for one in exported())
    text = Path("labels/0001/tasks.json").read_text() + Path("labels/0001/config.xml").read_text()
    assert "remark" not in text
    assert not any(word in text for word in ("rude", "cheap"))


def test_an_export_picks_what_no_other_did_until_nothing_is_left(
    project: Project, capsys: pytest.CaptureFixture[str]
) -> None:
    project(tasks=250)
    assert main(["label", "export", *WINDOW]) == 0
    first = exported()
    assert main(["label", "import", put(answered(first[:100]))]) == 0
    assert main(["label", "export", *WINDOW]) == 0
    assert main(["label", "export", *WINDOW]) == 0
    parts = [{one["meta"]["prediction_id"] for one in exported(f"labels/000{number}")} for number in (1, 2, 3)]
    assert [len(part) for part in parts] == [250, 250, 100]
    assert len(set().union(*parts)) == ROWS
    capsys.readouterr()
    assert main(["label", "export", *WINDOW]) == 0
    said = "predictions: nothing to label: of 600 predictions 100 have their truth, and 500 were exported before"
    assert said in capsys.readouterr().out
    assert not Path("labels/0004").exists()


def test_the_same_log_gives_the_same_tasks(project: Project) -> None:
    project()
    found = []
    for seed in (0, 0, 1):
        change("monitoring.seed", seed)
        assert main(["label", "export", *WINDOW]) == 0
        found.append({path.name: path.read_bytes() for path in Path("labels/0001").iterdir()})
        shutil.rmtree("labels")
    assert found[0] == found[1]
    assert found[0]["tasks.json"] != found[2]["tasks.json"]


def test_without_the_training_rows_of_a_version_nothing_is_drifted(
    project: Project, capsys: pytest.CaptureFixture[str]
) -> None:
    project()
    shutil.rmtree("model")
    assert main(["label", "export", *WINDOW]) == 0
    assert "what it was trained on is not here, so none is picked as drifted" in capsys.readouterr().err
    assert Counter(one["meta"]["picked"] for one in exported()) == {"uncertain": 20, "random": 10}


def test_what_the_newest_window_found_drifted_counts_alone(project: Project) -> None:
    project(tasks=15, uncertain=0.0, drifted=1.0, random=0.0)
    (version,) = {json.loads(line)["version"] for path in log() if path.startswith("pred") for line in lines(path)}
    moved = {"balance": Distance(1.0, 0.1, 0.0, True, 500, ""), "age": Distance(0.01, 0.1, 0.5, False, 500, "")}
    part = Part(500, "judged", columns=moved)
    findings.write(Result("2026-11-02T00:00:00", "2026-11-09T00:00:00", "judged", 500, 1.0, 0.0, {version: part}, ()))
    assert main(["label", "export", *WINDOW]) == 0
    assert {one["meta"]["why"] for one in exported()} == {"rare in the training rows: balance"}


def test_the_log_of_what_is_deployed_here(project: Project) -> None:
    project()
    Path(".deploy/production").mkdir(parents=True)
    Path("predictions").rename(".deploy/production/predictions")
    where = ["--environment", "production"]
    assert main(["label", "export", *WINDOW, *where]) == 0
    answers = put([{"id": 1, "annotations": [annotation("stays")], **exported()[0]}])
    assert main(["label", "import", answers, *where]) == 0
    assert len(list(Path(".deploy/production/predictions").glob("feedback-*-labels-*"))) == 1
    assert not Path("predictions").exists()


def test_classes_that_nobody_declares(project: Project, capsys: pytest.CaptureFixture[str]) -> None:
    project("multiclass")
    shutil.rmtree("model")
    assert main(["label", "export", *WINDOW]) == 2
    said = (
        "conf/data/customers.yaml: columns.outcome: neither `categories` nor a model here says which classes there are"
    )
    assert said in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ["export", "--since", "2026-10-01", "--until", "2026-10-02"],
            "predictions: holds no prediction from 2026-10-01T00:00 to 2026-10-02T00:00 (UTC); serve first",
        ),
        (["export", "some.json"], "FILE: belongs to `import`, Label Studio's export; write `gitloop label export`"),
        (["import"], "FILE: belongs to `import`, Label Studio's export; write `gitloop label import FILE`"),
        (["import", "none.json"], "none.json: cannot be read (No such file or directory); name Label Studio's export"),
    ],
)
def test_what_cannot_be_done_is_said(
    arguments: list[str], message: str, project: Project, capsys: pytest.CaptureFixture[str]
) -> None:
    project()
    assert main(["label", *arguments]) == 2
    assert message in capsys.readouterr().err
    assert not Path("labels").exists()


def test_without_a_log_there_is_nothing_to_label(project: Project, capsys: pytest.CaptureFixture[str]) -> None:
    project()
    change("serving.log", None)
    assert main(["label", "export"]) == 2
    assert "conf/serving/: log: null keeps no predictions, so there is nothing to label" in capsys.readouterr().err


def test_shares_must_make_one(project: Project, capsys: pytest.CaptureFixture[str]) -> None:
    project(random=0.5)
    assert main(["label", "export"]) == 2
    said = (
        "conf/monitoring/: monitoring.labels: uncertain, drifted and random make 1.25; they are shares, and must make 1"
    )
    assert said in capsys.readouterr().err


def without(task: Task, name: str) -> Task:
    return {**task, "data": {key: value for key, value in task["data"].items() if key != name}}


def other(task: Task, **data: Any) -> Task:
    return {**task, "data": {**task["data"], **data}}


def least(task: Task, **more: Any) -> Task:
    """As JSON-MIN has it."""
    return {**task["data"], "id": task["id"], "annotator": 1, "annotation_id": 7, "updated_at": LATER, **more}


LOG = "read the log that it was exported from, with --environment or its database"
WRONG: list[tuple[str, Callable[[Task], Any], str]] = [
    (
        "binary",
        lambda one: other(one, prediction_id="f" * 32),
        f"task 1: the prediction log has no prediction {'f' * 32} (conf/serving/: log); {LOG}",
    ),
    (
        "binary",
        lambda one: other(one, prediction_id="../1"),
        "task 1: prediction_id is no id of a prediction; label tasks that `gitloop label export` wrote",
    ),
    (
        "binary",
        lambda one: without(one, "prediction_id"),
        "task 1: its data has no prediction_id and time, so it is of no prediction",
    ),
    (
        "binary",
        lambda one: {**one, "annotations": [annotation("moves")]},
        "task 1: outcome 'moves': input should be 'stays' or 'leaves'; correct it in Label Studio",
    ),
    (
        "binary",
        lambda one: {**one, "annotations": [annotation(1.0)]},
        "task 1: outcome 1.0: input should be 'stays' or 'leaves'",
    ),
    (
        "binary",
        lambda one: {**one, "annotations": [annotation("stays", result=[])]},
        "task 1: has no answer to `truth`; label with the config.xml that was exported",
    ),
    (
        "binary",
        lambda one: {**one, "annotations": [annotation("stays", result=2 * annotation("stays")["result"])]},
        "task 1: has 2 answers; one is asked for",
    ),
    (
        "binary",
        lambda one: {**one, "annotations": [annotation("stays"), annotation("leaves"), annotation("stays")]},
        "task 1: annotators differ (stays by 2, leaves by 1); mark one as ground truth, or correct it, in Label Studio",
    ),
    (
        "binary",
        lambda one: {**one, "annotations": [annotation("stays", created_at=None, updated_at=None)]},
        "task 1: its answer has no time (updated_at); export it again",
    ),
    (
        "binary",
        lambda one: {**one, "annotations": [annotation("stays", updated_at="2026-11-01T00:00:00Z")]},
        "task 1: was answered at 2026-11-01T00:00:00, before it was predicted; set the clocks",
    ),
    ("binary", least, "task 1: has no answer to `truth`"),
    (
        "binary",
        lambda one: least(one, truth={"choices": ["stays", "leaves"]}),
        "task 1: has 2 answers; one is asked for",
    ),
    ("binary", lambda one: least(one, truth="moves"), "task 1: outcome 'moves': input should be 'stays' or 'leaves'"),
    (
        "binary",
        lambda one: {"id": 1, "image": "x.png"},
        "task 1: is no task of Label Studio's; export as JSON or JSON-MIN",
    ),
    ("binary", lambda one: "stays", "entry 1: is no task; export as JSON or JSON-MIN"),
    (
        "regression",
        lambda one: {**one, "annotations": [annotation(2000.5)]},
        "task 1: outcome 2000.5: input should be less than or equal to 2000; correct it",
    ),
    (
        "regression",
        lambda one: {**one, "annotations": [annotation("7")]},
        "task 1: outcome '7': input should be a valid number",
    ),
    (
        "regression",
        lambda one: least(one, truth=[{"number": -2000.5}]),
        "task 1: outcome -2000.5: input should be greater than or equal to -2000",
    ),
    (
        "regression",
        lambda one: {**one, "annotations": [annotation(1.0), annotation(2.0)]},
        "task 1: annotators differ (1.0 by 1, 2.0 by 1)",
    ),
]


@pytest.mark.parametrize(("task", "spoil", "message"), WRONG, ids=range(len(WRONG)))
def test_a_wrong_answer_is_named_and_nothing_is_kept(
    task: str,
    spoil: Callable[[Task], Any],
    message: str,
    labelled: Callable[[str], Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(labelled(task))
    before = log()
    first, *rest = answered(exported())
    capsys.readouterr()
    file = put([spoil(first), *rest], str(tmp_path / "export.json"))
    assert main(["label", "import", file]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"gitloop label: {file}: task 1: " if "entry" not in message else f"gitloop label: {file}: ")
    assert message in line
    assert log() == before


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("id,truth\n", "export.json: is not JSON; export the project as JSON or JSON-MIN"),
        ('{"annotations": []}', "export.json: is no list of tasks; export the project as JSON or JSON-MIN"),
    ],
)
def test_a_file_that_is_no_export(
    content: str, message: str, project: Project, capsys: pytest.CaptureFixture[str]
) -> None:
    project()
    Path("export.json").write_text(content)
    assert main(["label", "import", "export.json"]) == 2
    assert message in capsys.readouterr().err


def test_a_target_that_is_true_or_false(project: Project, capsys: pytest.CaptureFixture[str]) -> None:
    project()
    change("data.columns.outcome", {"type": "boolean", "role": "target"})
    for name in list(log()):
        path = Path("predictions", name)
        path.write_text(path.read_text().replace('"leaves"', "true").replace('"stays"', "false"))
    assert main(["label", "export", *WINDOW]) == 0
    tasks = exported()
    assert '<Choice value="false" />' in Path("labels/0001/config.xml").read_text()
    assert main(["label", "import", put(answered(tasks, "yes"))]) == 2
    assert "task 1: outcome 'yes': is neither true nor false; correct it in Label Studio" in capsys.readouterr().err
    assert main(["label", "import", put(answered(tasks, *(str(one).lower() for one in truths().values())))]) == 0
    assert set(kept().values()) == {True, False}


def test_many_wrong_answers_are_not_all_told(project: Project, capsys: pytest.CaptureFixture[str]) -> None:
    project()
    assert main(["label", "export", *WINDOW]) == 0
    assert main(["label", "import", put(answered(exported(), *["moves"] * 40))]) == 2
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 21
    assert lines[-1] == "gitloop label: export.json: and 20 more"


def test_skips_agreement_ground_truth_and_a_later_correction(
    project: Project, capsys: pytest.CaptureFixture[str]
) -> None:
    project()
    assert main(["label", "export", *WINDOW]) == 0
    tasks = answered(exported()[:5], *["stays"] * 5)
    ids = [one["data"]["prediction_id"] for one in tasks]
    tasks[0]["annotations"][0]["was_cancelled"] = True
    tasks[1]["annotations"] = []
    tasks[2]["annotations"] = [annotation("stays"), annotation("stays", id=8), annotation("leaves", was_cancelled=True)]
    tasks[3]["annotations"] = [annotation("stays"), annotation("leaves", id=8, ground_truth=True)]
    capsys.readouterr()
    assert main(["label", "import", put(tasks)]) == 0
    assert "export.json: 3 truths kept, 0 there already, 2 skipped\n" in capsys.readouterr().out
    assert kept() == {ids[2]: "stays", ids[3]: "leaves", ids[4]: "stays"}
    # Somebody changes an answer in Label Studio: it counts from then on.
    tasks[4]["annotations"] = [annotation("leaves", updated_at="2026-11-10T09:00:00Z")]
    assert main(["label", "import", put(tasks)]) == 0
    assert kept()[ids[4]] == "leaves"


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    with postgres() as url:
        yield url


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_a_log_in_a_database(
    kind: str, project: Project, server: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = project()
    url = server if kind == "postgresql" else f"sqlite:///{folder}/log.db"
    monkeypatch.setenv("LOG_URL", url)
    change("serving.log.url_env", "LOG_URL")
    loaded = settings.load()
    assert loaded.serving.log is not None
    Shipper(loaded.serving.log).close(60)
    assert main(["label", "export", *WINDOW]) == 0
    answers = answered(exported())
    before = log()
    # Killed before the transaction is whole, and then again.
    dies = killed("import sqlalchemy.engine.default as d", "d.DefaultDialect", "do_commit", "before")
    assert ended(dies, put(answers)) == -9
    assert kept() == {}
    for fresh in (40, 0):
        assert main(["label", "import", put(answers)]) == 0
        assert f"{fresh} truths kept, {40 - fresh} there already" in capsys.readouterr().out
    true = truths()
    assert kept() == {one["data"]["prediction_id"]: true[one["data"]["prediction_id"]] for one in answers}
    assert log() == before
    assert main(["label", "import", put([other(answers[0], prediction_id="e" * 32)])]) == 2
    assert "the prediction log has no prediction" in capsys.readouterr().err
    engine = sqlalchemy.create_engine(url)
    with engine.begin() as connection:
        connection.execute(sqlalchemy.text("DROP TABLE feedback"))
        connection.execute(sqlalchemy.text("DROP TABLE predictions"))
    engine.dispose()


def ended(code: str, *arguments: str) -> int:
    """`gitloop label`, in a process of its own that ends itself; its exit code."""
    call = "from gitloop.cli import main; import sys; sys.exit(main(sys.argv[1:]))"
    given = ["import", *arguments] if arguments else ["export", *WINDOW]
    return subprocess.run([sys.executable, "-c", f"{code}\n{call}", "label", *given], check=False).returncode


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_kill_in_the_middle(when: str, project: Project) -> None:
    folder = project()
    assert main(["label", "export", *WINDOW]) == 0
    whole = {path.name: path.read_bytes() for path in Path("labels/0001").iterdir()}
    shutil.rmtree("labels")
    assert ended(killed("import pathlib", "pathlib.Path", "rename", when)) == -9
    assert Path("labels/0001").exists() == (when == "after")
    if when == "before":
        assert main(["label", "export", *WINDOW]) == 0
    assert {path.name: path.read_bytes() for path in Path("labels/0001").iterdir()} == whole

    answers = put(answered(exported()))
    shutil.copytree(folder / "predictions", folder / "undisturbed")
    assert main(["label", "import", answers]) == 0
    undisturbed = log()
    shutil.rmtree("predictions")
    shutil.move("undisturbed", "predictions")
    assert ended(killed("import pathlib", "pathlib.Path", "replace", when), answers) == -9
    assert len(kept()) == (40 if when == "after" else 0)
    assert main(["label", "import", answers]) == 0
    assert log() == undisturbed


def test_a_model_without_probabilities_is_asked_how_far_it_goes(project: Project) -> None:
    """The rows that are uncertain in a regression are those predicted farthest from the middle."""
    project("regression", tasks=10, uncertain=1.0, drifted=0.0, random=0.0, show=True)
    assert main(["label", "export", *WINDOW]) == 0
    said = [one["predictions"][0]["result"][0]["value"]["number"] for one in exported()]
    loaded = settings.load()
    assert loaded.serving.log is not None
    rows: pa.Table = history.read(loaded.serving.log, loaded.data, windows.SINCE, windows.UNTIL)
    every = sorted(rows.column("_prediction").to_pylist())
    assert set(said) <= {*every[:10], *every[-10:]}
