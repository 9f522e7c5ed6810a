"""The Occam bound of the estimators: of a decodable predictor, far below chance where a short network exists."""

import pickle
from dataclasses import replace

import numpy as np
import pytest
import torch
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sklstm import Compression, NoisyRNNClassifier, TikhonovGRURegressor, TikhonovLSTMRegressor, generalization_report
from sklstm.generalization import Description, occam_bound, smallest_eigenvalue
from sklstm.preprocessing import SequenceScaler
from sklstm.tikhonov import tikhonov_gains
from tests.support.coverage import errors_and_ties, quantised
from tests.support.problems import late_mean, signed_sum

FAST = {"epochs": 6, "stage_epochs": 1, "n_stages": 2, "n_trials": 15, "coarseness": (16.0,)}


def classes(n=1500, n_steps=5, seed=0):
    return signed_sum(n, n_steps=n_steps, seed=seed)


def classifier(**compression):
    return NoisyRNNClassifier(8, max_epochs=3, compression=Compression(**FAST | compression), random_state=0)


@pytest.fixture(scope="module")
def fitted():
    X, y = classes()
    return classifier(hidden_size=2, epochs=30, n_trials=60, n_starts=2).fit(X, y), X, y


@pytest.fixture(scope="module")
def report(fitted):
    model, X, y = fitted
    return model.generalization_report(X, y)


def test_the_bound_is_about_quantized_and_far_below_chance(fitted, report):
    model, X, y = fitted
    bound = report["occam"]
    small = model.quantized(bound)
    assert errors_and_ties(small, X, y) == bound.train_loss
    assert bound.train_loss < bound.value < 0.3
    expected = occam_bound(bound.train_loss, bound.n_bits, len(X), delta=model.delta, zero_one=True)
    assert bound.value == pytest.approx(expected, rel=1e-12)
    X_new, y_new = classes(3000, seed=1)
    assert np.mean(small.predict(X_new) != y_new) < bound.value


def test_the_message_decodes_to_the_same_predictor(fitted, report):
    model, X, _ = fitted
    bound = report["occam"]
    code, n_bits = bound.description.message
    assert n_bits == bound.n_bits
    assert 0 <= code < 2**n_bits
    decoded = Description.decode(code, n_bits, bound.description.structure).weights()
    twin = model.quantized(bound)
    twin.net_.module_.load_state_dict(decoded)
    np.testing.assert_array_equal(twin.decision_function(X), model.quantized(bound).decision_function(X))


def test_quantized_is_a_fitted_estimator_apart_from_the_model(fitted, report):
    model, X, y = fitted
    before = model.predict(X)
    bound = report["occam"]
    small = model.quantized(bound)
    assert small.net_.module_.W.shape == (2, 2)
    assert model.net_.module_.W.shape == (8, 8)
    assert small.predict_proba(X[:3]).shape == (3, 2)
    assert small.certified_radius(X[:3]).shape == (3,)
    assert small.holdout_bound(X[1:], y[1:]).value > 0
    assert not hasattr(small, "generalization_bound_")
    np.testing.assert_array_equal(model.predict(X), before)
    again = pickle.loads(pickle.dumps(model))
    np.testing.assert_array_equal(quantised(again, X, y).predict(X), small.predict(X))


def test_the_report_has_every_bound_and_the_paper_is_the_headline(fitted, report):
    model, X, _ = fitted
    assert set(report) == {"theorem_3", "theorem_3_union", "rademacher", "occam"}
    assert next(iter(report)) == "occam", "tightest first"
    assert model.generalization_bound_ == report["theorem_3"].value == report.value
    assert report["theorem_3"].lambda_min == report["theorem_3_union"].lambda_min == smallest_eigenvalue(X)
    assert any("estimated on the training sample" in sentence for sentence in report["theorem_3"].assumptions)
    assert report["theorem_3_union"].norms == "union"
    assert "numbers described, after fine-tuning" in str(report)
    # Not of the trained network, which has eight units.
    assert "the same of that network before it was rounded" in str(report)
    assert "share of training errors, near ties included, of the quantised predictor" in str(report)
    assert report.to_dict()["occam"]["n_values"] == report["occam"].n_values


