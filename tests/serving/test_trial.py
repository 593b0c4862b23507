"""A service that is a canary in a cluster is not ready any more once too many of its requests failed."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import httpx
import pytest
from service import SOURCE, Packaged, serving

from gitloop.errors import InputError
from gitloop.serving.failing import TERMS, Failing, Trial, trial

# It answers five times; then it fails.
TIRED = (
    "said = outcomes(self.served, scores)",
    "said = outcomes(self.served, scores)\n        TRIED.append(0)\n        if len(TRIED) > 5:\n            "
    "raise RuntimeError('tired')",
)


def test_a_real_one_takes_itself_out(packaged: Packaged, row: dict[str, Any], tmp_path: Path) -> None:
    source, folder = tmp_path / "src", packaged()
    shutil.copytree(SOURCE, source, ignore=shutil.ignore_patterns("__pycache__"))
    desk = source / "gitloop/serving/desk.py"
    assert TIRED[0] in desk.read_text()
    desk.write_text(desk.read_text().replace(*TIRED) + "\n\nTRIED: list[int] = []\n")
    own = {"PYTHONPATH": str(source), "TMPDIR": str(tmp_path), TERMS: "5/40"}
    with serving(folder, **own) as server, httpx.Client(base_url=server.url, timeout=30) as client:

        def asked() -> tuple[int, int]:
            return client.post("/predict", json=row).status_code, client.get("/readyz").status_code

        assert [asked() for _ in range(5)] == [(200, 200)] * 5
        assert client.post("/predict", json={**row, "age": None}).status_code == 400  # the caller's fault, not its own
        assert [asked() for _ in range(3)] == [(500, 200), (500, 200), (500, 503)]
        assert client.get("/livez").status_code == 200  # so that nobody starts it anew, to fail again
        said = (folder / "server.log").read_text()
        # And it stays so, whatever comes: a request that was under way may end well.
        assert asked()[1] == 503
    assert "3 of the last 9 requests to " in said
    assert " failed, and 5 percent of 40 may: this canary is not ready any more" in said


@pytest.mark.parametrize("terms", ["5", "5/", "5/0", "0/100", "101/100", "a/b", "-1/10"])
def test_terms_that_are_none_are_refused(terms: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(TERMS, terms)
    with pytest.raises(InputError, match=f"{TERMS}: '{terms}' is not as `5/100`: 5 percent of the last 100 requests"):
        trial("v1.0.0")


def test_without_terms_it_is_no_canary(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(TERMS, raising=False)
    assert trial("v1.0.0") is None


def test_all_processes_of_a_pod_see_it(tmp_path: Path) -> None:
    first, second = (Trial(Failing("v1.0.0", 10, 10), tmp_path / "mark") for _ in range(2))
    for failed in (False, True, False):
        first.heard(failed)
    assert first.ready()
    first.heard(True)
    assert not first.ready()
    assert not second.ready()
