"""What callers send: types made from the signature, so that the API is the contract, and rows as canonical columns.

A value is read as gitloop.data.clean reads it from a table, so that the same row is the same row everywhere.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from functools import partial
from typing import Annotated, Any, Literal
from zoneinfo import ZoneInfo

import numpy as np
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, create_model
from pydantic_core import ErrorDetails, PydanticCustomError

from gitloop.arrays import ISO, WHITESPACE, Columns
from gitloop.contract import Column, Contract
from gitloop.serving.journal import loggable
from gitloop.serving.signature import Signature
from gitloop.settings import nearest

ID = r"^[0-9a-f]{32}$"
SPECIAL = {"ß": "ẞ", "İ": "i"}  # where DuckDB's one letter is not Python's
SHOWN = 20  # problems told at once
NAMED = 100  # letters of an unknown field's name that are told
MISSING = PydanticCustomError("missing", "is missing; give a value")


class Body(BaseModel):
    """What is not declared is refused, and a number is not taken for text or the other way round."""

    model_config = ConfigDict(extra="forbid", strict=True, hide_input_in_errors=True)


def row_type(signature: Signature) -> type[Body]:
    """One row: the model's inputs and, as may be sent along for the log, its passengers."""
    fields = [_field(name, column, optional=column.nullable) for name, column in signature.inputs.items()]
    fields += [_field(name, column, optional=True) for name, column in signature.passengers.items()]
    # Columns may have any name, fields of pydantic may not: they are numbered, in the order of `names`.
    numbered: dict[str, Any] = {f"f{index}": field for index, field in enumerate(fields)}
    return create_model("Row", __base__=Body, __doc__="One row, as the contract declares it.", **numbered)


def names(signature: Signature) -> list[str]:
    """The columns of a row."""
    return [*signature.inputs, *signature.passengers]


def truth_type(contract: Contract) -> type[Body]:
    """What came true of one prediction."""
    kind = _TYPES[contract.columns[contract.target].type](contract.columns[contract.target])
    about = described(contract.columns[contract.target])
    fields: dict[str, Any] = {
        "id": (Annotated[str, Field(pattern=ID, description="The prediction's id")], ...),
        "truth": (Annotated[kind, Field(description=about)], ...),
    }
    return create_model("Truth", __base__=Body, __doc__="What came true of a prediction.", **fields)


def _field(name: str, column: Column, *, optional: bool) -> tuple[Any, Any]:
    kind = _TYPES[column.type](column)
    field = Field(alias=name, title=name, description=described(column))
    if optional:
        return Annotated[kind | None, field], None
    return Annotated[kind, field], ...


def described(column: Column) -> str | None:
    """What callers are told of a column: what it is, and its unit."""
    unit = f"in {column.unit}" if column.unit else None
    return ", ".join(part for part in (column.description, unit) if part) or None


def _numeric(column: Column) -> Any:
    low, high = column.range or (None, None)
    return Annotated[float, Field(ge=low, le=high, allow_inf_nan=False)]


def _categorical(column: Column) -> Any:
    read = BeforeValidator(partial(_text, case=column.case, may_miss=column.nullable))
    if column.categories:
        listed = (*column.categories, "") if column.nullable else column.categories
        return Annotated[Literal[listed], read]
    return Annotated[str, read]


def _boolean(_: Column) -> Any:
    return bool


def _datetime(column: Column) -> Any:
    read = BeforeValidator(partial(_instant, zone=ZoneInfo(column.timezone or "UTC")))
    return Annotated[datetime, read, Field(json_schema_extra={"type": "string", "format": "date-time"})]


_TYPES: dict[str, Callable[[Column], Any]] = {
    "numeric": _numeric,
    "boolean": _boolean,
    "categorical": _categorical,
    "text": _categorical,
    "datetime": _datetime,
}


