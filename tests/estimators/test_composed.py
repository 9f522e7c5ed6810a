"""Certificates of pipelines, target transformers and searches, in the units of what is given to them."""

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.compose import ColumnTransformer, TransformedTargetRegressor
from sklearn.decomposition import PCA
from sklearn.exceptions import NotFittedError
from sklearn.experimental import enable_halving_search_cv  # noqa: F401
from sklearn.linear_model import Ridge
from sklearn.model_selection import GridSearchCV, HalvingGridSearchCV, RandomizedSearchCV
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import (
    FunctionTransformer,
    MaxAbsScaler,
    MinMaxScaler,
    QuantileTransformer,
    RobustScaler,
    StandardScaler,
)

from sklstm import (
    NoisyRNNClassifier,
    TikhonovGRURegressor,
    TikhonovLSTMRegressor,
    certified_accuracy,
    certified_radius,
    certify,
)
from sklstm.estimators._composition import Composition, Given
from sklstm.model_selection import RegularizationPathCV
from sklstm.preprocessing import SequenceScaler
from tests.support.composed import QUICK, lstm, make_readings, perturbed
from tests.support.problems import late_mean, signed_sum

# Readings and targets in units of their own, as certificates of compositions are about.
pytestmark = pytest.mark.filterwarnings("ignore::sklstm.exceptions.DataWarning")

SCALERS = {
    "standard": StandardScaler(),
    "standard, no mean": StandardScaler(with_mean=False),
    "standard, no deviation": StandardScaler(with_std=False),
    "standard, in place": StandardScaler(copy=False),
    "min-max": MinMaxScaler((-1, 1)),
    "min-max, clipped": MinMaxScaler((0.2, 0.8), clip=True),
    "largest": MaxAbsScaler(),
    "robust": RobustScaler(),
    "robust, normal": RobustScaler(quantile_range=(10, 90), unit_variance=True),
    "sequences": SequenceScaler(2),
    "two": Pipeline([("first", MinMaxScaler()), ("nothing", "passthrough"), ("second", StandardScaler())]),
}


SIZES = np.array([0.5, 0.0002])  # of perturbations of the readings, per channel


@pytest.fixture
def readings():
    return make_readings()


def check_sound(model, X, eps, **options):
    lower, upper = certify(model, X, eps, **options)
    predictions = model.predict(X.copy())  # some scale in place
    assert lower.shape == upper.shape == predictions.shape
    assert lower.dtype == upper.dtype == np.float64
    assert (lower < upper).all()
    for nearby in perturbed(X, eps):
        predictions = model.predict(nearby)
        assert (lower <= predictions).all()
        assert (predictions <= upper).all()
    return lower, upper


@pytest.mark.parametrize("name", SCALERS)
def test_every_scaler_by_two_routes(readings, name):
    X, y = readings
    eps = np.tile(SIZES, 4)
    model = make_pipeline(SCALERS[name], lstm()).fit(X.copy(), y)
    lower, upper = check_sound(model, X, eps)
    # By hand: transform both ends, and certify around their middle.
    low, high = model[:-1].transform(X - eps), model[:-1].transform(X + eps)
    by_hand = model[-1].certify((low + high) / 2, (high - low) / 2)
    scale = np.abs(lower).max()
    np.testing.assert_allclose((lower, upper), by_hand, rtol=0, atol=3e-6 * scale)
    # Without perturbation, the prediction.
    for end in certify(model, X, 0):
        assert np.array_equal(end, model.predict(X.copy()))


@pytest.mark.parametrize("name", ["standard", "min-max", "largest", "robust", "two", "identity"])
@pytest.mark.parametrize("shape", [(60,), (60, 1), (60, 2)])
def test_every_target_scaler_and_shape_of_y(readings, name, shape):
    X, y = readings
    y = np.column_stack((y, X[:, 0])) if shape == (60, 2) else y.reshape(shape)
    transformer = None if name == "identity" else SCALERS[name]
    model = TransformedTargetRegressor(make_pipeline(StandardScaler(), lstm()), transformer=transformer).fit(X, y)
    lower, upper = check_sound(model, X, np.tile(SIZES, 4))
    inner = certify(model.regressor_, X, np.tile(SIZES, 4))
    back = [model.transformer_.inverse_transform(end.reshape(60, -1)) for end in inner]
    np.testing.assert_allclose((lower, upper), np.reshape(back, (2, *shape)), rtol=1e-12)