def test_without_compression_the_trained_weights_are_rounded():
    X, y = classes(300)
    model = NoisyRNNClassifier(4, sigma=0.0, max_epochs=5, random_state=0).fit(X, y)
    report = model.generalization_report(X, y)
    bound = report["occam"]
    assert set(report) == {"theorem_2", "theorem_2_union", "rademacher", "occam"}
    assert bound.description is None
    assert errors_and_ties(model.quantized(bound), X, y) == bound.train_loss
    assert model.quantized(bound).net_.module_.W.shape == (4, 4)


@pytest.mark.parametrize(
    ("options", "n_values"),
    [
        ({"hidden_size": 3, "rank": 1}, 3 + 2 + 9 + 6),
        ({"subspace": 11}, 11),
        ({"hidden_size": 4, "subspace": 7}, 7),
        ({}, 8 * 2 + 64 + 16),
    ],
)
def test_ways_of_description(options, n_values):
    X, y = classes(400)
    model = classifier(**options).fit(X, y)
    bound = model.generalization_report(X, y)["occam"]
    assert bound.n_values == n_values
    small = model.quantized(bound)
    assert errors_and_ties(small, X, y) == bound.train_loss
    if options == {"hidden_size": 3, "rank": 1}:
        assert torch.linalg.matrix_rank(small.net_.module_.U.detach()) <= 1


def test_everything_follows_random_state():
    X, y = classes(400)
    first, second = (classifier(hidden_size=2).fit(X, y).generalization_report(X, y)["occam"] for _ in range(2))
    assert first == second
    assert first.description.message == second.description.message


@pytest.mark.parametrize("estimator", [TikhonovLSTMRegressor, TikhonovGRURegressor])
def test_regressors(estimator):
    X, y = late_mean(1000, n_steps=5)
    y = y / y.std()
    small = Compression(**FAST | {"hidden_size": 2, "epochs": 25, "coarseness": (8.0, 16.0)})
    model = estimator(8, skip="none", max_epochs=5, compression=small, loss_cap=4.0, random_state=0).fit(X, y)
    bound = model.generalization_report(X, y)["occam"]
    assert model.generalization_bound_ > bound.value, "without compression"
    small = model.quantized(bound)
    loss = np.minimum((small.predict(X) - y) ** 2, 4.0).mean()
    assert bound.train_loss == pytest.approx(loss, rel=1e-9)
    mean_predictor = np.minimum((y - y.mean()) ** 2, 4.0).mean()
    assert bound.value < 0.9 * mean_predictor, "better than the mean is certified"
    X_new, y_new = late_mean(3000, n_steps=5, seed=1)
    y_new = y_new / y.std()
    assert np.minimum((small.predict(X_new) - y_new) ** 2, 4.0).mean() < bound.value


def test_two_layers_and_two_outputs():
    X, y = late_mean(200, n_steps=4)
    Y = np.column_stack([y, -y])
    model = TikhonovLSTMRegressor(
        4,
        num_layers=2,
        lambda_s=1e-4,
        max_epochs=2,
        compression=Compression(**FAST | {"hidden_size": 2}),
        random_state=0,
    ).fit(X, Y)
    bound = model.generalization_report(X, Y)["occam"]
    assert model.quantized(bound).predict(X).shape == (200, 2)
    linear_part = 2 * (4 * 2)  # outputs, steps, channels
    assert bound.n_weights == 8 * 2 + 8 * 2 + 16 + 2 * (8 * 2) + 16 + 2 * 2 + 2 + linear_part


def test_it_is_a_parameter_like_others():
    X, y = classes(200)
    model = classifier(hidden_size=2)
    assert clone(model).get_params()["compression__hidden_size"] == 2
    search = GridSearchCV(model, {"compression__rank": [None, 1]}, cv=2).fit(X, y)
    assert search.best_estimator_.generalization_bound_ > 0
    assert not hasattr(model, "generalization_bound_"), "the caller's object stays unfitted"


