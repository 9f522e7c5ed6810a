"""X as (n, channels, time) with ``layout="nct"`` gives exactly the numbers of (n, time, channels), everywhere."""

import matplotlib as mpl
import numpy as np
import onnxruntime
import pandas as pd
import pytest
import torch
from sklearn.base import clone, is_classifier
from sklearn.calibration import CalibratedClassifierCV
from sklearn.frozen import FrozenEstimator
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import sklstm
from sklstm.inspection import (
    CertifiedBandDisplay,
    CertifiedFrontDisplay,
    NoiseGeneralizationDisplay,
    NoiseRobustnessDisplay,
    channel_importance,
)
from sklstm.metrics import make_certified_scorer, make_noisy_scorer
from sklstm.model_selection import RegularizationPathCV
from sklstm.preprocessing import SequenceScaler
from tests.support.estimators import CERTIFIED, CLASSIFIERS, ESTIMATORS, REGRESSORS

N, L, D = 50, 5, 3
rng = np.random.default_rng(0)
X = rng.standard_normal((N, L, D)) * [1.0, 2.0, 0.5]
LENGTHS = rng.integers(2, L + 1, N)
EPS = rng.uniform(0.01, 0.1, (N, L, D))
FEW = {"max_epochs": 2, "random_state": 0}


def ragged(values):
    return [sequence[:length] for sequence, length in zip(values, LENGTHS[: len(values)], strict=True)]


def columns(values, layout):
    return (values if layout == "ntc" else values.swapaxes(-1, -2)).reshape(len(values), -1)


# The same sequences, or sizes of them, in each layout.
FORMS = {
    "array": lambda values, layout: values if layout == "ntc" else values.swapaxes(1, 2),
    "float32": lambda values, layout: (values if layout == "ntc" else values.swapaxes(1, 2)).astype(np.float32),
    "contiguous": lambda values, layout: values if layout == "ntc" else values.swapaxes(1, 2).copy(),
    "tensor": lambda values, layout: torch.tensor(values if layout == "ntc" else values.swapaxes(1, 2).copy()),
    "list": lambda values, layout: [part if layout == "ntc" else part.T for part in values],
    "ragged": lambda values, layout: [part if layout == "ntc" else part.T for part in ragged(values)],
    "rows": columns,
    "table of rows": lambda values, layout: pd.DataFrame(columns(values, layout)).add_prefix("column "),
    "frames": lambda values, layout: [pd.DataFrame(part, columns=["a", "b", "c"]) for part in ragged(values)],
    "wide": lambda values, layout: pd.DataFrame(
        values.reshape(len(values), -1), columns=pd.MultiIndex.from_product([range(L), ["a", "b", "c"]])
    ),
}
LAYOUTS = ("ntc", "nct")


def targets(kind):
    total = X[:, 0, 0] + X[:, 1, 1]
    return np.where(total > 0, "up", "down") if is_classifier(kind()) else 1 / (1 + np.exp(-total))


def fitted(kind, form, layout, **options):
    return kind(4, n_channels=D, layout=layout, **FEW | options).fit(FORMS[form](X, layout), targets(kind))


def same(of):
    """Compare what a function of a layout returns, arrays in tuples, to the last bit."""
    first, second = (of(layout) for layout in LAYOUTS)
    for one, other in zip(first, second, strict=True):
        one, other = np.asarray(one), np.asarray(other)
        assert one.dtype == other.dtype
        np.testing.assert_array_equal(one, other)
    assert len(first)


# All forms with one kind, all kinds with those forms that differ most.
PAIRS = [(sklstm.TikhonovLSTMRegressor, form) for form in FORMS] + [
    (kind, form) for kind in ESTIMATORS[1:] for form in ("array", "ragged")
]


