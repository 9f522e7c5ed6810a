"""However strong the regularisation, however long the training: a fit ends well, and what it reports is right."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from sklearn.base import is_classifier

from sklstm.certificates._output_bounds import METHODS
from tests.support.estimators import CERTIFIED, ESTIMATORS, GATED

X = np.random.default_rng(0).standard_normal((24, 4, 2))
NOISE = np.random.default_rng(1).standard_normal(24)  # nothing to learn: weights can only shrink


def targets(kind):
    return NOISE > 0 if is_classifier(kind()) else NOISE


def check_reports(model):
    outputs = model._outputs(X)
    assert np.isfinite(outputs).all()
    for name in ("rho_x_", "rho_h_", "perturbation_gain_", "certified_gain_"):
        assert np.all(np.asarray(getattr(model, name, 0.0)) >= 0)  # NaN is not
    if type(model) in CERTIFIED:
        for method in METHODS:
            lower, upper = model.certify(X[:3], 0.1, method=method)
            assert (lower <= outputs[:3].reshape(lower.shape)).all()
            assert (outputs[:3].reshape(upper.shape) <= upper).all()
    if is_classifier(model):
        assert (model.certified_radius(X[:3], rtol=0.5) >= 0).all()
        assert np.isfinite(model.predict_proba(X)).all()


@pytest.mark.parametrize("kind", ESTIMATORS)
@hypothesis_settings(max_examples=4)
@given(st.data(), st.sampled_from(["adam", "adamw"]), st.integers(-2, 4), st.integers(1, 40))
def test_a_fit_ends_well(kind, data, optimizer, decay, n_epochs):
    penalty = {}
    if kind in GATED:
        penalty = {
            "lambda_s": 10.0 ** data.draw(st.integers(-4, 4), "lambda_s"),
            "variant": data.draw(st.sampled_from(["turkin", "tight", "stable"]), "variant"),
            "num_layers": data.draw(st.integers(1, 2), "num_layers"),
        }
    options = {"weight_decay": 10.0**decay, "lr": 1e-4, "optimizer": optimizer, "batch_size": 8, "random_state": 0}
    model = kind(3, max_epochs=n_epochs, **options, **penalty).fit(X, targets(kind))
    check_reports(model)
    assert model.generalization_bound_ >= 0


@pytest.mark.parametrize("kind", ESTIMATORS)
@pytest.mark.parametrize("scale", [0.0, 1e-45, 1e-40, 1e-30, 1e-10])
def test_weights_that_have_vanished_are_reported_rightly(kind, scale):
    model = kind(3, max_epochs=1, batch_size=24, random_state=0).fit(X, targets(kind))
    with torch.no_grad():
        for weight in model.net_.module_.parameters():
            weight.mul_(scale)
    check_reports(model)
    outputs = model._outputs(X)
    lower, upper = model.certify(X[:3], 1.0)
    # Hardly any width is left: the states move by nothing, or times a readout of nothing.
    assert (upper - lower).max() <= 1e-6 + 20 * scale
    assert np.ptp(outputs, axis=0).max() <= 20 * scale
