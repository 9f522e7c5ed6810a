"""The report: what its columns claim is true, and it survives copies, pickles and JSON."""

import copy
import importlib
import json
import math
import pickle
import pkgutil
import sys
from dataclasses import dataclass, is_dataclass, replace

import numpy as np
import pytest
import torch
from scipy.stats import binom

from sklstm import generalization
from sklstm.generalization import GeneralizationReport, holdout_bound, kl_inverse, occam_certificate
from tests.support.toy_bounds import TRAIN_LOSS, N, Toy, holdout_at, occam_at, theorem_3_at

# ---------------------------------------------------------------------------------------------- the mapping


def test_mapping_is_tightest_first(report, theorem_3, occam):
    assert occam.value < 1 < theorem_3.value
    assert list(report) == ["occam", "theorem_3"]
    assert report["theorem_3"] is theorem_3
    assert report["occam"] is occam
    assert report.bounds == (occam, theorem_3)
    assert len(report) == 2
    assert "theorem_2" not in report
    with pytest.raises(KeyError, match="theorem_2"):
        report["theorem_2"]


def test_fields_of_the_bound_given_first(report, theorem_3):
    """The estimator's principal bound keeps its fields, wherever the table puts it."""
    assert report.margin_loss == theorem_3.margin_loss
    assert report.value == theorem_3.value
    assert "margin_loss" in dir(report)
    with pytest.raises(AttributeError, match="neither the report nor its first bound, theorem_3, has 'colour'"):
        report.colour  # noqa: B018


def test_order():
    toys = [
        Toy("infinite", math.inf),
        Toy("wide", 0.5, ceiling=8.0),  # 0.19 of its ceiling, though the value is the largest finite one
        Toy("tie, first", 0.1),
        Toy("narrow", 0.01, ceiling=0.04),
        Toy("tie, second", 0.1),
        Toy("also infinite", math.inf, ceiling=math.inf),
        Toy("unbounded loss", 7.0, ceiling=math.inf),
    ]
    report = GeneralizationReport(toys)
    expected = ["unbounded loss", "wide", "tie, first", "tie, second", "narrow", "infinite", "also infinite"]
    assert list(report) == expected
    assert report.name == "infinite"
    assert [bound.name for bound in report.bounds] == expected


# ------------------------------------------------------------------------------------------- read together


def test_together_is_each_bound_computed_anew_at_its_share(theorem_3, occam, holdout):
    report = GeneralizationReport((theorem_3, occam, holdout))
    assert report.delta == 0.05
    shared = report.simultaneous()
    anew = {"occam": occam_at(0.05 / 2), "holdout": holdout_at(0.05 / 2)}
    for name, bound in anew.items():
        assert shared[name].value == pytest.approx(bound.value, rel=1e-12)
        assert shared[name].value > report[name].value
        assert shared[name].delta == pytest.approx(0.05 / 2)
        assert report.to_dict()[name]["together"] == shared[name].value
    assert sum(bound.delta for bound in shared.bounds if bound.can_fail) == pytest.approx(0.05)
    # A second way to the number.
    chernoff = kl_inverse(TRAIN_LOSS, (occam.n_bits * math.log(2) + math.log(2 / 0.05)) / N)
    assert TRAIN_LOSS < shared["occam"].value <= chernoff


def test_what_can_never_fail_takes_no_share(theorem_3, occam):
    """Theorems 2 and 3 are never below 1: to read them beside another bound costs that one nothing."""
    report = GeneralizationReport((theorem_3, occam))
    assert report.simultaneous()["occam"] is occam
    assert report.simultaneous()["theorem_3"] is theorem_3
    assert "since only occam can fail" in str(report)
    sure = GeneralizationReport([theorem_3, Toy("sure", 1.0, delta=0.3, can_fail=False)])
    assert sure.delta == 0.3, "of these every δ holds"
    assert "since none of them can fail" in str(sure)
    shared = report.with_bound(theorem_3_union := replace(theorem_3, norms="union"), holdout_at(0.05))
    assert not theorem_3_union.can_fail
    assert {bound.delta for bound in shared.simultaneous().bounds if bound.can_fail} == {0.025}
    assert "since the δ of those that can fail, 0.025 each, add up to 0.05" in str(shared)


def test_simultaneous_bounds_need_no_second_division(report):
    shared = report.simultaneous()
    assert shared.delta == report.delta
    for bound in shared.bounds:
        assert shared.to_dict()[bound.name]["together"] == bound.value
    assert shared.simultaneous() == shared
    assert shared.margin_loss == report.margin_loss


def test_one_bound_keeps_its_delta(occam):
    report = GeneralizationReport([occam])
    assert report.delta == 0.05
    assert report.simultaneous()["occam"] is occam
    assert GeneralizationReport([occam], delta=0.01).simultaneous()["occam"].delta == pytest.approx(0.01)
    assert GeneralizationReport([occam], delta=0.01)["occam"] is occam


