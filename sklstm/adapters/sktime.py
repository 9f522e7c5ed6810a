"""Classifiers and regressors of sktime with an estimator of this package inside.

They take every panel of sktime: arrays (n, d, L), lists of frames, frames with an (instance, time) index, nested
frames. Sequences may be of unequal length. Missing values are refused. Written for sktime 1.2.
"""

from typing import Any, ClassVar, Self

import numpy as np

try:
    from sktime.classification.base import BaseClassifier
    from sktime.regression.base import BaseRegressor
except ImportError as error:
    raise ImportError('sklstm.adapters.sktime needs the package sktime: pip install "sklstm[sktime]"') from error

from sklearn.compose import TransformedTargetRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sklstm.estimators._classifiers import NoisyRNNClassifier
from sklstm.estimators._regressors import TikhonovGRURegressor, TikhonovLSTMRegressor
from sklstm.estimators._tikhonov_classifiers import TikhonovGRUClassifier
from sklstm.preprocessing import SequenceScaler

from ._wrapped import classifier_from, regressor_from, time_before_channels

__all__ = ["RecurrentClassifier", "RecurrentRegressor"]

_TAGS = {
    "authors": "the sklstm developers",
    "maintainers": "the sklstm developers",
    "X_inner_mtype": ["df-list", "numpy3D"],  # arrays stay arrays; all else becomes a list of frames, with its labels
    "capability:multivariate": True,
    "capability:unequal_length": True,
    "capability:categorical_in_X": False,
}


def _sequences(X: Any) -> Any:
    """What sktime hands over, with time before channels, as its frames have them."""
    return time_before_channels(X) if isinstance(X, np.ndarray) else X


class RecurrentClassifier(BaseClassifier):
    """A classifier of sktime that trains a recurrent network.

    Parameters
    ----------
    estimator : estimator
        A classifier of `sklstm`, alone, in a pipeline behind `SequenceScaler`, or in a search such as
        ``GridSearchCV``. It is cloned and stays as it is. Its parameters are reached as ``estimator__hidden_size``.

    Attributes
    ----------
    estimator_ : estimator
        The fitted clone, with all its methods: certificates, reports, `save`. It takes sequences with time before
        channels, ``np.swapaxes(X, 1, 2)``. Without it where all labels of the training were equal: sktime then
        predicts that label.
    classes_ : ndarray of shape (k,)
        Labels, sorted.

    See Also
    --------
    sklstm.adapters.aeon.RecurrentClassifier : The same for aeon.

    Examples
    --------
    >>> import numpy as np
    >>> from sklstm import TikhonovGRUClassifier
    >>> from sklstm.adapters.sktime import RecurrentClassifier
    >>> X = np.random.default_rng(0).standard_normal((60, 2, 5))  # 60 sequences, 2 channels, 5 steps
    >>> y = np.where(X[:, 0, -1] > 0, "up", "down")
    >>> model = RecurrentClassifier(TikhonovGRUClassifier(4, random_state=0)).fit(X, y)
    >>> model.score(X, y) > 0.9
    True
    >>> radius = model.estimator_.certified_radius(np.swapaxes(X, 1, 2))  # no error up to it changes the label
    >>> bool((model.predict(X + 0.9 * radius[:, None, None]) == model.predict(X)).all())
    True
    """

    _tags: ClassVar[dict[str, Any]] = _TAGS | {"capability:predict_proba": True}

    estimator_: Any

    def __init__(self, estimator: Any) -> None:
        self.estimator = estimator
        super().__init__()

    def _fit(self, X: Any, y: np.ndarray) -> Self:
        self.estimator_ = classifier_from(self.estimator, _sequences(X), y)
        return self

    def _predict(self, X: Any) -> np.ndarray:
        return self.estimator_.predict(_sequences(X))

    def _predict_proba(self, X: Any) -> np.ndarray:
        return self.estimator_.predict_proba(_sequences(X))

    @classmethod
    def get_test_params(cls, parameter_set: str = "default") -> list[dict[str, Any]]:
        gru = TikhonovGRUClassifier(4, max_epochs=2, random_state=0)
        noisy = NoisyRNNClassifier(4, sigma=0.1, max_epochs=2, random_state=0)
        return [{"estimator": gru}, {"estimator": make_pipeline(SequenceScaler(), noisy)}]


class RecurrentRegressor(BaseRegressor):
    """A regressor of sktime that trains a recurrent network.

    Parameters
    ----------
    estimator : estimator
        A regressor of `sklstm`, alone, in a pipeline behind `SequenceScaler`, in a ``TransformedTargetRegressor``, or
        in a search such as ``GridSearchCV``. It is cloned and stays as it is. Its parameters are reached as
        ``estimator__hidden_size``.

    Attributes
    ----------
    estimator_ : estimator
        The fitted clone, with all its methods: certificates, reports, `save`. It takes sequences with time before
        channels, ``np.swapaxes(X, 1, 2)``. One network has several outputs where y has several columns.

    See Also
    --------
    sklstm.adapters.aeon.RecurrentRegressor : The same for aeon.

    Examples
    --------
    >>> import numpy as np
    >>> from sklstm import TikhonovGRURegressor
    >>> from sklstm.adapters.sktime import RecurrentRegressor
    >>> X = np.random.default_rng(0).standard_normal((60, 2, 5))  # 60 sequences, 2 channels, 5 steps
    >>> y = X[:, 0, -1]
    >>> model = RecurrentRegressor(TikhonovGRURegressor(4, random_state=0)).fit(X, y)
    >>> model.score(X, y) > 0.9
    True
    >>> lower, upper = model.estimator_.certify(np.swapaxes(X, 1, 2), eps=0.01)
    >>> bool(((lower <= model.predict(X + 0.01)) & (model.predict(X + 0.01) <= upper)).all())
    True
    """

    _tags: ClassVar[dict[str, Any]] = _TAGS | {"capability:multioutput": True, "y_inner_mtype": "numpy2D"}

    estimator_: Any

    def __init__(self, estimator: Any) -> None:
        self.estimator = estimator
        super().__init__()

    def _fit(self, X: Any, y: np.ndarray) -> Self:
        self.estimator_ = regressor_from(self.estimator, _sequences(X), y[:, 0] if y.shape[1] == 1 else y)
        return self

    def _predict(self, X: Any) -> np.ndarray:
        return self.estimator_.predict(_sequences(X)).reshape(len(X), -1)

    @classmethod
    def get_test_params(cls, parameter_set: str = "default") -> list[dict[str, Any]]:
        gru = TikhonovGRURegressor(4, max_epochs=2, random_state=0)
        scaled = make_pipeline(SequenceScaler(), TikhonovLSTMRegressor(4, max_epochs=2, random_state=0))
        return [{"estimator": gru}, {"estimator": TransformedTargetRegressor(scaled, transformer=StandardScaler())}]
