"""Bad input is refused in words, before any training, and the process and the caller's arrays are left as they were."""

import numpy as np
import pytest
import scipy.sparse as sp
import torch
from sklearn.base import clone
from sklearn.exceptions import NotFittedError

from sklstm import NoisyRNNClassifier, TikhonovLSTMRegressor
from sklstm.exceptions import NonFiniteOutputError
from sklstm.training import SequenceNet
from tests.support.estimators import ESTIMATORS, REGRESSORS
from tests.support.problems import late_mean, signed_sum

SMALL = {"hidden_size": 4, "max_epochs": 2, "random_state": 0}
REGRESSOR, CLASSIFIER = TikhonovLSTMRegressor(**SMALL), NoisyRNNClassifier(**SMALL)
CASES = [(kind(**SMALL), late_mean if kind in REGRESSORS else signed_sum) for kind in ESTIMATORS]
ALL = pytest.mark.parametrize(("estimator", "data"), CASES, ids=[kind.__name__ for kind in ESTIMATORS])


@pytest.fixture
def no_training(monkeypatch):
    def refuse(self, *_):
        raise AssertionError("training had begun")

    monkeypatch.setattr(SequenceNet, "train", refuse)
    monkeypatch.setattr(SequenceNet, "initialize", refuse)


def poisoned(X, value):
    X = X.copy()
    X[3, 1, 0] = value
    return X


BAD_X = {
    "nan": (lambda X: poisoned(X, np.nan), ValueError, "NaN"),
    "inf": (lambda X: poisoned(X, np.inf), ValueError, "infinity"),
    "too large for float32": (lambda X: poisoned(X, 1e300), ValueError, "too large for float32"),
    "one axis": (lambda X: X[0, :, 0], ValueError, "Expected 2D array, got 1D array"),
    "four axes": (
        lambda X: X[None],
        ValueError,
        r"X has 4 axes\. .* takes sequences of shape \(n_samples, n_steps, n_channels\)",
    ),
    "no samples": (lambda X: X[:0], ValueError, r"0 sample\(s\)"),
    "one sample": (lambda X: X[:1], ValueError, r"1 sample\(s\)|inconsistent"),
    "no time steps": (lambda X: X[:, :0], ValueError, "X has 0 time steps and 2 channels"),
    "no channels": (lambda X: X[:, :, :0], ValueError, "time steps and 0 channels"),
    "strings": (
        lambda X: np.full(X.shape, "a", dtype=object),
        ValueError,
        "could not convert string to float",
    ),
    "dicts": (lambda X: np.full(X.shape, {}, dtype=object), TypeError, "argument must be"),
    "sparse": (lambda X: sp.csr_array(X.reshape(len(X), -1)), TypeError, "[Ss]parse"),
    "complex": (lambda X: X + 1j, ValueError, "Complex data not supported"),
    "ragged rows": (
        lambda X: [x[: 3 + i % 2, 0] for i, x in enumerate(X)],
        ValueError,
        r"X\[0\] has shape \(3,\).*A sequence of one channel has shape \(n_steps, 1\): x.reshape",
    ),
    "none": (lambda X: None, ValueError, "got None|Expected 2D array"),
}


@ALL
@pytest.mark.parametrize("case", BAD_X)
def test_bad_sequences(estimator, data, case, no_training):
    X, y = data(40)
    make, error, message = BAD_X[case]
    bad = make(X)
    with pytest.raises(error, match=message):
        clone(estimator).fit(bad, y)


@ALL
def test_lengths_of_x_and_y_must_agree(estimator, data, no_training):
    X, y = data(40)
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        clone(estimator).fit(X, y[:-1])


@pytest.mark.parametrize(
    ("y", "message"),
    [
        (np.full(40, np.nan), "NaN"),
        (np.full(40, np.inf), "infinity"),
        (np.zeros((40, 2, 2)), "dim 3|y must have shape"),
        (np.zeros((40, 0)), "y must have shape|0 feature"),
        (None, "requires y to be passed"),
    ],
    ids=["nan", "inf", "three axes", "no outputs", "none"],
)
def test_bad_regression_targets(y, message, no_training):
    with pytest.raises(ValueError, match=message):
        clone(REGRESSOR).fit(late_mean(40)[0], y)


