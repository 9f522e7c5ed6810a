"""Certificates with sizes by label: about the channels that the labels name, in every form of X and eps."""

import numpy as np
import pandas as pd
import pytest
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline

import sklstm
from sklstm import NoisyRNNClassifier, TikhonovLSTMRegressor
from sklstm.inspection import CertifiedBandDisplay, NoiseRobustnessDisplay
from sklstm.preprocessing import SequenceScaler

RNG = np.random.default_rng(0)
LENGTHS = [4, 6, 5, 6, 4, 3] * 5
X = [RNG.standard_normal((length, 2)) for length in LENGTHS]
Y = np.array([3 * x[-1, 0] for x in X])  # all from temp
FRAMES = [pd.DataFrame(x, columns=["temp", "hum"]) for x in X]
EPS = pd.Series({"hum": 0.0, "temp": 0.5})
EACH = [pd.DataFrame({"hum": 0.0, "temp": np.linspace(0, 0.5, len(x))}) for x in X]
QUICK = {"hidden_size": 4, "max_epochs": 4, "random_state": 0}


def models():
    plain = TikhonovLSTMRegressor(**QUICK)
    piped = make_pipeline(SequenceScaler(), plain)
    return {
        "estimator": plain,
        "pipeline": piped,
        "search": GridSearchCV(piped, {"tikhonovlstmregressor__sigma": [0.0]}, cv=2),
    }


@pytest.mark.parametrize("kind", models())
@pytest.mark.parametrize("ragged", [False, True])
def test_an_error_of_the_channel_that_is_named_stays_within_the_certificate(kind, ragged):
    rows = range(30) if ragged else [i for i in range(30) if LENGTHS[i] == 6]
    frames, arrays, each = ([whole[i] for i in rows] for whole in (FRAMES, X, EACH))
    model = models()[kind].fit(frames, Y[list(rows)])
    lower, upper = sklstm.certify(model, frames, EPS)
    for sign in (-0.5, 0.5):
        moved = model.predict([frame.assign(temp=frame["temp"] + sign) for frame in frames])
        assert ((lower <= moved) & (moved <= upper)).all()
    assert (upper - lower > 0.1).all()
    np.testing.assert_array_equal(sklstm.certify(model, frames, [0.5, 0.0]), (lower, upper))
    by_step = sklstm.certify(model, frames, each)
    np.testing.assert_array_equal(
        by_step, sklstm.certify(model, frames, [size[["temp", "hum"]].to_numpy() for size in each])
    )
    assert ((lower <= by_step[0]) & (by_step[1] <= upper)).all()
    dicts = [{"hum": 0.0, "temp": 0.5}] * len(frames)
    for same in (dict(EPS), dicts, [EPS] * len(frames), pd.Series(dicts)):
        np.testing.assert_array_equal(sklstm.certify(model, frames, same), (lower, upper))
    # Names that the model was fitted on.
    with pytest.warns(UserWarning, match="does not have valid feature names"):
        np.testing.assert_array_equal(sklstm.certify(model, arrays, EPS), (lower, upper))
    strangers = [size.rename(columns={"temp": "wind"}) for size in each]
    for wrong in (EPS.rename({"temp": "wind"}), strangers, [*each[:-1], strangers[-1]]):
        with pytest.raises(ValueError, match="'wind'"):
            sklstm.certify(model, frames, wrong)


def test_labels_beside_a_model_and_an_x_without_are_refused_by_all_that_takes_sizes():
    model = TikhonovLSTMRegressor(**QUICK).fit(X, Y)
    labels = (Y > 0).astype(int)
    classifier = NoisyRNNClassifier(**QUICK).fit(X, labels)
    calls = [
        lambda eps: model.certify(X, eps),
        lambda eps: classifier.certified_accuracy(X, labels, eps),
        lambda eps: CertifiedBandDisplay.from_estimator(model, X, eps=eps),
        lambda eps: NoiseRobustnessDisplay.from_estimator(model, X, Y, sigmas=[0.1], scale=eps),
        lambda eps: sklstm.metrics.make_noisy_scorer("r2", eps)(model, X, Y),
    ]
    for call in calls:
        for eps in (EPS, dict(EPS)):
            with pytest.raises(ValueError, match=r"has labels, .*, but X has none"):
                call(eps)


def test_errors_to_withstand_have_no_labels_to_be_taken_by_position():
    for eps in (EPS, dict(EPS)):
        with pytest.raises(TypeError, match="robust_eps"):
            TikhonovLSTMRegressor(**QUICK, robust_eps=eps).fit(FRAMES, Y)


def test_radii_and_accuracies_by_label():
    labels = np.where(Y > 0, "warm", "cold")
    model = make_pipeline(SequenceScaler(), NoisyRNNClassifier(**QUICK)).fit(FRAMES, labels)
    for factor in (0.02, 0.2, 1.0):
        expected = sklstm.certified_accuracy(model, FRAMES, labels, [0.5 * factor, 0.0])
        assert sklstm.certified_accuracy(model, FRAMES, labels, factor * EPS) == expected


def test_displays_take_sizes_by_label():
    model = TikhonovLSTMRegressor(**QUICK).fit(FRAMES, Y)
    expected = model.certify(FRAMES, EPS)
    for eps in (EPS, dict(EPS), [EPS] * 30):
        display = CertifiedBandDisplay.from_estimator(model, FRAMES, eps=eps)
        np.testing.assert_array_equal((display.lower, display.upper), expected)
    display = CertifiedBandDisplay.from_estimator(model, FRAMES, eps=EACH)
    np.testing.assert_array_equal((display.lower, display.upper), model.certify(FRAMES, EACH))
    errors = [
        NoiseRobustnessDisplay.from_estimator(model, FRAMES, Y, sigmas=[1.0], scale=scale, random_state=0).errors
        for scale in (EPS, dict(EPS), [0.5, 0.0])
    ]
    np.testing.assert_array_equal(errors[0], errors[2])
    np.testing.assert_array_equal(errors[1], errors[2])
