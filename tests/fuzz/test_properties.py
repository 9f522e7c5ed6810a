"""Random estimators, data and orders of calls: 100 examples of everything that tests.support.fuzz says must hold."""

import numpy as np
import pytest
from hypothesis import given

from tests.support.estimators import ESTIMATORS
from tests.support.fuzz.call_orders import SHARE, STEPS, CallOrders
from tests.support.fuzz.campaign import PROPERTIES
from tests.support.fuzz.known import KNOWN
from tests.support.fuzz.parameters import NUMBERS, values_of
from tests.support.fuzz.profiles import share
from tests.support.fuzz.watch import canonical

TestCallOrders = CallOrders.TestCase
TestCallOrders.settings = share(SHARE, stateful_step_count=STEPS)


@pytest.mark.parametrize("name", PROPERTIES)
def test_property(name):
    part = PROPERTIES[name]
    share(part.share)(given(**part.strategies)(part.check))()


# Drawn with the data, or a part of other properties.
DRAWN_ELSEWHERE = {
    "callbacks",
    "early_stopping",
    "n_channels",
    "validation_gap",
    "validation_split",
}


def test_every_parameter_is_drawn():
    for kind in ESTIMATORS:
        for name, default in kind().get_params(deep=False).items():
            assert name in values_of(kind) or name in DRAWN_ELSEWHERE, (
                f"{name} wants valid values in tests/support/fuzz/parameters.py"
            )
            if isinstance(default, float):
                assert name in NUMBERS, f"{name} is a number"


def test_no_defect_is_known():
    assert KNOWN == []
    assert canonical(np.array([0.0])) != canonical(np.array([-0.0])), "comparisons are to be bit for bit"
