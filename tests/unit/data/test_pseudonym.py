"""Personal data at ingest: dropped, or hashed with a key that is written nowhere."""

from __future__ import annotations

from datetime import date

import pyarrow as pa
import pytest

from gitloop.contract import Column
from gitloop.data import pseudonym
from gitloop.errors import InputError

SECRET = b"sixteen bytes or more"
COLUMNS = {
    "mail": Column(type="text", role=("pii",), pii="hash", case="lower"),
    "card": Column(type="categorical", role=("pii", "key"), pii="hash"),
    "size": Column(type="numeric"),
}


def hashed(values: pa.Array, name: str = "card", secret: bytes = SECRET) -> list[str | None]:
    batch = pa.RecordBatch.from_arrays([values, pa.array(range(len(values)))], names=[name, "size"])
    found = pseudonym.hashes(batch, COLUMNS, secret)
    assert found.schema == pseudonym.schema(batch.schema, COLUMNS)
    assert found.column("size").equals(batch.column("size"))
    return found.column(name).to_pylist()


def test_the_same_value_is_the_same_hash_whatever_its_type() -> None:
    texts = hashed(pa.array(["17", " 17 ", "18", None, "  "]))
    assert texts[0] == texts[1] != texts[2]
    assert texts[3:] == [None, None]
    assert len(str(texts[0])) == 32
    assert hashed(pa.array([17, 18])) == hashed(pa.array([17.0, 18.0])) == [texts[0], texts[2]]
    assert hashed(pa.array([float("nan"), 17.0])) == [None, texts[0]]
    assert hashed(pa.array([date(2026, 1, 2)])) == hashed(pa.array(["2026-01-02"]))


def test_the_case_that_is_declared_counts_and_no_other() -> None:
    assert len(set(hashed(pa.array(["Ann@X.org", "ann@x.org"]), "mail"))) == 1
    assert len(set(hashed(pa.array(["Ann@X.org", "ann@x.org"]), "card"))) == 2


def test_another_key_is_another_hash() -> None:
    assert hashed(pa.array(["17"]), secret=b"sixteen other bytes") != hashed(pa.array(["17"]))


def test_without_a_key_nothing_is_hashed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(pseudonym.KEY, raising=False)
    assert pseudonym.key({"size": COLUMNS["size"]}, "conf/data/x.yaml") is None
    with pytest.raises(InputError, match=r"conf/data/x.yaml: columns.mail: `pii: hash` needs the environment variable"):
        pseudonym.key(COLUMNS, "conf/data/x.yaml")
    monkeypatch.setenv(pseudonym.KEY, "short")
    with pytest.raises(InputError, match="GITLOOP_PII_KEY: is not 16 to 64 bytes long") as caught:
        pseudonym.key(COLUMNS, "conf/data/x.yaml")
    assert "short" not in str(caught.value)
    monkeypatch.setenv(pseudonym.KEY, SECRET.decode())
    assert pseudonym.key(COLUMNS, "conf/data/x.yaml") == SECRET
