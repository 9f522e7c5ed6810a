"""Sequences of unequal length: the same numbers as one by one, everywhere."""

import copy
import re

import numpy as np
import pandas as pd
import polars as pl
import pytest
import torch
from sklearn.base import clone, is_classifier
from sklearn.model_selection import GridSearchCV, cross_val_predict, cross_val_score

from sklstm import Compression, NoisyRNNClassifier, TikhonovGRURegressor, TikhonovLSTMClassifier, TikhonovLSTMRegressor
from sklstm.datasets import load_japanese_vowels
from sklstm.generalization import tu_bound
from sklstm.preprocessing import SequenceScaler
from tests.support.coverage import errors_and_ties

FAST = {"max_epochs": 3, "random_state": 0}
ESTIMATORS = {
    "lstm": TikhonovLSTMRegressor(8, **FAST),
    "stack": TikhonovLSTMRegressor(5, num_layers=2, readout="logistic", **FAST),
    "gru": TikhonovGRURegressor(8, **FAST),
    "labels": TikhonovLSTMClassifier(5, **FAST),
    "relu": NoisyRNNClassifier(8, **FAST),
}
ALL = pytest.mark.parametrize("estimator", ESTIMATORS.values(), ids=ESTIMATORS)


def ragged(n=60, d=3, seed=0, longest=12):
    rng = np.random.default_rng(seed)
    return [rng.standard_normal((rng.integers(1, longest + 1), d)) for _ in range(n)]


def targets(X, estimator):
    y = np.array([sequence[-1, 0] + sequence[0, 1] for sequence in X])
    return y > 0 if is_classifier(estimator) else 1 / (1 + np.exp(-y))


def outputs(estimator, X):
    return estimator.predict_proba(X) if hasattr(estimator, "predict_proba") else estimator.predict(X)


@pytest.fixture(scope="module")
def fitted():
    X = ragged()
    return {name: clone(estimator).fit(X, targets(X, estimator)) for name, estimator in ESTIMATORS.items()}


@pytest.mark.parametrize("name", ESTIMATORS)
def test_predictions_do_not_depend_on_companions_bit_for_bit(fitted, name):
    model, X = fitted[name], ragged(300, seed=1, longest=30)
    together = outputs(model, X)
    for index in range(0, 300, 7):
        np.testing.assert_array_equal(outputs(model, [X[index]])[0], together[index])
        np.testing.assert_array_equal(outputs(model, X[index][None])[0], together[index])
    order = np.random.default_rng(0).permutation(300)
    np.testing.assert_array_equal(outputs(model, [X[i] for i in order]), together[order])


@pytest.mark.parametrize("name", ESTIMATORS)
def test_outputs_are_those_of_the_recurrence_step_by_step(fitted, name):
    # An independent route: the module's own layers, one sequence and one step at a time, in float64.
    model, X = fitted[name], ragged(20, seed=2)
    module = model.net_.module_
    layer = module.rnn if name == "relu" else module.recurrent
    double = copy.deepcopy(layer).double()
    expected = []
    with torch.no_grad():
        for sequence in X:
            state = None
            for step in torch.from_numpy(sequence):
                output, state = double(step[None, None], state)
            logits = output[0, 0] @ module.readout.weight.double().T
            if module.readout.bias is not None:
                logits = logits + module.readout.bias.double()
            if module.linear_part is not None:  # the shortest sequence of the training has one step
                logits = logits + torch.from_numpy(sequence[-1]) @ module.linear_part.weight.double().T
            expected.append(torch.sigmoid(logits) if name == "stack" else logits)
    found = model._outputs(X)
    np.testing.assert_allclose(found, torch.stack(expected).numpy(), rtol=0, atol=2e-6)


@ALL
def test_equal_lengths_in_a_list_are_an_array(estimator):
    X = np.random.default_rng(0).standard_normal((40, 6, 3))
    y = targets(X, estimator)
    as_array, as_list = (clone(estimator).fit(sequences, y) for sequences in (X, list(X)))
    np.testing.assert_array_equal(outputs(as_array, X), outputs(as_list, list(X)))


