"""`gitloop monitor` beside Evidently given everything, its cost at ten million rows, and how often it is wrong."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import windows
import yaml
from repositories import git

from benchmarks.bench import Cost, measure, project, say
from gitloop import layout
from gitloop.gitops.local import Local
from gitloop.monitoring import findings
from gitloop.monitoring.findings import Distance, Finding, Part, Result, Truth
from gitloop.monitoring.references import Reference
from gitloop.monitoring.watch import watch
from gitloop.settings import Settings

ROWS = 300_000
COPIES = 34  # of them make ten million
TIMES = 3
WINDOWS = 52
SIMULATED = {500: 1000, 3000: 300}  # rows of a window → windows
ROOT = Path(__file__).resolve().parent.parent
PARAMS = ROOT / "<<cookiecutter.project>>/params.yaml"
START = """
import json, sys
sys.path.insert(0, sys.argv[1])
import windows, yaml
from pathlib import Path
loaded = windows.settings(yaml.safe_load(Path(sys.argv[2]).read_text()))
reference = windows.reference()
"""
OURS = (
    START
    + """
from gitloop.monitoring.monitor import monitor
result = monitor(loaded, windows.SINCE, windows.UNTIL, now=windows.NOW, lookup=lambda _: reference)
drifted = sorted(one.column for one in result.findings if one.kind == "drift")
Path("ours.json").write_text(json.dumps(drifted))
"""
)
# The same job: drift, summary and the quality of the predictions, by the same methods, of all rows.
DIRECT = (
    START
    + """
from evidently import BinaryClassification, DataDefinition, Dataset, Report
from evidently.presets import ClassificationPreset, DataDriftPreset, DataSummaryPreset
from gitloop.serving import history
rows = history.read(loaded.serving.log, loaded.data, windows.SINCE, windows.UNTIL)
words = [*windows.WORDS, "member"]
task = BinaryClassification(
    target="won", prediction_labels="_prediction", prediction_probas="_probability", pos_label="true"
)
definition = DataDefinition(numerical_columns=windows.NUMBERS, categorical_columns=words, classification=[task])
def text(values):
    return values.map({True: "true", False: "false"}).astype(object)
def frame(table, target):
    names = [*windows.FEATURES, target, "_probability", "_prediction"]
    found = table.select([name for name in names if name in table.column_names]).to_pandas()
    found = found.rename(columns={target: "won"})
    if "_probability" not in found:  # the reference keeps none: made up, for Evidently wants some
        found["_probability"] = 0.2 + 0.3 * found["won"]
        found["_prediction"] = found["_probability"] > 0.4
    found = found.astype({name: object for name in windows.WORDS})
    return found.assign(**{name: text(found[name]) for name in ("member", "won", "_prediction")})