def test_a_target_transformer_inside_and_around_a_pipeline_and_ours_alone(readings):
    X, y = readings
    model = make_pipeline(StandardScaler(), TransformedTargetRegressor(lstm(), transformer=StandardScaler())).fit(X, y)
    check_sound(model, X, np.tile(SIZES, 4))
    twice = TransformedTargetRegressor(model, transformer=MinMaxScaler()).fit(X, y)
    check_sound(twice, X, np.tile(SIZES, 4))
    own = model[-1].regressor_
    Z = model[:-1].transform(X)
    assert np.array_equal(certify(own, Z, 0.1), own.certify(Z, 0.1))
    assert np.array_equal(certify(make_pipeline("passthrough", own), Z, 0.1), own.certify(Z, 0.1))


def test_eps_in_every_form_means_the_units_and_axes_of_the_given_x(readings):
    X, y = readings
    model = make_pipeline(StandardScaler(), lstm()).fit(X, y)
    expected = certify(model, X, np.tile(SIZES, 4))
    for eps in (SIZES, list(SIZES), np.tile(SIZES, 4)[None], np.broadcast_to(np.tile(SIZES, 4), X.shape)):
        assert np.array_equal(certify(model, X, eps), expected)
    assert np.array_equal(certify(model, X.tolist(), SIZES), expected)
    assert np.array_equal(certify(model, torch.tensor(X), torch.tensor(SIZES)), expected)
    each = np.linspace(0, 0.0003, 60)[:, None]
    lower, upper = certify(model, X, each)
    assert np.array_equal(lower[0], model.predict(X)[0])  # eps is 0 in the first row only
    assert (lower[1:] < upper[1:]).all()
    assert np.array_equal(certify(model, X, 0.0002), certify(model, X, np.full(8, 0.0002)))

    folded = X.reshape(60, 4, 2)
    three = make_pipeline(SequenceScaler(), lstm(n_channels=1)).fit(folded, y)
    expected = check_sound(three, folded, SIZES)
    full = np.broadcast_to(SIZES, folded.shape)
    for eps in (full, full[0], SIZES[None, None], full[:, :1]):
        assert np.array_equal(certify(three, folded, eps), expected)
    assert np.array_equal(certify(three, list(folded), SIZES), expected)


def test_sequences_of_unequal_length():
    X, y = late_mean(40, n_steps=9)
    X = [1000 + 20 * x[-(3 + i % 5) :] for i, x in enumerate(X)]
    model = make_pipeline(SequenceScaler(), lstm(n_channels=1)).fit(X, y)
    sizes = [np.full(x.shape, 0.1 * (1 + i % 3)) for i, x in enumerate(X)]
    lower, upper = certify(model, X, sizes)
    rng = np.random.default_rng(0)
    for _ in range(20):
        nearby = [x + eps * rng.choice([-1.0, 1.0], x.shape) for x, eps in zip(X, sizes, strict=True)]
        assert (lower <= model.predict(nearby)).all()
        assert (model.predict(nearby) <= upper).all()
    Z = model[:-1].transform(X)
    by_hand = model[-1].certify(Z, [eps / model[0].scale_ for eps in sizes])
    np.testing.assert_allclose((lower, upper), by_hand, rtol=0, atol=1e-5)
    assert np.array_equal(certify(model, pd.Series(X), sizes), (lower, upper))
    frames = [pd.DataFrame(x, columns=["a", "b"]) for x in X]
    named = make_pipeline(SequenceScaler(), lstm(n_channels=1)).fit(frames, y)
    assert np.array_equal(certify(named, frames, sizes), (lower, upper))
    for eps in (0.1, [0.1, 0.1], np.full((40, 1, 1), 0.1)):
        assert np.array_equal(certify(model, X, eps), certify(model, X, [np.full((1, 2), 0.1)] * 40))


@pytest.mark.parametrize("output", ["default", "pandas"])
def test_frames_keep_their_names(readings, output):
    X, y = readings
    frame = pd.DataFrame(X).add_prefix("x")
    model = make_pipeline(StandardScaler(), MinMaxScaler(), lstm()).set_output(transform=output).fit(frame, y)
    expected = certify(make_pipeline(StandardScaler(), MinMaxScaler(), lstm()).fit(X, y), X, SIZES)
    np.testing.assert_allclose(certify(model, frame, SIZES), expected, rtol=1e-6)
    with pytest.raises(ValueError, match="feature names"):
        certify(model, frame.rename(columns={"x0": "z"}), SIZES)
    mixed = frame.astype({"x0": "Float64", "x1": "float32"})
    np.testing.assert_allclose(certify(model, mixed, SIZES), expected, rtol=1e-4)


