"""Classifiers and regressors of aeon with an estimator of this package inside.

They take arrays (n, d, L), lists of arrays (d, L_i) for sequences of unequal length, and everything that aeon converts
to these. Missing values are refused. Written for aeon 1.6.
"""

from typing import Any, ClassVar, Self

import numpy as np

try:
    from aeon.classification import BaseClassifier
    from aeon.regression import BaseRegressor
except ImportError as error:
    raise ImportError('sklstm.adapters.aeon needs the package aeon: pip install "sklstm[aeon]"') from error

from sklearn.compose import TransformedTargetRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sklstm._layout import axes_swapped
from sklstm.estimators._classifiers import NoisyRNNClassifier
from sklstm.estimators._regressors import TikhonovGRURegressor, TikhonovLSTMRegressor
from sklstm.estimators._tikhonov_classifiers import TikhonovGRUClassifier
from sklstm.preprocessing import SequenceScaler

from ._wrapped import classifier_from, regressor_from

__all__ = ["RecurrentClassifier", "RecurrentRegressor"]

_TAGS = {
    "X_inner_type": ["numpy3D", "np-list"],
    "capability:multivariate": True,
    "capability:unequal_length": True,
    "algorithm_type": "deeplearning",
}


class RecurrentClassifier(BaseClassifier):
    """A classifier of aeon that trains a recurrent network.

    Parameters
    ----------
    estimator : estimator
        A classifier of `sklstm`, alone, in a pipeline after `SequenceScaler`, or in a search such as ``GridSearchCV``.
        It is cloned and not changed. Set its parameters as ``estimator__hidden_size``.

    Attributes
    ----------
    estimator_ : estimator
        The fitted clone, with all its methods: certificates, reports, `save`. It takes sequences with time before
        channels, ``np.swapaxes(X, 1, 2)``.
    classes_ : ndarray of shape (k,)
        Labels, sorted.

    See Also
    --------
    sklstm.adapters.sktime.RecurrentClassifier : The same for sktime.

    Examples
    --------
    >>> import numpy as np
    >>> from sklstm import TikhonovGRUClassifier
    >>> from sklstm.adapters.aeon import RecurrentClassifier
    >>> X = np.random.default_rng(0).standard_normal((60, 2, 5))  # 60 sequences, 2 channels, 5 steps
    >>> y = np.where(X[:, 0, -1] > 0, "up", "down")
    >>> model = RecurrentClassifier(TikhonovGRUClassifier(4, random_state=0)).fit(X, y)
    >>> model.score(X, y) > 0.9
    True
    >>> radius = model.estimator_.certified_radius(np.swapaxes(X, 1, 2))  # no error up to it changes the label
    >>> bool((model.predict(X + 0.9 * radius[:, None, None]) == model.predict(X)).all())
    True
    """

    _tags: ClassVar[dict[str, Any]] = _TAGS

    estimator_: Any

    def __init__(self, estimator: Any) -> None:
        self.estimator = estimator
        super().__init__()

    def _fit(self, X: Any, y: np.ndarray) -> Self:
        self.estimator_ = classifier_from(self.estimator, axes_swapped(X), y)
        return self

    def _predict(self, X: Any) -> np.ndarray:
        return self.estimator_.predict(axes_swapped(X))

    def _predict_proba(self, X: Any) -> np.ndarray:
        return self.estimator_.predict_proba(axes_swapped(X))

    @classmethod
    def _get_test_params(cls, parameter_set: str = "default") -> list[dict[str, Any]]:
        gru = TikhonovGRUClassifier(4, max_epochs=2, random_state=0)
        noisy = NoisyRNNClassifier(4, sigma=0.1, max_epochs=2, random_state=0)
        return [{"estimator": gru}, {"estimator": make_pipeline(SequenceScaler(), noisy)}]


class RecurrentRegressor(BaseRegressor):
    """A regressor of aeon that trains a recurrent network.

    Parameters
    ----------
    estimator : estimator
        A regressor of `sklstm`, alone, in a pipeline after `SequenceScaler`, in a ``TransformedTargetRegressor``, or in
        a search such as ``GridSearchCV``. It is cloned and not changed. Set its parameters as
        ``estimator__hidden_size``.

    Attributes
    ----------
    estimator_ : estimator
        The fitted clone, with all its methods: certificates, reports, `save`. It takes sequences with time before
        channels, ``np.swapaxes(X, 1, 2)``.

    See Also
    --------
    sklstm.adapters.sktime.RecurrentRegressor : The same for sktime.

    Examples
    --------
    >>> import numpy as np
    >>> from sklstm import TikhonovGRURegressor
    >>> from sklstm.adapters.aeon import RecurrentRegressor
    >>> X = np.random.default_rng(0).standard_normal((60, 2, 5))  # 60 sequences, 2 channels, 5 steps
    >>> y = X[:, 0, -1]
    >>> model = RecurrentRegressor(TikhonovGRURegressor(4, random_state=0)).fit(X, y)
    >>> model.score(X, y) > 0.9
    True
    >>> lower, upper = model.estimator_.certify(np.swapaxes(X, 1, 2), eps=0.01)
    >>> bool(((lower <= model.predict(X + 0.01)) & (model.predict(X + 0.01) <= upper)).all())
    True
    """

    _tags: ClassVar[dict[str, Any]] = _TAGS

    estimator_: Any

    def __init__(self, estimator: Any) -> None:
        self.estimator = estimator
        super().__init__()

    def _fit(self, X: Any, y: np.ndarray) -> Self:
        self.estimator_ = regressor_from(self.estimator, axes_swapped(X), y)
        return self

    def _predict(self, X: Any) -> np.ndarray:
        return self.estimator_.predict(axes_swapped(X))

    @classmethod
    def _get_test_params(cls, parameter_set: str = "default") -> list[dict[str, Any]]:
        gru = TikhonovGRURegressor(4, max_epochs=2, random_state=0)
        scaled = make_pipeline(SequenceScaler(), TikhonovLSTMRegressor(4, max_epochs=2, random_state=0))
        return [{"estimator": gru}, {"estimator": TransformedTargetRegressor(scaled, transformer=StandardScaler())}]