@pytest.mark.parametrize(
    ("y", "message"),
    [
        (np.zeros(40), "needs at least 2 classes in y; the data contains one class"),
        (np.linspace(0, 1, 40), "Unknown label type: continuous"),
        (np.eye(40), "y should be a 1d array"),
        (None, "requires y to be passed"),
    ],
    ids=["one class", "continuous", "indicator", "none"],
)
def test_bad_labels(y, message, no_training):
    with pytest.raises(ValueError, match=message):
        clone(CLASSIFIER).fit(signed_sum(40)[0], y)


BAD_PARAMETERS = {
    "both": [
        ("hidden_size", 0, ValueError),
        ("hidden_size", 2.5, TypeError),
        ("hidden_size", True, TypeError),
        ("sigma", -0.1, ValueError),
        ("sigma", float("nan"), ValueError),
        ("sigma", "0.1", TypeError),
        ("robust_eps", -0.1, ValueError),
        ("robust_eps", [0.1, -0.1], ValueError),
        ("robust_eps", [], ValueError),
        ("robust_eps", np.ones((2, 2)), ValueError),
        ("robust_eps", "0.1", TypeError),
        ("robust_eps", [None], TypeError),
        ("robust_weight", 1.1, ValueError),
        ("robust_weight", None, TypeError),
        ("robust_box", 0.0, ValueError),
        ("robust_box", 2, ValueError),
        ("n_channels", 0, ValueError),
        ("layout", "tnc", ValueError),
        ("layout", None, ValueError),
        ("max_epochs", 0, ValueError),
        ("max_epochs", "automatic", ValueError),
        ("lr", 0.0, ValueError),
        ("lr", float("inf"), ValueError),
        ("batch_size", -1, ValueError),
        ("batch_size", "AUTO", ValueError),
        ("optimizer", "newton", ValueError),
        ("weight_decay", -1.0, ValueError),
        ("clip_norm", 0.0, ValueError),
        ("early_stopping", "yes", ValueError),
        ("validation_fraction", 1.0, ValueError),
        ("validation_split", "first", ValueError),
        ("validation_gap", -1, ValueError),
        ("validation_gap", 1.5, TypeError),
        ("n_iter_no_change", 0, ValueError),
        ("delta", 0.0, ValueError),
        ("delta", 1.0, ValueError),
        ("random_state", "zero", ValueError),
        ("random_state", -1, ValueError),
        ("device", "abacus", ValueError),
        ("device", "cuda:99", ValueError),
        ("device", None, ValueError),
        ("precision", "half", ValueError),
        ("verbose", "loud", TypeError),
    ],
    "regressor": [
        ("lambda_s", -1e-9, ValueError),
        ("lambda_1", -1.0, ValueError),
        ("lambda_2", float("nan"), ValueError),
        ("lambda_s", None, TypeError),
        ("variant", "turkish", ValueError),
        ("readout", "softmax", ValueError),
        ("skip", "first", ValueError),
        ("skip", None, ValueError),
        ("skip_channel", -1, TypeError),
        ("skip_channel", [0, 1.5], TypeError),
        ("skip_channel", True, TypeError),
        ("loss_cap", 0.0, ValueError),
        ("loss", "poisson", ValueError),
        ("loss", None, ValueError),
        ("quantile", 0.0, ValueError),
        ("quantile", 1, ValueError),
        ("quantile", "0.9", TypeError),
        ("num_layers", 0, ValueError),
        ("num_layers", 1.5, TypeError),
    ],
    "classifier": [
        ("activation", "sigmoid", ValueError),
        ("activation", None, ValueError),
        ("margin", 0.0, ValueError),
        ("max_norm_u", 0.0, ValueError),
        ("max_norm_w", -1.0, ValueError),
        ("max_norm_v", float("inf"), ValueError),
        ("recurrent_scale", 0.0, ValueError),
    ],
}


# Parameters whose bad values have tests of their own, and flags, of which anything but a bool is refused alike.
ELSEWHERE = {
    "compression", "noise", "lr_schedule", "callbacks", "class_weight", "warm_start",
}  # fmt: skip


def test_every_parameter_has_a_bad_value_here():
    tested = {name for rows in BAD_PARAMETERS.values() for name, *_ in rows} | ELSEWHERE
    for kind in ESTIMATORS:
        assert set(kind().get_params(deep=False)) - tested == set(), "wants a row in BAD_PARAMETERS"