class Table:
    """A table of another library than pandas: made of columns, and known to numpy."""

    def __init__(self, columns):
        self._columns = columns
        self.columns = list(columns)
        self.shape = (len(columns[self.columns[0]]), len(columns))

    def __array__(self, dtype=None, copy=None):
        return np.column_stack(list(self._columns.values())).astype(dtype or float)


def test_tables_of_other_libraries_are_made_of_columns():
    given = Given.read(Table({"a": np.arange(3.0), "b": np.ones(3)}), StandardScaler())
    made = given.form(np.array([[5.0, 6.0]]), np.array([1]))
    assert isinstance(made, Table)
    assert made.columns == ["a", "b"]
    assert np.array_equal(made, [[5.0, 6.0]])


def test_wide_frames_are_read_as_the_first_transformer_reads_them(readings):
    X, y = readings
    times = pd.MultiIndex.from_product([range(4), ["a", "b"]], names=["time", "channel"])
    wide = pd.DataFrame(X, columns=times)
    by_channel = wide.swaplevel(axis=1).sort_index(axis=1)
    sequences = make_pipeline(SequenceScaler(), lstm(n_channels=1)).fit(wide, y)
    expected = certify(sequences, wide, SIZES)
    per_step = SIZES * np.array([[0], [0], [0], [1]])
    assert np.array_equal(certify(sequences, by_channel, SIZES), expected)
    assert np.array_equal(certify(sequences, by_channel, per_step), certify(sequences, wide, per_step))
    # Columns as they stand, to a scaler of columns.
    rows = make_pipeline(StandardScaler(), lstm()).fit(X, y)
    assert np.array_equal(certify(rows, wide, np.tile(SIZES, 4)), certify(rows, X, SIZES))
    Z = X[:, [0, 2, 4, 6, 1, 3, 5, 7]]
    assert np.array_equal(certify(rows, by_channel, np.arange(8) * 1e-4), certify(rows, Z, np.arange(8) * 1e-4))


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("name", ["standard", "min-max", "robust", "sequences"])
def test_small_perturbations_of_large_values(name, dtype):
    X, y = late_mean(60, n_steps=4)
    X = (1e6 + X.reshape(60, -1)).astype(dtype)  # float32 has steps of 1/16 here
    model = make_pipeline(SCALERS[name], lstm()).fit(X, y)
    for end in certify(model, X, 0):
        assert np.array_equal(end, model.predict(X))
    for eps in (1e-3, 0.1):
        lower, upper = check_sound(model, X, dtype(eps))
        for nearby in perturbed(X.astype(np.float64), eps, 10):
            assert (lower <= model.predict(nearby)).all()
            assert (model.predict(nearby) <= upper).all()


@pytest.mark.parametrize("name", SCALERS)
@pytest.mark.parametrize("dtype", [np.float64, np.float32, np.float16])
def test_the_ends_are_those_of_all_images_to_the_last_digit(name, dtype):
    rng = np.random.default_rng(0)
    X = (rng.standard_normal((50, 8)) * 3 + 11).astype(dtype)
    model = make_pipeline(SCALERS[name], lstm()).fit(X, X[:, 0].astype(float))
    chain, given = Composition.around(model), Given.read(X, model[0])
    radii = rng.choice([0, 1e-3, 0.01, 1.0, 1e5], (50, 4, 2))  # the last is beyond float16
    low, high = (end.reshape(50, 8) for end in chain.ends(given, np.arange(50), radii))
    radii = radii.reshape(50, 8)
    for _ in range(30):
        for kind in (np.float64, dtype):
            inside = X + radii * rng.choice([-1, 1, 0.5, 1 - 1e-12], X.shape)
            inside = inside.clip(-np.finfo(kind).max, np.finfo(kind).max).astype(kind)
            image = model[:-1].transform(inside.copy()).astype(np.float64)
            assert (low <= image).all()
            assert (image <= high).all()


