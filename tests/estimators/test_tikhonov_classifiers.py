"""Turkin's penalty beside cross-entropy: what is not the same for all estimators."""

import numpy as np
import pytest
import torch
from scipy.special import softmax
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import log_loss
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from torch import nn

from sklstm import (
    TikhonovGRUClassifier,
    TikhonovLSTMClassifier,
    TikhonovLSTMRegressor,
    certified_accuracy,
    certified_radius,
)
from sklstm.generalization import occam_bound
from sklstm.inspection import GateNormsDisplay, LossCurveDisplay
from sklstm.model_selection import RegularizationPathCV
from sklstm.networks import GRUNetwork, LSTMNetwork
from sklstm.preprocessing import SequenceScaler
from sklstm.tikhonov import feasible_scale, perturbation_gain, tikhonov_gains
from sklstm.training._process import seeded_construction
from tests.support.attacks import random_corner, signed_gradient
from tests.support.coverage import errors_and_ties
from tests.support.problems import late_mean, signed_sum

PLAIN = {"lambda_s": 0, "lambda_1": 0, "lambda_2": 0}
QUICK = {"hidden_size": 6, "max_epochs": 3, "random_state": 0}
BOTH = pytest.mark.parametrize("estimator", [TikhonovLSTMClassifier, TikhonovGRUClassifier])


def three_classes(n=300, seed=0):
    """Terciles of the mean of the first channel over the last three steps."""
    X, y = late_mean(n, seed=seed)
    return X, np.array(["low", "middle", "top"])[np.digitize(y, [-0.25, 0.25])]


@pytest.mark.parametrize("num_layers", [1, 2])
@pytest.mark.parametrize(
    ("estimator", "module_type"), [(TikhonovLSTMClassifier, LSTMNetwork), (TikhonovGRUClassifier, GRUNetwork)]
)
def test_zero_weights_are_the_plain_network_bit_for_bit(estimator, module_type, num_layers):
    X, y = three_classes(100)
    training = {"lr": 0.003, "lr_schedule": "constant", "batch_size": 50, "clip_norm": None}
    model = estimator(num_layers=num_layers, **training, **PLAIN, **QUICK).fit(X, y)
    init_seed, batch_seed, *_ = np.random.RandomState(0).randint(2**31 - 1, size=4)
    with seeded_construction(int(init_seed)):
        module = module_type(2, 6, 3, num_layers=num_layers)
    optimizer = torch.optim.Adam(module.parameters(), lr=0.003, fused=True)
    generator = torch.Generator().manual_seed(int(batch_seed))
    inputs, labels = torch.tensor(X, dtype=torch.float32), torch.tensor(np.searchsorted(model.classes_, y))
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    for _ in range(3):
        for part in torch.randperm(100, generator=generator).split(50):
            optimizer.zero_grad()
            nn.functional.cross_entropy(module(inputs[part]), labels[part]).backward()
            optimizer.step()
    torch.set_num_threads(before)
    for ours, theirs in zip(model.net_.module_.parameters(), module.parameters(), strict=True):
        assert torch.equal(ours, theirs)


@BOTH
@pytest.mark.parametrize("variant", ["turkin", "tight"])
def test_learns_and_ends_feasible_with_the_gains_of_its_weights(estimator, variant):
    X, y = three_classes(500)
    model = estimator(8, variant=variant, max_epochs=30, lr=0.02, random_state=0)
    model.fit(X[:400], y[:400])
    assert model.score(X[400:], y[400:]) > 0.65  # the largest class is 0.4 of them
    assert model.rho_h_ < 1
    module = model.net_.module_
    weight_ih, weight_hh, _, bias_hh = (part.detach().double() for part in module.layers[0])
    gains = tikhonov_gains(weight_ih, weight_hh, bias_hh, variant=variant, cell=module.cell)
    assert (model.rho_x_, model.rho_h_) == (gains.rho_x.item(), gains.rho_h.item())
    readout = module.readout.weight.detach().double()
    assert model.perturbation_gain_ == perturbation_gain([gains], readout, variant=variant).item()


@BOTH
def test_the_objective_is_cross_entropy_plus_the_penalty(estimator):
    X, y = three_classes(64)
    still = QUICK | {"lr": 1e-9, "max_epochs": 1}  # the weights stay where they are
    model = estimator(lambda_s=0.3, **still).fit(X, y)
    loss = log_loss(y, model.predict_proba(X))
    assert model.net_.history[-1, "data_loss"] == pytest.approx(loss, rel=1e-5)
    assert model.net_.history[-1, "penalty"] == pytest.approx(0.3 * model.perturbation_gain_, rel=1e-4)
    assert model.loss_curve_ == [pytest.approx(loss + 0.3 * model.perturbation_gain_, rel=1e-4)]
    # Validation loss has none of it.
    model = estimator(lambda_s=1e6, early_stopping=True, validation_fraction=0.5, **still).fit(X, y)
    assert model.net_.history[-1, "penalty"] > 1e5
    assert model.net_.history[-1, "valid_loss"] < 10


