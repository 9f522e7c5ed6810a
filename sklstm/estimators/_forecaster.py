"""From a table to forecasts: windows, scaling, one regressor for all horizons, and calibrated intervals."""

import copy
import warnings
from functools import partial
from numbers import Real
from os import PathLike
from typing import Any, ClassVar, Literal, Self

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, clone, is_regressor
from sklearn.compose import TransformedTargetRegressor
from sklearn.metrics import check_scoring, get_scorer
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils import get_tags
from sklearn.utils.validation import check_is_fitted

from sklstm._validation import API_PAGE_AT_TOP, POSITIVE_INT, PROBABILITY, Number, Rule, caller_level, check_parameters
from sklstm.exceptions import DataWarning
from sklstm.preprocessing import SequenceScaler
from sklstm.preprocessing._regular_series import Cut, RegularSeries
from sklstm.training._process import restores_settings

from . import _files, _forecaster_files
from ._prediction_interval import fewest_samples, prediction_interval


class Forecaster(BaseEstimator):
    """Forecasts of a table's columns: scaling, windows, one regressor for all horizons, and intervals.

    `fit` takes a table with one row for every time step, cuts it into windows and scales them. It then fits the
    regressor to the next `horizon` values of the targets, all at once ("direct multi-step"). So no prediction is used
    as an input. `predict` returns values in the units of the table, with the names of its columns and the times that
    come next.

    Parameters
    ----------
    estimator : regressor
        A regressor of this package, or any scikit-learn regressor that takes a vector of targets. It is cloned, and
        fitted to scaled windows and scaled targets. A regressor for sequences gets windows (n, window, d). Any other
        gets them as rows (n, window * d), with all columns of the first step first.
    window : int
        Number of past steps in a window, at least 1.
    horizon : int
        Number of steps to forecast, at least 1.
    targets : name, int, list of these, or None, default=None
        Columns to forecast; they are also inputs. None means all columns that are not known in advance. With one name
        or number, forecasts are a Series, or an array with one axis. With a list, they are a DataFrame, or an array
        with two axes.
    known : name, int, list of these, or None, default=None
        Columns whose future is known in advance, such as calendar and planned prices. You pass their future to
        `predict` as ``future``. A window holds them shifted by `horizon` steps: `window` steps up to the last forecast
        step. Needs ``window >= horizon``. All other columns are known up to the present only.
    calibration_fraction : float, default=0.2
        Share of the rows, the last ones of every series, that the regressor is not fitted to. `predict_interval`
        measures the forecast errors on them. With 0 the regressor is fitted to all rows, and there are no intervals.
    scoring : str, callable or None, default=None
        What `score` returns, and so what a search compares: the name of a score of scikit-learn, such as
        ``"neg_mean_absolute_error"``, or a scorer, for instance of `sklstm.metrics.make_certified_scorer`. None is R².

    Attributes
    ----------
    model_ : TransformedTargetRegressor
        The fitted composition from windows to forecasts, both in the units of the table. Pass it to `certify`,
        `noise_interval` and other functions. It is a pipeline of `SequenceScaler` and the regressor, with a
        StandardScaler for the targets. Its ``feature_names_in_`` are the names of the columns, so that ``eps`` may have
        labels.
    targets_ : list
        Names of the columns to forecast, or their numbers if the table had no names.
    n_features_in_ : int
        Number of columns d of the table.
    feature_names_in_ : ndarray of shape (d,)
        Names of the columns, if all of them are strings.

    See Also
    --------
    make_forecaster : The same, with arguments checked at once.

    Notes
    -----
    A table is a DataFrame or Series of pandas whose index holds the times, or an array (n_steps,) or (n_steps, d).
    Times have equal steps: dates with or without a time zone, periods, time spans, or integers. An index of two levels,
    id and time, makes the table a panel. Each window then holds rows of one id, one model serves all ids, and there are
    forecasts for each. Missing values are refused.

    The held-out rows are the last ones, not random ones: windows overlap, and intervals should be about the time after
    the training. Scales come from the training rows alone. The rows before the held-out ones are the past of the first
    held-out windows, as in real use. If the series drifts, errors on the held-out rows differ from later ones. Fewer
    values then lie inside the intervals than promised.

    In ``GridSearchCV(forecaster, {"estimator__lambda_s": [...]}, cv=TimeSeriesSplit()).fit(table)`` folds are rows of
    the table. `score` uses the windows that lie within a test fold, past included. The training rows of a fold must
    have no gap in time: use `TimeSeriesSplit`, not `KFold`. Sort a panel by time first, with
    ``table.sort_index(level="time")``. `GridSearchCV.predict` takes no ``future``; use ``best_estimator_``. Set another
    score by the parameter `scoring` of the forecaster: that of `GridSearchCV` needs a y, and here there is none.

    Examples
    --------
    >>> import numpy as np
    >>> import pandas as pd
    >>> import sklstm
    >>> hours = pd.date_range("2024-01-01", periods=400, freq="h", tz="Europe/Berlin")
    >>> noise = np.random.default_rng(0).normal(0, 5, 400)
    >>> table = pd.DataFrame({"load": 100 + 20 * np.sin(np.arange(400) * np.pi / 12) + noise}, index=hours)
    >>> lstm = sklstm.TikhonovLSTMRegressor(4, max_epochs=5, random_state=0)
    >>> forecaster = sklstm.make_forecaster(lstm, window=24, horizon=3, targets="load").fit(table)
    >>> forecast = forecaster.predict()
    >>> print(forecast.index[0], forecast.name, len(forecast))
    2024-01-17 16:00:00+01:00 load 3
    >>> lower, upper = forecaster.predict_interval(coverage=0.9)
    >>> bool(((lower < forecast) & (forecast < upper)).all())
    True
    """

    _rules: ClassVar[dict[str, Rule]] = {
        "window": POSITIVE_INT,
        "horizon": POSITIVE_INT,
        "calibration_fraction": Number(Real, 0, 1, "left"),
    }

    model_: TransformedTargetRegressor
    targets_: list
    n_features_in_: int
    _cut: Cut
    _recent: RegularSeries
    _single: bool

    _doc_link_module, _doc_link_template = "sklstm", API_PAGE_AT_TOP

    def __init__(
        self,
        estimator: Any,
        window: int,
        horizon: int,
        *,
        targets: Any = None,
        known: Any = None,
        calibration_fraction: float = 0.2,
        scoring: Any = None,
    ) -> None:
        self.estimator = estimator
        self.window = window
        self.horizon = horizon
        self.targets = targets
        self.known = known
        self.calibration_fraction = calibration_fraction
        self.scoring = scoring

    def fit(self, table: Any, y: Any = None) -> Self:
        """Fit to all rows of a table except the last part, which calibrates the intervals.

        Parameters
        ----------
        table : DataFrame, Series, or array-like of shape (n_steps,) or (n_steps, d)
            One row for each time step; see Notes of the class.
        y : None, default=None
            Must be None: the values to forecast are columns of the table.

        Returns
        -------
        self

        Raises
        ------
        TypeError
            If the estimator is no regressor, a column does not hold real numbers, or the index does not hold times.
        ValueError
            If a parameter is out of range, the table has too few rows, a value is missing or a column is unknown. Also
            if times do not increase in equal steps.

        Warns
        -----
        DataWarning
            If some series of a panel are too short to fit; the warning names those that get no forecast.
        """
        self._check()
        if y is not None:
            raise ValueError("fit takes a table alone, with y=None. Name the columns to forecast in targets.")
        series = RegularSeries.of(table)
        cut = self._cut_for(series)
        held = np.rint(float(self.calibration_fraction) * series.lengths).astype(np.int64)
        self._check_lengths(series, held, cut)
        model = self._composition(clone(self.estimator), cut, series.values.shape[1])
        try:
            model.fit(*cut.windows(series.head(series.lengths - held)))
        except ValueError as error:
            if isinstance(self.estimator, TransformedTargetRegressor):
                error.add_note(
                    "The targets are scaled to mean 0 and variance 1 before the TransformedTargetRegressor gets them. "
                    "Transform the columns of the table instead, for instance numpy.log1p(table)."
                )
            raise
        recent = series.tail(np.where(series.lengths < cut.window, 0, held + cut.window))
        single = np.ndim(table) == 1 if self.targets is None else series.places(self.targets, "targets")[1]
        self._set_fitted(model, cut, recent, single)
        return self

    def predict(self, table: Any = None, *, future: Any = None) -> Any:
        """Forecast the steps after the end of the table of `fit`, or of another table.

        Parameters
        ----------
        table : DataFrame, Series, or array-like of shape (n_steps,) or (n_steps, d), optional
            At least `window` rows of each series, with the columns of `fit` in any order and the same time step. Only
            the last `window` rows are used. By default it is the table of `fit`, held-out part included, without series
            of a panel that have fewer rows.
        future : DataFrame, Series, or array-like of shape (horizon,) or (horizon, c), optional
            The known columns at the times of the forecast; required if there are known columns. Rows of a table are
            matched by their times and ids; further rows are allowed.

        Returns
        -------
        Series, DataFrame, or ndarray of shape (horizon,) or (horizon, k)
            Forecasts in the units of the table. The index holds their times, or for panels ids and times.
        """
        now = self._as_fitted()
        series, X = now._last(table, future)
        return now._answer(now.model_.predict(X), series)

    def predict_interval(
        self,
        table: Any = None,
        *,
        coverage: float = 0.9,
        future: Any = None,
        eps: Any = 0.0,
        method: Literal["best", "linear", "mean-value", "intervals"] = "best",
    ) -> tuple[Any, Any]:
        """Intervals that contain the future values with a given probability.

        This is split conformal prediction; see `sklstm.prediction_interval`. The width comes from the forecast errors
        on the last part of the table of `fit`, which the regressor was not fitted to. Each target at each horizon has
        its own width and its own coverage. The series of a panel share these widths. The coverage then holds for all of
        them together: it is higher for easy series and lower for hard ones.

        Parameters
        ----------
        table : DataFrame, Series, or array-like of shape (n_steps,) or (n_steps, d), optional
            As in `predict`.
        coverage : float, default=0.9
            Probability that each value lies in its interval, in (0, 1). It needs ``coverage / (1 - coverage)`` held-out
            windows.
        future : DataFrame, Series, or array-like of shape (horizon,) or (horizon, c), optional
            As in `predict`.
        eps : float, array-like, Series or dict, default=0.0
            Largest input error of the entries of the table, in its units: one number, or one for each column by name.
            The intervals then hold for any such errors, as in `certify`. Needs an estimator of this package.
        method : {"best", "linear", "mean-value", "intervals"}, default="best"
            Method of `certify`, used if ``eps`` is not 0.

        Returns
        -------
        lower : Series, DataFrame, or ndarray of shape (horizon,) or (horizon, k)
            Lower ends, in the form of forecasts.
        upper : Series, DataFrame, or ndarray of shape (horizon,) or (horizon, k)
            Upper ends.
        """
        PROBABILITY.check("coverage", coverage)
        now = self._as_fitted()
        X_cal, y_cal = now._cut.windows(now._recent)
        if len(y_cal) < fewest_samples(coverage):
            raise ValueError(
                f"coverage={coverage:g} takes at least {fewest_samples(coverage)} windows that fit held out, but it "
                f"held out {len(y_cal)} (calibration_fraction={self.calibration_fraction:g}). Fit with a larger "
                "calibration_fraction or on more rows, or ask for a smaller coverage."
            )
        series, X = now._last(table, future)
        lower, upper = prediction_interval(now.model_, X_cal, y_cal, X, coverage=coverage, eps=eps, method=method)
        return now._answer(lower, series), now._answer(upper, series)

    def windows(self, table: Any) -> tuple[NDArray, NDArray]:
        """All windows of a table with the values to predict, in the form that ``model_`` takes.

        Parameters
        ----------
        table : DataFrame, Series, or array-like of shape (n_steps,) or (n_steps, d)
            A table with the columns of `fit`. A series shorter than ``window + horizon`` has no window.

        Returns
        -------
        X : ndarray of shape (n, window, d) or (n, window * d)
            Windows in the units of the table, series after series.
        y : ndarray of shape (n, horizon * k)
            Targets; all targets of the first horizon come first.

        Examples
        --------
        >>> import numpy as np
        >>> import sklstm
        >>> table = np.random.default_rng(0).normal(size=(200, 2)).cumsum(axis=0)
        >>> lstm = sklstm.TikhonovLSTMRegressor(4, max_epochs=5, random_state=0)
        >>> forecaster = sklstm.make_forecaster(lstm, window=10, horizon=2, targets=0).fit(table[:150])
        >>> X, y = forecaster.windows(table[150:])
        >>> X.shape, y.shape
        ((39, 10, 2), (39, 2))
        >>> lower, upper = sklstm.certify(forecaster.model_, X, eps=[0.1, 0])  # errors of the first column
        >>> bool((lower < upper).all())
        True
        """
        now = self._as_fitted()
        X, y = now._cut.windows(RegularSeries.of(table, now._recent))
        if not len(X):
            raise ValueError(
                f"no series has the {now._cut.window + now._cut.horizon} rows that a window and its forecast need."
            )
        return X, y

    def last_windows(self, table: Any = None, *, future: Any = None) -> NDArray:
        """The windows that `predict` forecasts from, one for each series, in the form that ``model_`` takes.

        Parameters
        ----------
        table : DataFrame, Series, or array-like of shape (n_steps,) or (n_steps, d), optional
            As in `predict`.
        future : DataFrame, Series, or array-like of shape (horizon,) or (horizon, c), optional
            As in `predict`.

        Returns
        -------
        ndarray of shape (g, window, d) or (g, window * d)
            Windows in the units of the table; g is the number of series.

        Examples
        --------
        >>> import numpy as np
        >>> import sklstm
        >>> from sklearn.linear_model import Ridge
        >>> table = np.random.default_rng(0).normal(size=200).cumsum()
        >>> forecaster = sklstm.make_forecaster(Ridge(), window=10, horizon=2).fit(table)
        >>> X = forecaster.last_windows()
        >>> bool((X == table[-10:]).all()), bool((forecaster.model_.predict(X) == forecaster.predict()).all())
        (True, True)
        """
        return self._as_fitted()._last(table, future)[1]

    def score(self, table: Any, y: Any = None) -> float:
        """R², or the score that `scoring` names, of the forecasts for all windows of a table.

        Parameters
        ----------
        table : DataFrame, Series, or array-like of shape (n_steps,) or (n_steps, d)
            A table with the columns of `fit`. Past and forecast of every window lie within the table.
        y : None, default=None
            Not used.

        Returns
        -------
        float
            With ``scoring=None``, the mean of R² over horizons and targets; otherwise the score of ``model_`` on the
            windows, in the units of the table.

        Raises
        ------
        TypeError
            If a scorer does not return one number.

        Examples
        --------
        >>> import numpy as np
        >>> import sklstm
        >>> from sklearn.linear_model import Ridge
        >>> table = np.sin(np.arange(300) / 5) + np.random.default_rng(0).normal(0, 0.1, 300)
        >>> forecaster = sklstm.make_forecaster(Ridge(), window=10, horizon=3).fit(table[:200])
        >>> bool(forecaster.score(table[200:]) > 0.9)
        True
        """
        now = self._as_fitted()
        X, actual = now.windows(table)
        value = check_scoring(now.model_, now.scoring)(now.model_, X, actual)
        if not isinstance(value, Real):
            raise TypeError(f"the scorer must return one number; got {value!r:.80}.")
        return float(value)

    def save(self, path: str | PathLike[str]) -> None:
        """Write the fitted forecaster to one file that holds no code; see ``docs/guide/saving.md``.

        The file holds the rows of the table that intervals and the next forecast need: the held-out part and one window
        before it.

        Parameters
        ----------
        path : str or PathLike
            Path of the file. An existing file is replaced, in one step at the end. The folder must exist.

        Raises
        ------
        TypeError
            If the regressor is not an estimator of this package, or something has a type that files cannot hold.
        ValueError
            If times or ids could not be read back unchanged.

        Examples
        --------
        >>> import tempfile
        >>> from pathlib import Path
        >>> import numpy as np
        >>> import sklstm
        >>> lstm = sklstm.TikhonovLSTMRegressor(4, max_epochs=2, random_state=0)
        >>> forecaster = sklstm.make_forecaster(lstm, window=10, horizon=2).fit(np.sin(np.arange(200.0)))
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     forecaster.save(Path(folder) / "forecaster.safetensors")
        ...     loaded = sklstm.load(Path(folder) / "forecaster.safetensors")
        >>> bool((loaded.predict() == forecaster.predict()).all())
        True
        """
        _forecaster_files.save(self, path)

    @classmethod
    @restores_settings
    def load(cls, path: str | PathLike[str], *, device: str | torch.device | None = None) -> Self:
        """Read a forecaster that `save` has written; no code in the file is executed.

        Parameters
        ----------
        path : str or PathLike
            Path of the file.
        device : str or torch.device, optional
            Device for the network, as in `sklstm.load`.

        Returns
        -------
        Forecaster
            Its forecasts and intervals are those of the saved one, bit for bit on a machine with the same kernels.

        Raises
        ------
        ModelFileError
            If the file is no forecaster, is damaged, or was saved by a newer version.
        ValueError
            If torch cannot use ``device`` on this machine.

        Examples
        --------
        >>> import tempfile
        >>> from pathlib import Path
        >>> import numpy as np
        >>> from sklstm import Forecaster, TikhonovLSTMRegressor
        >>> lstm = TikhonovLSTMRegressor(4, max_epochs=2, random_state=0)
        >>> forecaster = Forecaster(lstm, window=10, horizon=2).fit(np.sin(np.arange(200.0)))
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     forecaster.save(Path(folder) / "forecaster.safetensors")
        ...     loaded = Forecaster.load(Path(folder) / "forecaster.safetensors")
        >>> loaded.horizon, loaded.estimator.hidden_size
        (2, 4)
        """
        return _files.loaded(path, device, partial(_forecaster_files.from_document, cls))

    def _check(self) -> None:
        """Check the parameters, as far as possible without a table."""
        check_parameters(self, self._rules)
        if isinstance(self.scoring, str):
            get_scorer(self.scoring)
        elif self.scoring is not None and not callable(self.scoring):
            raise TypeError(f"scoring must be the name of a score, a scorer or None; got {self.scoring!r:.80}.")
        if not hasattr(self.estimator, "fit") or isinstance(self.estimator, type) or not is_regressor(self.estimator):
            raise TypeError(f"estimator must be a regressor, got {self.estimator!r:.80}.")
        swapped = [name for name, value in self.get_params().items() if name.endswith("__layout") and value == "nct"]
        if swapped:
            raise ValueError(f"windows have the shape (n, n_steps, n_channels). Set {swapped[0]}='ntc'.")
        if self.known is not None and self.window < self.horizon:
            raise ValueError(
                "known columns need window >= horizon, since a window holds their last steps up to the horizon; got "
                f"window={self.window} and horizon={self.horizon}."
            )

    def _cut_for(self, series: RegularSeries) -> Cut:
        """How to cut a table with these columns."""
        known = () if self.known is None else series.places(self.known, "known")[0]
        if self.targets is None:
            targets = tuple(place for place in range(series.values.shape[1]) if place not in known)
        else:
            targets = series.places(self.targets, "targets")[0]
        if not targets or set(targets) & set(known):
            raise ValueError(
                f"there must be a column to forecast that is not in known; got targets={self.targets!r} "
                f"and known={self.known!r}."
            )
        return Cut(int(self.window), int(self.horizon), targets, known, not _takes_sequences(self.estimator))

    def _check_lengths(self, series: RegularSeries, held: NDArray[np.int64], cut: Cut) -> None:
        """``ValueError`` unless there are windows for fitting and calibration; `DataWarning` for short series."""
        needed = cut.window + cut.horizon
        short = series.lengths - held < needed
        calibrates = held >= cut.horizon if self.calibration_fraction else ~short
        if short.all() or not (calibrates & (series.lengths >= needed)).any():
            which = "table" if series.ids is None else "longest series"
            raise ValueError(
                f"the {which} has {series.lengths.max()} rows; window={cut.window}, horizon={cut.horizon} and "
                f"calibration_fraction={self.calibration_fraction:g} need at least "
                f"{cut.fewest_rows(float(self.calibration_fraction))}."
            )
        if short.any():
            message = (
                f"{short.sum()} of {len(short)} series have fewer than {needed} rows before the held-out part, so the "
                f"estimator is not fitted to them: {_some(series.ids[short])}."
            )
            if (none := series.lengths < cut.window).any():
                message += (
                    f" predict() has no forecast for those with fewer than {cut.window}: {_some(series.ids[none])}."
                )
            warnings.warn(message, DataWarning, stacklevel=caller_level())

    @staticmethod
    def _composition(estimator: Any, cut: Cut, d: int) -> TransformedTargetRegressor:
        """The unfitted `model_`."""
        inputs_scaled = Pipeline([("scaler", SequenceScaler(d if cut.flat else 1)), ("estimator", estimator)])
        # Not checked: in float32 the inverse is right to seven digits.
        return TransformedTargetRegressor(inputs_scaled, transformer=StandardScaler(), check_inverse=False)

    def _set_fitted(self, model: TransformedTargetRegressor, cut: Cut, recent: RegularSeries, single: bool) -> None:
        """Set all fitted attributes; ``recent`` is the held-out part and a window before it."""
        names = np.empty(len(recent.names), dtype=object)
        names[:] = recent.names
        if not cut.flat and recent.names:
            model.feature_names_in_ = names
        fitted: dict[str, Any] = {
            "model_": model,
            "targets_": [recent.names[place] if recent.names else place for place in cut.targets],
            "n_features_in_": recent.values.shape[1],
            "_cut": cut,
            "_recent": recent,
            "_single": single,
        }
        if recent.names and all(isinstance(name, str) for name in recent.names):
            fitted["feature_names_in_"] = names
        self.__dict__.pop("feature_names_in_", None)
        self.__dict__.update(fitted)

    def _as_fitted(self) -> Self:
        """A copy of the current state, so that fits in other threads do not change it."""
        check_is_fitted(self)
        return copy.copy(self)

    def _last(self, table: Any, future: Any) -> tuple[RegularSeries, NDArray]:
        """The last rows of a table's series, and the windows to forecast from."""
        cut = self._cut
        series = self._recent if table is None else RegularSeries.of(table, self._recent)
        short = np.flatnonzero(series.lengths < cut.window)
        if len(short):
            of = "the table" if series.ids is None else f"series {series.ids[short[0]]!s}"
            raise ValueError(
                f"{of} has {series.lengths[short[0]]} rows, but a forecast needs the last {cut.window} rows of every "
                "series."
            )
        series = series.tail(np.full_like(series.lengths, cut.window))
        return series, cut.last(series, series.future(future, cut.known, cut.horizon))

    def _answer(self, values: NDArray, series: RegularSeries) -> Any:
        """Values (g, horizon * k) in the form of the table."""
        columns = values.reshape(-1, len(self._cut.targets))
        index = series.after(self._cut.horizon)
        if index is None:
            return columns[:, 0] if self._single else columns
        import pandas as pd

        if self._single:
            return pd.Series(columns[:, 0], index=index, name=self.targets_[0] if series.names else None)
        return pd.DataFrame(columns, index=index, columns=self.targets_)