def test_padding_stays_or_becomes_data():
    X, y = late_mean(30, n_steps=6)
    X = X + 5
    X[::2, :2] = 0
    X[1::2, :1] = 0
    model = make_pipeline(SequenceScaler(padding_value=0), lstm(n_channels=1)).fit(X, y)
    padding = (X == 0).all(axis=2)[:, :, None]
    rng = np.random.default_rng(0)
    for eps in (np.where(padding, 0.0, 0.1), np.where(rng.random(X.shape) < 0.8, 0.1, 0.0), np.full(X.shape, 0.1)):
        lower, upper = certify(model, X, eps)
        for attempt in range(20):
            part = rng.random((30, 6, 1)) < 0.5 if attempt % 2 else 1  # padding that is left alone
            nearby = X + part * eps * rng.uniform(-1, 1, X.shape)
            assert (lower <= model.predict(nearby)).all()
            assert (model.predict(nearby) <= upper).all()
    kept = certify(model, X, np.where(padding, 0.0, 0.1))
    Z = model[:-1].transform(X)
    by_hand = model[-1].certify(Z, np.where(padding, 0.0, 0.1 / model[0].scale_))
    np.testing.assert_allclose(kept, by_hand, rtol=0, atol=1e-5)
    assert np.subtract(*kept).mean() > np.subtract(*certify(model, X, 0.1)).mean()  # narrower: negative widths


def test_a_negative_scale_turns_the_ends_round(readings):
    X, y = readings
    model = TransformedTargetRegressor(make_pipeline(StandardScaler(), lstm()), transformer=StandardScaler()).fit(X, y)
    model.regressor_[0].scale_[::2] *= -1
    model.transformer_.scale_ *= -1
    check_sound(model, X, np.tile(SIZES, 4))


def test_searches(readings):
    X, y = readings
    pipeline = TransformedTargetRegressor(make_pipeline(StandardScaler(), lstm()), transformer=StandardScaler())
    grid = {"regressor__tikhonovlstmregressor__lambda_s": [0.001, 0.01]}
    for search in (
        GridSearchCV(pipeline, grid, cv=2),
        RandomizedSearchCV(pipeline, grid, n_iter=1, cv=2, random_state=0),
        HalvingGridSearchCV(pipeline, grid, cv=2, random_state=0),
    ):
        search.fit(X, y)
        check_sound(search, X, np.tile(SIZES, 4))
        assert np.array_equal(certify(search, X, SIZES), certify(search.best_estimator_, X, SIZES))
    inside = make_pipeline(StandardScaler(), GridSearchCV(lstm(), {"lambda_s": [0.01]}, cv=2)).fit(X, y)
    check_sound(inside, X, np.tile(SIZES, 4))
    path = make_pipeline(StandardScaler(), RegularizationPathCV(lstm(), "lambda_s", 2, cv=2)).fit(X, y)
    check_sound(path, X, np.tile(SIZES, 4))
    alone = path[-1]
    assert np.array_equal(certify(alone, path[:-1].transform(X), 0.1), alone.certify(path[:-1].transform(X), 0.1))


@pytest.mark.filterwarnings("ignore::optuna.exceptions.ExperimentalWarning")
@pytest.mark.filterwarnings("ignore:`optuna.terminator` module has been deprecated:FutureWarning")
def test_a_search_of_optuna(readings):
    optuna = pytest.importorskip("optuna")
    from optuna_integration.sklearn import OptunaSearchCV

    X, y = readings
    model = make_pipeline(StandardScaler(), lstm())
    space = {"tikhonovlstmregressor__lambda_s": optuna.distributions.FloatDistribution(0.001, 0.01)}
    verbosity = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    try:
        search = OptunaSearchCV(model, space, n_trials=1, cv=2, random_state=0)
        with pytest.raises(NotFittedError, match="call fit first"):
            certify(search, X, 0.1)
        search.fit(X, y)
    finally:
        optuna.logging.set_verbosity(verbosity)
    assert np.array_equal(certify(search, X, SIZES), certify(search.best_estimator_, X, SIZES))


def test_classifiers_give_bounds_on_the_outputs_of_their_networks():
    X, y = signed_sum(60)
    X = 100 + 30 * X
    model = make_pipeline(SequenceScaler(), NoisyRNNClassifier(**QUICK)).fit(X, y)
    lower, upper = certify(model, X, 0.5)
    assert lower.shape == (60, 2)
    for nearby in perturbed(X, 0.5):
        outputs = model[-1]._outputs(model[:-1].transform(nearby))
        assert (lower <= outputs).all()
        assert (outputs <= upper).all()
    path = RegularizationPathCV(NoisyRNNClassifier(**QUICK), "sigma", [0.0, 0.1], cv=2)
    model = make_pipeline(SequenceScaler(), path).fit(X, y)
    by_hand = model[-1].certify(model[:-1].transform(X), 0.5 / model[0].scale_)
    np.testing.assert_allclose(certify(model, X, 0.5), by_hand, rtol=1e-4, atol=1e-5)


