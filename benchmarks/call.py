"""One row through the packaged model, beside the scikit-learn pipeline that it was made from, in one process."""

from __future__ import annotations

import json
import sys

from benchmarks.bench import project, run, say
from benchmarks.scoring import choose

MODELS = ("linear", "forest", "boosting")
# Both answer the same fifty rows by turns; the first turn is not counted.
CALLS = """
import json, statistics, time
from gitloop import layout, settings
from gitloop.data.table import arrays, read
from gitloop.modeling import chosen, inputs
from gitloop.modeling.features import frame
from gitloop.serving import runtime
loaded = settings.load()
served, model = runtime.load(), chosen.model(loaded)
table = read(layout.TEST, "gitloop split").slice(0, 50)
columns = arrays(table, loaded.data.columns, served.signature.inputs)
seen = arrays(table, loaded.data.columns, inputs.visible(loaded.data))
built = inputs.build(seen, loaded.data, inputs.derivation(loaded.features))
rows = [{name: values[i : i + 1] for name, values in columns.items()} for i in range(50)]
frames = [frame({name: values[i : i + 1] for name, values in built.items()}, model.schema) for i in range(50)]
taken = {"ours": [], "theirs": []}
for turn in range(6):
    for name, ask, given in (("ours", served.scores, rows), ("theirs", model.pipeline.predict_proba, frames)):
        for one in given:
            start = time.perf_counter()
            ask(one)
            taken[name] += [time.perf_counter() - start] if turn else []
for one, other in zip(rows, frames, strict=True):
    assert abs(served.scores(one)[0] - model.pipeline.predict_proba(other)[0, 1]) < 1e-4
print(json.dumps({name: statistics.median(each) for name, each in taken.items()}))
"""


def one_row() -> None:
    """To reach: at most 1/50 of the scikit-learn pipeline's time."""
    rows: list[list[object]] = []
    with project() as where:
        run(where, "dvc", "repro")
        for name in MODELS:
            choose(where, name)
            found = json.loads(run(where, sys.executable, "-c", CALLS).stdout.splitlines()[-1])
            ours, theirs = (1e6 * found[which] for which in ("ours", "theirs"))
            rows.append([name, round(ours), round(theirs), f"1/{theirs / ours:.0f}"])
    columns = ["model", "as served, µs", "scikit-learn pipeline, µs", "ratio (≤ 1/50)"]
    say("One row in process: features, model and all (median of 250)", columns, rows)
