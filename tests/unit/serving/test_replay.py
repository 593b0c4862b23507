"""Rows of a source go to a service over HTTP: a small server notes what comes and answers as told."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import customers
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml
from aiohttp import web

from gitloop import settings
from gitloop.cli import main
from gitloop.serving import replay, request, signature

Project = Callable[..., Path]


@dataclass
class Service:
    """What came, and what is answered."""

    url: str = ""
    rows: list[dict[str, Any]] = field(default_factory=list)
    truths: list[dict[str, Any]] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    now: int = 0
    most: int = 0  # requests at a time
    fail: Callable[[int], int] = lambda number: 200  # by the number of the row
    wait: float = 0.0

    async def predict(self, asked: web.Request) -> web.Response:
        self.now += 1
        self.most = max(self.most, self.now)
        self.rows.append(await asked.json())
        self.headers.append(dict(asked.headers))
        number = len(self.rows)
        await asyncio.sleep(self.wait)
        self.now -= 1
        if (status := self.fail(number)) != 200:
            return web.json_response({"error": "refused", "problems": [{"field": "age"}]}, status=status)
        return web.json_response({"id": f"{number:032x}", "version": "v1", "prediction": "stays", "probability": 0.1})

    async def feedback(self, asked: web.Request) -> web.Response:
        self.truths.append(await asked.json())
        return web.json_response({"id": self.truths[-1]["id"], "kept": True})


@contextmanager
def running(service: Service) -> Iterator[Service]:
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    app = web.Application()
    app.add_routes([web.post("/predict", service.predict), web.post("/feedback", service.feedback)])
    runner = web.AppRunner(app)

    async def start() -> int:
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        port: int = runner.addresses[0][1]
        return port

    try:
        service.url = f"http://127.0.0.1:{asyncio.run_coroutine_threadsafe(start(), loop).result(30)}"
        yield service
    finally:
        asyncio.run_coroutine_threadsafe(runner.cleanup(), loop).result(30)
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


@pytest.fixture
def service() -> Iterator[Service]:
    with running(Service()) as one:
        yield one


@pytest.fixture
def source(project: Project) -> Callable[..., pa.Table]:
    """The working directory is a packaged project with customers to replay."""

    def get(given: pa.Table | None = None, **serving: Any) -> pa.Table:
        if not Path("params.yaml").exists() or not Path("model").exists():
            project()
        given = customers.table("binary") if given is None else given
        Path("data/source").mkdir(parents=True, exist_ok=True)
        pq.write_table(given, "data/source/rows.parquet")
        values = yaml.safe_load(Path("params.yaml").read_text())
        values["data"]["source"] = {"_target_": "gitloop.data.sources.Parquet", "path": "data/source/rows.parquet"}
        values["serving"] |= serving
        Path("params.yaml").write_text(yaml.safe_dump(values, sort_keys=False))
        return given

    return get


def told(capsys: pytest.CaptureFixture[str]) -> dict[str, str]:
    lines = capsys.readouterr().out.splitlines()
    names, values = (
        next([cell.strip() for cell in line[1:-1].split(bar)] for line in reversed(lines) if line.startswith(bar))
        for bar in ("┃", "│")
    )
    return dict(zip(names, values, strict=True))


def test_a_window_is_sent_as_the_contract_has_it(
    source: Callable[..., pa.Table], service: Service, capsys: pytest.CaptureFixture[str]
) -> None:
    given = source()
    arguments = ["--since", "2024-01-02", "--until", "2024-01-04", "--url", f"{service.url}/"]
    assert main(["replay", *arguments]) == 0
    rows = sorted(service.rows, key=lambda row: row["id"])
    assert [row["id"] for row in rows] == list(range(24, 72))
    first = {name: value for name, value in given.slice(24, 1).to_pylist()[0].items() if value is not None}
    del first["outcome"], first["remark"]
    assert rows[0] == {**first, "seen": "2024-01-02T00:00:00+00:00"}
    read = request.row_type(signature.read(Path("model")))
    for row in rows:
        read.model_validate(row)  # the service takes it
    shown = told(capsys)
    assert (shown["answers"], shown["failures"], shown["truths told"]) == ("48", "0", "0")
    assert 0 < float(shown["p50, ms"]) <= float(shown["p90, ms"]) <= float(shown["p99, ms"])
    assert int(shown["answers/s"].replace(",", "")) > 0
    assert service.truths == []


def test_the_truth_follows_where_it_is_known(
    source: Callable[..., pa.Table], service: Service, capsys: pytest.CaptureFixture[str]
) -> None:
    given = customers.table("binary").slice(0, 40)
    truths = [None if index % 4 == 0 else value for index, value in enumerate(given["outcome"].to_pylist())]
    source(given.set_column(given.column_names.index("outcome"), "outcome", pa.array(truths, pa.string())))
    assert main(["replay", "--feedback", "--url", service.url]) == 0
    asked = {f"{number:032x}": int(row["id"]) for number, row in enumerate(service.rows, 1)}
    assert {asked[one["id"]]: one["truth"] for one in service.truths} == {
        index: truth for index, truth in enumerate(truths) if truth is not None
    }
    assert told(capsys)["truths told"] == "30"


def test_rows_that_break_the_contract_are_not_sent(
    source: Callable[..., pa.Table], service: Service, capsys: pytest.CaptureFixture[str]
) -> None:
    given = customers.table("binary").slice(0, 20)
    ages = pa.array([200.0, *given["age"].to_pylist()[1:]])
    source(given.set_column(given.column_names.index("age"), "age", ages))
    assert main(["replay", "--url", service.url]) == 0
    assert sorted(row["id"] for row in service.rows) == list(range(1, 20))
    assert told(capsys)["rows set aside"] == "1"


def test_times_are_sent_in_utc_whatever_the_contracts_time_zone(
    source: Callable[..., pa.Table], service: Service
) -> None:
    source(customers.table("binary").slice(0, 3))
    values = yaml.safe_load(Path("params.yaml").read_text())
    values["data"]["columns"]["seen"]["timezone"] = "Asia/Tokyo"
    Path("params.yaml").write_text(yaml.safe_dump(values))
    assert main(["replay", "--url", service.url]) == 0
    assert min(row["seen"] for row in service.rows) == "2023-12-31T15:00:00+00:00"


@pytest.mark.parametrize("clients", [1, 5])
def test_so_many_clients_ask_at_a_time(clients: int, source: Callable[..., pa.Table], service: Service) -> None:
    source(customers.table("binary").slice(0, 60))
    service.wait = 0.01
    assert main(["replay", "--clients", str(clients), "--url", service.url]) == 0
    assert (len(service.rows), service.most) == (60, clients)


def test_a_rate_is_kept(source: Callable[..., pa.Table], service: Service) -> None:
    source(customers.table("binary").slice(0, 30))
    began = time.perf_counter()
    assert main(["replay", "--rate", "40", "--url", service.url]) == 0
    assert time.perf_counter() - began > 29 / 40


def test_the_token_is_sent(source: Callable[..., pa.Table], service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    source(customers.table("binary").slice(0, 2), token_env="TOKEN")
    monkeypatch.setenv("TOKEN", "sesame")
    assert main(["replay", "--url", service.url]) == 0
    assert {headers["Authorization"] for headers in service.headers} == {"Bearer sesame"}


def test_failures_are_counted_and_end_with_1(
    source: Callable[..., pa.Table], service: Service, capsys: pytest.CaptureFixture[str]
) -> None:
    source(customers.table("binary").slice(0, 50))
    service.fail = lambda number: 503 if number % 10 == 0 else 200
    assert main(["replay", "--url", service.url]) == 1
    out, error = capsys.readouterr()
    assert error == (
        f'gitloop replay: {service.url}: 5 of 50 requests failed: 503 {{"error": "refused", "problems": '
        '[{"field": "age"}]}\n'
    )
    assert "│      45 │        5 │" in out


def test_it_gives_up_where_nothing_is_answered(
    source: Callable[..., pa.Table],
    service: Service,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(replay, "GIVE_UP", 20)
    source()
    service.fail = lambda number: 500 if number > 100 else 200
    assert main(["replay", "--url", service.url]) == 1
    assert 120 <= len(service.rows) < 130
    assert "requests failed, then it was given up: 500" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--url", "http://127.0.0.1:9"], "http://127.0.0.1:9/predict: no service answers ("),
        (["--url", "127.0.0.1"], "--url: '127.0.0.1' is no address; write http://127.0.0.1:3000"),
        (["--clients", "0"], "--clients and --rate: must be above zero"),
        (["--rate", "-1"], "--clients and --rate: must be above zero"),
        (["--since", "2030-01-01"], "conf/data/customers.yaml: source: has no row in the window; widen it"),
        (["--since", "soon"], "--since: is not a date or time"),
    ],
)
def test_what_is_wrong_is_one_line(
    arguments: list[str],
    message: str,
    source: Callable[..., pa.Table],
    service: Service,
    capsys: pytest.CaptureFixture[str],
) -> None:
    source(customers.table("binary").slice(0, 5))
    assert settings.load().serving.log is not None
    assert main(["replay", "--url", service.url, *arguments]) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1
