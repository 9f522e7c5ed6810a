"""Rows about searches and their workers: scikit-learn's checks, CUDA, Ctrl-C."""

import warnings

import numpy as np
import pytest
import torch
from joblib import Parallel, delayed
from sklearn.base import clone
from sklearn.exceptions import SkipTestWarning
from sklearn.model_selection import GridSearchCV
from sklearn.utils.estimator_checks import check_estimator, estimator_checks_generator
from torch import nn

from sklstm.networks import RNNNetwork
from tests.support.peers import gru, lstm, noisy, quarantine, skorch_classifier, skorch_regressor

ALL = pytest.mark.parametrize("make", [lstm, gru, noisy])


def problem(make, n=60):
    X = np.random.default_rng(0).standard_normal((n, 6, 2)).astype(np.float32)
    y = X[:, -1, :1]
    return X, y[:, 0] > 0 if make in (noisy, skorch_classifier) else y


def n_failed(estimator, names):
    """How many of scikit-learn's checks of those names an estimator does not pass."""
    failed = 0
    for _, check in estimator_checks_generator(estimator, mark=None):
        if check.func.__name__ in names:
            try:
                check(clone(estimator))
            except Exception:  # of whatever kind: a check says so, or the estimator breaks in it
                failed += 1
    return failed


# Quick ones, which ask for no skill; the others run in tests/estimators/test_sklearn_checks.py.
CHECKS = {
    "check_estimators_dtypes",
    "check_dtype_object",
    "check_estimators_nan_inf",
    "check_estimators_empty_data_messages",
    "check_estimators_overwrite_params",
    "check_dont_overwrite_parameters",
    "check_dict_unchanged",
    "check_fit_idempotent",
    "check_fit2d_predict1d",
    "check_n_features_in",
    "check_set_params",
    "check_requires_y_none",
}


@pytest.mark.draws_from_numpy
@pytest.mark.filterwarnings("ignore::sklstm.exceptions.DataWarning")
@ALL
def test_scikit_learn_checks(make):
    """Estimators that are not 2-D get zero checks and a green run: 2-D is taken, so all checks are made."""

    class NotTwoDimensional(type(make())):
        def __sklearn_tags__(self):
            tags = super().__sklearn_tags__()
            tags.input_tags.two_d_array = False
            return tags

    n_checks = sum(1 for _ in estimator_checks_generator(make(), mark=None))
    assert n_checks >= 59  # 59 in scikit-learn 1.7, more in later ones
    with pytest.warns(SkipTestWarning, match="Can't test estimator NotTwoDimensional"):
        made = check_estimator(NotTwoDimensional(), on_fail=None)
    assert [check["status"] for check in made] == ["passed"], "the one that it can be cloned, and all is green"

    assert n_failed(make(hidden_size=4), CHECKS) == 0
    with quarantine():
        assert n_failed(skorch_regressor(max_epochs=1), CHECKS) > len(CHECKS) / 2


def warnings_about_the_card(make):
    """Of a fit on a card, in whatever process; that there may be no card is another matter."""
    from sklstm._validation import Device

    check, Device.check = Device.check, lambda self, name, value: None
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            make(device="cuda", max_epochs=1).fit(*problem(make))
        except (RuntimeError, AssertionError):
            pass
        finally:
            Device.check = check
    return [str(warning.message) for warning in caught if "worker process" in str(warning.message)]


@ALL
def test_cuda_in_workers(make, monkeypatch):
    """n_jobs with CUDA or forked OpenMP hangs: no CUDA call before fit, and a warning or an error that says what to do.

    Two workers of joblib's own kind, loky, which does not fork.
    """
    per_worker = Parallel(n_jobs=2)(delayed(warnings_about_the_card)(make) for _ in range(2))
    for messages in per_worker:
        assert len(messages) == 1
        assert "n_jobs=1" in messages[0]
    peers = Parallel(n_jobs=2)(delayed(warnings_about_the_card)(skorch_regressor) for _ in range(2))
    assert peers == [[], []]

    def touched():
        raise AssertionError("CUDA was asked for")

    monkeypatch.setattr(torch.cuda, "_lazy_init", touched)
    model = make(device="cuda")
    assert clone(model).set_params(hidden_size=3).get_params()["device"] == "cuda"

    # Where a fork has broken CUDA, torch says so here; with it comes the way out, before any work.
    monkeypatch.setattr(torch.cuda, "_is_in_bad_fork", lambda: True)
    monkeypatch.setattr("sklstm._validation.Device.check", lambda self, name, value: None)
    with pytest.raises(RuntimeError, match=r"does not survive a fork.*loky"):
        model.fit(*problem(make))
    assert not hasattr(model, "net_")


class Interruption:
    """Within the block, the user presses Ctrl-C during a forward pass of a recurrent layer."""

    def __init__(self, at):
        self.left = at

    def __call__(self, module, *_):
        self.left -= isinstance(module, nn.RNNBase | RNNNetwork)
        if self.left == 0:
            raise KeyboardInterrupt

    def __enter__(self):
        self.hook = nn.modules.module.register_module_forward_hook(self)

    def __exit__(self, *exception):
        self.hook.remove()


def interrupted_fit(make):
    X, y = problem(make)
    model = make(max_epochs=20)
    with Interruption(at=4):
        return model.fit(X, y)


def interrupted_search(make):
    X, y = problem(make)
    with Interruption(at=4):
        return GridSearchCV(make(), {"max_epochs": [20, 30]}, cv=2).fit(X, y)


@ALL
def test_ctrl_c(make):
    """Ctrl-C in a search becomes a "successful" fit: it is raised again, and the estimator is as it was before."""
    for interrupted in (interrupted_fit, interrupted_search):
        with pytest.raises(KeyboardInterrupt):
            interrupted(make)
    model = make().fit(*problem(make))
    before = dict(vars(model))
    with Interruption(at=2), pytest.raises(KeyboardInterrupt):
        model.fit(*problem(make))
    assert vars(model) == before

    with quarantine():
        assert len(interrupted_fit(skorch_regressor).history) < 20
        scores = interrupted_search(skorch_regressor).cv_results_["mean_test_score"]
    assert np.isfinite(scores).all(), "half-trained, and ranked with the others"
