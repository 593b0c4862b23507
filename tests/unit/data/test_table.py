"""Tables: what exceeds memory goes to disk, and a disk without room is said so."""

from __future__ import annotations

import pytest

from gitloop.data import table
from gitloop.errors import InputError

SORT = "SELECT count(*) FROM (SELECT md5(range::varchar) AS x FROM range(3000000) ORDER BY x LIMIT 2999999)"


def test_what_exceeds_memory_is_spilled() -> None:
    with table.connect("150MB") as connection:
        assert connection.execute(SORT).fetchall() == [(2999999,)]


def test_no_room_to_spill_is_a_clear_error() -> None:
    said = "has no room for what exceeds memory .*; free it, or set TMPDIR"
    with pytest.raises(InputError, match=said), table.connect("150MB") as connection:
        connection.execute("SET max_temp_directory_size = '1MB'")
        connection.execute(SORT).fetchall()


def test_names_and_texts_cannot_leave_their_quotes() -> None:
    name, text = 'a"; DROP TABLE t; --', "it's; DROP TABLE t; --"
    with table.connect() as connection:
        found = connection.sql(f"SELECT {table.literal(text)} AS {table.identifier(name)}")
        assert (found.columns, found.fetchall()) == ([name], [(text,)])
