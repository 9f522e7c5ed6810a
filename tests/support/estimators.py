"""Every estimator of the package, as it enters itself for files: a new one gets the tests of what is true of all."""

import torch
from sklearn.base import is_regressor

import sklstm  # noqa: F401  # which defines them
from sklstm.estimators._files import LOADABLE
from sklstm.networks._networks import GatedNetwork, is_plain

REGRESSORS = [kind for kind in LOADABLE.values() if is_regressor(kind())]
CLASSIFIERS = [kind for kind in LOADABLE.values() if kind not in REGRESSORS]
ESTIMATORS = REGRESSORS + CLASSIFIERS
GATED = [kind for kind in ESTIMATORS if issubclass(kind._network, GatedNetwork)]  # with Turkin's penalty


def _is_certified(kind):
    with torch.random.fork_rng():
        return is_plain(kind._network(n_features=1, hidden_size=2, n_outputs=1))


CERTIFIED = [kind for kind in ESTIMATORS if _is_certified(kind)]
