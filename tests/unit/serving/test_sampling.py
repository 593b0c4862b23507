"""A draw from the log's files: by id, in shares that are kept, cheap to make."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import sqlalchemy
from journals import START, log, prediction, put, truth

from gitloop.contract import Contract
from gitloop.errors import InputError
from gitloop.serving import database, history, sampling
from gitloop.serving.shipper import Shipper
from gitloop.settings import Log

NAIVE = START.replace(tzinfo=None, minute=0)
COLUMNS = {"age": {"type": "numeric"}, "won": {"type": "boolean", "role": "target"}}
ROWS = 6000


def random_ids(rows: int, seed: int = 0) -> list[str]:
    drawn = np.random.default_rng(seed).bytes(16 * rows)
    return [drawn[16 * row : 16 * row + 16].hex() for row in range(rows)]


def fill(folder: Path, compact: bool = True) -> list[str]:
    ids = random_ids(ROWS)
    given = [prediction(row % 1800, id=id, inputs={"age": 3.0}) for row, id in enumerate(ids)]
    told = [{**truth(row % 1800, True), "id": id} for row, id in enumerate(ids)]
    for name, lines in (("predictions", given), ("feedback", told)):
        separators = (",", ":") if compact else None
        put(folder, name, *(json.dumps(one, separators=separators).encode() + b"\n" for one in lines))
    return ids


def opened(to: Log, most: int | None) -> tuple[float, set[str], set[str]]:
    contract = Contract.model_validate({"task": "binary", "columns": COLUMNS})
    with history.opened(to, contract, NAIVE, NAIVE + history.HOUR, most) as drawn:
        found = [
            {id for (id,) in drawn.connection.execute(f"SELECT id FROM {name}").fetchall()} for name in history.FIELDS
        ]
        return drawn.share, found[0], found[1]


@pytest.mark.parametrize("compact", [True, False])
@pytest.mark.parametrize("most", [100, 1000, 4000])
def test_those_below_a_bound_are_drawn_with_their_truth(most: int, compact: bool, tmp_path: Path) -> None:
    ids = fill(tmp_path / "log", compact)
    share, predictions, feedback = opened(log(tmp_path / "log"), most)
    assert share == pytest.approx(most / ROWS, rel=0.15)
    assert predictions == feedback == {id for id in ids if id < sampling.below(share)}
    assert opened(log(tmp_path / "log"), ROWS * 2)[0] == 1.0


def test_a_database_gives_the_same_draw(tmp_path: Path) -> None:
    ids = fill(tmp_path / "log")
    to = log(tmp_path / "log", url=f"sqlite:///{tmp_path / 'log.db'}")
    Shipper(to, every=1000).close(30)
    share, predictions, feedback = opened(to, 1000)
    assert share == sampling.fraction(ROWS, 1000)
    assert predictions == feedback == {id for id in ids if id < sampling.below(share)}
    window = (NAIVE, NAIVE + 2 * history.HOUR)
    assert (database.count(to, *window), database.unknown(to, *window)) == (ROWS, 0)
    with sqlalchemy.create_engine(str(to.url)).begin() as connection:
        connection.execute(sqlalchemy.delete(database.PREDICTIONS).where(database.PREDICTIONS.c.id == ids[0]))
    assert database.unknown(to, *window) == 1


def test_lines_across_blocks_and_without_an_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sampling, "BLOCK", 100)
    ids = random_ids(300)
    file = tmp_path / "predictions.jsonl"
    file.write_text("\n".join(f'{{"id":"{id}","x":"{"y" * (row % 250)}"}}' for row, id in enumerate(ids)))
    for share in (1 / 16, 0.3, 1.0):
        [into] = sampling.gathered([file, file], share, tmp_path)
        found = [json.loads(line)["id"] for line in into.read_text().splitlines()]
        assert sorted(found) == sorted(2 * [id for id in ids if share == 1 or id < sampling.below(share)])


def test_a_full_disk_and_a_file_that_is_gone(tmp_path: Path) -> None:
    file = put(tmp_path, "predictions", prediction(1))
    [into] = sampling.gathered([tmp_path / "gone", file], 1.0, tmp_path)
    assert into.read_bytes() == file.read_bytes()
    into.unlink()
    into.symlink_to("/dev/full")
    with pytest.raises(
        InputError, match="the log cannot be copied there .No space left on device.; free it, or set TMP"
    ):
        list(sampling.gathered([file], 1.0, tmp_path))


def test_many_files_are_read_in_the_memory_of_one(tmp_path: Path) -> None:
    """DuckDB holds 32 MB for each: with 1 GB thirty would be too many."""
    for number in range(300):
        put(tmp_path / "log", "predictions", prediction(number, id=f"{number:032x}"), of=f"host-{number}")
    assert len(opened(log(tmp_path / "log"), None)[1]) == 300


def test_what_is_no_log_is_told_from_what_is_torn(tmp_path: Path) -> None:
    whole = put(tmp_path, "predictions", prediction(1))
    torn, empty, other = (tmp_path / name for name in ("torn", "empty", "other"))
    torn.write_bytes(b'{"id": "x')
    empty.touch()
    other.write_bytes(b"\x89PNG{not a line}\n" * 10)
    gone = tmp_path / "gone"
    good, bad = sampling.readable([whole, torn, empty, other, gone, tmp_path])
    assert (good, bad) == ([whole, torn, empty], ["other", "gone", tmp_path.name])