def test_a_step_of_full_batch_training_is_the_mean_of_the_gradients_of_single_sequences():
    X = ragged(30)
    y = np.array([sequence[0, 0] for sequence in X])
    # Plain SGD: the first step with Nesterov momentum 0.9 is 1.9 times the gradient.
    model = TikhonovLSTMRegressor(
        6, lambda_s=0, lambda_1=0, lambda_2=0, optimizer="sgd", lr=0.1, batch_size=30, max_epochs=1, random_state=0,
    )  # fmt: skip
    after = model.fit(X, y).net_.module_
    fresh = TikhonovLSTMRegressor(**model.get_params() | {"lr": 1e-30}).fit(X, y).net_.module_  # the same start
    fresh.zero_grad()
    for sequence, target in zip(X, y, strict=True):
        output = fresh(torch.from_numpy(sequence).float()[None])
        (((output - target) ** 2).mean() / 30).backward()
    for (name, new), old in zip(after.named_parameters(), fresh.parameters(), strict=True):
        np.testing.assert_allclose(new.detach(), (old - 0.19 * old.grad).detach(), rtol=0, atol=1e-6, err_msg=name)


@ALL
def test_kinds_of_lists(estimator):
    X = ragged(30)
    y = targets(X, estimator)
    expected = outputs(clone(estimator).fit(X, y), X)
    objects = np.empty(len(X), dtype=object)
    objects[:] = X
    kinds = {
        "tuple": tuple(X),
        "object array": objects,
        "series": pd.Series(X, index=range(5, 35)),
        "tensors": [torch.from_numpy(sequence) for sequence in X],
        "nested lists": [sequence.tolist() for sequence in X],
        "nested tensor": torch.nested.nested_tensor([torch.from_numpy(x) for x in X], layout=torch.jagged),
    }
    for kind, same in kinds.items():
        model = clone(estimator).fit(same, y)
        np.testing.assert_array_equal(outputs(model, same), expected, err_msg=kind)
        assert model.n_features_in_ == 3


@pytest.mark.parametrize("dtype", [np.float32, np.float16, np.int64, np.int8, bool])
def test_dtypes_of_sequences(dtype):
    X = [(5 * sequence).astype(dtype) for sequence in ragged(30)]
    y = np.linspace(-1, 1, 30)
    model, same = (clone(ESTIMATORS["lstm"]).fit(part, y) for part in (X, [x.astype(np.float64) for x in X]))
    np.testing.assert_array_equal(model.predict(X), same.predict([x.astype(np.float64) for x in X]))


def test_data_frames_of_one_sequence_each_name_the_channels():
    X = [pd.DataFrame(sequence, columns=["pitch", "roll", "yaw"]) for sequence in ragged(30)]
    model = clone(ESTIMATORS["lstm"]).fit(X, np.linspace(-1, 1, 30))
    assert model.feature_names_in_.tolist() == ["pitch", "roll", "yaw"]
    assert model.n_features_in_ == 3
    with pytest.raises(ValueError, match="feature names should match"):
        model.predict([sequence[["roll", "pitch", "yaw"]] for sequence in X])
    with pytest.raises(ValueError, match=r"X\[1\] has columns .*'heading'.*but X\[0\] has .*'yaw'"):
        model.predict([X[0], X[1].rename(columns={"yaw": "heading"})])
    with pytest.warns(UserWarning, match="does not have valid feature names"):
        model.predict([sequence.to_numpy() for sequence in X])


@ALL
def test_nothing_of_the_callers_is_changed(estimator):
    X = ragged(30)
    y = targets(X, estimator)
    copies = [sequence.copy() for sequence in X]
    for sequence in X:
        sequence.flags.writeable = False
    outputs(clone(estimator).fit(X, y), X)
    for sequence, before in zip(X, copies, strict=True):
        np.testing.assert_array_equal(sequence, before)


