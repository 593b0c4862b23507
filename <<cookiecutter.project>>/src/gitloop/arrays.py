"""Columns as arrays. The canonical types, in every array and in every Parquet file from `validate` on:

| contract    | Parquet             | array                     | missing |
|-------------|---------------------|---------------------------|---------|
| numeric     | double              | float64                   | NaN     |
| boolean     | bool                | float64 (0, 1)            | NaN     |
| categorical | string              | object (str)              | ""      |
| text        | string              | object (str)              | ""      |
| datetime    | timestamp[us], UTC  | datetime64[us], UTC       | NaT     |
"""

from __future__ import annotations

from typing import Any

import numpy as np

Array = np.ndarray[Any, np.dtype[Any]]
Columns = dict[str, Array]  # name → array of length n

# What is read alike from a table and from a request (gitloop.data.clean, gitloop.serving.request).
WHITESPACE = " \t\n\r\v\f\u00a0\ufeff"  # text loses it at its ends
OFFSET = r"(Z| ?UTC|[+-]\d\d(:?\d\d)?)"
ISO = r"\d{4}-\d\d-\d\d([T ]\d\d:\d\d(:\d\d(\.\d+)?)?(" + OFFSET + ")?)?"  # of upper-case text
