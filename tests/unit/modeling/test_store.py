"""A model file gives back what was saved, is the same bytes for the same model, and is not loaded when it is not."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import skops.io
from sklearn.compose import ColumnTransformer
from sklearn.datasets import load_breast_cancer, load_diabetes, load_wine
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier, RandomForestRegressor
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.neighbors import KNeighborsClassifier
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler

from gitloop.arrays import Columns
from gitloop.errors import InputError
from gitloop.modeling.features import frame
from gitloop.modeling.inputs import Schema
from gitloop.modeling.store import Model, load, save

LOADERS = {"binary": load_breast_cancer, "multiclass": load_wine, "regression": load_diabetes}


def rows_of(task: str) -> tuple[Columns, np.ndarray]:
    loaded = LOADERS[task]()
    y = loaded.target_names[loaded.target].astype(object) if task == "multiclass" else loaded.target
    return {f"x{index}": loaded.data[:, index] for index in range(5)}, y


def trained(task: str, *steps: object) -> tuple[Model, Columns]:
    columns, y = rows_of(task)
    schema = Schema(numeric=tuple(columns), dropped={"ż": "constant"})
    pipeline = make_pipeline(*steps).fit(frame(columns, schema), y)
    classes = tuple(sorted(set(y))) if task == "multiclass" else None
    return Model("mine", task, schema, pipeline, classes, 0.3, "2024-01-01T00:00:00", None, len(y)), columns


ESTIMATORS = [
    ("binary", LogisticRegression()),
    ("binary", RandomForestClassifier(10, n_jobs=-1, random_state=0)),
    ("binary", HistGradientBoostingClassifier(max_iter=5, random_state=0)),
    ("binary", KNeighborsClassifier(algorithm="kd_tree")),
    ("binary", KNeighborsClassifier(algorithm="ball_tree", metric="manhattan")),
    ("binary", MLPClassifier([4], solver="sgd", random_state=0)),
    ("multiclass", HistGradientBoostingClassifier(max_iter=5, random_state=0)),
    ("multiclass", RandomForestClassifier(10, random_state=0)),
    ("regression", Ridge()),
    ("regression", RandomForestRegressor(10, random_state=0)),
]


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize(("task", "estimator"), ESTIMATORS)
def test_what_is_loaded_is_what_was_saved(task: str, estimator: object, tmp_path: Path) -> None:
    model, columns = trained(task, StandardScaler(), estimator)
    sha256 = save(tmp_path / "mine.skops", model)
    again = load(tmp_path / "mine.skops", sha256)
    for name in ("name", "task", "schema", "classes", "threshold", "trained_from", "trained_until", "rows"):
        assert getattr(again, name) == getattr(model, name)
    scores = again.scores(columns)
    assert scores.dtype == np.float64
    np.testing.assert_array_equal(scores, model.scores(columns))


def test_scores_and_labels_have_their_shapes() -> None:
    binary, columns = trained("binary", StandardScaler(), LogisticRegression())
    scores = binary.scores(columns)
    assert scores.shape == (569,)
    np.testing.assert_array_equal(binary.labels(scores), scores >= 0.3)
    assert binary.labels(scores).dtype == np.int8

    multiclass, columns = trained("multiclass", StandardScaler(), LogisticRegression())
    scores = multiclass.scores(columns)
    assert scores.shape == (178, 3)
    np.testing.assert_allclose(scores.sum(axis=1), 1)
    assert (multiclass.labels(scores) == rows_of("multiclass")[1]).mean() > 0.8

    regression, columns = trained("regression", Ridge())
    scores = regression.scores(columns)
    assert scores.shape == (442,)
    np.testing.assert_array_equal(regression.labels(scores), scores)


def test_a_class_that_a_fold_lacks_has_probability_zero() -> None:
    model, columns = trained("multiclass", StandardScaler(), LogisticRegression())
    wider = Model(**{**vars(model), "classes": ("class_0", "class_00", "class_1", "class_2")})
    np.testing.assert_array_equal(wider.scores(columns)[:, [0, 2, 3]], model.scores(columns))
    assert not wider.scores(columns)[:, 1].any()


def test_a_forest_says_the_same_each_time() -> None:
    """Threads that add up its votes in any order would change the last digits."""
    model, columns = trained("binary", RandomForestClassifier(200, n_jobs=4, random_state=0))
    many = {name: np.tile(values, 20) for name, values in columns.items()}
    first = model.scores(many)
    assert all((model.scores(many) == first).all() for _ in range(5))


PROGRAM = """
import sys; sys.path.insert(0, {folder!r})
from pathlib import Path
from test_store import ESTIMATORS, trained
from sklearn.preprocessing import StandardScaler
from gitloop.modeling.store import save
padding = [object() for _ in range(int(sys.argv[2]))]  # other memory addresses
for number in (0, 1, 2, 3, 6):
    task, estimator = ESTIMATORS[number]
    save(Path(sys.argv[1]) / f"{{number}}.skops", trained(task, StandardScaler(), estimator)[0])
