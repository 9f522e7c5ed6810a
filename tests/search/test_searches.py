"""Every kind of search over pipelines: sensible, repeatable whatever the number of workers, without traces."""

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.exceptions import FitFailedWarning
from sklearn.experimental import enable_halving_search_cv  # noqa: F401
from sklearn.model_selection import (
    GridSearchCV,
    HalvingGridSearchCV,
    RandomizedSearchCV,
    StratifiedKFold,
    cross_val_score,
)

from tests.support.searches import assert_same_outcomes, outcomes, pipeline, problem

# A step of 1e-6 learns nothing in a dozen epochs: whatever is found with it is not the best.
GRID = {"model__lr": [1e-6, 0.03]}
COMMON = {"cv": 2, "error_score": "raise"}

SEARCHES = {
    "grid": lambda model, n_jobs: GridSearchCV(model, GRID, n_jobs=n_jobs, **COMMON),
    "random": lambda model, n_jobs: RandomizedSearchCV(
        model, GRID | {"model__sigma": [0.0, 0.05]}, n_iter=3, random_state=1, n_jobs=n_jobs, **COMMON
    ),
    "halving in samples": lambda model, n_jobs: HalvingGridSearchCV(
        model, GRID, factor=2, min_resources=60, random_state=0, n_jobs=n_jobs, **COMMON
    ),
    "halving in epochs": lambda model, n_jobs: HalvingGridSearchCV(
        model,
        GRID,
        resource="model__max_epochs",
        min_resources=6,
        max_resources=12,
        factor=2,
        random_state=0,
        n_jobs=n_jobs,
        **COMMON,
    ),
}


@pytest.fixture(autouse=True)
def empty_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    yield
    assert list(tmp_path.iterdir()) == [], "a search left files behind"


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("grid", "lstm"),
        ("grid", "relu"),
        ("random", "relu"),
        ("halving in samples", "lstm"),
        ("halving in epochs", "gru"),
    ],
)
def test_two_workers_find_what_one_finds(name, kind):
    X, y = problem(kind)
    model = pipeline(kind)
    before = repr(model.get_params())
    serial, parallel = (SEARCHES[name](model, n_jobs).fit(X, y) for n_jobs in (1, 2))
    assert_same_outcomes(serial, parallel)
    assert repr(model.get_params()) == before
    assert serial.best_params_["model__lr"] == 0.03
    assert np.ptp(outcomes(serial)["mean_test_score"]) > 0.05
    for search in (serial, parallel):
        by_hand = clone(model).set_params(**search.best_params_)
        if name == "halving in epochs":
            by_hand.set_params(model__max_epochs=search.best_estimator_["model"].max_epochs)
        np.testing.assert_array_equal(search.predict(X), by_hand.fit(X, y).predict(X))
    chance = 0.5 if kind == "relu" else 0.0
    assert serial.score(X, y) > chance + 0.2


# Its own: the class is experimental, and imports a module that its library has deprecated.
@pytest.mark.filterwarnings("ignore::optuna.exceptions.ExperimentalWarning")
@pytest.mark.filterwarnings("ignore:`optuna.terminator` module has been deprecated:FutureWarning")
@pytest.mark.parametrize("kind", ["lstm", "relu"])
@pytest.mark.parametrize("n_jobs", [1, 2])
def test_optuna_searches_in_threads_and_every_trial_is_what_it_is_alone(kind, n_jobs):
    optuna = pytest.importorskip("optuna")
    from optuna_integration.sklearn import OptunaSearchCV

    X, y = problem(kind)
    model = pipeline(kind)
    folds = StratifiedKFold(2) if kind == "relu" else 2
    verbosity = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    try:
        search = OptunaSearchCV(
            model,
            {"model__lr": optuna.distributions.FloatDistribution(1e-6, 0.03, log=True)},
            n_trials=3,
            n_jobs=n_jobs,
            cv=folds,
            random_state=0,
            error_score="raise",
        ).fit(X, y)
    finally:
        optuna.logging.set_verbosity(verbosity)
    assert len(search.trials_) == 3
    for trial in search.trials_:
        alone = cross_val_score(clone(model).set_params(**trial.params), X, y, cv=folds, error_score="raise")
        assert trial.value == np.mean(alone)
    # Which rates are drawn depends on the order in which threads end.
    (best,) = (trial for trial in search.trials_ if trial.params == search.best_params_)
    assert best.value == max(trial.value for trial in search.trials_)
    best = clone(model).set_params(**search.best_params_).fit(X, y)
    np.testing.assert_array_equal(search.predict(X), best.predict(X))


def test_a_candidate_that_fails_is_nan_and_the_rest_of_the_search_stands():
    X, y = problem("lstm")
    grid = {"model__lr": [0.03, -1.0]}
    search = GridSearchCV(pipeline("lstm"), grid, cv=2, n_jobs=2, error_score=np.nan)
    failed, not_finite = "2 fits failed out of a total of 4", "test scores are non-finite"
    with pytest.warns(FitFailedWarning, match=failed) as caught, pytest.warns(UserWarning, match=not_finite):
        search.fit(X, y)
    assert any("lr == -1.0, must be > 0" in str(warning.message) for warning in caught)
    good, bad = search.cv_results_["mean_test_score"]
    assert np.isfinite(good)
    assert np.isnan(bad)
    assert search.best_params_ == {"model__lr": 0.03}


def test_a_pipeline_with_a_memory_fits_its_scaler_once(tmp_path_factory):
    from joblib import Memory

    X, y = problem("relu")
    folder = tmp_path_factory.mktemp("memory")
    remembering = pipeline("relu").set_params(memory=Memory(folder, verbose=0))
    plain, cached = (
        GridSearchCV(model, GRID, n_jobs=1, **COMMON).fit(X, y) for model in (pipeline("relu"), remembering)
    )
    assert_same_outcomes(plain, cached)
    stored = sorted(path for path in folder.rglob("output.pkl"))
    assert len(stored) == 3, "one scaler for each of two folds, whatever the candidate, and one for the refit"