def test_errors_come_before_training(monkeypatch):
    X, y = classes(60)
    monkeypatch.setattr("sklstm.estimators._base_classifier.train", lambda *a, **k: pytest.fail("training began"))
    cases = [
        ({"compression": "finetune"}, TypeError, "compression must be None or a Compression or a PACBayes"),
        ({"compression": Compression(rank=3)}, ValueError, "at most 2 with 2 channels and 8 units"),
        ({"compression": Compression(hidden_size=1, rank=2)}, ValueError, "at most 1 with 2 channels and 1 units"),
        ({"compression": Compression(rank=1, subspace=3)}, ValueError, "exclude each other"),
        ({"compression": Compression(subspace=10**8)}, ValueError, "subspace must be a positive number of directions"),
        ({"compression": Compression(coarseness=())}, TypeError, "sequence of numbers"),
        ({"compression": Compression(coarseness=(1.0, -1.0))}, ValueError, "coarseness"),
        ({"compression": Compression(coarseness=(1e300,))}, ValueError, "coarseness"),
        ({"delta": 5e-324}, ValueError, "delta"),
        ({"compression": Compression(epochs=0)}, ValueError, "epochs"),
        ({"compression": Compression(n_trials=1.5)}, TypeError, "n_trials"),
        ({"compression": Compression(stage_epochs=-1)}, ValueError, "stage_epochs"),
        ({"compression": Compression(n_stages=0)}, ValueError, "n_stages"),
        ({"compression": Compression(batch_size=0)}, ValueError, "batch_size"),
        ({"compression": Compression(lr=0.0)}, ValueError, "lr"),
        ({"compression": Compression(lr=np.nan)}, ValueError, "lr"),
    ]
    for parameters, error, message in cases:
        with pytest.raises(error, match=message):
            NoisyRNNClassifier(8, **parameters).fit(X, y)


def test_not_fitted():
    with pytest.raises(NotFittedError):
        classifier().predict(classes(20)[0])
    X, y = classes(20)
    with pytest.raises(NotFittedError):
        classifier().generalization_report(X, y)
    with pytest.raises(NotFittedError):
        classifier().quantized(None)


def test_only_an_occam_bound_of_this_network_makes_a_predictor(fitted, report):
    model, X, _ = fitted
    with pytest.raises(TypeError, match=r"bound must be the Occam bound .* got TuBound"):
        model.quantized(report["theorem_3"])
    other = TikhonovLSTMRegressor(4, max_epochs=1, random_state=0).fit(X, X[:, -1, 0])
    with pytest.raises(ValueError, match="bound is about another network"):
        other.quantized(report["occam"])
    with pytest.raises(ValueError, match="bound is about another network"):
        model.quantized(other.generalization_report(X, X[:, -1, 0])["occam"])


def test_a_subset_of_delta_gives_a_larger_bound(report):
    bound = report["occam"]
    assert bound.at_delta(bound.delta / 4).value > bound.value
    assert bound.at_delta(bound.delta) == replace(bound)


@pytest.mark.parametrize("compression", [None, Compression(**FAST | {"hidden_size": 2})])
def test_gains_of_quantized_are_its_own(compression):
    model = TikhonovLSTMRegressor(4, max_epochs=2, compression=compression, random_state=0).fit(*late_mean(100))
    small = quantised(model, *late_mean(100))
    weight_ih, weight_hh, _, bias_hh = (part.detach().double() for part in small.net_.module_.layers[0])
    assert small.rho_h_ == tikhonov_gains(weight_ih, weight_hh, bias_hh).rho_h.item() != model.rho_h_
    assert small.perturbation_gain_ != model.perturbation_gain_


@pytest.mark.parametrize("options", [{"hidden_size": 2}, {"hidden_size": 2, "rank": 1}, {"subspace": 9}])
def test_coins_cannot_be_foretold(options):
    """Labels of a fair coin: whatever the network, its error probability is 1/2, and no bound may be below."""
    trained = []
    for seed in range(3):
        rng = np.random.default_rng(seed)
        X, y = rng.standard_normal((60, 4, 2)), rng.integers(0, 2, 60)
        bound = classifier(**options, epochs=60).fit(X, y).generalization_report(X, y)["occam"]
        assert bound.at_delta(1e-6).value > 0.5
        trained.append(bound.trained_loss)
    assert min(trained) < 0.5, "noise was fitted: the training loss is no guide"


