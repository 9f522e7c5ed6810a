"""`SequenceScaler` against `StandardScaler` on the table of all time steps, and what sequences add to it."""

import pickle

import numpy as np
import pandas as pd
import polars as pl
import pytest
import sklearn
import torch
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils import get_tags
from sklearn.utils.estimator_checks import estimator_checks_generator, parametrize_with_checks

from sklstm import NoisyRNNClassifier, TikhonovLSTMRegressor
from sklstm.datasets import load_bike_sharing, load_japanese_vowels
from sklstm.preprocessing import SequenceScaler, pad_sequences

CHECKED = [SequenceScaler(), SequenceScaler(with_mean=False, padding_value=0.0), SequenceScaler(with_std=False)]
N, L, D = 7, 5, 3


@pytest.fixture
def X():
    rng = np.random.default_rng(0)
    return rng.normal(size=(N, L, D)) * [1.0, 10.0, 0.1] + [0.0, 5.0, -3.0]


def as_wide(X):
    """A frame with columns (time, channel), time-major."""
    n, n_steps, d = X.shape
    columns = pd.MultiIndex.from_product([range(n_steps), [f"c{i}" for i in range(d)]])
    return pd.DataFrame(X.reshape(n, -1), columns=columns)


FORMS = {
    "array": (lambda X: X, {}),
    "fortran": (lambda X: np.asfortranarray(X), {}),
    "rows": (lambda X: X.reshape(N, -1), {"n_channels": D}),
    "frame": (lambda X: pd.DataFrame(X.reshape(N, -1)).add_prefix("x"), {"n_channels": D}),
    "wide": (as_wide, {}),
    "list": (list, {}),
    "tuple": (tuple, {}),
    "nested lists": (lambda X: X.tolist(), {}),
    "list of tensors": (lambda X: [torch.tensor(x) for x in X], {}),
    "tensor": (lambda X: torch.tensor(X, requires_grad=True), {}),
}


@parametrize_with_checks(CHECKED)
@pytest.mark.draws_from_numpy
def test_scikit_learn_check(estimator, check):
    check(estimator)


@pytest.mark.skipif(sklearn.__version__ < "1.9", reason="the number of checks is that of scikit-learn 1.9")
@pytest.mark.parametrize("estimator", CHECKED, ids=str)
def test_no_check_is_silently_left_out(estimator):
    assert sum(1 for _ in estimator_checks_generator(estimator, mark=None)) == 53


def test_tags():
    tags = get_tags(SequenceScaler())
    assert tags.input_tags.two_d_array
    assert tags.input_tags.three_d_array
    assert tags.input_tags.allow_nan
    assert tags.transformer_tags.preserves_dtype == ["float64", "float32"]


def test_standard_scaler_refuses_what_this_takes(X):
    with pytest.raises(ValueError, match="dim 3"):
        StandardScaler().fit(X)
    scaled = SequenceScaler().fit_transform(X)
    np.testing.assert_allclose(scaled.mean(axis=(0, 1)), 0, atol=1e-14)
    np.testing.assert_allclose(scaled.std(axis=(0, 1)), 1, rtol=1e-14)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("missing", [False, True])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("options", [{}, {"with_mean": False}, {"with_std": False}])
def test_every_form_agrees_with_standard_scaler(X, form, missing, weighted, options):
    if missing:
        X[0, :, 0] = X[3, 2, :] = X[5, 4, 1] = np.nan
    weights = np.random.default_rng(1).random(N) if weighted else None
    given, folding = FORMS[form]
    steps = X.reshape(-1, D)
    reference = StandardScaler(**options).fit(steps, sample_weight=None if weights is None else np.repeat(weights, L))
    scaler = SequenceScaler(**folding, **options)
    scaled = scaler.fit(given(X), sample_weight=weights).transform(given(X))

    np.testing.assert_allclose(scaler.mean_, reference.mean_, rtol=1e-13, atol=1e-14)
    np.testing.assert_allclose(scaler.n_samples_seen_, reference.n_samples_seen_, rtol=1e-14)
    assert np.ndim(scaler.n_samples_seen_) == np.ndim(reference.n_samples_seen_)
    if options.get("with_std", True):
        np.testing.assert_allclose(scaler.var_, reference.var_, rtol=1e-13)
        np.testing.assert_allclose(scaler.scale_, reference.scale_, rtol=1e-13)
    else:
        assert scaler.var_ is None
        assert scaler.scale_ is None
    np.testing.assert_allclose(np.reshape(scaled, (-1, D)), reference.transform(steps), rtol=1e-12, atol=1e-13)
    # The form comes back: lists as lists, rows as rows, all else with an axis of channels.
    assert isinstance(scaled, list) == ("list" in form or form == "tuple")
    assert np.shape(scaled) == ((N, L * D) if form in ("rows", "frame") else (N, L, D))
    np.testing.assert_allclose(np.reshape(scaler.inverse_transform(scaled), X.shape), X, rtol=1e-13, atol=1e-14)


