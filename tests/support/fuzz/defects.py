"""Defects to plant: each is one that the fuzzer must find, or its silence means nothing."""

import contextlib
import warnings
from unittest import mock

import numpy as np
import torch
from scipy.special import softmax

from sklstm.estimators import _base, _base_classifier, _composition, _fit_tasks
from sklstm.estimators._base import SequenceEstimator
from sklstm.training import _inference, _train


@contextlib.contextmanager
def _seeds_the_process(seed):
    torch.manual_seed(seed)
    yield


def _sees_its_companions(module, X, n_workers):
    outputs = _predict_blocks(module, X, n_workers)
    return outputs + 1e-6 * outputs.mean(dim=0)


def _writes_into_lists(self, X):
    if isinstance(X, list) and isinstance(X[0], np.ndarray) and X[0].flags.writeable and X[0].dtype == np.float64:
        X[0][...] += 1
    return _outputs(self, X)


def _half_as_wide(*arguments, **options):
    lower, upper = _ends_of(*arguments, **options)
    middle = (lower + upper) / 2
    return (lower + middle) / 2, (upper + middle) / 2


def _warns(self, *arguments, **options):
    warnings.warn("numbers were harmed", RuntimeWarning, stacklevel=2)
    return _set_fitted(self, *arguments, **options)


def _breaks_on_lists(estimator, X, *arguments, **options):
    if isinstance(X, tuple):
        raise IndexError("tuple index out of range")
    return _as_sequences(estimator, X, *arguments, **options)


def _remembers_too_much(self, *arguments, **options):
    _set_fitted(self, *arguments, **options)
    self.net_.module_.readout.weight.data += 1e-3 * getattr(self, "_fits", 0)
    self._fits = getattr(self, "_fits", 0) + 1


_predict_blocks, _ends_of = _inference.predict_blocks, _composition.ends_of
_set_fitted, _outputs, _as_sequences = SequenceEstimator._set_fitted, SequenceEstimator._outputs, _base.as_sequences

# What it is: a context in which it is so.
DEFECTS = {
    "a failed fit leaves the estimator half fitted": lambda: mock.patch.object(
        _fit_tasks, "unfitted_copy", lambda estimator: estimator
    ),
    "fit seeds torch's global generator": lambda: mock.patch.object(_train, "seeded_construction", _seeds_the_process),
    "predictions depend on the other rows": lambda: mock.patch.object(
        _inference, "predict_blocks", _sees_its_companions
    ),
    "predict writes into the sequences of a list": lambda: mock.patch.object(
        SequenceEstimator, "_outputs", _writes_into_lists
    ),
    "certificates are half as wide": lambda: mock.patch.object(_composition, "ends_of", _half_as_wide),
    "fit warns": lambda: mock.patch.object(SequenceEstimator, "_set_fitted", _warns),
    "predict of a tuple raises an IndexError": lambda: mock.patch.object(_base, "as_sequences", _breaks_on_lists),
    "a fit knows how many came before": lambda: mock.patch.object(
        SequenceEstimator, "_set_fitted", _remembers_too_much
    ),
    "probabilities sum to a little more than 1": lambda: mock.patch.object(
        _base_classifier, "softmax", lambda *arguments, **options: (1 + 1e-9) * softmax(*arguments, **options)
    ),
}
