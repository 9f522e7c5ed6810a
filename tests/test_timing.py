"""Times of alternating runs, on a clock that drifts."""

import numpy as np
import pytest

from tests.support.timing import compare, paired


class Clock:
    """A machine that gets slower by the same amount with every second that a run takes on it at first."""

    def __init__(self, monkeypatch):
        self.now, self.slowness, self.runs = 0.0, 1.0, []
        monkeypatch.setattr("tests.support.timing.time.perf_counter", lambda: self.now)

    def work(self, name, amount):
        def run():
            self.runs.append(name)
            self.now += amount * self.slowness
            self.slowness += 0.25

        return run


def test_alternating_runs_cancel_drift(monkeypatch):
    clock = Clock(monkeypatch)
    found = compare({"A": clock.work("A", 1)}, {"B": clock.work("B", 3), "C": clock.work("C", 2)}, 4, warm_up=False)
    assert "".join(clock.runs) == "ABACA" * 4
    assert found["B", "A"].ratio == pytest.approx(3, rel=1e-12)
    assert found["C", "A"].quartiles == pytest.approx((2, 2), rel=1e-12)


def test_two_baselines_are_compared_with_each_other_too(monkeypatch):
    clock = Clock(monkeypatch)
    found = compare({"A": clock.work("A", 1), "F": clock.work("F", 1)}, {"B": clock.work("B", 1)}, 2)
    assert "".join(clock.runs) == "AFB" + "AFBFA" * 2
    assert set(found) == {("B", "A"), ("B", "F"), ("F", "A")}
    assert found["F", "A"].ratio == pytest.approx(1, rel=1e-12)


def test_medians_and_quartiles():
    ratios = [1.0, 2.0, 3.0, 4.0, 10.0]
    pair = paired([2 * ratio for ratio in ratios], [2.0] * 5)
    assert (pair.seconds, pair.baseline_seconds, pair.ratio, pair.rounds) == (6.0, 2.0, 3.0, 5)
    assert pair.quartiles == tuple(np.quantile(ratios, [0.25, 0.75]))