@pytest.mark.parametrize(("kind", "rank"), [(NoisyRNNClassifier, None), (TikhonovLSTMRegressor, 1)])
def test_a_scaling_without_means_is_in_the_code(kind, rank):
    exponents = np.array([11, -6])
    X, y = classes(600) if kind is NoisyRNNClassifier else late_mean(300, n_steps=5)
    raw = X * 2.0**exponents
    own = {} if kind is NoisyRNNClassifier else {"loss_cap": 1.0}
    small = Compression(**FAST | {"hidden_size": 2, "rank": rank, "epochs": 20})
    bounds = []
    for data in (X, raw):
        model = make_pipeline(
            SequenceScaler(with_mean=False), kind(4, max_epochs=2, compression=small, random_state=0, **own)
        )
        bounds.append(generalization_report(model.fit(data, y), data, y)["occam"])
    near, far = bounds
    # The same network and the same loss on scaled inputs; it differs in the grid, of which the message tells.
    assert far.train_loss == near.train_loss < 1
    assert far.n_bits == far.description.message[1]
    for part, integers in near.description.integers.items():
        np.testing.assert_array_equal(far.description.integers[part], integers)
    readers = [name for name in near.weights if name.endswith("weight_ih_l0") or name.startswith("linear_part")]
    assert len(readers) == (1 if kind is NoisyRNNClassifier else 2)
    for name, weight in near.weights.items():
        columns = torch.from_numpy(np.tile(2.0**exponents, weight.shape[1] // 2)).float() if name in readers else 1
        assert torch.equal(far.weights[name] * columns, weight)
    decoded = Description.decode(*far.description.message, far.description.structure).weights()
    assert all(torch.equal(decoded[name], weight) for name, weight in far.weights.items())
    # The predictor takes X as it is: bit for bit what the other one says of scaled inputs.
    quantised_far, quantised_near = model[-1].quantized(far), model[-1].quantized(near)
    np.testing.assert_array_equal(quantised_far._outputs(raw), quantised_near._outputs(X))
    if kind is NoisyRNNClassifier:
        assert errors_and_ties(quantised_far, raw, y) == far.train_loss
    assert "takes unscaled X" in far.assumptions[-2]
    assert "no scaling of targets" in far.assumptions[-1]


@pytest.mark.parametrize(
    ("scaler", "changes"),
    [
        (SequenceScaler(), {}),
        (SequenceScaler(with_mean=False), {"compression": None}),
        (SequenceScaler(with_mean=False), {"compression": Compression(**FAST | {"subspace": 5})}),
        (SequenceScaler(with_mean=False), {"skip": "last", "skip_channel": 0}),
        (make_pipeline(SequenceScaler(with_mean=False), SequenceScaler(with_mean=False)), {}),
        (StandardScaler(with_mean=False), {}),
    ],
)
def test_another_scaling_is_said_not_to_be_paid_for(scaler, changes):
    X, y = late_mean(60, n_steps=5)
    X = X.reshape(60, -1)
    scaler = clone(scaler)
    for step in scaler if hasattr(scaler, "steps") else [scaler]:
        step.set_params(**({"n_channels": 2} if isinstance(step, SequenceScaler) else {}))
    small = Compression(**FAST | {"epochs": 2})
    model = TikhonovLSTMRegressor(2, n_channels=2, max_epochs=2, compression=small, random_state=0).set_params(
        **changes
    )
    pipeline = make_pipeline(scaler, model).fit(X, y)
    bound = generalization_report(pipeline, X, y)["occam"]
    assert "no scaling of inputs or targets" in bound.assumptions[-1]
    assert not any("takes unscaled X" in sentence for sentence in bound.assumptions)
    predicted = pipeline[-1].quantized(bound).predict(pipeline[0].transform(X))
    assert np.minimum((predicted - y) ** 2, bound.scale).mean() == pytest.approx(bound.train_loss, rel=1e-5)
