"""Damaged and forged files: a clear error or a model that works, nothing else. The long run is in benchmarks/."""

from collections import Counter

from tests.support import mutations


def test_no_changed_file_does_harm():
    record = mutations.attack(150, seed=1)
    assert record["failures"] == []
    totals = Counter()
    for origin, _, result, count in record["counts"]:
        totals[origin, result] += count
    assert sum(totals.values()) == 150
    # The changes reach what they are meant to reach.
    assert totals["damaged", "error"] > 60
    assert 30 < totals["forged", "error"] < 75
