"""Certificates through logarithms, roots and powers of the target, and through frozen estimators."""

import warnings

import mpmath
import numpy as np
import pytest
from sklearn.compose import TransformedTargetRegressor
from sklearn.frozen import FrozenEstimator
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import FunctionTransformer, PowerTransformer, StandardScaler

import sklstm
from sklstm import NoisyRNNClassifier, TikhonovLSTMRegressor, certify
from sklstm.estimators import _targets
from sklstm.estimators._targets import bounds_before, check_functions, relative_error
from sklstm.exceptions import InaccurateFunctionError
from sklstm.inspection import NoiseRobustnessDisplay
from sklstm.preprocessing import SequenceScaler
from tests.support.composed import lstm, make_readings, perturbed
from tests.support.problems import signed_sum

pytestmark = pytest.mark.filterwarnings("ignore::sklstm.exceptions.DataWarning")

EPS = np.tile([0.5, 0.0002], 4)
TARGETS = {
    "log": {"func": np.log, "inverse_func": np.exp},
    "log1p": {"func": np.log1p, "inverse_func": np.expm1},
    "log2": {"func": np.log2, "inverse_func": np.exp2},
    "sqrt": {"func": np.sqrt, "inverse_func": np.square},
    "a transformer": {"transformer": FunctionTransformer(np.log, np.exp)},
    "yeo-johnson": {"transformer": PowerTransformer()},
    "yeo-johnson, as it is": {"transformer": PowerTransformer(standardize=False)},
    "box-cox": {"transformer": PowerTransformer("box-cox", copy=False)},
    "box-cox, as it is": {"transformer": PowerTransformer("box-cox", standardize=False)},
    "several": {"transformer": make_pipeline(FunctionTransformer(np.log1p, np.expm1), StandardScaler())},
    "one after the other": {"transformer": make_pipeline(PowerTransformer(), FunctionTransformer(np.expm1, np.log1p))},
}


@pytest.fixture
def readings():
    X, y = make_readings()
    return X, y / 10


@pytest.mark.parametrize("name", [name for name in TARGETS if name != "one after the other"])
@pytest.mark.parametrize("n_outputs", [1, 2])
def test_limits_hold_in_the_units_of_the_target(readings, name, n_outputs):
    X, y = readings
    y = y if n_outputs == 1 else np.column_stack((y, 3 + (X[:, 0] - 1000) / 40))
    model = TransformedTargetRegressor(make_pipeline(StandardScaler(), lstm()), **TARGETS[name]).fit(X, y)
    lower, upper = certify(model, X, EPS)
    assert lower.shape == upper.shape == y.shape
    assert (lower < upper).all()
    for nearby in perturbed(X, EPS):
        predictions = model.predict(nearby)
        assert (lower <= predictions).all()
        assert (predictions <= upper).all()
    # By hand, from limits of the regressor inside: every way back is increasing where these are.
    inside = certify(model.regressor_, X, EPS)
    if name == "sqrt":
        assert min(end.min() for end in inside) > 0
    back = [model.transformer_.inverse_transform(end.reshape(len(X), -1)).reshape(y.shape) for end in inside]
    np.testing.assert_allclose((lower, upper), back, rtol=1e-12)
    for end in certify(model, X, 0):
        assert np.array_equal(end, model.predict(X))


def exact_inverse(step, column, value):
    """The inverse of a fitted step, of the number as given, to 40 digits."""
    value = float(value)
    with mpmath.workdps(40):
        x = mpmath.mpf(value)
        if isinstance(step, FunctionTransformer):
            functions = {np.exp: mpmath.exp, np.expm1: mpmath.expm1, np.exp2: lambda x: mpmath.mpf(2) ** x}
            return functions[step.inverse_func](x)
        power = float(step.lambdas_[column])
        if step.method == "box-cox":
            return mpmath.exp(x) if power == 0 else mpmath.exp(mpmath.log1p(mpmath.mpf(power) * x) / mpmath.mpf(power))
        # Sums are monotone as computed: what is to be exact is the power of what they have made.
        if x >= 0:
            return mpmath.expm1(x) if power == 0 else mpmath.mpf(value * power + 1) ** mpmath.mpf(1 / power) - 1
        base, exponent = -(2 - power) * value + 1, 1 / (2 - power) if power != 2 else None
        return -mpmath.expm1(-x) if exponent is None else 1 - mpmath.mpf(base) ** mpmath.mpf(exponent)


