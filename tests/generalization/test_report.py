"""The report: every number of every bound is in its text, and it survives copies, pickles and JSON."""

import copy
import json
import math
import pickle

import numpy as np
import pytest
import torch

from sklstm.generalization import GeneralizationReport, OccamBound, TuBound, occam_certificate, tu_bound


@pytest.fixture(scope="module")
def theorem_3() -> TuBound:
    rng = np.random.default_rng(0)
    X = rng.standard_normal((30, 3, 2))
    weights = rng.standard_normal((4, 2)), rng.standard_normal((4, 4)), rng.standard_normal((2, 4))
    noise = 0.1 * rng.standard_normal(X.shape)
    return tu_bound(*weights, X, rng.integers(0, 2, 30), sigma=0.1, noise=noise)


@pytest.fixture(scope="module")
def occam() -> OccamBound:
    return occam_certificate({"w": torch.arange(6.0)}, lambda _: 0.1, 5000, zero_one=True)


@pytest.fixture
def report(theorem_3, occam):
    return GeneralizationReport((theorem_3, occam))


def test_mapping(report, theorem_3, occam):
    assert list(report) == ["theorem_3", "occam"]
    assert report["theorem_3"] is theorem_3
    assert report["occam"] is occam
    assert report.bounds == (theorem_3, occam)
    assert len(report) == 2
    assert "theorem_2" not in report
    with pytest.raises(KeyError, match="theorem_2"):
        report["theorem_2"]


def test_fields_of_the_first_bound(report, theorem_3):
    assert report.margin_loss == theorem_3.margin_loss
    assert report.value == theorem_3.value
    assert "margin_loss" in dir(report)
    with pytest.raises(AttributeError, match="neither the report nor its first bound, theorem_3, has 'colour'"):
        report.colour  # noqa: B018


def test_text_has_every_term_and_assumption(report):
    text = str(report)
    for bound in report.bounds:
        for term in bound.terms:
            assert term.name in text
            assert term.meaning in text
            assert getattr(bound, term.name) == term.value
        for sentence in bound.assumptions:
            assert f"- {sentence}" in text
    assert "vacuous (≥ 1: says nothing about an error probability)" in text
    assert "the quantised predictor" in text
    assert "up to the sum of the deltas" in text
    header, rule, first, second = text.splitlines()[:4]
    assert header.split() == ["bound", "value", "about", "vacuous", "delta"]
    for row in (rule, first, second):  # aligned: each column starts where its rule does
        for i, char in enumerate(rule):
            if char == "-" and (i == 0 or rule[i - 1] == " "):
                assert row[i] != " "


def test_large_values_are_in_scientific_notation():
    X = np.ones((3, 1, 1))
    big = tu_bound([[1e9]], [[0.0]], [[1.0], [-1.0]], X, [0, 0, 0])
    assert "e+" in repr(GeneralizationReport([big]))
    infinite = tu_bound([[1.0]], [[1e3]], [[1.0], [-1.0]], np.ones((3, 1000, 1)), [0, 0, 0])
    text = str(GeneralizationReport([infinite]))
    assert "theorem_2 = inf: vacuous" in text
    assert "nan" not in text


def test_repr_is_short(report, occam):
    assert repr(report).startswith("GeneralizationReport(theorem_3=")
    assert f"occam={occam.value:.4g})" in repr(report)


def test_a_capped_loss_says_so():
    bound = occam_certificate({"w": torch.ones(2)}, lambda _: 1.0, 5, scale=8.0)
    text = str(GeneralizationReport([bound]))
    assert "vacuous (≥ 8: says nothing about a mean loss capped at 8)" in text
    assert "M, cap of the loss" in text


@pytest.mark.parametrize("clone", [copy.copy, copy.deepcopy, lambda r: pickle.loads(pickle.dumps(r))])
def test_copies(report, clone):
    twin = clone(report)
    assert twin == report
    assert str(twin) == str(report)
    assert twin.margin_loss == report.margin_loss
    assert torch.equal(twin["occam"].weights["w"], report["occam"].weights["w"])


def test_to_dict_is_json(report, theorem_3):
    plain = json.loads(json.dumps(report.to_dict()))
    assert plain["theorem_3"]["margin_loss"] == theorem_3.margin_loss
    assert plain["theorem_3"]["assumptions"] == list(theorem_3.assumptions)
    assert plain["occam"]["n_bits"] == report["occam"].n_bits
    assert "weights" not in plain["occam"]
    assert all(type(v) in (int, float, str, bool, list) for bound in report.to_dict().values() for v in bound.values())


def test_bounds_are_frozen(theorem_3, occam):
    for bound in (theorem_3, occam):
        with pytest.raises(AttributeError):
            bound.value = math.pi


def test_errors(occam):
    with pytest.raises(ValueError, match="one bound or more"):
        GeneralizationReport([])
    with pytest.raises(ValueError, match="different names"):
        GeneralizationReport([occam, occam])