@pytest.mark.parametrize(("kind", "form"), PAIRS)
def test_training_and_predictions(kind, form):
    def of(layout):
        model = fitted(kind, form, layout)
        given, y = FORMS[form](X, layout), targets(kind)
        report = model.generalization_report(given, y)
        later = clone(model).set_params(max_epochs=3, early_stopping=True).fit(given, y, X_val=given, y_val=y)
        more = clone(model).partial_fit(given, y, **({"classes": np.unique(y)} if is_classifier(kind()) else {}))
        held = model.holdout_bound(FORMS[form](X[1:], layout), y[1:])
        return (
            model.predict(given),
            model.loss_curve_,
            model.n_features_in_,
            model.generalization_bound_,
            [bound.value for bound in report.values()],
            later.validation_loss_curve_,
            more.predict(given),
            held.value,
            model.score(given, y),
            *([model.predict_proba(given)] if is_classifier(kind()) else []),
        )

    same(of)


def sizes(form, layout, n=N):
    """Of every shape that may be given beside this form of n sequences."""
    eps = EPS[:n]
    each = FORMS[form](eps, layout)
    yield from (0.05, np.array([0.01, 0.02, 0.03]))
    if form in ("frames", "wide"):
        yield {"c": 0.01, "a": 0.02, "b": 0.03}
        return
    yield each
    if form in ("list", "ragged"):
        swap = (lambda part: part) if layout == "ntc" else (lambda part: part.T)
        yield [swap(np.full((1, D), 0.01 * (i + 1))) for i in range(n)]
        yield [pd.DataFrame(swap(part)) for part in (ragged(eps) if form == "ragged" else eps)]
    elif form in ("array", "contiguous"):
        yield each[0]
        yield each[:1]
        yield each[0].tolist()
        yield list(each)
    elif form == "rows":
        yield each[0]
        yield each[:1]
        yield pd.Series(each[0])
    elif form == "table of rows":
        yield each.iloc[0]
        yield dict(each.iloc[0])


@pytest.mark.parametrize(("kind", "form"), [(kind, form) for kind, form in PAIRS if kind in CERTIFIED])
def test_certificates(kind, form):
    def of(layout):
        model, given, y = fitted(kind, form, layout), FORMS[form](X[:8], layout), targets(kind)[:8]
        found = []
        for eps in sizes(form, layout, 8):
            found += sklstm.certify(model, given, eps, method="intervals")
        if is_classifier(kind()):
            found.append(sklstm.certified_radius(model, given, scale=eps))
            found.append(sklstm.certified_accuracy(model, given, y, eps))
        else:
            found += sklstm.certify(model, given, eps, method="linear")
        scoring = "accuracy" if is_classifier(kind()) else "r2"
        return *found, make_certified_scorer(scoring, 0.01)(model, given, y)

    same(of)


COMPOSED = {
    "scaler": lambda layout, kind: make_pipeline(
        SequenceScaler(n_channels=D, layout=layout), kind(4, n_channels=D, layout=layout, **FEW)
    ),
    "padding": lambda layout, kind: make_pipeline(
        SequenceScaler(n_channels=D, layout=layout, padding_value=0.0), kind(4, n_channels=D, layout=layout, **FEW)
    ),
    "search": lambda layout, kind: FrozenEstimator(
        GridSearchCV(COMPOSED["scaler"](layout, kind), {}, cv=2).fit(FORMS["array"](X, layout), targets(kind))
    ),
}


@pytest.mark.parametrize(
    ("composed", "form"),
    [("scaler", form) for form in ("array", "list", "ragged", "rows", "table of rows", "frames", "wide")]
    + [("padding", "array"), ("padding", "ragged")],
)
def test_compositions(composed, form):
    kind = sklstm.TikhonovLSTMRegressor

    def of(layout):
        given = FORMS[form](X, layout)
        model = COMPOSED[composed](layout, kind).fit(given, targets(kind))
        found = [model.predict(given), model[0].mean_]
        for eps in sizes(form, layout):
            found += sklstm.certify(model, given, eps)
        found += sklstm.prediction_interval(model, given, targets(kind)[::-1], given)
        return found

    same(of)