def test_labels_are_not_for_regressors_nor_targets_for_labels(readings):
    X, y = readings
    model = make_pipeline(StandardScaler(), lstm()).fit(X, y)
    with pytest.raises(TypeError, match="TikhonovLSTMRegressor is a regressor"):
        certified_radius(model, X)
    with pytest.raises(TypeError, match="TikhonovLSTMRegressor is a regressor"):
        certified_accuracy(model, X, y, 0.1)
    for rtol in (0, 2, np.nan):
        with pytest.raises(ValueError, match="rtol"):
            certified_radius(model, X, rtol=rtol)
    classifier = TransformedTargetRegressor(NoisyRNNClassifier(n_channels=2, **QUICK)).fit(X, (y > 50).astype(int))
    for function, arguments in ((certify, (0.1,)), (certified_radius, ()), (certified_accuracy, (y, 0.1))):
        with pytest.raises(TypeError, match="around NoisyRNNClassifier, a classifier"):
            function(classifier, X, *arguments)


def test_bounds_that_say_nothing_stay_so(readings):
    X, y = readings
    model = TransformedTargetRegressor(make_pipeline(StandardScaler(), lstm()), transformer=StandardScaler()).fit(X, y)
    chain = Composition.around(model)
    lower, upper = chain.outputs(np.array([-np.inf, 0.0]), np.array([1.0, 1.0]))
    assert np.array_equal(lower, [-np.inf, model.transformer_.mean_[0]])
    assert upper[0] == np.inf
    assert upper[1] == model.transformer_.inverse_transform([[1.0]])[0, 0]


class Odd(StandardScaler):
    """A subclass may do anything."""

    def transform(self, X, copy=None):
        return np.abs(super().transform(X, copy=copy))


@pytest.mark.parametrize(
    ("step", "name"),
    [
        (PCA(8), "PCA"),
        (Odd(), "Odd"),
        (FunctionTransformer(np.abs), "FunctionTransformer"),
        (QuantileTransformer(n_quantiles=10), "QuantileTransformer"),
        (ColumnTransformer([("all", StandardScaler(), list(range(8)))]), "ColumnTransformer"),
        (make_pipeline(StandardScaler(), PCA(8)), "PCA"),
    ],
)
def test_unknown_transformers_are_named_before_any_work(readings, monkeypatch, step, name):
    X, y = readings
    model = Pipeline([("prepare", step), ("scale", StandardScaler()), ("net", lstm())]).fit(X, y)
    monkeypatch.setattr(StandardScaler, "transform", lambda *_: pytest.fail("work began"))
    step_name = "pca" if isinstance(step, Pipeline) else "prepare"
    message = rf"Step '{step_name}' of the pipeline, {name}, is not .*StandardScaler, .*SequenceScaler.*transform\(X\)"
    with pytest.raises(TypeError, match=message):
        certify(model, X, 0.1)


def test_unknown_ways_back_to_the_target(readings):
    X, y = readings
    functions = TransformedTargetRegressor(lstm(), func=np.cbrt, inverse_func=lambda x: x**3).fit(X, y - y.min() + 1)
    with pytest.raises(TypeError, match=r"goes through functions.*regressor_"):
        certify(functions, X, 0.1)
    two = np.column_stack((y, X[:, 0]))
    turned = TransformedTargetRegressor(lstm(), transformer=make_pipeline(StandardScaler(), PCA(2))).fit(X, two)
    with pytest.raises(TypeError, match=r"goes through PCA.*StandardScaler"):
        certify(turned, X, 0.1)


def test_what_is_no_fitted_model_of_ours(readings):
    X, y = readings
    pipeline = make_pipeline(StandardScaler(), lstm())
    for unfitted in (
        lstm(),
        pipeline,
        TransformedTargetRegressor(pipeline),
        GridSearchCV(pipeline, {}),
        RegularizationPathCV(lstm(), "lambda_s"),
    ):
        with pytest.raises(NotFittedError):
            certify(unfitted, X, 0.1)
    half = make_pipeline(StandardScaler(), TikhonovGRURegressor(n_channels=2, **QUICK).fit(X, y))
    with pytest.raises(NotFittedError, match="StandardScaler"):
        certify(half, X, 0.1)
    for search in (
        GridSearchCV(lstm(), {"lambda_s": [0.01]}, cv=2, refit=False),
        RegularizationPathCV(lstm(), "lambda_s", 2, cv=2, refit=False),
    ):
        with pytest.raises(NotFittedError, match="refit=False"):
            certify(search.fit(X, y), X, 0.1)
    for other in (
        Ridge().fit(X, y),
        make_pipeline(StandardScaler(), Ridge()).fit(X, y),
        TransformedTargetRegressor(Ridge()).fit(X, y),
        GridSearchCV(Ridge(), {}, cv=2).fit(X, y),
        TikhonovLSTMRegressor,
        make_pipeline(StandardScaler()).fit(X),
        None,
    ):
        with pytest.raises(TypeError, match="need a fitted estimator of sklstm, or a Pipeline"):
            certify(other, X, 0.1)