@BOTH
def test_training_starts_at_the_feasible_start(estimator):
    X, y = three_classes(64)
    still = {"hidden_size": 6, "lr": 1e-12, "max_epochs": 1, "random_state": 0, "num_layers": 2}
    model, plain = estimator(**still).fit(X, y), estimator(**PLAIN, **still).fit(X, y)
    layers = [[part.detach() for part in layer] for layer in plain.net_.module_.layers]
    weights_ih, weights_hh, _, biases_hh = zip(*layers, strict=True)
    how = {"variant": model.variant, "cell": plain.net_.module_.cell, "bias_hh": biases_hh}
    scales = feasible_scale(weights_ih, weights_hh, **how)
    for ours, theirs, scale in zip(model.net_.module_.layers, layers, scales, strict=True):
        torch.testing.assert_close(ours[1].detach(), scale * theirs[1])
        torch.testing.assert_close(ours[0].detach(), theirs[0])


def test_lambda_s_trades_fit_for_calm():
    X, y = three_classes()
    models = [
        TikhonovLSTMClassifier(8, lambda_s=lambda_s, max_epochs=25, lr=0.02, random_state=0)
        for lambda_s in (1e-4, 1e-2, 1.0)
    ]
    gains = [model.fit(X, y).perturbation_gain_ for model in models]
    losses = [model.net_.history[-1, "data_loss"] for model in models]
    assert gains[0] > gains[1] > gains[2]
    assert losses[0] < losses[1] < losses[2]


def test_an_infeasible_fit_warns_in_words_to_act_on():
    X, y = signed_sum(200)
    model = TikhonovGRUClassifier(8, lambda_s=1e-9, lambda_1=0, lambda_2=0, lr=0.05, max_epochs=30, random_state=0)
    with pytest.warns(ConvergenceWarning, match=r"GRU is infeasible.*raise lambda_s \(1e-09\)") as record:
        model.fit(X, y)
    assert record[0].filename == __file__
    assert model.perturbation_gain_ == np.inf