def test_neither_mean_nor_deviation_leaves_values_alone(X):
    scaler = SequenceScaler(with_mean=False, with_std=False).fit(X)
    assert scaler.mean_ is None
    assert scaler.var_ is None
    np.testing.assert_array_equal(scaler.transform(X), X)
    np.testing.assert_array_equal(scaler.inverse_transform(X), X)
    assert scaler.n_samples_seen_ == N * L


def test_utterances_of_unequal_length():
    train, test = (load_japanese_vowels(subset=subset, padded=False).data for subset in ("train", "test"))
    scaler = SequenceScaler().fit(train)
    reference = StandardScaler().fit(np.concatenate(train))
    np.testing.assert_allclose(scaler.mean_, reference.mean_, rtol=1e-12, atol=1e-14)
    np.testing.assert_allclose(scaler.scale_, reference.scale_, rtol=1e-12)
    assert scaler.n_samples_seen_ == sum(map(len, train)) == 4274
    assert scaler.n_features_in_ == 12
    scaled = scaler.transform(test)
    assert [x.shape for x in scaled] == [x.shape for x in test]
    for given, returned in zip(test, scaled, strict=True):
        np.testing.assert_allclose(returned, reference.transform(given), rtol=1e-11, atol=1e-12)
        assert not np.shares_memory(given, returned)
    for given, returned in zip(test, scaler.inverse_transform(scaled), strict=True):
        np.testing.assert_allclose(returned, given, rtol=1e-12, atol=1e-14)


def test_an_object_array_is_a_list(X):
    ragged = np.empty(2, dtype=object)
    ragged[:] = [X[0], X[1, :2]]
    scaled = SequenceScaler().fit_transform(ragged)
    for a, b in zip(scaled, SequenceScaler().fit_transform([X[0], X[1, :2]]), strict=True):
        np.testing.assert_array_equal(a, b)


def test_padding_plays_no_part_and_stays():
    padded, ragged = load_japanese_vowels().data, load_japanese_vowels(padded=False).data
    scaler, reference = SequenceScaler(padding_value=0).fit(padded), SequenceScaler().fit(ragged)
    np.testing.assert_allclose(scaler.mean_, reference.mean_, rtol=1e-13)
    np.testing.assert_allclose(scaler.var_, reference.var_, rtol=1e-13)
    assert scaler.n_samples_seen_ == 4274
    scaled = scaler.transform(padded)
    np.testing.assert_allclose(scaled, pad_sequences(reference.transform(ragged), length=29), rtol=1e-12, atol=1e-12)
    padding = np.arange(29) < 29 - load_japanese_vowels().lengths[:, None]
    assert (scaled[padding] == 0).all()
    restored = scaler.inverse_transform(scaled)
    np.testing.assert_allclose(restored, padded, rtol=1e-12, atol=1e-14)
    assert (restored[padding] == 0).all()
    # Without the option, the zeros count.
    assert SequenceScaler().fit(padded).n_samples_seen_ == 270 * 29


