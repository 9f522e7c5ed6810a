"""An estimator that one thread fits and another uses: all that is seen is of the old fit, or of the new one."""

import copy
import pickle
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.base import clone, is_regressor
from sklearn.compose import TransformedTargetRegressor
from sklearn.linear_model import Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from skorch.callbacks import Callback

import sklstm
from sklstm.model_selection import RegularizationPathCV, _path
from sklstm.preprocessing import SequenceScaler, SequencesFromTable
from tests.support.estimators import ESTIMATORS

WAIT = 60  # seconds until a test that hangs fails


class Pause(Callback):
    """Stops training after an epoch until it is told to go on."""

    def __init__(self):
        self.reached, self.go_on = threading.Event(), threading.Event()

    def on_epoch_end(self, net, **kwargs):
        self.reached.set()
        assert self.go_on.wait(WAIT)


def problem(kind, seed=0, d=2):
    X = np.random.default_rng(seed).standard_normal((40, 5, d))
    return X, X[:, -1, 0] if is_regressor(kind()) else np.where(X[:, -1, 0] > 0, "up", "down")


def fitted(kind, **parameters):
    parameters = {"max_epochs": 3, "random_state": 0} | parameters
    return kind(3, **parameters).fit(*problem(kind))


def uses(model, X, y):
    """What can be asked of a fitted estimator, as bytes."""
    answers = {
        "predict": model.predict(X),
        "score": model.score(X, y),
        "certify": model.certify(X, 0.01),
        "bound": model.generalization_bound_ if hasattr(model, "generalization_bound_") else None,
        "epochs": (model.n_iter_, len(model.history_), model.best_loss_),
        "holdout": model.holdout_bound(X[1:], y[1:], **({"cap": 1.0} if is_regressor(model) else {})),
        "certified function": sklstm.certify(model, X, 0.01, method="intervals"),
        "random noise": sklstm.noise_interval(model, X[:1], 0.1, n_draws=200, random_state=0),
    }
    if not is_regressor(model):
        answers |= {"probabilities": model.predict_proba(X), "radius": model.certified_radius(X[:1])}
        answers |= {"outputs": model.decision_function(X), "logarithms": model.predict_log_proba(X)}
    return {name: pickle.dumps(answer) for name, answer in answers.items()}


def while_training(model, train, use, pause):
    """What a use gives in the middle of a training that another thread does; the training is then finished."""
    with ThreadPoolExecutor(1) as pool:
        training = pool.submit(train, model)
        assert pause.reached.wait(WAIT) or training.result()
        try:
            return use(model)
        finally:
            pause.go_on.set()
            training.result()


TRAININGS = {
    "fit on other sequences": lambda model: model.fit(*problem(type(model), seed=1)),
    "warm start": lambda model: model.set_params(warm_start=True).fit(*problem(type(model), seed=1)),
    "one more epoch": lambda model: model.partial_fit(*problem(type(model), seed=1)),
}


@pytest.mark.parametrize("train", TRAININGS.values(), ids=TRAININGS)
@pytest.mark.parametrize("kind", ESTIMATORS)
def test_the_old_network_answers_until_the_new_one_is_there(kind, train):
    X, y = problem(kind, seed=2)
    model, alone = fitted(kind), fitted(kind)
    old, new = uses(model, X, y), uses(train(alone), X, y)
    pause = Pause()
    seen = while_training(model.set_params(callbacks=[pause]), train, lambda model: uses(model, X, y), pause)
    assert seen == old
    assert uses(model, X, y) == new
    assert old["predict"] != new["predict"] or old["certify"] != new["certify"]


@pytest.mark.parametrize("kind", ESTIMATORS)
def test_a_refit_with_other_channels_and_names_is_seen_whole(kind):
    """Every attribute that tells what X must be belongs to one fit, the names and the number of channels too."""
    (X, y), (more, _) = problem(kind), problem(kind, seed=1, d=3)
    frames = [[pd.DataFrame(x, columns=list("ab")) for x in X], [pd.DataFrame(x, columns=list("cde")) for x in more]]
    pause = Pause()
    model = kind(3, max_epochs=2, random_state=0, callbacks=[pause])
    pause.go_on.set()
    model.fit(frames[0], y)
    before = model.predict(frames[0])
    pause.reached.clear(), pause.go_on.clear()
    seen = while_training(model, lambda model: model.fit(frames[1], y), lambda model: model.predict(frames[0]), pause)
    np.testing.assert_array_equal(seen, before)
    assert list(model.feature_names_in_) == list("cde")
    with pytest.raises(ValueError, match="2 channels"):
        model.predict(frames[0])


