"""Personal data that goes on as a keyed hash: the same value is the same hash, and only who has the key can tell whose.

BLAKE2b with a key (RFC 7693), 128 bits: without the key a hash cannot be found by trying values. The key comes from an
environment variable and is written nowhere.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from gitloop.arrays import WHITESPACE
from gitloop.contract import Column
from gitloop.errors import InputError

KEY = "GITLOOP_PII_KEY"
SHORTEST, LONGEST = 16, 64  # bytes of the key
SIZE = 16  # bytes of a hash


def key(columns: Mapping[str, Column], file: str) -> bytes | None:
    """The key, None where no column needs it. Raises `InputError` where it is not set, or is no key."""
    needing = next((name for name, column in columns.items() if column.hashed), None)
    if needing is None:
        return None
    found = os.environ.get(KEY, "").encode()
    if not found:
        raise InputError(
            f"{file}: columns.{needing}: `pii: hash` needs the environment variable {KEY}; set it to a secret that you "
            "keep, the same each time, or say `pii: drop`"
        )
    if not SHORTEST <= len(found) <= LONGEST:
        raise InputError(f"the environment variable {KEY}: is not {SHORTEST} to {LONGEST} bytes long; set another")
    return found


def schema(fields: pa.Schema, columns: Mapping[str, Column]) -> pa.Schema:
    """The columns with hashes in place of what is hashed."""
    return pa.schema([pa.field(one.name, pa.string()) if _hashed(one.name, columns) else one for one in fields])


def hashes(batch: pa.RecordBatch, columns: Mapping[str, Column], secret: bytes | None) -> pa.RecordBatch:
    """The rows with hashes in place of what is hashed; what is missing stays so."""
    if secret is None:
        return batch
    arrays = [
        _hashes(batch.column(name), columns[name].case, secret) if _hashed(name, columns) else batch.column(name)
        for name in batch.schema.names
    ]
    return pa.RecordBatch.from_arrays(arrays, schema=schema(batch.schema, columns))


def _hashed(name: str, columns: Mapping[str, Column]) -> bool:
    return name in columns and columns[name].hashed


def _hashes(values: pa.Array, case: str | None, secret: bytes) -> pa.Array:
    coded = pc.dictionary_encode(values)
    hashed = [_hash(value, case, secret) for value in coded.dictionary.to_pylist()]
    return pa.array(hashed, pa.string()).take(coded.indices)


def _hash(value: Any, case: str | None, secret: bytes) -> str | None:
    """Read as a label is: white space around it, its case where that is declared, and 1, 1.0 and "1" do not differ."""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    text = "" if value is None or value != value else str(value).strip(WHITESPACE)  # noqa: PLR0124 -- NaN
    text = getattr(text, case)() if case else text
    return hashlib.blake2b(text.encode(), key=secret, digest_size=SIZE).hexdigest() if text else None