@pytest.mark.parametrize(
    ("case", "name", "value", "error"),
    [(case, *row) for case in ("regressor", "classifier") for row in BAD_PARAMETERS["both"]]
    + [(case, *row) for case in ("regressor", "classifier") for row in BAD_PARAMETERS[case]],
)
def test_bad_parameters(case, name, value, error, no_training):
    estimator, data = {"regressor": (REGRESSOR, late_mean), "classifier": (CLASSIFIER, signed_sum)}[case]
    with pytest.raises(error, match=name):
        clone(estimator).set_params(**{name: value}).fit(*data(40))


def test_every_constructor_parameter_is_checked():
    for estimator, _ in CASES:
        assert set(estimator.get_params()) == set(estimator._rules)


@ALL
def test_columns_that_do_not_fold(estimator, data, no_training):
    X, y = data(40)
    with pytest.raises(ValueError, match="not a multiple of n_channels=3"):
        clone(estimator).set_params(n_channels=3).fit(X.reshape(40, -1)[:, :10], y)
    with pytest.raises(ValueError, match=r"2 channels on its last axis .* is expecting 3 channels"):
        clone(estimator).set_params(n_channels=3).fit(X, y)


@ALL
def test_wrong_shapes_at_prediction(estimator, data):
    X, y = data(40)
    L = X.shape[1]
    model = clone(estimator).fit(X, y)
    with pytest.raises(
        ValueError, match=rf"{L} channels .* expecting 2 channels\. The time and channel axes look swapped"
    ):
        model.predict(X.transpose(0, 2, 1))
    with pytest.raises(ValueError, match=r"was fitted on sequences of shape \(n_samples, n_steps, n_channels=2\)"):
        model.predict(X.reshape(40, -1))
    with pytest.raises(ValueError, match="X has 2 axes"):
        model.predict(X[0])
    # But one step is one sequence of one step, whichever axis is missing. MAPIE asks whether a model is fitted with it.
    np.testing.assert_array_equal(model.predict(X[0, :1]), model.predict(X[:1, :1]))
    rows = clone(estimator).set_params(n_channels=2).fit(X.reshape(40, -1), y)
    with pytest.raises(ValueError, match=f"X has 4 features, but .* is expecting {2 * L} features"):
        rows.predict(X.reshape(40, -1)[:, :4])
    with pytest.raises(ValueError, match="NaN"):
        model.predict(poisoned(X, np.nan))
    with pytest.raises(NotFittedError):
        clone(estimator).predict(X)


@ALL
@pytest.mark.parametrize("dtype", [np.float32, np.float64, ">f8", np.float16, np.int64])
def test_arrays_whose_checks_are_cut_short_give_what_others_give(estimator, data, dtype):
    X, y = data(40)
    X = np.round(4 * X)
    model = clone(estimator).fit(X, y)
    expected = model.predict(X.tolist())
    np.testing.assert_array_equal(model.predict(X.astype(dtype)), expected)
    np.testing.assert_array_equal(model.predict(np.asfortranarray(X.astype(dtype))), expected)
    if np.dtype(dtype).kind == "f":
        for value in (np.nan, np.inf, -np.inf):
            with pytest.raises(ValueError, match=r"NaN|infinity"):
                model.predict(poisoned(X, value).astype(dtype))
    if np.dtype(dtype).itemsize == 8 and np.dtype(dtype).kind == "f":
        with pytest.raises(ValueError, match="too large for float32"):
            model.predict(poisoned(X, -1e39).astype(dtype))
    with pytest.raises(ValueError, match=r"0 sample\(s\)"):
        model.predict(X[:0].astype(dtype))


@ALL
def test_numbers_whose_sum_overflows_are_numbers(estimator, data):
    X, y = data(40)
    model = clone(estimator).fit(X, y)
    large = np.full_like(X, 3e38, dtype=np.float32)
    with np.errstate(over="ignore"):
        assert np.isinf(large.sum())
    if isinstance(model, NoisyRNNClassifier):  # whose outputs grow with the input
        with pytest.raises(NonFiniteOutputError):
            model.predict(large)
    else:
        assert len(model.predict(large)) == len(X)


@ALL
def test_one_sample_can_be_predicted(estimator, data):
    X, y = data(40)
    model = clone(estimator).fit(X, y)
    assert len(model.predict(X[:1])) == 1