@pytest.mark.parametrize("kind", ESTIMATORS)
def test_a_copy_and_a_pickle_in_the_middle_are_of_the_old_fit(kind):
    X, _ = problem(kind, seed=2)
    model, pause = fitted(kind), Pause()
    old = model.predict(X)

    def use(model):
        return copy.deepcopy(model.set_params(callbacks=None)).predict(X), pickle.loads(pickle.dumps(model)).predict(X)

    for answer in while_training(model.set_params(callbacks=[pause]), TRAININGS["one more epoch"], use, pause):
        np.testing.assert_array_equal(answer, old)
    assert model.callbacks is None, "parameters that are set meanwhile stay"


@pytest.mark.parametrize("kind", ESTIMATORS)
def test_a_method_knows_one_fit_even_if_another_ends_meanwhile(kind):
    """The fit ends between the outputs of the network and what is made of them."""
    X, y = problem(kind, seed=2)
    targets = y if not is_regressor(kind()) else np.stack([y, -y], axis=1)
    if not is_regressor(kind()):
        targets = np.where(X[:, -1, 0] > 0, "right", "left")

    class Interrupted(kind):
        def _outputs(self, X):
            outputs = super()._outputs(X)
            if refit:
                refit.pop()(X, targets)
            return outputs

    refit = []
    model = Interrupted(3, max_epochs=2, random_state=0).fit(*problem(kind))
    before = model.predict(X)
    refit.append(model.fit)
    np.testing.assert_array_equal(model.predict(X), before)
    assert not refit
    assert model.predict(X).shape == targets.shape
    assert is_regressor(kind()) or set(model.classes_) == {"right", "left"}


@pytest.mark.parametrize("kind", ESTIMATORS)
def test_a_fit_that_fails_in_the_middle_changes_nothing(kind):
    class Failing(Callback):
        def on_epoch_end(self, net, **kwargs):
            raise KeyError("in the middle")

    X, y = problem(kind)
    model = fitted(kind)
    before = dict(vars(model))
    for train in TRAININGS.values():
        with pytest.raises(KeyError, match="in the middle"):
            train(model.set_params(callbacks=[Failing()]))
    model.set_params(callbacks=None, warm_start=False)
    assert vars(model) == before
    fresh = clone(model).set_params(callbacks=[Failing()])
    with pytest.raises(KeyError, match="in the middle"):
        fresh.fit(X, y)
    assert set(vars(fresh)) == set(fresh.get_params()), "it has its parameters only"


@pytest.mark.parametrize("kind", ESTIMATORS)
def test_two_fits_at_once_train_the_same_weights_as_alone(kind):
    X, y = problem(kind)
    alone = [fitted(kind, random_state=seed, sigma=0.1) for seed in range(2)]
    gate = threading.Barrier(2, timeout=WAIT)
    numpy_state, torch_state = np.random.get_state()[1].copy(), torch.get_rng_state()

    class Together(Callback):
        """Both are in the same epoch, and draw from their generators in turns."""

        def on_epoch_begin(self, net, **kwargs):
            gate.wait()

    def fit(seed):
        settings = torch.get_num_threads(), torch.is_grad_enabled()
        model = kind(3, max_epochs=3, sigma=0.1, random_state=seed, callbacks=[Together()]).fit(X, y)
        assert (torch.get_num_threads(), torch.is_grad_enabled()) == settings
        return model

    with ThreadPoolExecutor(2) as pool:
        together = list(pool.map(fit, range(2)))
    for one, other in zip(alone, together, strict=True):
        for name, value in one.net_.module_.state_dict().items():
            assert torch.equal(value, other.net_.module_.state_dict()[name]), name
    assert np.array_equal(np.random.get_state()[1], numpy_state)
    assert torch.equal(torch.get_rng_state(), torch_state)


def test_two_fits_of_one_estimator_at_once_leave_one_of_both():
    kind = ESTIMATORS[0]
    problems = [problem(kind), problem(kind, seed=1, d=3)]
    gate = threading.Barrier(2, timeout=WAIT)

    class Together(Callback):
        def on_epoch_begin(self, net, **kwargs):
            gate.wait()

    model = kind(3, max_epochs=2, random_state=0, callbacks=[Together()])
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(lambda part: model.fit(*part), problems))
    X, y = problems[model.n_features_in_ - 2]
    alone = kind(3, max_epochs=2, random_state=0).fit(X, y)
    np.testing.assert_array_equal(model.predict(X), alone.predict(X))
    assert model.generalization_report(X, y)["occam"].value == alone.generalization_bound_


