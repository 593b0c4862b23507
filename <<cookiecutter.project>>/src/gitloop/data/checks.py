"""Check cleaned rows against the contract with pandera, one chunk at a time."""

from __future__ import annotations

from collections.abc import Collection, Mapping

import numpy as np
import pandas as pd
import pandera.pandas as pa
from pandera.errors import SchemaErrors

from gitloop.contract import Column
from gitloop.data.table import EXACT

UNREAD = "unread:"  # a column of this prefix and a name says where that column could not be read
NOT_READ = {
    "numeric": "not a number",
    "boolean": "not true or false",
    "datetime": "not a date or time (ISO 8601, such as 2013-01-31T14:00:00Z)",
}
SHOWN = 5  # categories named in a rule


def schema(columns: Mapping[str, Column], unread: Collection[str]) -> pa.DataFrameSchema:
    """The contract as pandera sees it: `columns` after cleaning, and a flag for each column in `unread`.

    Types are not checked: cleaning made them. Uniqueness is: but over all chunks, elsewhere.
    """
    flags = {
        UNREAD + name: pa.Column(nullable=True, checks=pa.Check.eq(False, error=NOT_READ[columns[name].type]))
        for name in unread
    }
    return pa.DataFrameSchema(
        {name: pa.Column(nullable=column.nullable, checks=_checks(column)) for name, column in columns.items()} | flags
    )


def _checks(column: Column) -> list[pa.Check]:
    found = []
    if column.type == "numeric":
        found.append(pa.Check(np.isfinite, error="not finite"))
        low, high = column.range or (None, None)
        if low is not None:
            found.append(pa.Check.ge(low, error=f"below {low:.15g}"))
        if high is not None:
            found.append(pa.Check.le(high, error=f"above {high:.15g}"))
        if column.unique or column.has("key"):
            exact = "beyond 2^53, where numbers are not exact: declare it categorical"
            found.append(pa.Check.in_range(-EXACT, EXACT, error=exact))
    if column.categories is not None:
        found.append(pa.Check.isin(column.categories, error=unknown(column)))
    return found


def unknown(column: Column) -> str:
    """The rule that a column with categories keeps."""
    names = column.categories or ()
    return f"not one of {', '.join(names)}" if len(names) <= SHOWN else f"not one of its {len(names)} categories"


def failures(schema: pa.DataFrameSchema, frame: pd.DataFrame) -> pd.DataFrame:
    """What breaks the contract in `frame`: columns row (its index), column, rule, value; ordered by row."""
    try:
        schema.validate(frame, lazy=True)
    except SchemaErrors as error:
        cases = error.failure_cases
        if (lost := cases["index"].isna()).any():  # its text would show values
            column = cases.loc[lost, "column"].iloc[0]
            raise RuntimeError(f"the checks of column {column} could not run") from None
    else:
        return pd.DataFrame({"row": pd.Series(dtype="int64"), "column": [], "rule": [], "value": []})
    unread = cases["column"].str.startswith(UNREAD)
    found = pd.DataFrame(
        {
            "row": cases["index"].astype("int64"),
            "column": cases["column"].str.removeprefix(UNREAD),
            "rule": cases["check"].where(cases["check"] != "not_nullable", "missing"),
            "value": cases["failure_case"],
        }
    )
    cells = pd.MultiIndex.from_frame(found[["row", "column"]])
    emptied = (found["rule"] == "missing") & cells.isin(cells[unread])  # unread, so cleaned to nothing: not missing
    return found[~emptied].sort_values("row", kind="stable")