def fitted_power(method, powers):
    step = PowerTransformer(method, standardize=False).fit(1 + np.arange(12.0).reshape(4, 3))
    step.lambdas_ = np.asarray(powers, dtype=np.float64)
    return step


STEPS = {
    "exp": (FunctionTransformer(np.log, np.exp), 300),
    "expm1": (FunctionTransformer(np.log1p, np.expm1), 300),
    "exp2": (FunctionTransformer(np.log2, np.exp2), 400),
    "box-cox": (fitted_power("box-cox", [0.0, 0.3, 2.0]), 30),
    "box-cox, negative": (fitted_power("box-cox", [-0.02, -0.01, -0.03]), 20),
    "yeo-johnson": (fitted_power("yeo-johnson", [0.0, 1.3, 2.0]), 30),
    "yeo-johnson, outside of [0, 2]": (fitted_power("yeo-johnson", [-0.02, 2.02, -0.01]), 20),
}


@pytest.mark.parametrize("name", STEPS)
def test_margins_contain_what_is_computed_and_what_is_exact(name):
    step, size = STEPS[name]
    rng = np.random.default_rng(0)
    inside = rng.uniform(-size, size, (200, 3)) * 10.0 ** rng.integers(-6, 1, (200, 3))
    if name == "box-cox":
        inside = np.abs(inside)
    # A few units in the last place on either side: hardly more than what rounding does.
    lower, upper = inside, inside
    for _ in range(3):
        lower, upper = np.nextafter(lower, -np.inf), np.nextafter(upper, np.inf)
    found = bounds_before([step], lower, upper)
    assert np.isfinite(found).all()
    for values in (inside, lower, upper):
        computed = [step.inverse_transform(values), np.vstack([step.inverse_transform(row[None]) for row in values])]
        for each in computed:  # of many at once and of one at a time, which other loops compute
            assert (found[0] <= each).all()
            assert (each <= found[1]).all()
    for place in [(row, column) for row in range(0, 200, 5) for column in range(3)]:
        exact = exact_inverse(step, place[1], inside[place])
        assert float(found[0][place]) <= exact <= float(found[1][place])
    # And no wider than that takes.
    scale = 1 + np.abs(found[0])
    assert ((found[1] - found[0]) / scale <= 1e-10 * (1 + size)).all()


def test_where_an_inverse_ends_nothing_is_known():
    low, high = np.array([[-3.0, -3.0, -3.0]]), np.array([[1.0, 1.0, 1.0]])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        # (1 + λ y) is negative at −3 for λ = 1/2, and at 1 for λ = −2.
        lower, upper = bounds_before([fitted_power("box-cox", [0.5, -2.0, 0.0])], low, high)
    assert lower[0, 0] == -np.inf
    np.testing.assert_allclose(upper[0, 0], 2.25)
    assert upper[0, 1] == np.inf
    np.testing.assert_allclose([lower[0, 2], upper[0, 2]], np.exp([-3, 1]))
    # λ = −2 has values below 1/2 only, λ = 4 those above −1/2.
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        lower, upper = bounds_before([fitted_power("yeo-johnson", [-2.0, 4.0, 1.0])], -high, high)
    np.testing.assert_allclose(lower[0], [1 - 5**0.25, -np.inf, -1])
    np.testing.assert_allclose(upper[0], [np.inf, 5**0.25 - 1, 1])
    infinite = np.full((1, 3), np.inf)
    for step in (fitted_power("yeo-johnson", [0.5, -2.0, 3.0]), fitted_power("box-cox", [0.5, -2.0, 0.0])):
        lower, upper = bounds_before([step], -infinite, infinite)
        assert np.isneginf(lower).all()
        assert np.isposinf(upper).all()
    for function, least in ((np.exp, 0.0), (np.expm1, -1.0), (np.exp2, 0.0), (np.square, 0.0)):
        step = FunctionTransformer(None, function)
        lower, upper = bounds_before([step], -infinite, infinite)
        assert (lower == least).all()
        assert np.isposinf(upper).all()
        lower, upper = bounds_before([step], -1e4 * np.ones((1, 1)), 1e4 * np.ones((1, 1)))
        assert not np.isnan([lower, upper]).any()
        assert lower >= least


