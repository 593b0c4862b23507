"""Personal data is nowhere but in the table it came from: canaries in every such column, and a search of all else.

Looked through, unpacked: the work tree, Git's objects, the DVC cache, models, the Bento, the prediction log, scores,
windows and pages of monitoring, the page of the repository, tasks for people who label, the report that a pull request
gets, answers of the service, and what was printed.
"""

from __future__ import annotations

import gzip
import io
import os
import shutil
import tarfile
import zipfile
from pathlib import Path
from typing import Any, NamedTuple

import canaries
import httpx
import numpy as np
import own
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from project import edit, generate, run
from service import Server, serving

from gitloop.contract import Column
from gitloop.data import pseudonym

PERSONAL = ("email", "surname", "phone", "date_of_birth")
TABLE = Path("data/source/orders.csv")
SMALL = ("candidate=[dummy, linear]", "monitoring.min_rows=100", "+preset=quick", "evaluation.importance_rows=50")
ROWS = 600


class Lived(NamedTuple):
    root: Path
    said: list[str]  # what every command printed
    answers: list[str]  # of the service, with their status


def table() -> pd.DataFrame:
    """Orders with personal data, of which some rows break the contract."""
    frame = canaries.planted(own.orders(ROWS)).drop(columns="order_id")
    frame["weight"] = frame["weight"].astype(object)
    frame.loc[[5, 50], "weight"] = "heavy"  # set aside
    frame.loc[7, "account"] = frame.loc[6, "account"]  # a repeated key: set aside
    return frame


def declare(root: Path) -> None:
    """As a person would after `init`: one column as a hashed key."""
    edit(
        root / "conf/data/orders.yaml",
        columns__account={"type": "categorical", "role": ["pii", "key"], "pii": "hash"},
        rules__max_invalid=0.02,
        rules__min_rows=100,
    )


@pytest.fixture(scope="module")
def lived(tmp_path_factory: pytest.TempPathFactory) -> Lived:
    """A project from `init` to monitoring, and everything that it said."""
    folder = tmp_path_factory.mktemp("personal")
    root = generate(folder, start="own")
    said: list[str] = []

    def do(*command: str, code: int = 0) -> str:
        done = run(root, *command, check=False, GITLOOP_PII_KEY=canaries.SECRET)
        said.append(done.stdout + done.stderr)
        assert done.returncode == code, f"{command} ended with {done.returncode}\n{said[-1]}"
        return said[-1]

    frame = table()
    frame.to_csv(folder / "orders.csv", index=False)
    do("gitloop", "init", str(folder / "orders.csv"), "--target", "late")
    declare(root)
    do("gitloop", "params", *SMALL)
    do("dvc", "repro")
    do("gitloop", "gate")
    do("git", "add", "--all", ":!data/source")
    do("git", "commit", "--quiet", "--message", "Train")
    do("gitloop", "report")
    do("gitloop", "build")
    with serving(root) as server:
        answers, pages = ask(server, frame)
    do("gitloop", "monitor", "--since", "2020-01-01", "--until", "2100-01-01")
    do("gitloop", "score")
    do("gitloop", "label", "export", "--since", "2020-01-01")
    do("gitloop", "site")
    refuse(root, frame, do)
    return Lived(root, [*said, *pages], answers)


def ask(server: Server, frame: pd.DataFrame) -> tuple[list[str], list[str]]:
    """A good request and bad ones: what was answered, and what its pages say."""
    good = [
        {"ordered_at": str(one.ordered_at), "promised": str(one.promised), "carrier": one.carrier, "weight": None}
        for one in frame.iloc[100:250].itertuples()
    ]
    first, canary = good[0], "kanarie@example.org"
    with httpx.Client(base_url=server.url, timeout=60, trust_env=False) as client:
        whole = client.post("/predict_batch", json={"rows": good})
        bad: list[tuple[str, Any]] = [
            ("/predict", {"json": first | {"email": canary}}),
            ("/predict", {"json": first | {"phone": canaries.NUMBER}}),
            ("/predict", {"json": first | {"account": "kanarie-account-1"}}),
            ("/predict", {"json": first | {"weight": canary}}),
            ("/predict", {"json": first | {"ordered_at": canary}}),
            (
                "/predict",
                {"content": b'{"email": "kanarie@example.org", ', "headers": {"content-type": "application/json"}},
            ),
            ("/predict", {"content": canary.encode(), "headers": {"content-type": "text/plain"}}),
            ("/predict_batch", {"json": {"rows": [first, first | {"date_of_birth": "1903-07-04"}]}}),
            ("/feedback", {"json": {"id": canary, "truth": True}}),
            ("/feedback", {"json": {"id": "0" * 32, "truth": canary}}),
            ("/feedback", {"json": {"id": "0" * 32, "truth": True, "email": canary}}),
        ]
        answers = [client.post(path, **request) for path, request in bad]
        pages = [client.get(path).text for path in ("/", "/docs.json", "/metrics")]
    return [f"{one.status_code} {one.text}" for one in (whole, *answers)], pages