def test_different_deltas_add_up(theorem_3, occam, holdout):
    report = GeneralizationReport([theorem_3, occam, holdout.at_delta(0.01)])
    assert report.delta == pytest.approx(0.06)
    assert report.simultaneous()["occam"] is occam, "the sum is paid: together is each bound as it is"
    assert report.simultaneous()["holdout"].delta == 0.01
    smaller = GeneralizationReport([theorem_3, occam, holdout.at_delta(0.01)], delta=0.03)
    shared = smaller.simultaneous()
    assert shared["occam"].delta == pytest.approx(0.025)
    assert shared["holdout"].delta == pytest.approx(0.005)
    assert shared["holdout"].value == pytest.approx(holdout_at(0.005).value)
    with pytest.raises(ValueError, match="add up to 1 or more"):
        GeneralizationReport([occam.at_delta(0.6), holdout.at_delta(0.5)])
    assert GeneralizationReport([occam.at_delta(0.6), holdout.at_delta(0.5)], delta=0.1).delta == 0.1


def test_with_bound(report, holdout):
    longer = report.with_bound(holdout)
    assert "holdout" not in report
    assert set(longer) == {"theorem_3", "occam", "holdout"}
    assert longer.name == "theorem_3"
    assert longer.delta == 0.05
    assert longer == GeneralizationReport([report["theorem_3"], report["occam"], holdout])
    assert longer.simultaneous()["occam"].delta == pytest.approx(0.05 / 2), "the share shrinks: it is another report"
    assert report.with_bound(holdout.at_delta(0.01)).delta == pytest.approx(0.05 + 0.01)
    fixed = GeneralizationReport(report.bounds, delta=0.02).with_bound(holdout.at_delta(0.01), Toy("toy", 1.0))
    assert fixed.delta == 0.02
    assert len(fixed) == 4
    with pytest.raises(ValueError, match="different names"):
        longer.with_bound(holdout)


def test_tightest(theorem_3, occam, holdout):
    report = GeneralizationReport([theorem_3, occam, holdout])
    best = report.tightest
    assert best == occam.at_delta(0.05 / 2)
    assert best.value == min(bound.value for bound in report.simultaneous().bounds)
    assert GeneralizationReport([theorem_3]).tightest is None
    only_alone = GeneralizationReport([Toy("a", 0.3), Toy("b", 0.4)])
    assert not only_alone["a"].vacuous
    assert only_alone.simultaneous()["a"].vacuous
    assert only_alone.tightest is None


def test_coverage_of_bounds_read_together():
    """Four predictors of known error: one of the values fails too often, one of "together" no oftener than δ."""
    rng = np.random.default_rng(0)
    truth, n, delta, runs = 0.3, 400, 0.2, 1000
    names = ("a", "b", "c", "capped")
    alone, together, chosen = np.zeros(runs, bool), np.zeros(runs, bool), np.zeros(runs, bool)
    for i in range(runs):
        losses = rng.uniform(size=(4, n)) < truth
        bounds = [holdout_bound(losses[j], name=names[j], delta=delta) for j in range(3)]
        bounds.append(holdout_bound(losses[3], name="capped", cap=1.0, delta=delta))
        report = GeneralizationReport(bounds)
        alone[i] = min(bound.value for bound in report.bounds) < truth
        together[i] = min(bound.value for bound in report.simultaneous().bounds) < truth
        chosen[i] = report.tightest.value < truth
    slack = 3 * math.sqrt(delta * (1 - delta) / runs)
    assert alone.mean() > delta + slack, "else dividing δ would be for nothing"
    assert 0 < together.mean() <= delta + slack
    assert np.array_equal(chosen, together), "all ceilings are equal, so the tightest is the smallest"

    # The same probabilities without drawing: the samples are independent, and a sample is a count.
    k = np.arange(n + 1)

    def fails(level, cap):
        limits = [holdout_bound(np.arange(n) < j, cap=cap, delta=level).value for j in k]
        return binom.pmf(k, n, truth)[np.array(limits) < truth].sum()

    for level, seen in ((delta, alone.mean()), (delta / 4, together.mean())):
        exact = 1 - (1 - fails(level, None)) ** 3 * (1 - fails(level, 1.0))
        assert seen == pytest.approx(exact, abs=4 * math.sqrt(exact * (1 - exact) / runs))


def test_at_delta(theorem_3, occam):
    assert theorem_3.at_delta(0.01) == theorem_3_at(0.01)
    assert occam.at_delta(0.01) == occam_at(0.01)
    capped = occam_certificate(
        {"w": torch.arange(9.0)}, lambda _: 0.07, 900, scale=3.0, delta_weight=0.1, delta=0.2, candidates=(4,)
    )
    anew = occam_certificate(
        {"w": torch.arange(9.0)}, lambda _: 0.07, 900, scale=3.0, delta_weight=0.1, delta=1e-5, candidates=(4,)
    )
    moved = capped.at_delta(1e-5)
    assert moved == replace(anew, value=moved.value)
    assert moved.value == pytest.approx(anew.value, rel=1e-12)
    assert moved.value / 3 == pytest.approx(
        kl_inverse(0.07, (anew.n_bits * math.log(2) + math.log(1 / (1e-5 * 0.1))) / 900)
    )
    assert moved.budget > capped.budget
    for bound in (theorem_3, occam, capped):
        assert bound.at_delta(bound.delta).value == pytest.approx(bound.value, rel=1e-15)
        for bad in (0.0, 1.0, math.nan, -1):
            with pytest.raises(ValueError, match="delta must lie strictly between 0 and 1"):
                bound.at_delta(bad)
    infinite = replace(theorem_3, norm_term=math.inf, value=math.inf)
    assert infinite.at_delta(1e-9).value == math.inf