@ALL
def test_certificates_are_those_of_single_sequences(fitted, estimator):
    name = next(key for key, value in ESTIMATORS.items() if value is estimator)
    model, X = fitted[name], ragged(12, seed=3)
    lower, upper = model.certify(X, 0.1)
    for index, sequence in enumerate(X):
        low, high = model.certify([sequence], 0.1)
        # Part of the certificate is computed in float32, whose rounding depends on the batch.
        np.testing.assert_allclose(low[0], lower[index], rtol=0, atol=1e-6)
        np.testing.assert_allclose(high[0], upper[index], rtol=0, atol=1e-6)
    rng = np.random.default_rng(0)
    for _ in range(20):
        moved = [sequence + rng.uniform(-0.1, 0.1, sequence.shape) for sequence in X]
        raw = model._outputs(moved) if is_classifier(model) else model.predict(moved)
        assert (lower <= raw).all()
        assert (raw <= upper).all()


def test_radii_of_ragged_certificates(fitted):
    model, X = fitted["lstm"], ragged(8, seed=3)
    lengths, (n, d) = [len(sequence) for sequence in X], (8, 3)
    one = model.certify(X, 0.2)
    same = {
        "per channel": np.full(d, 0.2),
        "per sequence": np.full((n, 1, 1), 0.2),
        "per sequence and channel": np.full((n, 1, d), 0.2),
        "shared": np.full((1, 1, d), 0.2),
        "list": [np.full((length, d), 0.2) for length in lengths],
        "list with axes of 1": [np.full((1, 1), 0.2)] * n,
    }
    for name, eps in same.items():
        np.testing.assert_array_equal(model.certify(X, eps), one, err_msg=name)
    # Only the last sequence moves, and there only its last step.
    eps = [np.zeros((length, d)) for length in lengths]
    eps[-1][-1] = 0.2
    lower, upper = model.certify(X, eps)
    assert ((upper - lower > 0) == (np.arange(n) == n - 1)).all()
    for bad in (np.full(d + 1, 0.2), np.full((n + 1, 1, 1), 0.2), eps[:-1], [part[:, :2] for part in eps]):
        with pytest.raises(ValueError, match="eps does not fit 8 sequences of unequal length"):
            model.certify(X, bad)
    with pytest.raises(ValueError, match="must be finite and not negative"):
        model.certify(X, [-part - 1 for part in eps])


def test_certified_radius_and_accuracy_of_ragged_sequences(fitted):
    model, X = fitted["relu"], ragged(15, seed=4)
    radii = model.certified_radius(X)
    for index in range(0, 15, 4):
        np.testing.assert_allclose(model.certified_radius([X[index]])[0], radii[index], rtol=0.02)
    y = targets(X, model)
    right = model.predict(X) == y
    for eps in (0.0, 0.05, 0.3):
        expected = np.mean(right & (model.certify(X, eps)[0].max(axis=1) > -np.inf)) if eps == 0 else None
        found = model.certified_accuracy(X, y, eps)
        if eps == 0:
            assert found == expected == model.score(X, y)
        else:
            # The bisection's radius is within 1 % below the largest certified one.
            assert np.mean(right & (radii > eps)) <= found <= np.mean(right & (radii > eps * 0.98))


def test_searches_and_cross_validation_take_lists():
    X, y = load_japanese_vowels(padded=False, return_X_y=True)
    X = X[::3]
    y = y[::3]
    model = NoisyRNNClassifier(8, **FAST)
    assert cross_val_score(model, X, y, cv=2).shape == (2,)
    assert cross_val_predict(model, X, y, cv=2, method="predict_proba").shape == (90, 9)
    search = GridSearchCV(model, {"sigma": [0.0, 0.2]}, cv=2).fit(X, y)
    assert search.predict(X).shape == (90,)


def test_the_real_thing_learns():
    X, y = load_japanese_vowels(padded=False, return_X_y=True)
    test, labels = load_japanese_vowels(subset="test", padded=False, return_X_y=True)
    scale = np.concatenate(X).std(axis=0)
    X, test = ([sequence / scale for sequence in part] for part in (X, test))
    model = NoisyRNNClassifier(32, max_epochs=40, random_state=0).fit(X, y)
    assert model.score(test, labels) > 0.9  # chance 1/9; 0.946 when written
    padded = [np.concatenate((np.zeros((4, 12)), sequence)) for sequence in test]
    # A network without biases does not see zeros before the start: what the reports' padding rests on.
    np.testing.assert_array_equal(model.predict_proba(padded), model.predict_proba(test))


