"""What the columns of a table look like in a sample of its rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import duckdb

from gitloop.arrays import ISO, WHITESPACE
from gitloop.data.clean import NUMBERS, as_text
from gitloop.data.places import reason
from gitloop.data.sniff import Opened
from gitloop.data.table import identifier, literal
from gitloop.errors import InputError

SAMPLE = 20_000  # rows that are looked at closely
CELLS = 4_000_000
SURE = ("NA", "N/A", "n/a", "NaN", "nan", "NULL", "null", "#N/A", "?")  # stand for a missing value
TOKENS = (*SURE, "None", "none", "-", "--", "missing", "Missing")  # do among numbers
FEW = 100  # values that are counted exactly
MOST = 20  # columns looked at together: each has tables of its own in memory

WORDS = "true|false|t|f|yes|no|y|n"
OTHER_DATE = r"\d{1,2}[./-]\d{1,2}[./-]\d{2,4}.*|\d{4}[./]\d{1,2}[./]\d{1,2}.*|\d{1,2}[ -][A-Za-z]{3,9}[ -]\d{2,4}.*"
OTHER_DATE += r"|[A-Za-z]{3,9}\.? \d{1,2},? \d{4}.*"
# A date without anything between, or seconds or milliseconds since 1970: among numbers it is the name that decides.
DIGITS = r"(19|20)\d\d(0[1-9]|1[0-2])(0[1-9]|[12]\d|3[01])|[1-9]\d{8,9}(\d{3})?"
POINT, COMMA = r"[+-]?\d*\.\d+([eE][+-]?\d+)?", r"[+-]?\d+,\d+"
THOUSANDS = r"[+-]?[1-9]\d{0,2}[.,]\d{3}"  # tells nothing: the mark may stand between thousands


@dataclass(frozen=True)
class Look:
    """One column in the sample. Counts are of rows; shares of those that hold something."""

    name: str
    kind: str  # DuckDB's type
    rows: int
    filled: int
    distinct: int
    numbers: float  # share that is a number
    whole: bool  # all numbers are whole
    padded: bool  # whole numbers with leading zeros: codes
    words: float  # share that says true or false
    dates: float  # share that is a date or time of ISO 8601
    other_dates: float  # share that is a date in another form
    digits: float  # share that could be one in digits
    length: float  # mean characters
    spaces: float  # mean words
    values: tuple[str, ...] = ()  # all of them, where there are few


def sample(opened: Opened) -> tuple[int, bool]:
    """Make the table `sample` of rows drawn from `raw`; the number of them, and whether they are all."""
    rows = min(SAMPLE, CELLS // max(len(opened.names), 1))
    connection = opened.connection
    try:
        connection.execute("SET threads = 1")  # the draw must not depend on which thread reads what
        connection.execute(
            f"CREATE TABLE sample AS SELECT * FROM raw USING SAMPLE reservoir({rows} ROWS) REPEATABLE (0)"
        )
        connection.execute("SET threads = 2")
    except duckdb.Error as error:
        raise unreadable(opened, error) from error
    drawn = int(connection.execute("SELECT count(*) FROM sample").fetchall()[0][0])
    return drawn, drawn < rows


def unreadable(opened: Opened, error: Exception) -> InputError:
    """What DuckDB found wrong, without values."""
    from gitloop.data.delimited import failure

    if opened.text:
        return failure(opened.shown, error)
    return InputError(f"{opened.shown}: cannot be read as Parquet ({reason(error)}); is it one?")


def decimal(opened: Opened) -> tuple[str, bool]:
    """What stands before the decimals, and whether other columns say otherwise. Parquet has numbers of its own."""
    if not opened.text:
        return ".", False
    point = comma = 0
    for names in parts(opened.names):
        select = []
        for name in names:
            text = _text(name, "VARCHAR")
            few = f"count({text}) * 0.9"
            for own in (POINT, COMMA):
                numbers = rf"{own}|[+-]?\d+"
                select.append(
                    f"count_if(regexp_full_match({text}, {literal(numbers)})) >= {few} AND "
                    f"count_if(regexp_full_match({text}, {literal(own)}) "
                    f"AND NOT regexp_full_match({text}, {literal(THOUSANDS)})) > 0"
                )
        found = opened.connection.execute(f"SELECT {', '.join(select)} FROM sample").fetchall()[0]
        point, comma = point + sum(map(bool, found[::2])), comma + sum(map(bool, found[1::2]))
    return (",", point > 0) if comma > point else (".", comma > 0)


def looks(opened: Opened, comma: bool) -> dict[str, Look]:
    """Every column as it shows in the sample."""
    kinds = {name: str(kind) for name, kind, *_ in opened.connection.execute("DESCRIBE sample").fetchall()}
    found = {}
    for names in parts(opened.names):
        select = [one for name in names for one in _looked(name, kinds[name], comma)]
        row = opened.connection.execute(f"SELECT count(*), {', '.join(select)} FROM sample").fetchall()[0]
        rows, each = row[0], len(select) // len(names)
        for index, name in enumerate(names):
            values = row[1 + index * each : 1 + (index + 1) * each]
            found[name] = _exactly(opened, _look(name, kinds[name], rows, values))
    return found


def parts(names: Sequence[str]) -> list[Sequence[str]]:
    return [names[start : start + MOST] for start in range(0, len(names), MOST)]


def _text(name: str, kind: str) -> str:
    return f"nullif(trim({as_text(identifier(name), kind)}, {literal(WHITESPACE)}), '')"


def _told(name: str, kind: str) -> str:
    """A value as text, without words that stand for a missing one."""
    text = _text(name, kind)
    return f"CASE WHEN {text} IN ({', '.join(map(literal, TOKENS))}) THEN NULL ELSE {text} END"


def _looked(name: str, kind: str, comma: bool) -> list[str]:
    told = _told(name, kind)
    number = f"TRY_CAST(replace({_pointed(told, comma)}, '_', '?') AS DOUBLE)"
    matches = [
        (told, "[+-]?[0-9]+"),
        (told, r"0\d+"),
        (f"lower({told})", WORDS),
        (f"upper({told})", ISO),
        (told, OTHER_DATE),
        (told, DIGITS),
    ]
    return [
        f"count({told})",
        f"approx_count_distinct({told})",
        f"count({number})",
        f"coalesce(bool_and({number} = trunc({number})), false)",
        *(f"count_if(regexp_full_match({one}, {literal(pattern)}))" for one, pattern in matches),
        f"avg(length({told}))",
        f"avg(length({told}) - length(replace({told}, ' ', '')) + 1)",
    ]


def _pointed(text: str, comma: bool) -> str:
    return f"replace({text}, ',', '.')" if comma else text


def _look(name: str, kind: str, rows: int, values: Sequence[Any]) -> Look:
    filled, distinct, numbers, whole, ints, padded, words, dates, others, digits, length, spaces = values
    among = max(filled, 1)
    return Look(
        name=name,
        kind=kind,
        rows=rows,
        filled=filled,
        distinct=min(distinct, filled),
        numbers=numbers / among,
        whole=bool(whole) and (ints or 0) > 0,
        padded=(padded or 0) > 0,
        words=(words or 0) / among,
        dates=(dates or 0) / among,
        other_dates=(others or 0) / among,
        digits=(digits or 0) / among,
        length=length or 0.0,
        spaces=spaces or 0.0,
    )


def _exactly(opened: Opened, look: Look) -> Look:
    """The same, where it matters counted exactly, and with its values by name where there are few."""
    mean = look.numbers < 1 or look.whole
    if not (look.distinct <= FEW or (mean and look.distinct >= 0.8 * look.filled)):
        return look
    told = _told(look.name, look.kind)
    values = f"SELECT DISTINCT {told} AS v FROM sample WHERE v IS NOT NULL"
    if look.distinct > FEW:
        return replace(look, distinct=opened.connection.execute(f"SELECT count(*) FROM ({values})").fetchall()[0][0])
    found = tuple(value for (value,) in opened.connection.execute(f"{values} ORDER BY v").fetchall())
    return replace(look, distinct=len(found), values=found)


def some(opened: Opened, name: str, rows: int = 2000) -> list[str | None]:
    """Values of a column of the sample as text."""
    found = opened.connection.execute(f"SELECT CAST({identifier(name)} AS VARCHAR) FROM sample LIMIT {rows}").fetchall()
    return [value for (value,) in found]


def tokens(opened: Opened, types: Mapping[str, str]) -> list[str]:
    """Words that stand for a missing value: those that always do, and others that stand among numbers or dates."""
    if not opened.text:
        return []
    found: set[str] = set()
    for name, kind in types.items():
        words = TOKENS if kind in ("numeric", "datetime") else SURE
        text = identifier(name)
        query = f"SELECT DISTINCT {text} FROM sample WHERE {text} IN ({', '.join(map(literal, words))})"
        found |= {value for (value,) in opened.connection.execute(query).fetchall()}
    return [token for token in TOKENS if token in found]


def is_number(kind: str) -> bool:
    """Whether DuckDB's type is a number (BOOLEAN is not meant)."""
    return (kind.removeprefix("U") in NUMBERS and kind != "BOOLEAN") or kind.startswith("DECIMAL")