def _text(value: Any, case: str | None, may_miss: bool) -> Any:
    """Text without white space around it, in the contract's case; whole numbers as text."""
    if isinstance(value, bool) or value is None:
        return value
    if isinstance(value, float) and value.is_integer() and abs(value) <= 2**53:
        value = int(value)
    if isinstance(value, int):
        value = str(value)
    if not isinstance(value, str):
        return value
    text = value.strip(WHITESPACE)
    if not text and not may_miss:
        raise MISSING
    if "\0" in text:
        raise PydanticCustomError("text", "holds the character U+0000; leave it out")
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise PydanticCustomError("text", "holds half a surrogate pair; send whole characters") from error
    return cased(text, case) if case else text


def cased(text: str, case: str) -> str:
    """In upper or lower case, letter by letter, as DuckDB does it."""
    if text.isascii():
        return text.upper() if case == "upper" else text.lower()
    return "".join(_letter(letter, case) for letter in text)


def _letter(letter: str, case: str) -> str:
    if SPECIAL.get(letter, letter) != letter and (case == "upper") == (letter == "ß"):
        return SPECIAL[letter]
    for form in (letter.upper(), letter.title()) if case == "upper" else (letter.lower(),):
        if len(form) == 1:
            return form
    return letter


def _instant(value: Any, zone: ZoneInfo) -> Any:
    """ISO 8601 text as a naive datetime in UTC; without an offset it was read off in `zone`."""
    if value is None:
        return None
    text = value.strip(WHITESPACE).upper() if isinstance(value, str) else ""
    if not re.fullmatch(ISO, text, re.ASCII):
        raise PydanticCustomError("datetime", "is not a date and time; send ISO 8601 text like 2024-05-31T12:00:00Z")
    try:
        time = datetime.fromisoformat(re.sub(r" ?UTC$", "Z", text))
        if time.tzinfo is None:  # of an hour that the clocks repeat the later, as DuckDB takes it
            time = max(time.replace(tzinfo=zone, fold=fold).astimezone(UTC) for fold in (0, 1))
        return time.astimezone(UTC).replace(tzinfo=None)
    except (ValueError, OverflowError) as error:
        raise PydanticCustomError("datetime", "is no day or time that there is; correct it") from error


class Rows:
    """Turns rows into the model's input and into what is logged of them."""

    def __init__(self, signature: Signature) -> None:
        fields = {name: f"f{index}" for index, name in enumerate(names(signature))}
        self._inputs = [
            (name, fields[name], _EMPTY[column.type], _DTYPE[column.type]) for name, column in signature.inputs.items()
        ]
        columns = signature.inputs | signature.passengers
        self._logged = [(name, fields[name]) for name in loggable(columns)]

    def columns(self, rows: Sequence[BaseModel]) -> Columns:
        """The signature's inputs in canonical types, n rows."""
        held = [row.__dict__ for row in rows]
        return {
            name: np.array([empty if row[field] is None else row[field] for row in held], dtype=dtype)
            for name, field, empty, dtype in self._inputs
        }

    def logged(self, row: BaseModel) -> dict[str, Any]:
        """Column → value as JSON; what was not sent is left out."""
        held = row.__dict__
        return {
            name: value.isoformat() if isinstance(value, datetime) else value
            for name, field in self._logged
            if (value := held[field]) is not None
        }


_EMPTY: dict[str, Any] = {
    "numeric": np.nan,
    "boolean": np.nan,
    "categorical": "",
    "text": "",
    "datetime": np.datetime64("NaT"),
}
_DTYPE: dict[str, Any] = {
    "numeric": np.float64,
    "boolean": np.float64,
    "categorical": object,
    "text": object,
    "datetime": "datetime64[us]",
}


def problems(error: ValidationError, known: Sequence[str]) -> list[dict[str, str]]:
    """What is wrong with a body: `field` (a path) and `problem`, without any value that was sent."""
    return [
        {"field": ".".join(str(part)[:NAMED] for part in one["loc"]) or "body", "problem": _problem(one, known)}
        for one in error.errors(include_url=False, include_context=False)[:SHOWN]
    ]


def _problem(one: ErrorDetails, known: Sequence[str]) -> str:
    if one["type"] == "extra_forbidden":
        return "is not a field" + nearest(str(one["loc"][-1])[:NAMED], known)
    if one["type"] == "missing" or (one["loc"] and one["input"] is None):
        return "is missing; give a value"
    message = one["msg"]
    return message[0].lower() + message[1:]