def test_theorem_of_ragged_sequences_is_theorem_2_of_the_padded_ones():
    X = ragged(40)
    y = targets(X, ESTIMATORS["relu"])
    model = NoisyRNNClassifier(4, sigma=0.2, max_epochs=2, random_state=0).fit(X, y)
    report = model.generalization_report(X, y)
    bound = report["theorem_2"]
    longest = max(map(len, X))
    padded = np.stack([np.concatenate((np.zeros((longest - len(x), 3)), x)) for x in X])
    module = model.net_.module_
    weights = (part.detach().numpy() for part in (module.U, module.W, module.V))
    expected = tu_bound(*weights, padded, y.astype(int))
    assert bound.value == pytest.approx(expected.value, rel=1e-9)
    assert model.generalization_bound_ == bound.value
    for name in ("theorem_2", "theorem_2_union", "rademacher"):
        assert any("begin with zeros" in line for line in report[name].assumptions)
    assert not any("begin with zeros" in line for line in report["occam"].assumptions)
    assert "Training had noise of sigma = 0.2." in bound.assumptions[-1]  # and yet Theorem 2 is what is reported


@pytest.mark.parametrize("compression", [None, Compression(hidden_size=2, epochs=2, n_trials=5)])
@pytest.mark.parametrize("name", ["lstm", "relu"])
def test_the_occam_bound_is_about_the_predictions_on_ragged_sequences(name, compression):
    X = ragged(50)
    y = targets(X, ESTIMATORS[name])
    model = clone(ESTIMATORS[name]).set_params(compression=compression).fit(X, y)
    bound = model.generalization_report(X, y)["occam"]
    small = model.quantized(bound)
    if name == "relu":
        assert bound.train_loss == errors_and_ties(small, X, y)
    else:
        capped = np.minimum((y - small.predict(X)) ** 2, bound.scale)
        assert bound.train_loss == pytest.approx(capped.mean(), rel=1e-9)


def test_early_stopping_on_ragged_sequences():
    X = ragged(60)
    y = targets(X, ESTIMATORS["relu"])
    model = NoisyRNNClassifier(
        4, early_stopping=True, validation_fraction=0.2, n_iter_no_change=2, max_epochs=30, random_state=0,
    ).fit(X, y)  # fmt: skip
    losses = model.net_.history[:, "valid_loss"]
    assert len(losses) == model.n_iter_
    assert np.isfinite(losses).all()


BAD = {
    "rows": (
        lambda X: [[1.0, 2.0], [1.0]],
        r"X\[0\] has shape \(2,\).*A sequence of one channel has shape \(n_steps, 1\): numpy.reshape",
    ),
    "columns of one axis": (
        lambda X: [X[0], X[1][:, 0]],
        r"X\[1\] has shape \(\d+,\).*A sequence of one channel has shape \(n_steps, 1\): x.reshape",
    ),
    "three axes": (lambda X: [X[0], X[1][None]], r"X\[1\] has shape \(1, \d+, 3\), but every sequence"),
    "an empty one": (lambda X: [X[0], X[1][:0]], r"X\[1\] has 0 time steps and 3 channels.*at least one"),
    "no channels": (lambda X: [x[:, :0] for x in X], r"X\[0\] has \d+ time steps and 0 channels"),
    "swapped": (
        lambda X: [X[0], X[1].T],
        r"X\[1\] has \d+ channels \(shape \(3, \d+\), .*but X\[0\] has 3. The time and channel axes look swapped",
    ),
    "NaN": (lambda X: [X[0], np.full((2, 3), np.nan)], r"contains NaN: X\[1\] has a value .* step 0, channel 0"),
    "infinity": (lambda X: [X[0], np.array([[0, 0, 0], [0, 0, -np.inf]])], "infinity: .* step 1, channel 2"),
    "too large": (lambda X: [1e39 * x for x in X], "too large for float32"),
    "strings": (lambda X: [x.astype(str) for x in X[:-1]] + [np.full((1, 3), "a")], "could not convert string"),
    "complex": (lambda X: [x + 1j for x in X], "Complex data not supported"),
}


