"""What src/<package>/features.py derives is what it says. Yours to change with it."""

import numpy as np
import pytest


@pytest.mark.parametrize(("ldl", "hdl", "ratio"), [(120.0, 60.0, 2.0), (50.0, 100.0, 0.5), (0.0, 40.0, 0.0)])
def test_the_ratio_is_ldl_over_hdl(derive, ldl, hdl, ratio):
    derived = derive({"ldl": np.array([ldl]), "hdl": np.array([hdl])})
    assert derived["ldl_to_hdl"].tolist() == [ratio]


def test_what_is_missing_stays_missing(derive):
    derived = derive({"ldl": np.array([np.nan, 100.0]), "hdl": np.array([50.0, np.nan])})
    assert np.isnan(derived["ldl_to_hdl"]).all()


def test_each_row_is_derived_from_itself_alone(derive):
    together = derive({"ldl": np.array([100.0, 90.0]), "hdl": np.array([50.0, 30.0])})
    alone = derive({"ldl": np.array([90.0]), "hdl": np.array([30.0])})
    assert together["ldl_to_hdl"][1] == alone["ldl_to_hdl"][0]
