"""Regression bars on ratios of times: what the benchmarks promise, with slack for a busy machine."""

from functools import partial

import numpy as np
import pytest
import torch
from _loops import lstm
from _timing import compare, pinned
from fit_speed import LOOP, PLAIN, estimator, loops, plain_skorch, regression
from predict_speed import WHOLE, compared

pytestmark = pytest.mark.alone


@pytest.fixture(autouse=True)
def one_thread():
    with torch.random.fork_rng(devices=[]), pinned(1):
        yield


def within(measure, *bars):
    """Values of `measure`, each at most its bar; measured a second time if not, as a disturbance passes."""
    for _ in range(2):
        values = measure()
        if all(value <= bar for value, bar in zip(values, bars, strict=True)):
            return
    pytest.fail(f"{', '.join(f'{value:.2f}' for value in values)}, where at most {bars} was to be")


def test_fit_keeps_up_with_a_loop_by_hand_and_is_ahead_of_skorch():
    X, y = regression()
    epochs = 4
    baseline = {LOOP: loops(X, y, 16, epochs)[LOOP]}
    contenders = {
        "sklstm": partial(estimator, X, y, 16, epochs, **PLAIN),
        "skorch": partial(plain_skorch, X, y, 16, epochs),
    }

    def measure():
        found = compare(baseline, contenders, rounds=3)
        return found["sklstm", LOOP].ratio, found["sklstm", LOOP].ratio / found["skorch", LOOP].ratio

    # The aims are 1.10 of the loop and 1 / 1.25 of skorch.
    within(measure, 1.35, 1 / 1.05)


def test_predict_keeps_up_with_one_forward_pass():
    X, y = regression()
    model = estimator(X[:256], y[:256], 16, 1, **PLAIN)
    module = lstm(X.shape[2], 16)

    def measure():
        return (compared(module, {"sklstm": model}, X, rounds=5, times=5)["sklstm", WHOLE].ratio,)

    # The aim is 1.10.
    within(measure, 1.4)


def test_the_loop_and_the_estimator_without_penalty_do_the_same_work():
    """Else their ratio would say nothing: the same loss, to the accuracy of one seed against another."""
    X, y = regression(512)
    loop = loops(X, y, 16, 30)[LOOP]()
    with torch.no_grad():
        by_hand = loop(torch.from_numpy(X)).numpy()[:, 0]
    ours = estimator(X, y, 16, 30, **PLAIN).predict(X)
    errors = [np.mean((predicted - y) ** 2) / y.var() for predicted in (by_hand, ours)]
    assert max(errors) < 0.2
    assert max(errors) < 3 * min(errors)