@BOTH
def test_outputs_are_logits_and_probabilities_their_softmax(estimator):
    X, y = three_classes(60)
    model = estimator(**QUICK).fit(X, y)
    with torch.no_grad():
        logits = model.net_.module_(torch.tensor(X, dtype=torch.float32)).double().numpy()
    np.testing.assert_allclose(model.decision_function(X), logits, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(model.predict_proba(X), softmax(logits, axis=1), rtol=1e-5)
    two = estimator(**QUICK).fit(X, y == "top")
    p = two.predict_proba(X)[:, 1]
    np.testing.assert_allclose(two.decision_function(X), np.log(p / (1 - p)), rtol=1e-5, atol=1e-6)


@BOTH
def test_the_report_is_the_occam_bound_of_the_quantised_network(estimator):
    X, y = three_classes(600)
    model = estimator(2, max_epochs=30, lr=0.02, random_state=0).fit(X, y)
    report = model.generalization_report(X, y)
    (bound,) = report.bounds
    assert bound.name == "occam"
    assert bound.quantity == "an error probability"
    assert model.generalization_bound_ == bound.value
    small = model.quantized(bound)
    wrong = errors_and_ties(small, X, y)
    assert bound.train_loss == wrong
    assert bound.value == pytest.approx(occam_bound(wrong, bound.n_bits, 600, delta=0.05, zero_one=True), rel=1e-12)
    assert wrong < bound.value < 1
    X_new, y_new = three_classes(5000, seed=1)
    assert np.mean(small.predict(X_new) != y_new) < bound.value
    held_out = model.holdout_bound(X_new, y_new)
    assert held_out.mean_loss == pytest.approx(1 - model.score(X_new, y_new))
    assert report.with_bound(held_out)["holdout"].value < bound.value


@pytest.mark.parametrize("name", ["lambda_s", "sigma"])
def test_stacked_paths_are_separate_ones(name):
    X, y = three_classes(90)
    model = TikhonovLSTMClassifier(4, max_epochs=4, batch_size=16, random_state=0)
    stacked, separate = (
        RegularizationPathCV(model, name, [0.001, 0.03, 1.0], cv=3, strategy=strategy).fit(X, y)
        for strategy in ("stacked", "separate")
    )
    np.testing.assert_allclose(stacked.rho_h_path_, separate.rho_h_path_, rtol=1e-4)
    np.testing.assert_allclose(stacked.data_loss_path_, separate.data_loss_path_, rtol=1e-3)
    np.testing.assert_array_equal(stacked.score_path_, separate.score_path_)
    best = stacked.best_estimator_
    assert best.net_.penalty.of_weights is not None
    np.testing.assert_array_equal(stacked.predict(X), best.predict(X))


def test_the_penalty_makes_radii_larger():
    X, y = signed_sum(200)
    training = {"hidden_size": 8, "lr": 0.01, "max_epochs": 40, "random_state": 0}
    calm, plain = (
        np.median(TikhonovLSTMClassifier(**training, **options).fit(X, y).certified_radius(X[:50]))
        for options in ({}, PLAIN)
    )
    assert calm > 1.5 * plain > 0


@BOTH
def test_no_attack_moves_a_label_within_its_certified_radius(estimator):
    # Three classes: the certificate is about the differences of outputs, by the rows V_j - V_y of the readout.
    X, y = three_classes(200)
    model = estimator(6, max_epochs=15, lr=0.01, random_state=0).fit(X, y)
    X = X[:40]
    radius, labels, module = model.certified_radius(X), model.predict(X), model.net_.module_
    codes = np.searchsorted(model.classes_, labels)
    lower, upper = model.certify(X, radius[:, None, None])
    rows = np.arange(len(X))
    rivals = upper.copy()
    rivals[rows, codes] = -np.inf
    apart = lower[rows, codes] > rivals.max(axis=1)
    assert not apart.all(), "bounds of each output alone would prove less"
    generator = torch.Generator().manual_seed(0)
    for rival in range(3):

        def gap(points, rival=rival):  # what the rival's output lacks to that of the label, as a single output
            outputs = module(points)
            return (outputs[:, rival] - outputs[rows, codes])[:, None]

        inputs, eps = torch.tensor(X, dtype=torch.float32), torch.tensor(radius, dtype=torch.float32)[:, None, None]
        points = [signed_gradient(gap, inputs, eps, 0, 1), *(random_corner(inputs, eps, generator) for _ in range(5))]
        for point in points:
            inside = np.clip(point.detach().numpy().astype(float), *(X + s * radius[:, None, None] for s in (-1, 1)))
            assert (model.predict(inside) == labels).all()
    assert 0 < np.median(radius) < 1
    eps = float(np.median(radius))
    assert model.certified_accuracy(X, labels, eps) == pytest.approx(np.mean(radius > eps), abs=0.03)


def test_labels_are_certified_through_compositions():
    X, y = three_classes(120)
    X, y = [40 + 7 * x[: 6 + i % 5] for i, x in enumerate(X)], y
    lstm = TikhonovLSTMClassifier(4, max_epochs=4, random_state=0)
    pipeline = make_pipeline(SequenceScaler(), lstm)
    search = GridSearchCV(pipeline, {"tikhonovlstmclassifier__lambda_s": [0.001, 0.1]}, cv=2).fit(X, y)
    radius, labels = certified_radius(search, X[:20]), search.predict(X[:20])
    rng = np.random.default_rng(0)
    for _ in range(20):
        nearby = [x + r * rng.choice([-1.0, 1.0], x.shape) for x, r in zip(X[:20], radius, strict=True)]
        assert (search.predict(nearby) == labels).all()
    shares = [certified_accuracy(search, X[:20], y[:20], eps) for eps in (0, 0.01, 1, 100)]
    assert shares[0] == np.mean(labels == y[:20])
    assert shares == sorted(shares, reverse=True)
    assert shares[-1] == 0


@BOTH
def test_displays(estimator):
    pytest.importorskip("matplotlib")
    X, y = three_classes(60)
    model = estimator(num_layers=2, **QUICK).fit(X, y)
    display = GateNormsDisplay.from_estimator(model)
    np.testing.assert_array_equal(display.rho_h, model.rho_h_)
    assert display.cell == model.net_.module_.cell
    curve = LossCurveDisplay.from_estimator(model)
    assert "cross-entropy" in curve.ax_.get_ylabel()


def test_a_regressor_of_two_outputs_has_the_penalty_of_a_classifier_of_two_classes():
    # The same network, start and penalty: what differs is the loss.
    X, y = late_mean(64)
    still = QUICK | {"lr": 1e-12, "max_epochs": 1, "variant": "tight", "lambda_s": 0.001}
    regressor = TikhonovLSTMRegressor(skip="none", **still).fit(X, np.c_[y, -y])
    classifier = TikhonovLSTMClassifier(**still).fit(X, y > 0)
    assert classifier.perturbation_gain_ == pytest.approx(regressor.perturbation_gain_, rel=1e-6)
