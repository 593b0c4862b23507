"""One-row requests beside a BentoML service that answers a constant, one written by hand, and `mlflow models serve`.

All with the same model and the same rows, one worker each, by turns in one run, on loopback. The peers are installed
from PyPI into .bench_cache/. GITLOOP_BENCH_SECONDS is the load of each contender (15 by default), and
GITLOOP_BENCH_PROJECT a trained flights project to use instead of a new one.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import psutil

from benchmarks.bench import project, run, say

ROOT = Path(__file__).resolve().parent.parent
TEMPLATE = ROOT / "<<cookiecutter.project>>"
PEERS = Path(__file__).parent / "peers"
CACHE = ROOT / ".bench_cache"
CLIENTS = 16
TURNS = 5
SECONDS = float(os.environ.get("GITLOOP_BENCH_SECONDS", "15"))
SOAK = 300.0  # seconds
READY = 120.0  # seconds, at most, until a contender is ready
LOCKED = ["--constraint", str(ROOT / "requirements.txt")]
ENVIRONMENTS = {
    "serving": ["--no-deps", "--require-hashes", "--requirement", str(TEMPLATE / "requirements-serving.txt")],
    "fastapi": [*LOCKED, "fastapi", "uvicorn[standard]", "pandas", "scikit-learn", "joblib"],
    "mlflow": ["mlflow==3.17.2", "scikit-learn==1.9.1", "pandas<3.1"],
}
# Run in the project: the pipeline, what the peers need to know of the contract, and rows to ask about.
PREPARE = """
import json, sys
from pathlib import Path
import joblib
from gitloop import layout, settings
from gitloop.data.table import read
from gitloop.modeling import chosen, inputs
from gitloop.modeling.features import frame
from gitloop.serving import signature
where, loaded = Path(sys.argv[1]), settings.load()
told, model = signature.read(layout.MODEL), chosen.model(loaded)
kinds = {"datetime": "time", "numeric": "number", "boolean": "number", "categorical": "word", "text": "word"}
schema = {
    "columns": {name: kinds[column.type] for name, column in told.inputs.items()},
    "numeric": model.schema.numeric, "categorical": model.schema.categorical, "threshold": model.threshold,
}
(where / "schema.json").write_text(json.dumps(schema))
joblib.dump(model.pipeline, where / "pipeline.joblib")
table = read(layout.TEST, "gitloop split").slice(0, 1000)
rows = table.select(list(told.inputs)).to_pylist()
with (where / "rows.jsonl").open("w") as file:
    file.writelines(json.dumps(row, default=lambda value: value.isoformat()) + "\\n" for row in rows)
derive = inputs.derivation(loaded.features)
arrays = chosen.arrays(table, loaded.data.columns, inputs.visible(loaded.data))
built = frame(inputs.build(arrays, loaded.data, derive), model.schema)
with (where / "frames.jsonl").open("w") as file:
    for index in range(len(built)):
        records = json.loads(built.iloc[[index]].to_json(orient="records", double_precision=15))
        file.write(json.dumps({"dataframe_records": records}) + "\\n")
"""


class Contender(NamedTuple):
    name: str
    environment: str
    command: list[str]  # `{port}` stands for the port
    folder: Path
    python_path: list[Path]
    path: str
    ready: str
    bodies: str


class Up(NamedTuple):
    contender: Contender
    process: psutil.Process
    url: str
    start: float  # seconds until ready
    bodies: Path


def against_peers() -> None:
    """To reach: 85 % of the constant's requests a second, 4 times FastAPI's and MLflow's; p99 at most 3 times p50."""
    with prepared() as (where, peers), contextlib.ExitStack() as stack:
        running = [stack.enter_context(up(one, peers)) for one in contenders(where, peers)]
        _same_answers(running)
        before = [memory(one) for one in running]
        for one in running:
            load(one, 2)  # the first requests are not counted
        full: list[list[dict[str, float]]] = [[] for _ in running]
        half: list[list[dict[str, float]]] = [[] for _ in running]
        idle = [cpu(one) for one in running]
        for _ in range(TURNS):
            for results, one in zip(full, running, strict=True):
                results.append(load(one, SECONDS / TURNS))
        spent = [cpu(one) - already for one, already in zip(running, idle, strict=True)]
        rates = [statistics.median(map(_rate, results)) for results in full]
        for _ in range(TURNS):
            for results, one, rate in zip(half, running, rates, strict=True):
                results.append(load(one, SECONDS / TURNS, rate / 2))
        after = [memory(one) for one in running]
    speed, size = [], []
    for index, one in enumerate(running):
        name = one.contender.name
        p50, p99 = (statistics.median(result[key] for result in half[index]) for key in ("p50", "p99"))
        errors = int(sum(result["errors"] for result in [*full[index], *half[index]]))
        ratio = f"{rates[0] / rates[index]:.2f}"
        each = 1000 * spent[index] / sum(result["requests"] for result in full[index])
        quantiles = [round(p50, 2), round(p99, 2), round(p99 / p50, 1)]
        speed.append([name, round(rates[index]), ratio, round(each, 2), *quantiles, errors])
        packages = megabytes(installed(one.contender.environment))
        size.append([name, round(one.start, 1), round(before[index]), round(after[index]), packages])
    say(
        f"One-row requests, {CLIENTS} clients, {SECONDS:.0f} s each by turns; latencies at half of each one's rate "
        "(to reach: ours ≥ 0.85 of the constant, ≥ 4 of the others; p99/p50 ≤ 3)",
        ["service", "requests/s", "ours / it", "CPU, ms each", "p50, ms", "p99, ms", "p99/p50", "errors"],
        speed,
    )
    say("Start and size", ["service", "ready after, s", "MB at first", "MB at last", "packages on disk, MB"], size)