@ALL
@pytest.mark.parametrize("case", BAD)
def test_bad_lists(fitted, estimator, case):
    make, message = BAD[case]
    X = make(ragged(5))
    name = next(key for key, value in ESTIMATORS.items() if value is estimator)
    for call in (lambda: clone(estimator).fit(X, np.arange(len(X))), lambda: fitted[name].predict(X)):
        with pytest.raises(ValueError, match=message):
            call()


@ALL
def test_wrong_channels_and_counts(fitted, estimator):
    name = next(key for key, value in ESTIMATORS.items() if value is estimator)
    X = ragged(6)
    with pytest.raises(ValueError, match=r"X has 2 channels.*expecting 3 channels"):
        fitted[name].predict([x[:, :2] for x in X])
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        clone(estimator).fit(X, targets(X, estimator)[:-1])
    with pytest.raises(ValueError, match=r"X has 3 channels.*expecting 2 channels"):
        clone(estimator).set_params(n_channels=2).fit(X, targets(X, estimator))


def test_lists_after_a_fit_on_rows():
    rows = np.random.default_rng(0).standard_normal((30, 12))
    model = TikhonovLSTMRegressor(4, n_channels=3, **FAST).fit(rows, rows[:, 0])
    X = [sequence for sequence in ragged(40) if len(sequence) == 4] + ragged(5)
    predicted = model.predict(X)
    assert model.predict(X[0].reshape(1, 12)).item() == predicted[0]
    assert [model.predict([sequence]).item() for sequence in X] == predicted.tolist()


def test_what_lies_in_memory_is_nothing_that_is_looked_at(monkeypatch):
    # Numbers of which the memory is full must not pass for the caller's.
    empty = np.empty

    def hostile(shape, dtype=float, *args, **kwargs):
        array = empty(shape, dtype, *args, **kwargs)
        if array.dtype.kind == "f":
            array.fill(np.nan)
        return array

    monkeypatch.setattr(np, "empty", hostile)
    model = clone(ESTIMATORS["lstm"]).fit([[[12.0]], [[5.0]], [[0.0], [-8.0], [-6.0]]], np.array([1.0, 0.0, 1.0]))
    assert np.isfinite(model.loss_curve_).all()


FLAT = {
    "array": np.asarray,
    "tensor": torch.tensor,
    "list": list,
    "Series": pd.Series,
    "dated Series": lambda x: pd.Series(x, index=pd.date_range("2024", periods=len(x))),
    "polars": pl.Series,
}


@pytest.mark.parametrize("layout", ["ntc", "nct"])
@pytest.mark.parametrize("form", FLAT.values(), ids=FLAT)
def test_the_remedy_for_flat_sequences_works(form, layout):
    rng = np.random.default_rng(0)
    X, y = [rng.standard_normal(5 + i) for i in range(6)], np.arange(6) % 2
    expected = NoisyRNNClassifier(4, max_epochs=1, random_state=0).fit([x[:, None] for x in X], y).decision_function
    model = NoisyRNNClassifier(4, max_epochs=1, layout=layout, random_state=0)
    flat = [form(x) for x in X]
    with pytest.raises(ValueError, match=r"X\[0\] has shape \(5,\)") as error:
        model.fit(flat, y)
    remedy = re.search(r"(x|numpy)\.(to_frame\(\)|reshape\(.*\)(?=\.$))", str(error.value)).group()
    mended = [eval(remedy, {"x": x, "numpy": np}) for x in flat]
    found = model.fit(mended, y).decision_function(mended)
    np.testing.assert_array_equal(found, expected([x[:, None] for x in X]))
    SequenceScaler(layout=layout).fit(mended)
