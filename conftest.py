"""For the tests and for the examples in docstrings: pictures are drawn in memory.

Where this file is, pytest puts the folder on the path: tests import ``tests.support``.
"""

import os
import sys
from importlib.util import find_spec

# Before matplotlib is imported: no window, whatever the machine has.
os.environ["MPLBACKEND"] = "Agg"

import pytest

# The modules cannot be imported without the packages that they adapt to.
collect_ignore = [f"sklstm/adapters/{name}.py" for name in ("aeon", "sktime") if find_spec(name) is None]


@pytest.fixture(autouse=True)
def no_figure_stays_open():
    yield
    pyplot = sys.modules.get("matplotlib.pyplot")
    if pyplot is not None:
        pyplot.close("all")