_files.OTHERS["Forecaster"] = partial(_forecaster_files.from_document, Forecaster)


def make_forecaster(
    estimator: Any,
    window: int,
    horizon: int,
    *,
    targets: Any = None,
    known: Any = None,
    calibration_fraction: float = 0.2,
    scoring: Any = None,
) -> Forecaster:
    """Make a forecaster of tables from a regressor.

    Parameters
    ----------
    estimator : regressor
        A regressor of this package, or any scikit-learn regressor that takes a vector of targets.
    window : int
        Number of past steps in a window, at least 1.
    horizon : int
        Number of steps to forecast, at least 1.
    targets : name, int, list of these, or None, default=None
        Columns to forecast; see `Forecaster`.
    known : name, int, list of these, or None, default=None
        Columns whose future is known in advance; see `Forecaster`.
    calibration_fraction : float, default=0.2
        Share of the rows, the last ones of every series, that is held out for intervals.
    scoring : str, callable or None, default=None
        What `score` returns; None is R².

    Returns
    -------
    Forecaster
        An unfitted forecaster.

    Examples
    --------
    Temperatures as inputs, a calendar that is known in advance, and a regressor of scikit-learn:

    >>> import numpy as np
    >>> import pandas as pd
    >>> import sklstm
    >>> from sklearn.linear_model import Ridge
    >>> hours = pd.date_range("2024-01-01", periods=500, freq="h")
    >>> rng = np.random.default_rng(0)
    >>> table = pd.DataFrame({"temp": rng.normal(size=500), "weekend": 1.0 * (hours.day_of_week > 4)}, index=hours)
    >>> table["load"] = 50 - 30 * table["weekend"] + rng.normal(size=500)
    >>> forecaster = sklstm.make_forecaster(Ridge(), window=24, horizon=6, targets=["load"], known=["weekend"])
    >>> past, future = table[:480], table[480:]
    >>> forecast = forecaster.fit(past).predict(future=future[["weekend"]])
    >>> forecast.shape, bool((forecast["load"] < 30).all())  # a Sunday
    ((6, 1), True)
    """
    forecaster = Forecaster(
        estimator,
        window,
        horizon,
        targets=targets,
        known=known,
        calibration_fraction=calibration_fraction,
        scoring=scoring,
    )
    forecaster._check()
    return forecaster


def _takes_sequences(estimator: Any) -> bool:
    """Whether a regressor, or the one inside a composition, takes arrays with three axes."""
    parts = [estimator, *estimator.get_params().values()]
    return any(is_regressor(part) and get_tags(part).input_tags.three_d_array for part in parts if hasattr(part, "fit"))


def _some(ids: Any) -> str:
    """The first ids, as text."""
    return ", ".join(map(str, ids[:5])) + (", ..." if len(ids) > 5 else "")