def refuse(root: Path, frame: pd.DataFrame, do: Any) -> None:
    """What is wrong is said without the values that are wrong."""
    good = (root / TABLE).read_text()
    (root / TABLE).write_text(good.replace("south", "east"))
    do("gitloop", "ingest")
    do("gitloop", "validate", code=1)  # a category that is not declared, in a third of the rows
    ragged = good.splitlines()
    ragged[20] += ",kanarie-too-much"
    (root / TABLE).write_text("\n".join(ragged))
    assert "orders.csv" in do("gitloop", "ingest", code=2)
    edit(root / "conf/data/orders.yaml", columns__account__type="numeric")
    do("gitloop", "params", *SMALL, code=2)
    declare(root)
    without = run(root, "gitloop", "ingest", check=False, GITLOOP_PII_KEY="")
    assert without.returncode == 2
    assert "columns.account: `pii: hash` needs the environment variable GITLOOP_PII_KEY" in without.stderr
    (root / TABLE).write_text(good)
    do("gitloop", "ingest")
    do("gitloop", "validate")


def test_what_is_personal_is_found_by_init_and_left_out(lived: Lived) -> None:
    columns = own.yaml.safe_load((lived.root / "conf/data/orders.yaml").read_text())["columns"]
    assert {name: columns[name]["role"] for name in PERSONAL} == dict.fromkeys(PERSONAL, "pii")


def test_a_canary_is_in_nothing_that_was_made(lived: Lived) -> None:
    hits, files = canaries.anywhere(lived.root, but=frozenset({TABLE}))
    assert hits == []
    names = {path.relative_to(lived.root).parts[0] for path in lived.root.rglob("*") if path.is_file()}
    made = {"data", "dist", "labels", "metrics", "model", "models", "predictions", "reports", "scores", "site"}
    assert made | {".dvc", ".git"} <= names
    assert list((lived.root / "reports/monitoring").rglob("*.html"))
    assert files > 300


def test_a_canary_is_in_nothing_that_was_said(lived: Lived) -> None:
    assert [answer[:2] for answer in lived.answers] == ["20", *["40"] * 11], lived.answers
    printed = "\n".join([*lived.said, *lived.answers, (lived.root / "server.log").read_text()])
    assert list(canaries.found(printed.encode(), "printed")) == []


def test_a_hashed_key_tells_rows_apart_and_is_no_feature(lived: Lived) -> None:
    raw = pq.read_table(lived.root / "data/raw.parquet")
    assert not set(PERSONAL) & set(raw.column_names)
    account = {"account": Column(type="categorical", role=("pii", "key"), pii="hash")}
    given = pa.RecordBatch.from_pydict({"account": table()["account"].tolist()})
    assert set(raw["account"].to_pylist()) == set(
        pseudonym.hashes(given, account, canaries.SECRET.encode()).column(0).to_pylist()
    )
    reasons = own.json.loads((lived.root / "metrics/validation.json").read_text())["reasons"]
    assert reasons == {"weight: not a number": 2, "duplicate key": 1}
    assert "account" in pq.read_schema(lived.root / "data/valid.parquet").names  # rows are parted by it
    scores = pq.read_table(lived.root / "scores")
    assert set(scores["account"].to_pylist()) <= set(raw["account"].to_pylist())
    for name in ("quarantine", "train", "test", "reference", "predictions"):
        assert "account" not in pq.read_schema(lived.root / f"data/{name}.parquet").names


def test_the_search_finds_a_canary_however_it_is_packed(tmp_path: Path) -> None:
    """In text, in Parquet, in a zip in a tar in gzip, in NumPy's files, in an object of Git, in base64, as a number."""
    words = b"a kanarie@example.org in it"
    pq.write_table(pa.table({"x": [canaries.NUMBER + 5.0]}), tmp_path / "numbers.parquet", compression="zstd")
    pq.write_table(pa.table({"x": [b"1", words]}), tmp_path / "words.parquet", compression="zstd")
    packed, tarred = io.BytesIO(), io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("inside.json", words)
    with tarfile.open(fileobj=tarred, mode="w") as tar:
        one = tarfile.TarInfo("model.skops")
        one.size = len(packed.getvalue())
        tar.addfile(one, io.BytesIO(packed.getvalue()))
    (tmp_path / "bento").write_bytes(gzip.compress(tarred.getvalue()))
    np.savez_compressed(tmp_path / "arrays.npz", x=np.array(["kanarie"]))
    (tmp_path / "object").write_bytes(canaries.zlib.compress(words))
    (tmp_path / "page.html").write_bytes(b"<script>" + canaries.base64.b64encode(words * 3))
    (tmp_path / "clean.html").write_bytes(b"nothing" + os.urandom(2000))
    shutil.copy(tmp_path / "clean.html", tmp_path / "kanarie.html")
    hits, files = canaries.anywhere(tmp_path)
    assert {hit.partition(":")[0].partition("!")[0] for hit in hits} == {
        *("arrays.npz", "bento", "kanarie.html", "numbers.parquet", "object", "page.html", "words.parquet")
    }
    assert files == 8
