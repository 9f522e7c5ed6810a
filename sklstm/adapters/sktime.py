"""Classifiers, regressors and forecasters of sktime with an estimator of this package inside.

Classifiers and regressors take every panel of sktime: arrays (n, d, L), lists of frames, frames with an (instance,
time) index, nested frames. Sequences may be of unequal length. Missing values are refused. Written for sktime 1.2.
"""

from typing import Any, ClassVar, Self

import numpy as np
import pandas as pd

try:
    from sktime.classification.base import BaseClassifier
    from sktime.forecasting.base import BaseForecaster
    from sktime.regression.base import BaseRegressor
except ImportError as error:
    raise ImportError('sklstm.adapters.sktime needs the package sktime: pip install "sklstm[sktime]"') from error

from sklearn.base import clone
from sklearn.compose import TransformedTargetRegressor
from sklearn.linear_model import LinearRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sklstm._layout import axes_swapped
from sklstm.estimators._classifiers import NoisyRNNClassifier
from sklstm.estimators._forecaster import Forecaster, make_forecaster
from sklstm.estimators._regressors import TikhonovGRURegressor, TikhonovLSTMRegressor
from sklstm.estimators._tikhonov_classifiers import TikhonovGRUClassifier
from sklstm.preprocessing import SequenceScaler

from ._wrapped import classifier_from, regressor_from

__all__ = ["RecurrentClassifier", "RecurrentForecaster", "RecurrentRegressor"]

_AUTHORS = {"authors": "the sklstm developers", "maintainers": "the sklstm developers"}
_TAGS = _AUTHORS | {
    "X_inner_mtype": ["df-list", "numpy3D"],  # arrays stay arrays; all else becomes a list of frames, with its labels
    "capability:multivariate": True,
    "capability:unequal_length": True,
    "capability:categorical_in_X": False,
}