@pytest.mark.parametrize("form", ["rows", "table of rows"])
def test_scalers_of_scikit_learn_before_a_layout(form):
    def of(layout):
        model = make_pipeline(StandardScaler(), sklstm.NoisyRNNClassifier(4, n_channels=D, layout=layout, **FEW))
        given, y = FORMS[form](X, layout), targets(sklstm.NoisyRNNClassifier)
        model.fit(given, y)
        found = [model.predict_proba(given), sklstm.certified_radius(model, given)]
        for eps in sizes(form, layout):
            found += sklstm.certify(model, given, eps)
        return found

    same(of)


@pytest.mark.parametrize("form", ["array", "tensor", "list", "ragged", "rows", "table of rows", "frames"])
@pytest.mark.parametrize("kind", [sklstm.NoisyRNNClassifier, sklstm.TikhonovGRURegressor])
def test_noise(kind, form):
    def of(layout):
        model, given, y = fitted(kind, form, layout), FORMS[form](X[:4], layout), targets(kind)[:4]
        scoring = "accuracy" if is_classifier(kind()) else "r2"
        found = []
        several = list(sizes(form, layout, 4))
        if form == "table of rows":
            del several[2]  # a table, for certificates only
        if form in ("list", "ragged"):  # one size, or one for each channel or for each entry of a sequence
            several[2:] = [] if form == "ragged" else [FORMS["list"](EPS, layout)[0]]
        for sigma in several:
            found += sklstm.noise_interval(model, given, sigma, n_draws=100, confidence=0.9, random_state=0)
            found.append(make_noisy_scorer(scoring, sigma)(model, given, y))
            if is_classifier(kind()):
                found += sklstm.smoothed_radius(model, given, sigma, n_draws=50, random_state=0)
                found.append(sklstm.smoothed_predict(model, given, sigma, n_draws=50, random_state=0))
        found.append(channel_importance(model, given, y, random_state=0).importances)
        return found

    same(of)


def test_nested_lists_are_an_array():
    model = fitted(sklstm.TikhonovGRURegressor, "array", "nct")
    axes = EPS[:4].swapaxes(1, 2)
    for sigma in (axes, axes[:, :1, :1], axes[:1, :, :1], axes[0]):
        of_array, of_lists = (
            sklstm.noise_interval(model, each, sigma, n_draws=80, confidence=0.9, random_state=0)
            for each in (X[:4].swapaxes(1, 2), X[:4].swapaxes(1, 2).tolist())
        )
        np.testing.assert_array_equal(of_array, of_lists)


@pytest.mark.parametrize("form", ["array", "ragged"])
def test_displays(form):
    mpl.use("Agg")
    kind = sklstm.TikhonovLSTMRegressor

    def of(layout):
        model, given, y = fitted(kind, form, layout), FORMS[form](X, layout), targets(kind)
        noisy = NoiseRobustnessDisplay.from_estimator(
            model, given, y, sigmas=[0.5], n_draws=2, scale=[1.0, 2.0, 3.0], random_state=0
        )
        band = CertifiedBandDisplay.from_estimator(model, given, eps=0.01, y=y)
        front = CertifiedFrontDisplay.from_estimators({"one": [model]}, given, y, 0.01)
        gap = NoiseGeneralizationDisplay.from_estimator(
            COMPOSED["scaler"](layout, kind), given, y, sigmas=[0.3], cv=2, random_state=0
        )
        return noisy.errors, band.lower, band.upper, front.clean["one"], front.certified["one"], gap.train_errors

    same(of)


@pytest.mark.parametrize("form", ["array", "ragged"])
def test_paths_and_searches(form):
    kind = sklstm.TikhonovGRUClassifier

    def of(layout):
        given, y = FORMS[form](X, layout), targets(kind)
        path = RegularizationPathCV(kind(4, n_channels=D, layout=layout, **FEW), "sigma", 2, cv=2).fit(given, y)
        searched = COMPOSED["search"](layout, kind)
        calibrated = CalibratedClassifierCV(kind(4, n_channels=D, layout=layout, **FEW), cv=2)
        others = [calibrated.fit(given, y), searched] if form == "array" else []
        return (
            path.cv_results_["mean_test_score"],
            path.param_range_ if hasattr(path, "param_range_") else path.best_params_["sigma"],
            path.predict(given),
            *sklstm.certify(path, given, 0.01),
            *(make_noisy_scorer("accuracy", [0.1, 5.0, 0.0])(model, given, y) for model in others),
        )

    same(of)


