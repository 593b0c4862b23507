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