@ALL
@pytest.mark.parametrize("random_state", [0, None])
def test_nothing_of_the_callers_is_changed(estimator, data, random_state):
    X, y = data(40)
    X_before, y_before = X.copy(), y.copy()
    numpy_state, torch_state = np.random.get_state(), torch.random.get_rng_state()
    torch.set_grad_enabled(False)
    threads = torch.get_num_threads()
    try:
        model = clone(estimator).set_params(random_state=random_state, early_stopping=True).fit(X, y)
        model.predict(X)
        assert not torch.is_grad_enabled()
    finally:
        torch.set_grad_enabled(True)
    assert torch.get_num_threads() == threads
    assert torch.equal(torch.random.get_rng_state(), torch_state)
    assert str(np.random.get_state()) == str(numpy_state)
    np.testing.assert_array_equal(X, X_before)
    np.testing.assert_array_equal(y, y_before)


@ALL
def test_a_double_default_dtype_is_no_trouble(estimator, data):
    X, y = data(40)
    expected = clone(estimator).fit(X, y).predict(X)
    torch.set_default_dtype(torch.float64)
    try:
        predictions = clone(estimator).fit(X, y).predict(X)
    finally:
        torch.set_default_dtype(torch.float32)
    np.testing.assert_array_equal(predictions, expected)


@pytest.mark.filterwarnings("ignore::sklstm.exceptions.DataWarning")
@ALL
def test_state_is_restored_when_fit_fails(estimator, data):
    X, y = data(40)
    before = torch.get_num_threads()
    with pytest.raises(ValueError, match=r"Training diverged: .* lr=1e\+20"):
        clone(estimator).set_params(lr=1e20, optimizer="sgd", clip_norm=None).fit(1e15 * X, y)
    assert torch.get_num_threads() == before


def test_nothing_is_written_to_disk(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for estimator, data in CASES:
        clone(estimator).set_params(early_stopping=True).fit(*data(40))
    assert not list(tmp_path.iterdir())


def test_ctrl_c_in_fit_is_raised(monkeypatch):
    calls = []

    def interrupt(self, *args, **kwargs):
        calls.append(1)
        raise KeyboardInterrupt

    monkeypatch.setattr(SequenceNet, "train_step", interrupt)
    for estimator, data in CASES:
        with pytest.raises(KeyboardInterrupt):
            clone(estimator).fit(*data(40))
    assert len(calls) == len(CASES)


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda y: np.array([None, 1.0] * 20, dtype=object), ValueError, "NaN"),
        (lambda y: y * 1e30, ValueError, r"y holds values above 1e\+18, whose squares overflow float32"),
        (lambda y: np.array(["a", "b"] * 20), ValueError, "could not convert|y must hold numbers"),
        (lambda y: y.astype("M8[s]"), ValueError, "y holds times"),
        (lambda y: sp.csr_array(y[:, None]), TypeError, "[Ss]parse"),
    ],
    ids=["object with None", "too large", "strings", "dates", "sparse"],
)
def test_targets_that_are_no_numbers(make, error, message, no_training):
    X, y = late_mean(40)
    with pytest.raises(error, match=message):
        clone(REGRESSOR).fit(X, make(y))


def test_labels_of_mixed_types(no_training):
    X, _ = signed_sum(40)
    mixed = np.array([1, "a"] * 20, dtype=object)
    with pytest.raises((TypeError, ValueError), match=r"mixes labels|Unknown label type|mix of"):
        clone(CLASSIFIER).fit(X, mixed)


@ALL
def test_early_stopping_without_enough_data_names_itself(estimator, data, no_training):
    X, y = data(40)
    with pytest.raises(ValueError, match=r"early_stopping=True cannot hold out validation_fraction=0\.999 of 40"):
        clone(estimator).set_params(early_stopping=True, validation_fraction=0.999).fit(X, y)


@ALL
def test_a_failed_refit_leaves_the_estimator_as_it_was(estimator, data):
    X, y = data(40)
    model = clone(estimator).fit(X, y)
    before, state = model.predict(X), sorted(vars(model))
    one_label = np.full(40, np.nan if y.dtype.kind == "f" else y[0])
    for bad_X, bad_y in [(X, y[:-1]), (poisoned(X, np.nan), y), (X[:, :, :1], one_label)]:
        with pytest.raises(ValueError, match=r"inconsistent|NaN|one class"):
            model.fit(bad_X, bad_y)
        assert sorted(vars(model)) == state
        np.testing.assert_array_equal(model.predict(X), before)


@ALL
def test_a_refit_forgets_the_data_of_the_old_one(estimator, data):
    X, y = data(40)
    model = clone(estimator).fit(X, y)
    model.fit(X[:30], y[:30])
    assert model.generalization_report(X[:30], y[:30]).n_samples == 30
    with pytest.raises(ValueError, match="are not the training data"):
        model.generalization_report(X, y)