@pytest.mark.parametrize(
    ("eps", "error", "message"),
    [
        (-0.1, ValueError, "must be finite and not negative"),
        (np.nan, ValueError, "must be finite"),
        ("much", TypeError, "must be a number"),
        (np.ones(7), ValueError, r"eps has shape \(7,\)\. Pipeline takes one number"),
        (1e300, ValueError, "too large for float32"),
    ],
)
def test_bad_eps_is_refused_before_any_work(readings, monkeypatch, eps, error, message):
    X, y = readings
    model = make_pipeline(StandardScaler(), lstm()).fit(X, y)
    monkeypatch.setattr("sklstm.estimators._certify.output_bounds", lambda *_, **__: pytest.fail("work began"))
    with pytest.raises(error, match=message):
        certify(model, X, eps)
    with pytest.raises(error, match=message):
        certify(model, X.astype(np.float32), eps)
    with pytest.raises(ValueError, match="method must be one of"):
        certify(model, X, 0.1, method="guess")
    with pytest.raises((ValueError, TypeError), match="batch_size"):
        certify(model, X, 0.1, batch_size=0)


def test_bad_x_and_nothing_changed(readings):
    X, y = readings
    model = make_pipeline(StandardScaler(copy=False), SequenceScaler(2, copy=False), lstm()).fit(X.copy(), y)
    before = X.copy()
    lower, upper = certify(model, X, SIZES, method="linear")
    assert np.array_equal(X, before)
    few = certify(model, X, SIZES, batch_size=7, method="linear")
    np.testing.assert_allclose(few, (lower, upper), rtol=1e-4, atol=1e-6)
    missing = X.copy()
    missing[3, 3] = np.nan
    for wrong, message in ((missing, "NaN"), (X[:, :6], "features"), (X[0], "2D"), (X.reshape(60, 4, 2), "dim")):
        with pytest.raises(ValueError, match=message):
            certify(model, wrong, SIZES)


def shifted(cls):
    """A subclass whose predictions are its own."""

    class Shifted(cls):
        def predict(self, X):
            return super().predict(X) + 100

    return Shifted


def test_predictions_in_a_way_of_somebodys_own_have_no_certificate(readings):
    X, y = readings
    search = shifted(GridSearchCV)(lstm(), {"lambda_s": [0.01]}, cv=2).fit(X, y)
    pipeline = shifted(Pipeline)([("scale", StandardScaler()), ("lstm", lstm())]).fit(X, y)
    estimator = shifted(TikhonovLSTMRegressor)(n_channels=2, **QUICK).fit(X, y)
    for model in (search, pipeline, estimator, make_pipeline(StandardScaler(), estimator).fit(X, y)):
        with pytest.raises(TypeError, match="has a predict of its own"):
            certify(model, X, 0.01)


def test_certificates_show_how_far_they_are_and_nothing_unless_asked(capsys):
    X = np.random.default_rng(0).standard_normal((9, 4, 2))
    y = X[:, -1, 0] > 0
    model = make_pipeline(SequenceScaler(), NoisyRNNClassifier(2, max_epochs=1, random_state=0)).fit(X, y)
    calls = {
        "certify": lambda **options: certify(model, X, 0.1, **options),
        "certified_radius": lambda **options: certified_radius(model, X, **options),
        "certified_accuracy": lambda **options: certified_accuracy(model, X, y, 0.1, **options),
    }
    for name, call in calls.items():
        expected = call()
        assert capsys.readouterr() == ("", "")
        np.testing.assert_array_equal(call(verbose=1), expected)
        out, err = capsys.readouterr()
        assert not out
        assert f"{name}: 100%" in err
        assert "9/9" in err
        with pytest.raises((TypeError, ValueError), match="verbose"):
            call(verbose=-1)