@pytest.mark.parametrize("with_lengths", [False, True])
@pytest.mark.parametrize("kind", REGRESSORS)
def test_onnx_takes_the_layout_of_the_model(kind, with_lengths):
    def of(layout):
        model = fitted(kind, "array", layout, skip="linear")
        graph = model.to_onnx(with_lengths=with_lengths)
        shape = [dim.dim_value or dim.dim_param for dim in graph.graph.input[0].type.tensor_type.shape.dim]
        assert shape == (["n", "steps", D] if layout == "ntc" else ["n", D, "steps"])
        session = onnxruntime.InferenceSession(graph.SerializeToString(), providers=["CPUExecutionProvider"])
        given = {"X": np.ascontiguousarray(FORMS["float32"](X, layout))}
        if with_lengths:
            given["lengths"] = LENGTHS
        return session.run(None, given)

    same(of)


@pytest.mark.parametrize("form", ["array", "ragged", "rows"])
def test_the_scaler_returns_the_layout_that_it_was_given(form):
    plain, turned = (SequenceScaler(n_channels=D, layout=layout).fit(FORMS[form](X, layout)) for layout in LAYOUTS)
    np.testing.assert_array_equal(plain.scale_, turned.scale_)
    given = FORMS[form](X, "nct")
    before = [part.copy() for part in given]
    scaled = turned.transform(given)
    for one, other in zip(scaled, FORMS[form](_whole(plain.transform(FORMS[form](X, "ntc"))), "nct"), strict=True):
        np.testing.assert_array_equal(one, other)
    for one, other in zip(turned.inverse_transform(scaled), before, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-12, atol=1e-14)
    for one, other in zip(given, before, strict=True):
        np.testing.assert_array_equal(one, other)


def _whole(scaled):
    """Sequences of the first layout as an array, filled up."""
    whole = np.zeros((N, L, D))
    for row, part in zip(whole, scaled, strict=True):
        part = part.reshape(-1, D)
        row[: len(part)] = part
    return whole


def test_without_a_copy_the_scaler_leaves_other_memory_alone():
    given = X.swapaxes(1, 2).copy()
    scaled = SequenceScaler(layout="nct", copy=False).fit(given).transform(given)
    np.testing.assert_allclose(scaled, SequenceScaler(layout="nct").fit_transform(X.swapaxes(1, 2)))


def test_a_mapped_file_is_read_in_either_layout(tmp_path):
    y = targets(sklstm.TikhonovLSTMRegressor)

    def of(layout):
        path = tmp_path / f"{layout}.npy"
        np.save(path, FORMS["array"](X, layout))
        mapped = np.load(path, mmap_mode="r")
        model = sklstm.TikhonovLSTMRegressor(4, layout=layout, **FEW).fit(mapped, y)
        return model.predict(mapped), model.generalization_bound_

    same(of)


def test_skip_names_a_column_of_rows_in_either_layout():
    def of(layout):
        # The columns of the last step, by channel.
        steps = pd.DataFrame(columns(X, layout))
        steps.columns = columns(np.array([[[f"{c}{t}" for c in "abc"] for t in range(L)]]), layout)[0]
        model = sklstm.TikhonovLSTMRegressor(
            4, n_channels=D, layout=layout, skip="last", skip_channel=f"b{L - 1}", **FEW
        ).fit(steps, X[:, -1, 1])
        return (model.predict(steps),)

    same(of)


@pytest.mark.parametrize("kind", CLASSIFIERS)
def test_files_keep_the_layout(kind, tmp_path):
    model = fitted(kind, "array", "nct")
    model.save(tmp_path / "model")
    loaded = sklstm.load(tmp_path / "model")
    assert loaded.layout == "nct"
    given = FORMS["array"](X, "nct")
    np.testing.assert_array_equal(loaded.predict(given), model.predict(given))


