"""For the tests and for the examples in docstrings: pictures are drawn in memory.

Where this file is, pytest puts the folder on the path: tests import ``tests.support``.
"""

import os
import sys

# Before matplotlib is imported: no window, whatever the machine has.
os.environ["MPLBACKEND"] = "Agg"

import pytest


@pytest.fixture(autouse=True)
def no_figure_stays_open():
    yield
    pyplot = sys.modules.get("matplotlib.pyplot")
    if pyplot is not None:
        pyplot.close("all")