class RecurrentClassifier(BaseClassifier):
    """A classifier of sktime that trains a recurrent network.

    Parameters
    ----------
    estimator : estimator
        A classifier of `sklstm`, alone, in a pipeline after `SequenceScaler`, or in a search such as ``GridSearchCV``.
        It is cloned and not changed. Set its parameters as ``estimator__hidden_size``.

    Attributes
    ----------
    estimator_ : estimator
        The fitted clone, with all its methods: certificates, reports, `save`. It takes sequences with time before
        channels, ``np.swapaxes(X, 1, 2)``. The attribute is missing if all training labels were equal: sktime then
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
        self.estimator_ = classifier_from(self.estimator, axes_swapped(X), y)
        return self

    def _predict(self, X: Any) -> np.ndarray:
        return self.estimator_.predict(axes_swapped(X))

    def _predict_proba(self, X: Any) -> np.ndarray:
        return self.estimator_.predict_proba(axes_swapped(X))

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
        A regressor of `sklstm`, alone, in a pipeline after `SequenceScaler`, in a ``TransformedTargetRegressor``, or in
        a search such as ``GridSearchCV``. It is cloned and not changed. Set its parameters as
        ``estimator__hidden_size``.

    Attributes
    ----------
    estimator_ : estimator
        The fitted clone, with all its methods: certificates, reports, `save`. It takes sequences with time before
        channels, ``np.swapaxes(X, 1, 2)``. If y has several columns, one network has several outputs.

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
        self.estimator_ = regressor_from(self.estimator, axes_swapped(X), y[:, 0] if y.shape[1] == 1 else y)
        return self

    def _predict(self, X: Any) -> np.ndarray:
        return self.estimator_.predict(axes_swapped(X)).reshape(len(X), -1)

    @classmethod
    def get_test_params(cls, parameter_set: str = "default") -> list[dict[str, Any]]:
        gru = TikhonovGRURegressor(4, max_epochs=2, random_state=0)
        scaled = make_pipeline(SequenceScaler(), TikhonovLSTMRegressor(4, max_epochs=2, random_state=0))
        return [{"estimator": gru}, {"estimator": TransformedTargetRegressor(scaled, transformer=StandardScaler())}]


class RecurrentForecaster(BaseForecaster):
    """A forecaster of sktime that trains a recurrent network for all horizons at once.

    Windows, scaling and intervals are those of `sklstm.make_forecaster`. ``fit`` needs the forecasting horizon. Several
    columns of y are forecast together. One network serves all series of a panel or hierarchy. Columns of X are known in
    advance, and ``predict`` needs them at every step up to the last forecast step.

    Parameters
    ----------
    estimator : regressor
        A regressor of `sklstm`, or any scikit-learn regressor. It is cloned and not changed. Set its parameters as
        ``estimator__hidden_size``.
    window : int
        Number of past steps in a window, at least 1. With X a window has at least as many steps as the largest horizon.
    calibration_fraction : float, default=0.2
        Share of the rows, the last ones, that the estimator is not fitted to: intervals are measured on them. With 0
        there are no intervals.

    Attributes
    ----------
    forecaster_ : sklstm.Forecaster
        The fitted forecaster, with all its methods, such as intervals under input errors and windows to certify. Its
        tables have columns ``("y", name)`` and ``("X", name)`` if there is X, otherwise those of y.

    See Also
    --------
    sklstm.make_forecaster : The same without sktime.

    Examples
    --------
    >>> import numpy as np
    >>> import pandas as pd
    >>> from sklstm import TikhonovLSTMRegressor
    >>> from sklstm.adapters.sktime import RecurrentForecaster
    >>> hours = pd.period_range("2024-01-01", periods=400, freq="h")
    >>> noise = np.random.default_rng(0).normal(0, 5, 400)
    >>> y = pd.Series(100 + 20 * np.sin(np.arange(400) * np.pi / 12) + noise, index=hours, name="load")
    >>> model = RecurrentForecaster(TikhonovLSTMRegressor(4, max_epochs=5, random_state=0), window=24)
    >>> forecast = model.fit(y, fh=[1, 2, 3]).predict()
    >>> limits = model.predict_interval(coverage=0.9)["load", 0.9]
    >>> bool(((limits["lower"] < forecast) & (forecast < limits["upper"])).all())
    True
    """

    _tags: ClassVar[dict[str, Any]] = _AUTHORS | {
        "y_inner_mtype": ["pd.DataFrame", "pd-multiindex", "pd_multiindex_hier"],
        "X_inner_mtype": ["pd.DataFrame", "pd-multiindex", "pd_multiindex_hier"],
        "capability:multivariate": True,
        "capability:exogenous": True,
        "capability:non_contiguous_X": False,
        "capability:insample": False,
        "capability:pred_int": True,
        "capability:pred_int:insample": False,
        "capability:categorical_in_X": False,
        "capability:update": True,
        "requires-fh-in-fit": True,
    }

    forecaster_: Forecaster
    _past: pd.DataFrame
    _names: pd.Index
    _levels: list

    def __init__(self, estimator: Any, window: int, calibration_fraction: float = 0.2) -> None:
        self.estimator = estimator
        self.window = window
        self.calibration_fraction = calibration_fraction
        super().__init__()

    def _fit(self, y: pd.DataFrame, X: pd.DataFrame | None, fh: Any) -> Self:
        self._names, self._levels, horizon = y.columns, y.index.names, int(self._steps(fh).max())
        self._past = _joined(y, X)
        self.forecaster_ = make_forecaster(
            self.estimator,
            self.window if X is None else max(self.window, horizon),
            horizon,
            targets=list(self._past.columns[: y.shape[1]]),
            known=list(self._past.columns[y.shape[1] :]) or None,
            calibration_fraction=self.calibration_fraction,
        ).fit(self._past)
        return self

    def _update(self, y: pd.DataFrame, X: pd.DataFrame | None = None, update_params: bool = True) -> Self:
        self._past = _joined(y, X).combine_first(self._past)[self._past.columns]
        if update_params:
            self.forecaster_ = clone(self.forecaster_).fit(self._past)
        return self

    def _predict(self, fh: Any, X: pd.DataFrame | None) -> pd.DataFrame:
        return self._asked_for(self.forecaster_.predict(self._past, future=_future(X)), fh)

    def _predict_interval(self, fh: Any, X: pd.DataFrame | None, coverage: list[float]) -> pd.DataFrame:
        limits: dict[tuple, pd.Series] = {}
        for share in coverage:
            ends = self.forecaster_.predict_interval(self._past, coverage=share, future=_future(X))
            for end, name in zip(ends, ("lower", "upper"), strict=True):
                found = self._asked_for(end, fh).set_axis(self._get_varnames(), axis=1)
                limits |= {(column, share, name): found[column] for column in found}
        order = pd.MultiIndex.from_product([self._get_varnames(), coverage, ["lower", "upper"]])
        return pd.DataFrame(limits)[list(order)].set_axis(order, axis=1)

    def _asked_for(self, forecasts: pd.DataFrame, fh: Any) -> pd.DataFrame:
        """The requested steps of the horizon, with the names of y, from forecasts for every step of every series."""
        first = np.arange(0, len(forecasts), self.forecaster_.horizon)
        rows = np.add.outer(first, self._steps(fh) - 1).ravel()
        return forecasts.iloc[rows].set_axis(self._names, axis=1).rename_axis(index=self._levels)

    def _steps(self, fh: Any) -> np.ndarray:
        return fh.to_relative(self.cutoff).to_numpy().astype(np.int64)

    @classmethod
    def get_test_params(cls, parameter_set: str = "default") -> list[dict[str, Any]]:
        gru = TikhonovGRURegressor(4, max_epochs=2, random_state=0)
        return [
            {"estimator": gru, "window": 2, "calibration_fraction": 0.5},
            {"estimator": LinearRegression(), "window": 1, "calibration_fraction": 0.4},
        ]


def _future(X: pd.DataFrame | None) -> pd.DataFrame | None:
    return None if X is None else pd.concat({"X": _named(X)}, axis=1)


def _joined(y: pd.DataFrame, X: pd.DataFrame | None) -> pd.DataFrame:
    """One table, in which columns of y and of X may have the same name."""
    return _named(y if X is None else pd.concat({"y": y, "X": X.loc[y.index]}, axis=1))


def _named(table: pd.DataFrame) -> pd.DataFrame:
    """The same table with fixed names of levels, as in sktime: the last level holds the times."""
    ids = table.index.nlevels - 1
    if not ids:
        return table
    return table.rename_axis(index=["id" if ids == 1 else f"id {level}" for level in range(ids)] + ["time"])