def test_squares_turn_around_at_zero():
    step = FunctionTransformer(np.sqrt, np.square)
    lower, upper = bounds_before([step], np.array([[-3.0], [-3.0], [1.0]]), np.array([[-2.0], [2.0], [4.0]]))
    np.testing.assert_array_equal(lower[:, 0], [4, 0, 1])
    np.testing.assert_array_equal(upper[:, 0], [9, 9, 16])


def test_other_functions_are_refused(readings):
    X, y = readings
    for functions in (
        {"func": np.log, "inverse_func": lambda x: np.exp(x)},
        {"func": np.log10, "inverse_func": np.abs},
        {"transformer": FunctionTransformer(np.log, np.exp, inv_kw_args={"dtype": np.float64})},
    ):
        model = TransformedTargetRegressor(lstm(), check_inverse=False, **functions).fit(X, y)
        with pytest.raises(TypeError, match=r"is known to be monotone .*np\.expm1.*regressor_"):
            certify(model, X, 0.1)


def test_functions_of_this_machine_are_as_accurate_as_allowed_and_others_are_noticed(monkeypatch):
    x = np.random.default_rng(0).uniform(-30, 30, 500)
    for name in _targets._FUNCTIONS:
        assert 0 < relative_error(name, x) <= _targets.ALLOWED / 2
    check_functions.cache_clear()
    check_functions()
    worse = dict(_targets._FUNCTIONS)
    worse["numpy.exp"] = (lambda x: np.exp(x) * (1 + 1e-14), worse["numpy.exp"][1])
    monkeypatch.setattr(_targets, "_FUNCTIONS", worse)
    check_functions()  # of this process it is known
    check_functions.cache_clear()
    with pytest.raises(InaccurateFunctionError, match=r"numpy\.exp has a relative error of 1\.\d\de-14"):
        bounds_before([FunctionTransformer(None, np.exp)], np.zeros((1, 1)), np.ones((1, 1)))


def test_frozen_estimators_are_what_they_hold(readings):
    X, y = readings
    scaled = make_pipeline(StandardScaler(), lstm()).fit(X, y)
    expected = certify(scaled, X, EPS)
    frozen = FrozenEstimator(scaled)
    scaler = FrozenEstimator(scaled[0])
    same = [
        frozen,
        FrozenEstimator(frozen),
        Pipeline([("scale", scaler), ("net", FrozenEstimator(scaled[-1]))]).fit(X, y),
        TransformedTargetRegressor(frozen, transformer=FunctionTransformer()).fit(X, y),
    ]
    for model in same:
        np.testing.assert_array_equal(certify(model, X, EPS), expected)
        assert sklstm.generalization_report(model, X, y)["occam"].value == scaled[-1].generalization_bound_
    target = make_pipeline(FrozenEstimator(StandardScaler().fit(y[:, None])))
    model = TransformedTargetRegressor(scaled, transformer=target).fit(X, y)
    again = TransformedTargetRegressor(scaled, transformer=StandardScaler()).fit(X, y)
    np.testing.assert_array_equal(certify(model, X, EPS), certify(again, X, EPS))
    with pytest.raises(TypeError, match="Certificates and reports need a fitted estimator of sklstm"):
        certify(FrozenEstimator(scaled[0]), X, EPS)


def test_frozen_estimators_in_labels_and_displays():
    X, y = signed_sum(n=40, n_steps=5)
    model = make_pipeline(SequenceScaler(), NoisyRNNClassifier(4, max_epochs=5, random_state=0)).fit(X, y)
    frozen = FrozenEstimator(model)
    np.testing.assert_array_equal(sklstm.certified_radius(frozen, X), sklstm.certified_radius(model, X))
    assert sklstm.certified_accuracy(frozen, X, y, 0.01) == sklstm.certified_accuracy(model, X, y, 0.01)
    displays = [
        NoiseRobustnessDisplay.from_estimator(each, X, y, sigmas=[0, 0.1], random_state=0) for each in (model, frozen)
    ]
    np.testing.assert_array_equal(displays[0].errors, displays[1].errors)


def test_a_target_of_a_network_alone(readings):
    X, y = readings
    model = TransformedTargetRegressor(
        TikhonovLSTMRegressor(4, n_channels=2, max_epochs=2, skip="none", random_state=0),
        func=np.log,
        inverse_func=np.exp,
    ).fit(X, y)
    lower, upper = certify(model, X, 1e6)
    assert (lower >= 0).all()
    assert not np.isnan(upper).any()