def test_errors_speak_of_the_axes_as_they_were_given():
    kind = sklstm.TikhonovLSTMRegressor
    y = targets(kind)
    model = fitted(kind, "array", "nct")
    with pytest.raises(
        ValueError,
        match=r"shape \(50, 5, 3\), read as \(n_samples, n_channels=5, n_steps=3\).*"
        r"expecting 3 channels. The time and channel axes look swapped. If they are, set layout='ntc'",
    ):
        model.predict(X)
    with pytest.raises(ValueError, match=r"look swapped. If they are, set layout='nct'"):
        fitted(kind, "array", "ntc").predict(X.swapaxes(1, 2))
    with pytest.raises(ValueError, match=r"X\[0\] has shape \(4,\), but with layout='nct'.*reshape\(1, -1\)"):
        kind(layout="nct").fit([pd.Series(sequence[:, 0]).to_numpy() for sequence in ragged(X)], y)
    with pytest.raises(ValueError, match=r"eps has shape \(5, 3\). With layout='nct' it must be .*\(3, 5\)"):
        sklstm.certify(model, X.swapaxes(1, 2), EPS[0])
    with pytest.raises(ValueError, match="all time steps of the first channel first"):
        kind(n_channels=2, layout="nct").fit(X.reshape(N, -1), y)
    mixed = make_pipeline(SequenceScaler(layout="nct"), kind(4, **FEW))
    mixed.fit(X.swapaxes(1, 2), y)
    with pytest.raises(ValueError, match="have the layouts"):
        sklstm.certify(mixed, X.swapaxes(1, 2), 0.1)
    with pytest.raises(ValueError, match="layout must be one of 'ntc', 'nct'"):
        model.set_params(layout="cnt").predict(X)


def test_a_wide_table_through_another_scaler_is_refused_by_certificates():
    wide = FORMS["wide"](X, "nct")
    kind = sklstm.TikhonovLSTMRegressor
    model = make_pipeline(StandardScaler(), kind(4, n_channels=D, layout="nct", **FEW))
    model.fit(wide.to_numpy(), targets(kind))
    with pytest.raises(ValueError, match="does not read the two levels"):
        sklstm.certify(model, wide, 0.1)


@pytest.mark.parametrize("kind", [sklstm.TikhonovLSTMRegressor, sklstm.NoisyRNNClassifier])
def test_errors_of_channels_are_refused_where_a_step_before_has_lost_their_order(kind):
    """Such a step hands on the columns as they stand. Errors of a channel would be certified as those of others."""
    first = FORMS["wide"](X, "ntc")
    first.columns.names = ["time", "channel"]
    swapped = first.swaplevel(axis=1)  # the levels alone
    by_channel = first[sorted(first.columns, key=lambda label: label[::-1])]
    y, eps = targets(kind), np.arange(1.0, D + 1) / 10
    named = dict(zip("abc", eps, strict=True))
    model = make_pipeline(StandardScaler(), kind(4, n_channels=D, **FEW))
    expected = sklstm.certify(model.fit(first, y), first, eps)
    np.testing.assert_array_equal(sklstm.certify(model.fit(swapped, y), swapped, eps), expected)
    for wrong in (by_channel, by_channel.swaplevel(axis=1)):
        model.fit(wrong, y)
        with pytest.raises(ValueError, match=r"eps has .*not step by step\. Take a SequenceScaler"):
            sklstm.certify(model, wrong, eps)
        by_column = 0.01 * np.arange(1, wrong.shape[1] + 1)
        np.testing.assert_array_equal(*(sklstm.certify(model, form, by_column) for form in (wrong, wrong.to_numpy())))
        remedy = make_pipeline(SequenceScaler(), kind(4, **FEW)).fit(wrong, y)
        of_first = make_pipeline(SequenceScaler(), kind(4, **FEW)).fit(first, y)
        np.testing.assert_allclose(sklstm.certify(remedy, wrong, named), sklstm.certify(of_first, first, named))
