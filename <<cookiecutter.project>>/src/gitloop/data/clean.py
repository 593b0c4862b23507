"""Standardise and cast raw columns to canonical types: one SQL expression a column, for DuckDB.

| contract    | is read from                                                                                      |
|-------------|---------------------------------------------------------------------------------------------------|
| numeric     | numbers and booleans; text that is a number                                                       |
| boolean     | true/false, t/f, yes/no, y/n, 1/0 in any case                                                     |
| categorical | anything, as text: whole numbers without a point, so that 1, 1.0 and "1" are the same label        |
| text        | anything, as text                                                                                 |
| datetime    | dates and times; ISO 8601 text. An offset leads to UTC; without one it is read in the column's     |
|             | `timezone`, or as UTC                                                                             |

Text loses the white space around it; what is blank, and NaN, is missing.
"""

from __future__ import annotations

from typing import NamedTuple

from gitloop.arrays import ISO, OFFSET, WHITESPACE
from gitloop.contract import Column
from gitloop.data.table import EXACT, identifier, literal

NUMBERS = ("BOOLEAN", "TINYINT", "SMALLINT", "INTEGER", "BIGINT", "HUGEINT", "FLOAT", "DOUBLE")
TRUE, FALSE = r"true|t|yes|y|1(\.0)?", r"false|f|no|n|0(\.0)?"


class Cleaned(NamedTuple):
    """SQL for one column."""

    value: str  # of the canonical type; null where nothing is there or it cannot be read
    unread: str | None = None  # true where something is there that cannot be read; None: cannot be
    offset: str | None = None  # text to datetime: true with an offset, false without, null where nothing is read


def cleaned(name: str, column: Column, raw: str) -> Cleaned:
    """How the raw column `name` of DuckDB's type `raw` becomes what the contract says."""
    source = identifier(name)
    if column.type == "numeric":
        return _numeric(source, raw)
    if column.type == "boolean":
        return _boolean(source, raw)
    if column.type == "datetime":
        return _datetime(source, raw, column.timezone)
    return Cleaned(f"{column.case}({_stripped(source, raw)})" if column.case else _stripped(source, raw))


def as_text(source: str, raw: str) -> str:
    """A value of any type as text, the same text for the same value whatever numeric type it was kept in."""
    if raw == "VARCHAR":
        return source
    if raw in ("FLOAT", "DOUBLE") or (raw.startswith("DECIMAL") and not raw.endswith(",0)")):
        number = f"CAST({source} AS DOUBLE)"
        shown = number if raw.startswith("DECIMAL") else source  # 0.1 as FLOAT is not 0.1 as DOUBLE
        return (
            f"CASE WHEN isnan({number}) THEN NULL WHEN {number} = trunc({number}) AND abs({number}) <= {EXACT} "
            f"THEN CAST(CAST({number} AS BIGINT) AS VARCHAR) ELSE CAST({shown} AS VARCHAR) END"
        )
    return f"CAST({source} AS VARCHAR)"


def _stripped(source: str, raw: str) -> str:
    return f"nullif(trim({as_text(source, raw)}, {literal(WHITESPACE)}), '')"


def _numeric(source: str, raw: str) -> Cleaned:
    if raw.removeprefix("U") in NUMBERS or raw.startswith("DECIMAL"):
        number = f"CAST({source} AS DOUBLE)"
        return Cleaned(f"CASE WHEN isnan({number}) THEN NULL ELSE {number} END")
    text = _stripped(source, raw)
    number = f"TRY_CAST(replace({text}, '_', '?') AS DOUBLE)"  # DuckDB takes 2024_01 for 202401
    value = f"CASE WHEN isnan({number}) THEN NULL ELSE {number} END"
    return Cleaned(value, f"({text} IS NOT NULL AND {number} IS NULL)")


def _boolean(source: str, raw: str) -> Cleaned:
    if raw == "BOOLEAN":
        return Cleaned(source)
    text = f"lower({_stripped(source, raw)})"
    # Patterns, because DuckDB turns a longer IN (…) into a join, which loses the order of the rows.
    yes, no = (f"regexp_full_match({text}, {literal(words)})" for words in (TRUE, FALSE))
    value = f"CASE WHEN {yes} THEN true WHEN {no} THEN false END"
    return Cleaned(value, f"({text} IS NOT NULL AND {value} IS NULL)")


def _datetime(source: str, raw: str, timezone: str | None) -> Cleaned:
    if raw.startswith("TIMESTAMP WITH TIME ZONE") or raw.startswith("TIMESTAMPTZ"):
        return Cleaned(f"timezone('UTC', CAST({source} AS TIMESTAMPTZ))")
    if raw.startswith("TIMESTAMP") or raw == "DATE":
        return Cleaned(_utc(f"CAST({source} AS TIMESTAMP)", timezone))
    text = _stripped(source, raw)
    # Stricter than DuckDB's cast, which takes `infinity`, `epoch` and names of time zones.
    iso = f"CASE WHEN regexp_full_match(upper({text}), {literal(ISO)}) THEN upper({text}) END"
    offset = f"regexp_matches({iso}, {literal('[T ].*' + OFFSET + '$')})"
    # A cast to TIMESTAMP would drop the offset silently, so each kind has its own.
    value = (
        f"CASE WHEN {offset} THEN timezone('UTC', TRY_CAST({iso} AS TIMESTAMPTZ)) "
        f"ELSE {_utc(f'TRY_CAST({iso} AS TIMESTAMP)', timezone)} END"
    )
    return Cleaned(value, f"({text} IS NOT NULL AND {value} IS NULL)", offset)


def _utc(naive: str, timezone: str | None) -> str:
    if timezone in (None, "UTC"):
        return naive
    return f"timezone('UTC', timezone({literal(str(timezone))}, {naive}))"