def soak() -> None:
    """Our service for five minutes at half of what it can do: no error, memory flat."""
    with prepared() as (where, peers), up(contenders(where, peers)[0], peers) as ours:
        load(ours, 5)
        most = _rate(load(ours, 5))
        minutes = int(SOAK // 60)
        results, sizes = [], [memory(ours)]
        for _ in range(minutes):
            results.append(load(ours, SOAK / minutes, most / 2))
            sizes.append(memory(ours))
    rows = [
        [index, round(_rate(one)), int(one["errors"]), round(one["p50"], 2), round(one["p99"], 2), round(size)]
        for index, (one, size) in enumerate(zip(results, sizes[1:], strict=True), 1)
    ]
    say(
        f"Our service for {SOAK:.0f} s at half its rate; {sizes[0]:.0f} MB at first (to reach: no error, memory flat)",
        ["minute", "requests/s", "errors", "p50, ms", "p99, ms", "MB"],
        rows,
    )


def contenders(where: Path, peers: Path) -> list[Contender]:
    """Ours first; its prediction log is on, as it is by default."""
    serve = ["bin/bentoml", "serve", "{service}", "--host", "127.0.0.1", "--port", "{port}"]
    ours = [part.replace("{service}", "gitloop.serving.service:Service") for part in serve]
    constant = [part.replace("{service}", "constant:Constant") for part in serve]
    uvicorn = ["bin/uvicorn", "fastapi_peer:app", "--host", "127.0.0.1", "--port", "{port}", "--no-access-log"]
    mlflow = ["bin/mlflow", "models", "serve", "-m", "mlflow-model", "--env-manager", "local", "--port", "{port}"]
    path, code = [where / "src", TEMPLATE / "src"], [where / "src", PEERS]
    return [
        Contender("gitloop", "serving", ours, where, path, "/predict", "/readyz", "rows.jsonl"),
        Contender("BentoML, constant", "serving", constant, peers, code, "/predict", "/readyz", "rows.jsonl"),
        Contender("FastAPI", "fastapi", uvicorn, peers, code, "/predict", "/docs", "rows.jsonl"),
        Contender("MLflow", "mlflow", mlflow, peers, code, "/invocations", "/ping", "frames.jsonl"),
    ]


@contextmanager
def prepared() -> Iterator[tuple[Path, Path]]:
    """A project with a packaged model, and a folder with what the peers need."""
    given = os.environ.get("GITLOOP_BENCH_PROJECT")
    with contextlib.ExitStack() as stack:
        where = Path(given) if given else stack.enter_context(project())
        if not given:
            run(where, "dvc", "repro", "package")
        peers = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="gitloop-bench-")))
        python_path = os.pathsep.join([str(TEMPLATE / "src"), str(where / "src")])
        run(where, sys.executable, "-c", PREPARE, str(peers), PYTHONPATH=python_path)
        for name in ENVIRONMENTS:
            installed(name)
        run(peers, str(installed("mlflow") / "bin/python"), str(PEERS / "mlflow_peer.py"), **_quiet(peers))
        yield where, peers


