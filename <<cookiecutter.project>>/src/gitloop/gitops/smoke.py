"""Does a service that runs say what its model said when it was packaged, soon enough?"""

from __future__ import annotations

import statistics
import time
from typing import Any, NamedTuple

import numpy as np
import requests

from gitloop.serving.integrity import EXPECTED, Package
from gitloop.serving.runtime import TOLERANCE, apart
from gitloop.serving.signature import FILE

SECONDS = 10.0  # for an answer


class Tried(NamedTuple):
    """What is wrong, a line each; and in one line what was found in order."""

    problems: list[str]
    says: str = ""


def tried(url: str, package: Package, version: str, token: str | None, latency_ms: float | None) -> Tried:
    """Try the service at `url`: readiness, version, the expected rows, the median latency.

    `token`: what callers must send, if anything. The expected rows are sent by HTTP, one by one.
    """
    expected, signature = package.json(EXPECTED), package.json(FILE)
    found: list[str] = []
    try:
        with _session(url, token) as session:
            if wrong := _unready(session, url, version):
                return Tried([wrong])
            answers, milliseconds = _asked(session, url, expected["rows"])
    except (requests.RequestException, ValueError) as error:
        return Tried([f"{url}: does not answer ({type(error).__name__})"])
    for number, (status, body) in enumerate(answers):
        if status != 200:
            said = " ".join(str(body).split())[:200]
            found.append(f"expected row {number + 1}: is answered with {status} ({said})")
        elif wrong := _differs(body, expected, signature, number):
            found.append(f"expected row {number + 1}: {wrong}")
    median = statistics.median(milliseconds)
    if latency_ms is not None and median > latency_ms:
        found.append(f"latency: {median:.3g} ms is the median of the expected rows, the budget is {latency_ms:g} ms")
    return Tried(found, "" if found else f"ready, {len(answers)} expected rows as recorded, median {median:.3g} ms")


def runs(url: str, version: str, token: str | None) -> bool:
    """Whether the version answers, without asking it for a prediction."""
    try:
        with _session(url, token) as session:
            return not _unready(session, url, version)
    except (requests.RequestException, ValueError):
        return False


def _session(url: str, token: str | None) -> requests.Session:
    session = requests.Session()
    session.trust_env = not url.startswith("http://127.0.0.1:")  # no proxy between this machine and itself
    if token:
        session.headers["authorization"] = f"Bearer {token}"
    return session


def _unready(session: requests.Session, url: str, version: str) -> str:
    """Why it is not the version, ready to answer; empty where it is."""
    status = session.get(f"{url}/readyz", timeout=SECONDS).status_code
    if status != 200:
        return f"{url}/readyz: is answered with {status}"
    told = session.get(f"{url}/model", timeout=SECONDS)
    says = told.json().get("version") if told.ok else told.status_code
    return "" if says == version else f"{url}/model: says {says}, not {version}"


def _asked(
    session: requests.Session, url: str, rows: list[dict[str, Any]]
) -> tuple[list[tuple[int, Any]], list[float]]:
    """Status and body of each row's answer, and the milliseconds; the first is asked twice, to warm up."""
    answers, milliseconds = [], []
    for row in [rows[0], *rows]:
        began = time.perf_counter()
        answer = session.post(f"{url}/predict", json=row, timeout=SECONDS)
        milliseconds.append(1000 * (time.perf_counter() - began))
        answers.append((answer.status_code, answer.json() if answer.ok else answer.text))
    return answers[1:], milliseconds[1:]


def _differs(body: dict[str, Any], expected: dict[str, Any], signature: dict[str, Any], number: int) -> str:
    """What an answer says that the package does not; empty where they agree."""
    task, score, label = signature["contract"]["task"], expected["scores"][number], expected["labels"][number]
    try:
        if task == "binary":
            said = [body["probability"]]
        elif task == "multiclass":
            said = [body["probabilities"][name] for name in signature["labels"]]
        else:
            said = [body["prediction"]]
    except (KeyError, TypeError):
        return "an answer of another form than the task's"
    wanted = np.atleast_1d(np.asarray(score, dtype=np.float64))
    if apart(np.asarray(said, dtype=np.float64), wanted, expected["unit"]) > TOLERANCE:
        return "another score than the package records"
    if task != "regression" and body["prediction"] != label:
        return "another prediction than the package records"
    return ""