def test_a_scaler_is_replaced_in_one_step():
    """Statistics that are half new would give neither answer."""
    X = np.random.default_rng(0).standard_normal((6, 4, 2))
    reading = threading.Event()

    class Watched(SequenceScaler):
        """Looks at the estimator, from another thread, before every attribute that is set in a fit."""

        def __setattr__(self, name, value):
            if reading.is_set():
                with ThreadPoolExecutor(1) as pool:
                    seen.append(pool.submit(scaler.transform, X).result())
            super().__setattr__(name, value)

    scaler = Watched().fit(X)
    seen, old = [], scaler.transform(X)
    reading.set()
    scaler.fit(10 + 3 * X)
    reading.clear()
    assert len(seen) >= 5
    for answer in seen:
        np.testing.assert_array_equal(answer, old)
    np.testing.assert_allclose(scaler.transform(10 + 3 * X), old, atol=1e-12)


def test_a_gatherer_of_tables_is_replaced_in_one_step():
    table = pd.DataFrame({"id": [1, 1, 2], "a": [1.0, 2.0, 3.0], "b": [4.0, 5.0, 6.0]})

    class Interrupted(SequencesFromTable):
        def _check_values(self, X, values, order):
            gather.set_params(channels=["a"]).fit(table)  # as from another thread

    gather = Interrupted("id").fit(table)
    assert [part.shape for part in gather.transform(table)] == [(2, 2), (1, 2)]
    assert gather.channels_ == ["a"]


def test_a_path_answers_with_its_old_model_until_the_new_one_is_there(monkeypatch):
    kind = ESTIMATORS[0]
    X, y = problem(kind)
    path = RegularizationPathCV(kind(2, max_epochs=2, random_state=0), "lambda_s", [0.01, 0.1], cv=2).fit(X, y)

    def answers(path):
        return (path.predict(X), path.best_params_, path.score_path_, path.certify(X, 0.1))

    old, pause, train = answers(path), Pause(), _path.run_models

    def train_and_wait(*arguments):
        outcomes = train(*arguments)
        pause.on_epoch_end(None)
        return outcomes

    monkeypatch.setattr(_path, "run_models", train_and_wait)
    path.set_params(estimator__random_state=5)
    seen = while_training(path, lambda path: path.fit(X, y), answers, pause)
    for one, other in zip(seen, old, strict=True):
        np.testing.assert_equal(one, other)
    assert (path.predict(X) != old[0]).any()


def test_a_forecaster_and_its_scalers_are_replaced_in_one_step():
    class Interrupted(sklstm.Forecaster):
        def _last(self, table, future):
            found = super()._last(table, future)
            if again:
                again.pop()(100 - 3 * series)
            return found

    series, again = np.random.default_rng(0).normal(size=60).cumsum(), []
    forecaster = Interrupted(Ridge(), window=5, horizon=2).fit(series)
    before, limits = forecaster.predict(series[-5:]), forecaster.predict_interval(series[-5:], coverage=0.5)
    again.append(forecaster.fit)
    np.testing.assert_array_equal(forecaster.predict(series[-5:]), before)
    assert (forecaster.predict(series[-5:]) != before).all()
    forecaster.fit(series)
    again.append(forecaster.fit)
    np.testing.assert_array_equal(forecaster.predict_interval(series[-5:], coverage=0.5), limits)
    assert not again


def test_a_composition_is_read_as_it_is_when_a_call_begins():
    """Random noise is predicted in many calls of the model; a refit between two of them is not seen."""
    kind = ESTIMATORS[0]
    X, y = problem(kind)
    model = TransformedTargetRegressor(
        make_pipeline(SequenceScaler(), kind(2, max_epochs=2, random_state=0)), transformer=StandardScaler()
    ).fit(X, y)
    options = {"n_draws": 200, "random_state": 0}
    expected = sklstm.noise_interval(model, X[:3], 0.1, **options), sklstm.prediction_interval(model, X, y + 1, X[:3])
    again = []

    original = sklstm.estimators._noise_interval.NoisyCopies

    def refitting(*arguments):
        inner = model.regressor_
        inner[0].fit(3 * X + 1)
        inner[-1].fit(X[:, ::-1], -y)
        again.append(True)
        return original(*arguments)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("sklstm.estimators._noise_interval.NoisyCopies", refitting)
        found = sklstm.noise_interval(model, X[:3], 0.1, **options)
    assert again
    np.testing.assert_array_equal(found, expected[0])
    assert (sklstm.noise_interval(model, X[:3], 0.1, **options)[0] != expected[0][0]).any()