"""


def test_two_processes_write_the_same_bytes(tmp_path: Path) -> None:
    program = PROGRAM.format(folder=str(Path(__file__).parent))
    running = []
    for name, hashing in (("one", "1"), ("two", "2")):
        (tmp_path / name).mkdir()
        command = [sys.executable, "-c", program, str(tmp_path / name), hashing * 4]
        running.append(subprocess.Popen(command, env={**os.environ, "PYTHONHASHSEED": hashing}))
    assert [process.wait() for process in running] == [0, 0]
    names = sorted(path.name for path in (tmp_path / "one").iterdir())
    assert len(names) == 5
    for name in names:
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes(), name


def test_a_text_model_holds_no_memory_address(tmp_path: Path) -> None:
    """Another process would write another: scikit-learn notes where its stop words lie."""
    texts = pd.DataFrame({"review": pd.Series(["good and kind", "bad", "kind", "bad and late"], dtype=object)})
    text = ColumnTransformer([("text", TfidfVectorizer(), "review")])
    pipeline = make_pipeline(text, LogisticRegression()).fit(texts, [1, 0, 1, 0])
    model = Model("mine", "binary", Schema(text=("review",)), pipeline, None, 0.5, None, None, 4)
    saved = load(tmp_path / "mine.skops", save(tmp_path / "mine.skops", model))
    with zipfile.ZipFile(tmp_path / "mine.skops") as archive:
        assert str(id(None)).encode() not in archive.read("schema.json")
    columns = {"review": texts["review"].to_numpy()}
    np.testing.assert_array_equal(saved.scores(columns), model.scores(columns))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    save(tmp_path / "models/mine.skops", trained("binary", StandardScaler(), LogisticRegression())[0])
    return tmp_path / "models/mine.skops"


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    message = r"mine.skops: not there; run `dvc pull .*mine.skops`, or `dvc repro train@mine`"
    with pytest.raises(InputError, match=message) as refused:
        load(tmp_path / "mine.skops")
    assert refused.value.exit_code == 2


def test_another_file_than_the_one_recorded(path: Path) -> None:
    with pytest.raises(InputError, match=r"is not the model recorded \(its sha256 differs\); run `dvc checkout"):
        load(path, "0" * 64)


@pytest.mark.parametrize("share", [0.0, 0.3, 0.9, 0.999])
def test_a_truncated_file(share: float, path: Path) -> None:
    content = path.read_bytes()
    path.write_bytes(content[: int(share * len(content))])
    with pytest.raises(
        InputError, match=r"mine.skops: is not a whole model file \((BadZipFile|ValueError)\); run `dvc checkout"
    ):
        load(path)


def test_a_changed_byte_anywhere_is_noticed_or_harmless(path: Path) -> None:
    """Without its hash, too: the archive has sums of its own. What they do not cover (dates) changes no answer."""
    content = path.read_bytes()
    model, columns = load(path), rows_of("binary")[0]
    noticed = 0
    places = range(0, len(content), len(content) // 60)
    for place in places:
        path.write_bytes(content[:place] + bytes([content[place] ^ 0x10]) + content[place + 1 :])
        try:
            np.testing.assert_array_equal(load(path).scores(columns), model.scores(columns))
        except InputError:
            noticed += 1
    assert noticed > 0.7 * len(places)


@pytest.mark.parametrize("name", ["schema.json", "gitloop.json"])
@pytest.mark.parametrize(
    "content", [b"", b"{}", b"[]", b'{"schema": 1', b'{"classes": null, "schema": {"numbers": []}}']
)
def test_a_member_that_is_not_what_it_should_be(name: str, content: bytes, path: Path) -> None:
    rewrite(path, {name: content})
    with pytest.raises(InputError, match="is not a whole model file"):
        load(path)


def rewrite(path: Path, changed: dict[str, bytes]) -> None:
    with zipfile.ZipFile(io.BytesIO(path.read_bytes())) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in (members | changed).items():
            archive.writestr(name, content)


class Third(StandardScaler):
    """A type that is nobody's we know."""


def test_a_type_that_is_not_trusted_is_neither_written_nor_loaded(path: Path) -> None:
    model, columns = trained("binary", Third(), LogisticRegression())
    with pytest.raises(InputError, match=r"conf/candidate/mine.yaml: the trained model holds .*Third, which no file"):
        save(path.with_name("third.skops"), model)
    assert not path.with_name("third.skops").exists()

    package = Third.__module__.split(".")[0]
    save(path, model, packages={package})
    with pytest.raises(InputError, match=r"mine.skops: holds .*Third, which is not trusted"):
        load(path)
    with pytest.raises(InputError, match=r"holds .*Third, which is not trusted"):
        load(path, packages={"another"})
    if package in sys.modules or Third.__module__ in sys.modules:
        np.testing.assert_array_equal(load(path, packages={package}).scores(columns), model.scores(columns))


def test_code_in_a_file_is_not_run(path: Path) -> None:
    """A forged file may name any function; nor does the file's own word count on what to trust."""
    with zipfile.ZipFile(path) as archive:
        about = archive.read("gitloop.json")
    hostile = make_pipeline(FunctionTransformer(os.system), LogisticRegression())
    content = skops.io.dumps(hostile)
    path.write_bytes(content)
    rewrite(path, {"gitloop.json": json.dumps(json.loads(about)).encode()})
    with pytest.raises(InputError, match=r"holds posix.system, which is not trusted"):
        load(path)
    with pytest.raises(InputError, match=r"holds posix.system"):
        load(path, packages={"sklearn", "flights"})


def test_what_cannot_be_written_without_pickle_is_said(tmp_path: Path) -> None:
    model, _ = trained("binary", StandardScaler(), LogisticRegression())
    model.pipeline[-1].extra = (number for number in range(3))
    message = (
        r"conf/candidate/mine.yaml: the trained model cannot be written without pickle .*; choose another estimator"
    )
    with pytest.raises(InputError, match=message):
        save(tmp_path / "mine.skops", model)
    assert list(tmp_path.iterdir()) == []