def test_padding_is_at_the_ends_only_and_in_all_channels():
    X = np.array([[[9, 9], [1, 9], [9, 9], [2, 5], [9, 9]]], dtype=float)
    scaler = SequenceScaler(padding_value=9.0).fit(X)
    np.testing.assert_allclose(scaler.mean_, [4.0, 23 / 3], rtol=1e-15)
    assert scaler.n_samples_seen_ == 3
    scaled = scaler.transform(X)
    np.testing.assert_array_equal(scaled[0, [0, 4]], 9.0)
    np.testing.assert_allclose(scaled[0, 2], (9.0 - scaler.mean_) / scaler.scale_, rtol=1e-15)
    # Rows are padded a step at a time, not a column at a time.
    rows = SequenceScaler(2, padding_value=9.0).fit(X.reshape(1, -1))
    np.testing.assert_array_equal(rows.transform(X.reshape(1, -1)), scaled.reshape(1, -1))


def test_zeros_before_a_scaled_sequence_change_no_prediction():
    X, y = load_japanese_vowels(return_X_y=True)
    model = make_pipeline(SequenceScaler(padding_value=0), NoisyRNNClassifier(16, max_epochs=2, random_state=0))
    model.fit(X[::5], y[::5])
    longer = np.concatenate([np.zeros((20, 11, 12)), X[:20]], axis=1)
    np.testing.assert_allclose(model.predict_proba(longer), model.predict_proba(X[:20]), rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize(
    ("given", "returned"),
    [(np.float32, np.float32), (np.float64, np.float64), (np.float16, np.float64), (np.int32, np.float64),
     (bool, np.float64), (object, np.float64), (">f8", np.float64)],
)  # fmt: skip
def test_dtypes(X, given, returned):
    X = (np.abs(X) > 1).astype(given)
    scaler = SequenceScaler().fit(X)
    assert scaler.mean_.dtype == scaler.scale_.dtype == np.float64
    for form in (X, list(X)):
        for array in (scaler.transform(form), scaler.inverse_transform(form)):
            assert np.asarray(array).dtype == returned


def test_half_precision_tensors_are_read():
    X = torch.randn(4, 3, 2, dtype=torch.bfloat16, generator=torch.Generator().manual_seed(0))
    scaled = SequenceScaler().fit_transform(X)
    np.testing.assert_array_equal(scaled, SequenceScaler().fit_transform(X.float().numpy()))


def test_copy(X):
    kept = X.copy()
    SequenceScaler().fit_transform(X)
    SequenceScaler(copy=False).fit_transform(list(X))
    SequenceScaler(copy=False).fit(X)
    np.testing.assert_array_equal(X, kept)
    scaler = SequenceScaler(copy=False).fit(X)
    assert np.shares_memory(scaler.transform(X), X)
    np.testing.assert_array_equal(X, SequenceScaler().fit_transform(kept))
    assert np.shares_memory(scaler.inverse_transform(X), X)
    np.testing.assert_allclose(X, kept, rtol=1e-13, atol=1e-14)
    X.flags.writeable = False
    scaler.transform(X)
    np.testing.assert_allclose(X, kept, rtol=1e-13, atol=1e-14)


def test_default_rows_are_one_channel():
    series = load_bike_sharing().target[:240].reshape(10, 24)
    scaler = SequenceScaler().fit(series)
    assert scaler.mean_.shape == (1,)
    np.testing.assert_allclose(scaler.mean_, series.mean(), rtol=1e-14)
    assert scaler.n_features_in_ == 24


def test_names_and_frames(X):
    frame = pd.DataFrame(X.reshape(N, -1), index=list("abcdefg")).add_prefix("x")
    scaler = SequenceScaler(D).set_output(transform="pandas").fit(frame)
    assert scaler.feature_names_in_.tolist() == scaler.get_feature_names_out().tolist() == frame.columns.tolist()
    scaled = scaler.transform(frame)
    assert isinstance(scaled, pd.DataFrame)
    assert scaled.columns.equals(frame.columns)
    assert scaled.index.equals(frame.index)
    np.testing.assert_array_equal(scaled.to_numpy(), SequenceScaler(D).fit_transform(X.reshape(N, -1)))
    with pytest.raises(ValueError, match="feature names should match"):
        scaler.transform(frame[frame.columns[::-1]])
    scaler.inverse_transform(scaled.to_numpy())  # without names, without a warning


def test_sequences_do_not_fit_in_a_frame(X):
    message = r"^SequenceScaler is set to return pandas frames, which hold 2-D X only, not sequences"
    for given in (X, list(X), as_wide(X), [X[0], X[1, :2]]):
        scaler = SequenceScaler().set_output(transform="pandas").fit(given)
        with pytest.raises(ValueError, match=message):
            scaler.transform(given)
        scaler.set_output(transform="default").transform(given)
        with sklearn.config_context(transform_output="pandas"), pytest.raises(ValueError, match=message):
            SequenceScaler().fit_transform(given)


def test_names_of_channels(X):
    frames = [pd.DataFrame(x[: 2 + i % 3], columns=["u", "v", "w"]) for i, x in enumerate(X)]
    scaler = SequenceScaler().fit(frames)
    assert scaler.feature_names_in_.tolist() == scaler.get_feature_names_out().tolist() == ["u", "v", "w"]
    arrays = SequenceScaler().fit_transform([frame.to_numpy() for frame in frames])
    for a, b in zip(scaler.transform(frames), arrays, strict=True):
        np.testing.assert_array_equal(a, b)
    swapped = [frame[["v", "u", "w"]] for frame in frames]
    with pytest.raises(ValueError, match="feature names should match"):
        scaler.transform(swapped)
    with pytest.raises(ValueError, match=r"^X\[1\] has columns \['v', 'u', 'w'\], but X\[0\] has"):
        scaler.fit([frames[0], swapped[1]])
    nullable = [frame.convert_dtypes() for frame in frames]
    nullable[0].iloc[0, 0] = pd.NA
    assert np.isnan(scaler.transform(nullable)[0].to_numpy()).sum() == 1


def test_sequences_keep_their_labels(X):
    """Later steps compare names, times and ids; a scaler that forgot them would make them silent."""
    names, days = ["u", "v", "w"], pd.date_range("2024", periods=L)
    frames = [pd.DataFrame(x, columns=names, index=days) for x in X]
    ids = [f"patient {i}" for i in range(N)]
    scaler, plain = SequenceScaler().fit(frames), SequenceScaler().fit(list(X))
    for name in ("transform", "inverse_transform"):
        way, values = getattr(scaler, name), getattr(plain, name)(list(X))
        for given in (frames, pd.Series(frames, index=ids, name="ward")):
            found = way(given)
            assert type(found) is type(given)
            for frame, array in zip(found, values, strict=True):
                pd.testing.assert_frame_equal(frame, pd.DataFrame(array, columns=names, index=days), rtol=1e-12)
        assert way(pd.Series(frames, index=ids, name="ward")).index.tolist() == ids
        arrays = getattr(plain, name)(pd.Series(list(X), index=ids))
        assert (arrays.index.tolist(), type(arrays.iloc[0])) == (ids, np.ndarray)
    np.testing.assert_array_equal(frames[0], X[0], "the user's frames are left alone")
    polar = [pl.DataFrame(x, schema=names) for x in X]
    for frame, array in zip(scaler.transform(polar), plain.transform(list(X)), strict=True):
        assert (frame.columns, type(frame)) == (names, pl.DataFrame)
        np.testing.assert_allclose(frame.to_numpy(), array, rtol=1e-12)


class Recording(pd.DataFrame):
    """A data frame with an argument of its own."""

    _metadata = ("rate",)

    def __init__(self, *args, rate, **kwargs):
        super().__init__(*args, **kwargs)
        self.rate = rate

    @property
    def _constructor(self):
        return pd.DataFrame


def test_frames_may_be_of_a_subclass(X):
    frames = [Recording(x, columns=list("uvw"), rate=50) for x in X]
    for frame, x in zip(SequenceScaler().fit_transform(frames), SequenceScaler().fit_transform(list(X)), strict=True):
        np.testing.assert_allclose(frame, x, rtol=1e-12)


def test_wide_frames_are_read_by_name(X):
    wide = as_wide(X)
    scaler = SequenceScaler().fit(wide)
    assert scaler.feature_names_in_.tolist() == ["c0", "c1", "c2"]
    np.testing.assert_array_equal(scaler.transform(wide), SequenceScaler().fit_transform(X))
    by_channel = wide[[(time, channel) for channel in ("c0", "c1", "c2") for time in range(L)]]  # channel-major columns
    np.testing.assert_array_equal(scaler.transform(by_channel), scaler.transform(wide))
    with pytest.raises(ValueError, match="feature names should match"):
        scaler.transform(as_wide(X)[[(0, "c1"), (0, "c0"), (0, "c2")]])
    with pytest.raises(ValueError, match=r"14 columns for 5 time steps and 3 channels"):
        scaler.transform(wide.iloc[:, 1:])


def test_after_rows_sequences_are_taken_but_not_the_other_way_round(X):
    rows = X.reshape(N, -1)
    scaler = SequenceScaler(D).fit(rows)
    np.testing.assert_array_equal(scaler.transform(X), scaler.transform(rows).reshape(X.shape))
    np.testing.assert_array_equal(scaler.transform(list(X))[2], scaler.transform(X)[2])
    with pytest.raises(ValueError, match=r"^X has 2 axes, but SequenceScaler was fitted on sequences of shape \(n_sam"):
        SequenceScaler(D).fit(X).transform(rows)
    step = SequenceScaler().fit(X).transform(X[0, :1])  # one sequence of one step, whichever axis is missing
    np.testing.assert_array_equal(step, SequenceScaler().fit(X).transform(X[:1, :1])[0])


def test_sequences_of_another_length_are_taken(X):
    scaler = SequenceScaler().fit(X)
    np.testing.assert_array_equal(scaler.transform(X[:, :2]), scaler.transform(X)[:, :2])


def test_clone_and_pickle(X):
    scaler = SequenceScaler(D, with_mean=False, padding_value=0.5).fit(X)
    assert clone(scaler).get_params() == scaler.get_params()
    assert not hasattr(clone(scaler), "scale_")
    loaded = pickle.loads(pickle.dumps(scaler))
    np.testing.assert_array_equal(loaded.transform(X), scaler.transform(X))
    np.testing.assert_array_equal(loaded.partial_fit(X[:2]).var_, scaler.partial_fit(X[:2]).var_)


@pytest.mark.filterwarnings("ignore::sklstm.exceptions.DataWarning")  # y is in units of its own
def test_in_pipelines_and_searches(X):
    y = X[:, -1, 0]
    for given, n_channels in ((X, 1), (X.reshape(N, -1), D)):
        lstm = TikhonovLSTMRegressor(4, n_channels=n_channels, max_epochs=2, random_state=0)
        model = make_pipeline(SequenceScaler(n_channels), lstm).fit(given, y)
        alone = clone(lstm).fit(SequenceScaler(n_channels).fit_transform(given), y)
        scaled = SequenceScaler(n_channels).fit(given).transform(given)
        np.testing.assert_array_equal(model.predict(given), alone.predict(scaled))
        grid = {"sequencescaler__with_mean": [True, False]}
        search = GridSearchCV(model, grid, cv=2, error_score="raise").fit(given, y)
        assert np.isfinite(search.cv_results_["mean_test_score"]).all()


def test_routing_of_sample_weight(X):
    weights = np.arange(N, dtype=float)
    with sklearn.config_context(enable_metadata_routing=True):
        scaler = SequenceScaler().set_fit_request(sample_weight=True)
        model = make_pipeline(scaler, "passthrough").fit(X, sample_weight=weights)
    np.testing.assert_array_equal(model[0].mean_, SequenceScaler().fit(X, sample_weight=weights).mean_)
    assert not np.allclose(model[0].mean_, SequenceScaler().fit(X).mean_)


def test_what_the_estimators_take_for_a_list_the_scaler_takes_too():
    sequences = [np.arange(2.0 * length).reshape(length, 2) for length in (2, 3, 5)]
    expected = SequenceScaler().fit_transform(sequences)
    tensors = [torch.from_numpy(sequence) for sequence in sequences]
    for same in (pd.Series(sequences, index=[7, 8, 9]), torch.nested.nested_tensor(tensors, layout=torch.jagged)):
        for found, wanted in zip(SequenceScaler().fit_transform(same), expected, strict=True):
            np.testing.assert_array_equal(found, wanted)
