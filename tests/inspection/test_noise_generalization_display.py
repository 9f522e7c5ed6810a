import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.compose import TransformedTargetRegressor
from sklearn.ensemble import VotingRegressor
from sklearn.linear_model import Ridge
from sklearn.metrics import mean_squared_error
from sklearn.model_selection import GridSearchCV, KFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sklstm import NoisyRNNClassifier, TikhonovLSTMRegressor
from sklstm.inspection import NoiseGeneralizationDisplay
from sklstm.inspection._unwrapping import with_noise
from sklstm.noise import NOISES

CLASSIFIER = NoisyRNNClassifier(4, max_epochs=5)
REGRESSOR = TikhonovLSTMRegressor(4, max_epochs=5)


def test_errors_are_one_minus_the_scores_of_clones(made):
    splits = list(KFold(3).split(made.X))
    display = NoiseGeneralizationDisplay.from_estimator(
        CLASSIFIER, made.X, made.labels, sigmas=[0.0, 2.0], cv=splits, n_draws=2, random_state=np.random.RandomState(3)
    )
    seeds = np.random.RandomState(3).randint(2**31 - 1, size=3)
    for row, sigma in enumerate([0.0, 2.0]):
        for column, (train, test) in enumerate(splits):
            model = clone(CLASSIFIER).set_params(sigma=sigma, random_state=int(seeds[column]))
            model.fit(made.X[train], made.labels[train])
            draws = [rng.standard_normal(made.X[train].shape) for rng in np.random.default_rng(seeds[column]).spawn(2)]
            noisy = [1 - model.score(made.X[train] + sigma * draw, made.labels[train]) for draw in draws]
            assert display.train_errors[row, column] == pytest.approx(np.mean(noisy))
            assert display.test_errors[row, column] == pytest.approx(1 - model.score(made.X[test], made.labels[test]))
    gap = (display.test_errors - display.train_errors).mean(axis=1)
    np.testing.assert_allclose(display.line_.get_ydata(), gap)
    assert display.ax_.get_ylabel() == "test − train error rate (mean ± s.e.)"
    assert not hasattr(CLASSIFIER, "net_")
    assert CLASSIFIER.sigma == 0.1


def test_repeats_differ_and_workers_do_not(made):
    rows, labels = made.X[:30], made.labels[:30]
    options = {"sigmas": [0.1], "cv": 2, "n_repeats": 2, "random_state": 0}
    display = NoiseGeneralizationDisplay.from_estimator(CLASSIFIER, rows, labels, **options, scoring="neg_log_loss")
    errors = display.test_errors[0]
    assert errors.shape == (4,)
    assert errors[0] != errors[1]
    again = NoiseGeneralizationDisplay.from_estimator(
        CLASSIFIER, rows, labels, **options, scoring="neg_log_loss", n_jobs=2
    )
    np.testing.assert_array_equal(again.test_errors, display.test_errors)
    np.testing.assert_array_equal(again.train_errors, display.train_errors)
    assert display.ax_.get_ylabel() == "test − train log loss (mean ± s.e.)"


def test_regressors_and_compositions(made):
    model = TransformedTargetRegressor(make_pipeline(made.doubling(), REGRESSOR), transformer=StandardScaler())
    display = NoiseGeneralizationDisplay.from_estimator(
        model, made.X, made.y, sigmas=[0.0, 1.0], cv=KFold(2), random_state=0, name="LSTM"
    )
    by_score = NoiseGeneralizationDisplay.from_estimator(
        model, made.X, made.y, sigmas=[0.0, 1.0], cv=KFold(2), random_state=0, scoring="neg_mean_squared_error"
    )
    np.testing.assert_allclose(display.test_errors, by_score.test_errors)
    train, test = next(KFold(2).split(made.X))
    seed = int(np.random.RandomState(0).randint(2**31 - 1, size=2)[0])
    name = "regressor__tikhonovlstmregressor__"
    fitted = clone(model).set_params(**{f"{name}sigma": 1.0, f"{name}random_state": seed})
    fitted.fit(made.X[train], made.y[train])
    assert display.test_errors[1, 0] == pytest.approx(mean_squared_error(made.y[test], fitted.predict(made.X[test])))
    assert display.ax_.get_legend().get_texts()[0].get_text() == "LSTM"


