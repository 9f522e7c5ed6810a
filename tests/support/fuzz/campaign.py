"""All properties, run outside pytest: how many examples each had and what it found."""

import contextlib
import functools
import io
import time
import traceback
import warnings

from hypothesis import Phase, given, seed
from hypothesis.stateful import run_state_machine_as_test

from tests.support.fuzz import bad_input, labelled, valid_input  # noqa: F401  for what they enter into PROPERTIES
from tests.support.fuzz.call_orders import SHARE, STEPS, CallOrders
from tests.support.fuzz.profiles import PROPERTIES, share
from tests.support.fuzz.watch import Finding

CALL_ORDERS = "call_orders"
NAMES = [*PROPERTIES, CALL_ORDERS]


def run(name, *, profile, examples=None, number=None, shrink=True):
    """Run one property; a record of it.

    Parameters
    ----------
    name : str
        One of ``NAMES``.
    profile : {"ci", "long"}
    examples : int, optional
        Of all properties together; by default the profile's.
    number : int, optional
        Seed of the examples, with "long".
    shrink : bool
        Look for the smallest example of a finding.

    Returns
    -------
    dict
        Examples, seconds and findings, each with the example that shows it.
    """
    options = {} if shrink else {"phases": [Phase.generate]}
    start = seed(number) if number is not None else lambda test: test
    count, found, started = [0], [], time.perf_counter()
    with warnings.catch_warnings(), contextlib.redirect_stderr(io.StringIO()):
        warnings.simplefilter("error")
        try:
            if name == CALL_ORDERS:
                chosen = share(SHARE, profile, examples, stateful_step_count=STEPS, **options)
                run_state_machine_as_test(start(_counted_machine(count)), settings=chosen)
            else:
                part = PROPERTIES[name]
                test = given(**part.strategies)(_counted(part.check, count))
                start(share(part.share, profile, examples, **options)(test))()
        except Exception as error:
            found = [_described(one) for one in getattr(error, "exceptions", [error])]
    return {"examples": count[0], "seconds": round(time.perf_counter() - started, 1), "findings": found}


def _counted(check, count):
    @functools.wraps(check)
    def counted(*arguments, **keywords):
        count[0] += 1
        return check(*arguments, **keywords)

    return counted


def _counted_machine(count):
    class Counted(CallOrders):
        def __init__(self):
            super().__init__()
            count[0] += 1

    return Counted


def _described(error):
    text = str(error) if isinstance(error, Finding) else "".join(traceback.format_exception(error, limit=-3))
    return {"what": text, "example": "\n".join(getattr(error, "__notes__", []))}