current = Dataset.from_pandas(frame(rows, "_truth"), data_definition=definition)
before = Dataset.from_pandas(frame(reference.rows, "won"), data_definition=definition)
methods = dict(num_method="wasserstein", num_threshold=0.1, cat_method="jensenshannon", cat_threshold=0.1)
drift = DataDriftPreset(columns=windows.FEATURES, **methods)
report = Report([drift, DataSummaryPreset(), ClassificationPreset()]).run(current, before)
report.save_html("report.html")
report.save_json("report.json")
drifted = [
    one["config"]["column"] for one in json.loads(report.json())["metrics"]
    if one["config"]["type"].endswith(":ValueDrift") and one["value"] >= one["config"]["threshold"]
]
Path("direct.json").write_text(json.dumps(sorted(drifted)))
"""
)


def log(where: Path, copies: int = 1) -> None:
    """A week of predictions and feedback, of which some columns have drifted.

    In a process of its own: one that is started by a large process is counted as large.
    """
    code = (
        "from pathlib import Path; from benchmarks import bench, monitoring; "
        f"monitoring.write(Path({str(where)!r}), {copies})"
    )
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True)


def write(where: Path, copies: int) -> None:
    columns = windows.some(ROWS, 3)
    columns["n5"] = columns["n5"] + 0.5
    columns["n6"] = columns["n6"] * 1.5
    columns["colour"] = np.random.default_rng(0).choice(["red", "green", "blue"], ROWS, p=[0.3, 0.4, 0.3])
    predictions = windows.records(columns)
    truths = windows.truths(predictions, columns)
    for name, lines in (("predictions", predictions), ("feedback", truths)):
        windows.put(where / "predictions", name, lines)
    for copy in range(1, copies):
        again(where / "predictions", copy)


def again(folder: Path, copy: int) -> None:
    """The same lines with other ids, as of another process."""
    random, names = np.random.default_rng(copy).bytes(16 * ROWS), iter(range(ROWS))
    ids: dict[str, str] = {}
    for kind in ("predictions", "feedback"):
        for path in sorted(folder.glob(f"{kind}-*-here-1.jsonl")):
            out = []
            for line in path.read_text().splitlines():
                old = line[7:39]
                if old not in ids:
                    row = next(names)
                    ids[old] = random[16 * row : 16 * row + 16].hex()
                out.append(line[:7] + ids[old] + line[39:])
            path.with_name(path.name.replace("here-1", f"here-{copy + 1}")).write_text("\n".join(out) + "\n")


def _script(where: Path, code: str) -> Cost:
    return measure(where, sys.executable, "-c", code, str(ROOT / "tests"), str(PARAMS))


def against_evidently() -> None:
    """Time and memory beside Evidently given all 300,000 rows. To reach: a third of each, the same verdicts."""
    with tempfile.TemporaryDirectory(prefix="gitloop-bench-") as folder:
        where = Path(folder)
        log(where)
        costs: dict[str, list[Cost]] = {"gitloop monitor": [], "Evidently, all rows": []}
        for _ in range(TIMES):
            for name, code in zip(costs, (OURS, DIRECT), strict=True):
                costs[name].append(_script(where, code))
        verdicts = {
            name: json.loads((where / f"{file}.json").read_text())
            for name, file in zip(costs, ("ours", "direct"), strict=True)
        }
    _compare(f"A window of {ROWS:,} predictions and 15 columns (best of {TIMES}, by turns)", costs, verdicts)


def _compare(title: str, costs: dict[str, list[Cost]], verdicts: dict[str, list[str]]) -> None:
    best = {name: Cost(min(one.seconds for one in of), max(one.megabytes for one in of)) for name, of in costs.items()}
    base = list(best.values())[-1]
    rows = [
        [
            name,
            round(cost.seconds, 1),
            round(cost.seconds / base.seconds, 2),
            round(cost.megabytes),
            round(cost.megabytes / base.megabytes, 2),
            ", ".join(verdicts[name]),
        ]
        for name, cost in best.items()
    ]
    say(title, ["by", "seconds", "ratio", "MB", "ratio", "drifted"], rows)


def ten_million() -> None:
    """Ten million predictions. To reach: at most twice the time of 300,000, the same memory."""
    found: dict[int, Cost] = {}
    verdicts = []
    for copies in (1, COPIES):
        with tempfile.TemporaryDirectory(prefix="gitloop-bench-") as folder:
            log(Path(folder), copies)
            found[copies] = min(_script(Path(folder), OURS) for _ in range(TIMES))
            verdicts.append(json.loads((Path(folder) / "ours.json").read_text()))
    small, large = found.values()
    rows = [
        [f"{ROWS * copies:,}", round(cost.seconds, 1), round(cost.megabytes), ", ".join(verdict)]
        for (copies, cost), verdict in zip(found.items(), verdicts, strict=True)
    ]
    rows.append(["ratio", round(large.seconds / small.seconds, 2), round(large.megabytes / small.megabytes, 2), ""])
    say("gitloop monitor as traffic grows", ["predictions", "seconds", "MB", "drifted"], rows)


def false_alarms() -> None:
    """Simulated windows. To reach: alarms in fewer than 1 of 100 without drift; a shift found within two windows."""
    loaded = windows.settings(yaml.safe_load(PARAMS.read_text()))
    quiet, shifted = [], []
    for size, count in SIMULATED.items():
        alarms = distance = 0
        for seed in range(count):
            part, found = _window(windows.some(size, seed), windows.reference(5000, seed), loaded)
            alarms += bool(found)
            distance += any(one.distance >= one.bound for one in part.columns.values())
        # With no alarm in n windows the rate is below 3/n at 95 % (the rule of three).
        most = (alarms + 3) / count if alarms < 1 else float("nan")
        quiet.append([f"{size:,}", count, alarms, f"< {most:.2%}" if alarms < 1 else f"{alarms / count:.2%}", distance])
        first = both = 0
        tries = count // 5
        for seed in range(tries):
            name, reference = windows.FEATURES[seed % len(windows.FEATURES)], windows.reference(5000, seed)
            hits = [_shifted(size, 10_000 + 2 * seed + turn, name, reference, loaded) for turn in range(2)]
            first += hits[0]
            both += any(hits)
        shifted.append([f"{size:,}", tries, f"{first / tries:.1%}", f"{both / tries:.1%}"])
    columns = ["rows", "windows", "with any finding", "rate (< 1%)", "by the distance alone"]
    say("Windows of 15 columns without drift, each with a reference of its own", columns, quiet)
    columns = ["rows", "pairs of windows", "found in the first", "found in one of two"]
    say("Half a standard deviation in one of 15 columns, each in its turn", columns, shifted)


def _window(columns: windows.Columns, reference: Reference, loaded: Settings) -> tuple[Part, tuple[Finding, ...]]:
    result, _ = watch(loaded, windows.watched(columns, loaded), lambda _: reference)
    return result.versions[windows.VERSION], result.findings


def _shifted(size: int, seed: int, name: str, reference: Reference, loaded: Settings) -> bool:
    columns = windows.some(size, seed)
    windows.shift(columns, name, 0.5, seed)
    _, found = _window(columns, reference, loaded)
    return any(one.kind == "drift" and one.column == name for one in found)


def decided() -> None:
    """From the report to the pull request, after a year of windows. To reach: at most 5 s for both."""
    taken: dict[str, list[float]] = {"gitloop decide": [], "gitloop act, a new pull request": []}
    for _ in range(TIMES):
        with project() as where:
            git(where.parent, "init", "--quiet", "--bare", "--initial-branch=main", "origin.git")
            git(where, "remote", "add", "origin", "../origin.git")
            git(where, "push", "--quiet", "origin", "main")
            _windows(where / layout.MONITORING)
            for words, verb in zip(taken, ("decide", "act"), strict=True):
                taken[words].append(measure(where, "gitloop", verb).seconds)
            (pull,) = Local(where.parent / "origin.git").pulls()
            assert pull.title == "Retrain with data until 2014-01-01", pull
    best = {words: min(seconds) for words, seconds in taken.items()}
    rows = [[words, round(seconds, 2)] for words, seconds in [*best.items(), ("both", sum(best.values()))]]
    say(f"What follows a report, with {WINDOWS} windows before (best of {TIMES})", ["", "seconds (≤ 5)"], rows)


def _windows(folder: Path) -> None:
    """Weeks in which each column was looked at, and one has drifted in the last three."""
    words = "temp: drifted by 0.5 standard deviations; the bound is 0.1"
    moved = Finding("drift", words, "temp", 0.5, 0.1, 5000, windows.VERSION)
    truth = Truth(4500, 0.9, 24.0, 48.0, {"roc_auc": {"value": 0.7, "low": 0.68, "high": 0.72}})
    distance = Distance(0.05, 0.1, 0.5, False, 5000, "wasserstein")
    part = Part(5000, "judged", columns=dict.fromkeys(windows.FEATURES, distance), truth=truth)
    for week in range(WINDOWS):
        until = datetime(2014, 1, 1) - week * timedelta(days=7)
        span = (until - timedelta(days=7)).isoformat(), until.isoformat()
        found = (moved,) if week < 3 else ()
        findings.write(Result(*span, "judged", 5000, 1.0, 0.0, {windows.VERSION: part}, found), folder)