@pytest.mark.parametrize("kind", ["gaussian", "dropout"])
def test_the_noise_on_training_inputs_is_that_of_training_behind_the_scaler(made, kind):
    model = make_pipeline(StandardScaler(), NoisyRNNClassifier(4, n_channels=2, noise=kind, sigma=0.5, max_epochs=3))
    rows = 100 + 7 * made.X.reshape(len(made.X), -1)
    model.fit(rows, made.labels)
    scaled = model[0].transform(rows)
    expected = scaled + NOISES[kind].draw_array(scaled, 0.5, np.random.default_rng(1))
    noisy = with_noise(model, np.random.default_rng(1))
    np.testing.assert_array_equal(noisy.predict_proba(rows), model[-1].predict_proba(expected))
    np.testing.assert_array_equal(model.predict_proba(rows), model[-1].predict_proba(scaled))  # as it was
    assert len(model) == 2


def test_noise_on_frames_keeps_their_columns(made):
    frame = pd.DataFrame(made.X.reshape(len(made.X), -1)).rename(columns=str)
    model = make_pipeline(StandardScaler().set_output(transform="pandas"), clone(CLASSIFIER).set_params(n_channels=2))
    noisy = with_noise(model.fit(frame, made.labels), np.random.default_rng(0))
    assert noisy.predict(frame).shape == made.labels.shape  # names that got lost would warn


def test_sequences_of_unequal_length(made):
    ragged = [row[: 3 + number % 3] for number, row in enumerate(made.X[:20])]
    display = NoiseGeneralizationDisplay.from_estimator(
        CLASSIFIER, ragged, made.labels[:20], sigmas=[0.1], cv=2, random_state=0
    )
    assert display.test_errors.shape == (1, 2)


def test_the_band_is_one_standard_error():
    train, test = np.zeros((2, 4)), np.array([[1.0, 2, 3, 4], [2.0, 2, 2, 2]])
    display = NoiseGeneralizationDisplay(sigmas=[1.0, 0.0], train_errors=train, test_errors=test).plot()
    np.testing.assert_array_equal(display.line_.get_xydata(), [[0, 2], [1, 2.5]])  # in the order of the noise
    corners = display.band_.get_paths()[0].vertices
    error = np.sqrt(5 / 3 / 4)  # variance of 1, 2, 3, 4 over four values
    assert corners[:, 1].max() == pytest.approx(2.5 + error)
    single = NoiseGeneralizationDisplay(sigmas=[0.0, 1.0], train_errors=[0.0, 0.1], test_errors=[0.2, 0.1]).plot()
    assert single.band_ is None
    assert single.ax_.get_legend() is None


def test_wrong_arguments(made):
    draw = NoiseGeneralizationDisplay.from_estimator
    with pytest.raises(
        TypeError, match="alone, at the end of a Pipeline or in a TransformedTargetRegressor; got Ridge"
    ):
        draw(Ridge(), made.X[:, 0], made.y, sigmas=[0.1])
    with pytest.raises(TypeError, match="needs an estimator of sklstm, alone, at the end of a Pipeline"):
        draw(NoisyRNNClassifier, made.X, made.labels, sigmas=[0.1])
    for other in (GridSearchCV(REGRESSOR, {}), VotingRegressor([("a", REGRESSOR)])):
        with pytest.raises(TypeError, match="alone, at the end of a Pipeline or in a TransformedTargetRegressor"):
            draw(other, made.X, made.y, sigmas=[0.1])
    with pytest.raises(TypeError, match="scoring must be one name"):
        draw(REGRESSOR, made.X, made.y, sigmas=[0.1], scoring={"r2": "r2"})
    with pytest.raises(ValueError, match="requires y"):
        draw(CLASSIFIER, made.X, None, sigmas=[0.1])
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        draw(CLASSIFIER, made.X, made.labels[1:], sigmas=[0.1])
    with pytest.raises(ValueError, match="n_repeats"):
        draw(CLASSIFIER, made.X, made.labels, sigmas=[0.1], n_repeats=0)
    with pytest.raises(ValueError, match="n_draws"):
        draw(CLASSIFIER, made.X, made.labels, sigmas=[0.1], n_draws=0)
    for sigmas, message in (([], "at least one"), (0.1, "at least one"), ([-0.1], "every entry of sigmas")):
        with pytest.raises(ValueError, match=message):
            draw(CLASSIFIER, made.X, made.labels, sigmas=sigmas)
    with pytest.raises(ValueError, match="must have the same shape"):
        NoiseGeneralizationDisplay(sigmas=[1, 2], train_errors=np.ones((2, 3)), test_errors=np.ones((2, 2))).plot()
    with pytest.raises(ValueError, match=r"train_errors must have shape \(2,\)"):
        NoiseGeneralizationDisplay(sigmas=[1, 2], train_errors=np.ones(3), test_errors=np.ones(3)).plot()