def installed(name: str) -> Path:
    """An environment with the packages, made where it is not there as asked."""
    folder, packages = CACHE / name, ENVIRONMENTS[name]
    texts = [Path(part).read_text() for part in packages if part.startswith("/")]
    stamp, state = folder / "stamp", hashlib.sha256(json.dumps([packages, texts]).encode()).hexdigest()
    if not stamp.exists() or stamp.read_text() != state:
        shutil.rmtree(folder, ignore_errors=True)
        uv = str(Path(sys.executable).parent / "uv")
        run(ROOT, uv, "venv", "--quiet", "--python", sys.executable, str(folder))
        run(
            ROOT,
            uv,
            "pip",
            "install",
            "--quiet",
            "--compile-bytecode",
            "--python",
            str(folder / "bin/python"),
            *packages,
        )
        stamp.write_text(state)
    return folder


@contextmanager
def up(contender: Contender, peers: Path) -> Iterator[Up]:
    """The contender, ready; gone afterwards with all its processes."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    environment = installed(contender.environment)
    command = [part.replace("{port}", str(port)) for part in contender.command]
    python_path = os.pathsep.join(map(str, contender.python_path))
    begin = time.perf_counter()
    with (peers / f"{contender.environment}-{port}.log").open("wb") as log:
        process = psutil.Popen(
            [str(environment / command[0]), *command[1:]],
            cwd=contender.folder,
            env={
                **os.environ,
                **_quiet(peers),
                "PYTHONPATH": python_path,
                "PATH": f"{environment}/bin:{os.environ['PATH']}",
            },
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
        )
    url = f"http://127.0.0.1:{port}"
    try:
        while not _answers(url + contender.ready):
            if process.poll() is not None or time.perf_counter() - begin > READY:
                raise RuntimeError(f"{contender.name} is not ready: {Path(log.name).read_text()[-3000:]}")
            time.sleep(0.02)
        taken = time.perf_counter() - begin
        yield Up(contender, process, url + contender.path, taken, peers / contender.bodies)
    finally:
        for each in [*process.children(recursive=True), process]:
            with contextlib.suppress(psutil.NoSuchProcess):
                each.kill()
        process.wait()


def load(one: Up, seconds: float, rate: float | None = None) -> dict[str, float]:
    """The figures of benchmarks.load, which runs in a process of its own."""
    more = [str(rate)] if rate else []
    command = [sys.executable, "-m", "benchmarks.load", one.url, str(one.bodies), str(seconds), str(CLIENTS), *more]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    figures: dict[str, float] = json.loads(done.stdout)
    return figures


def memory(one: Up) -> float:
    """Resident megabytes of the contender's processes."""
    return float(sum(each.memory_info().rss for each in [one.process, *one.process.children(recursive=True)])) / 1e6


def cpu(one: Up) -> float:
    """Seconds that the contender's processes have computed: what other work on the machine does not change."""
    processes = [one.process, *one.process.children(recursive=True)]
    return sum(sum(each.cpu_times()[:2]) for each in processes)


def _quiet(peers: Path) -> dict[str, str]:
    """Nothing is reported home, nothing is written to the home folder."""
    return {
        "BENTOML_DO_NOT_TRACK": "True",
        "BENTOML_HOME": str(peers / "bentoml"),
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "DO_NOT_TRACK": "true",
        "MLFLOW_TRACKING_URI": f"sqlite:///{peers}/mlflow.db",
    }


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:  # noqa: S310 -- loopback
            return bool(answer.status == 200)
    except (urllib.error.URLError, OSError):
        return False


def _same_answers(running: list[Up]) -> None:
    """The contenders that predict say the same of the first row."""
    said = []
    for one in running:
        with one.bodies.open("rb") as file:
            body = file.readline()
        request = urllib.request.Request(one.url, body, {"Content-Type": "application/json"})  # noqa: S310 -- loopback
        with urllib.request.urlopen(request, timeout=30) as answer:  # noqa: S310
            found: dict[str, Any] = json.load(answer)
        if one.contender.environment == "mlflow":
            said.append(found["predictions"][0][1])
        elif "constant" not in one.contender.name:
            said.append(found["probability"])
    if max(said) - min(said) > 1e-5:
        raise RuntimeError(f"the contenders do not say the same: {said}")


def _rate(result: dict[str, float]) -> float:
    return result["requests"] / result["seconds"]


def megabytes(folder: Path) -> int:
    return round(sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()) / 1e6)
