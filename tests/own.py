"""Projects of somebody's own table, from `gitloop init` to one prediction, in this process and at a size for tests."""

from __future__ import annotations

import asyncio
import json
import re
import sys
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from unittest.mock import create_autospec

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml
from customers import inside

from gitloop import layout
from gitloop.cli import main
from gitloop.modeling import inputs
from gitloop.monitoring import findings
from gitloop.serving import request, runtime
from gitloop.serving.desk import Desk
from gitloop.serving.meters import Meters
from gitloop.settings import load

STAGES = ("ingest", "validate", "split", "profile")
AFTER = ("select", "evaluate", "package", "gate")
QUICK = ("+preset=quick", "evaluation.importance_rows=50", "monitoring.min_rows=100")


@contextmanager
def project(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The working directory is a project whose code can be imported, until the end: others are called so too."""
    source = folder / "src"
    monkeypatch.syspath_prepend(str(source))
    try:
        with inside(folder):
            yield folder
    finally:
        for name, module in list(sys.modules.items()):
            if Path(getattr(module, "__file__", None) or "/").is_relative_to(source):
                del sys.modules[name]


def smaller(folder: Path) -> None:
    """Fewer trees: what is tested is the way, not the model."""
    for name, (key, trees) in {"forest": ("n_estimators", 20), "boosting": ("max_iter", 40)}.items():
        path = folder / f"conf/candidate/{name}.yaml"
        path.write_text(re.sub(rf"{key}: \d+", f"{key}: {trees}", path.read_text()))


def pipeline(*overrides: str, without: Collection[str] = ()) -> None:
    """Every stage of dvc.yaml and the gates, in their order, but those named; each must end well."""
    assert main(["params", *QUICK, *overrides]) == 0
    verbs = [*([one] for one in STAGES), *(["train", name] for name in load().candidate), *([one] for one in AFTER)]
    for verb in verbs:
        assert verb[0] in without or main(["--debug", *verb]) == 0, verb


def contract(name: str) -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load(layout.data_conf(name).read_text())
    return found


def roles(name: str) -> dict[str, str]:
    return {column: keys.get("role", "feature") for column, keys in contract(name)["columns"].items()}


def one_prediction() -> Any:
    """What the packaged model says of the first of its expected rows, as a service would."""
    loaded = load()
    served = runtime.load(layout.MODEL, contract=loaded.data)
    rows = json.loads((layout.MODEL / "expected.json").read_text())["rows"][:1]
    columns = inputs.build(
        runtime.canonical(rows, served.signature.inputs), served.signature.contract, inputs.derivation(loaded.features)
    )
    scores = served.predict(columns)
    assert np.isfinite(scores).all()
    return served.labels(scores)[0]


def one_window() -> set[str]:
    """Ask the service's desk about the test slice, tell it the truth, watch: the kinds of what is found."""
    loaded = load()
    served = runtime.load(layout.MODEL, contract=loaded.data)
    slice = pq.read_table(layout.TEST)
    table = pa.concat_tables([slice] * -(-100 // slice.num_rows))  # fewer predictions are never judged
    desk = Desk(served, loaded.serving, create_autospec(Meters, instance=True))  # a process that serves has those
    row_type, target = request.row_type(served.signature), loaded.data.target
    names = [name for name in request.names(served.signature) if name in table.column_names]
    rows = [{name: one[name] for name in names if one[name] is not None} for one in table.to_pylist()]
    asked = [row_type.model_validate_json(json.dumps(one, default=_iso)) for one in rows]
    told = []
    for start in range(0, len(asked), loaded.serving.max_rows):
        reply = asyncio.run(desk.predict_batch(asked[start : start + loaded.serving.max_rows]))
        assert reply.status == 200, reply.body
        told += reply.body
    for one, truth in zip(told, table[target].to_pylist(), strict=True):
        assert desk.feedback(one["id"], truth).status == 200
    desk.close()
    day, today = timedelta(days=1), datetime.now(UTC).date()
    assert main(["monitor", "--since", str(today - day), "--until", str(today + day)]) == 0
    assert main(["decide"]) == 0
    (result,) = findings.history()
    assert (result.status, result.rows) == ("judged", table.num_rows)
    (part,) = result.versions.values()
    assert part.truth is not None
    assert part.truth.rows == table.num_rows
    return {one.kind for one in result.findings}


def _iso(value: Any) -> str:
    return str(value.isoformat())


def verdicts() -> dict[str, bool | None]:
    return {one["rule"]: one["passed"] for one in json.loads(layout.GATES.read_text())["verdicts"]}


def imbalanced(rows: int = 3000) -> pd.DataFrame:
    """Fraud in 4 % of payments; neither a key nor a time."""
    random = np.random.default_rng(1)
    amount = random.gamma(2, 80, rows).round(2)
    shop = random.choice([f"shop {index}" for index in range(40)], rows)
    night = random.random(rows) < 0.2
    odds = -5.2 + amount / 120 + 2 * night + np.char.endswith(shop.astype(str), "7") * 1.5
    fraud = random.random(rows) < 1 / (1 + np.exp(-odds))
    return pd.DataFrame(
        {"amount": amount, "shop": shop, "night": np.where(night, "yes", "no"), "fraud": np.where(fraud, "yes", "no")}
    )


def wide(rows: int = 600, columns: int = 500) -> pd.DataFrame:
    """Many sensors, of which five matter."""
    random = np.random.default_rng(2)
    values = random.normal(size=(rows, columns)).round(4)
    score = values[:, :5].sum(axis=1) + random.normal(0, 0.5, rows)
    frame = pd.DataFrame(values, columns=[f"sensor_{index}" for index in range(columns)])
    return frame.assign(broken=np.where(score > 1, "broken", "whole"))


def reviews(rows: int = 800) -> pd.DataFrame:
    """Free text that tells the outcome, beside a price."""
    random = np.random.default_rng(3)
    good, bad = ["lovely", "great", "kind", "quick"], ["broken", "late", "rude", "dirty"]
    neutral = ["the", "parcel", "came", "with", "a", "note", "from", "shop", "and", "box", "today", "again"]
    happy = random.random(rows) < 0.5
    texts = []
    for one in happy:
        own = random.choice(good if one else bad, 2) if random.random() < 0.85 else random.choice(neutral, 2)
        texts.append(" ".join(random.permutation([*own, *random.choice(neutral, 8)])))
    price = random.gamma(2, 20, rows).round(2)
    return pd.DataFrame({"review": texts, "price": price, "verdict": np.where(happy, "happy", "unhappy")})


def orders(rows: int = 1500) -> pd.DataFrame:
    """Orders over half a year with their number, two dates and a customer's address; late or not."""
    random = np.random.default_rng(4)
    ordered = np.datetime64("2024-01-01T06:00") + np.sort(random.integers(0, 180 * 1440, rows)) * np.timedelta64(1, "m")
    promised = ordered.astype("datetime64[D]") + random.integers(1, 15, rows) * np.timedelta64(1, "D")
    carrier = random.choice(["north", "south", "west"], rows)
    short = (promised - ordered) / np.timedelta64(1, "D")
    odds = 2 - 0.7 * short + (carrier == "south") * 1.5
    return pd.DataFrame(
        {
            "order_id": np.arange(10_000, 10_000 + rows),
            "ordered_at": ordered.astype("datetime64[s]"),
            "promised": promised.astype(str),
            "email": [f"customer{index}@example.org" for index in random.integers(0, 5000, rows)],
            "carrier": carrier,
            "weight": np.where(random.random(rows) < 0.3, np.nan, random.gamma(2, 3, rows).round(1)),
            "late": random.random(rows) < 1 / (1 + np.exp(-odds)),
        }
    )