# ---------------------------------------------------------------------------------- copies, dicts and frames


@pytest.mark.parametrize("clone", [copy.copy, copy.deepcopy, lambda r: pickle.loads(pickle.dumps(r))])
def test_copies(report, clone):
    twin = clone(report)
    assert twin == report
    assert str(twin) == str(report)
    assert twin.margin_loss == report.margin_loss
    assert torch.equal(twin["occam"].weights["w"], report["occam"].weights["w"])


def test_equality(report, theorem_3, occam):
    assert report != GeneralizationReport([occam, theorem_3]), "another bound speaks for the report"
    assert report != GeneralizationReport([theorem_3, occam], delta=0.04)
    assert report == {"occam": occam, "theorem_3": theorem_3}


def test_to_dict_is_json(report, theorem_3):
    plain = json.loads(json.dumps(report.to_dict(), allow_nan=False))
    assert list(plain) == ["occam", "theorem_3"]
    assert plain["theorem_3"]["margin_loss"] == theorem_3.margin_loss
    assert plain["theorem_3"]["assumptions"] == list(theorem_3.assumptions)
    assert plain["occam"]["n_bits"] == report["occam"].n_bits
    assert plain["occam"]["about"] == "the quantised predictor"
    assert plain["theorem_3"]["ceiling"] == 1
    assert plain["theorem_3"]["quantity"] == "an error probability"
    assert {bound["report_delta"] for bound in plain.values()} == {0.05}
    assert {bound["together_delta"] for bound in plain.values()} == {0.05}
    assert plain["occam"]["together"] == report.simultaneous()["occam"].value
    assert plain["occam"]["together_informative"] is False, "of the best constant guess nothing is known"
    assert plain["theorem_3"]["guess"] == report["theorem_3"].guess > 0
    assert "weights" not in plain["occam"]
    assert all(
        type(v) in (int, float, str, bool, list, type(None))
        for bound in report.to_dict().values()
        for v in bound.values()
    )
    numpy_numbers = GeneralizationReport([Toy("toy", np.float64(0.01), ceiling=np.float32(1))]).to_dict()["toy"]
    assert type(numpy_numbers["price"]) is float
    assert type(numpy_numbers["ceiling"]) is float


def test_to_frame(report):
    frame = report.to_frame()
    assert list(frame.index) == list(report)
    assert frame.index.name == "bound"
    plain = report.to_dict()
    for name in report:
        for column in ("value", "together", "about", "delta", "together_delta", "informative", "together_informative"):
            assert frame.loc[name, column] == plain[name][column]
        assert frame.loc[name, "bounds"] == plain[name]["quantity"]


def test_to_frame_without_pandas(report, monkeypatch):
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(
        ImportError, match="to_frame needs pandas, which is not installed: pip install pandas, or use to_dict"
    ):
        report.to_frame()


def test_bounds_are_frozen(theorem_3, occam):
    for bound in (theorem_3, occam):
        with pytest.raises(AttributeError):
            bound.value = math.pi


def test_errors(occam):
    with pytest.raises(ValueError, match="at least one bound"):
        GeneralizationReport([])
    with pytest.raises(ValueError, match="different names"):
        GeneralizationReport([occam, occam])
    for delta in (0.0, 1.0, math.nan):
        with pytest.raises(ValueError, match="delta must lie strictly between 0 and 1"):
            GeneralizationReport([occam], delta=delta)
    with pytest.raises(ValueError, match="bad is NaN"):
        GeneralizationReport([Toy("bad", math.nan)])


def test_bounds_from_elsewhere():
    @dataclass(frozen=True)
    class Bare:
        name: str = "bare"
        value: float = 0.1
        delta: float = 0.05

    with pytest.raises(TypeError, match=r"Bare cannot be in a report: it has no can_fail, .*, at_delta"):
        GeneralizationReport([Bare()])

    class Rigid(Toy):
        at_delta = None

    with pytest.raises(TypeError, match="Rigid cannot be in a report: it has no at_delta"):
        GeneralizationReport([Rigid("rigid", 0.1)])


def test_every_bound_is_public():
    found = set()
    for module in pkgutil.walk_packages(generalization.__path__, "sklstm.generalization."):
        for name, kind in vars(importlib.import_module(module.name)).items():
            last = isinstance(kind, type) and not kind.__subclasses__()  # not what bounds have in common
            if last and is_dataclass(kind) and hasattr(kind, "at_delta"):
                found.add(name)
    assert found >= {"HoldoutBound", "OccamBound", "TuBound"}
    assert found - set(generalization.__all__) == set(), "wants its name in generalization/__init__.py"
