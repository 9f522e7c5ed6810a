"""Predictions of a regressor, and their certified bounds under input errors."""

from dataclasses import dataclass
from datetime import datetime
from numbers import Real
from typing import Any, Literal, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import is_regressor
from sklearn.utils import check_consistent_length

from sklstm._labels import refuse_mixed_rows
from sklstm._tables import targets_in
from sklstm.estimators._certify import certify

from ._display import PALETTE, Display, draw_line, labelled, make_headroom
from ._unwrapping import network_estimator


@dataclass(kw_only=True, eq=False, repr=False)
class CertifiedBandDisplay(Display):
    """Predictions of a regressor in a row, with their certified bounds as a band.

    The band is about errors of the inputs. It contains the prediction for every input within ``eps`` of the given one.
    It says nothing about the error of the predictions: the true targets may lie outside.

    Parameters
    ----------
    y_pred : array-like of shape (n,)
        Predictions.
    lower : array-like of shape (n,)
        Certified lower bounds.
    upper : array-like of shape (n,)
        Certified upper bounds.
    y_true : array-like of shape (n,), optional
        True targets.
    times : array-like of shape (n,), optional
        Numbers or dates for the x axis. Points are joined in this order. By default, the index of the sequence.
    eps : float, array-like, Series, DataFrame or dict, optional
        Size of the input errors, for the legend.
    estimator_name : str, optional
        Name of the estimator, for the legend.
    ylabel : str, default="prediction (units of y)"
        Name and unit of the prediction.

    Attributes
    ----------
    line_ : matplotlib Line2D
        The predictions.
    band_ : matplotlib PolyCollection
        The band between the bounds. Where a bound is infinite, the band extends past the edge of the axes.
    true_line_ : matplotlib Line2D or None
        The true targets.
    ax_ : matplotlib Axes
        Axes with the band.
    figure_ : matplotlib Figure
        Figure with the axes.

    See Also
    --------
    NoiseRobustnessDisplay : The average effect of random noise.

    Examples
    --------
    >>> import numpy as np
    >>> from sklstm import TikhonovLSTMRegressor
    >>> from sklstm.inspection import CertifiedBandDisplay
    >>> rng = np.random.default_rng(0)
    >>> X = rng.standard_normal((100, 12, 2))
    >>> y = X[:, -3:, 0].mean(axis=1)
    >>> model = TikhonovLSTMRegressor(8, max_epochs=20, random_state=0).fit(X, y)
    >>> display = CertifiedBandDisplay.from_estimator(model, X[:20], eps=0.1, y=y[:20])
    >>> bool(np.all((display.lower <= display.y_pred) & (display.y_pred <= display.upper)))
    True

    You can draw the data again, on other axes or with other options:

    >>> display.plot(linewidth=3).ax_ is display.ax_
    True

    From bounds that were computed before:

    >>> lower, upper = model.certify(X[:20], eps=0.1)
    >>> other = CertifiedBandDisplay.from_predictions(model.predict(X[:20]), lower, upper)
    >>> bool(np.all(other.upper == display.upper))
    True
    """

    y_pred: ArrayLike
    lower: ArrayLike
    upper: ArrayLike
    y_true: ArrayLike | None = None
    times: ArrayLike | None = None
    eps: Any = None
    estimator_name: str | None = None
    ylabel: str = "prediction (units of y)"

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        X: Any,
        *,
        eps: Any,
        y: ArrayLike | None = None,
        times: ArrayLike | None = None,
        output: int = 0,
        method: Literal["best", "linear", "mean-value", "intervals"] = "best",
        ylabel: str = "prediction (units of y)",
        ax: Any = None,
        name: str | None = None,
    ) -> Self:
        """Predict, certify and draw.

        Parameters
        ----------
        estimator : estimator
            A fitted regressor of this package, alone or in a Pipeline, a TransformedTargetRegressor or a search.
        X : array-like of shape (n, L, d) or (n, L * d), DataFrame, or list of n arrays (L_i, d)
            Sequences, in the order of time or in any other order.
        eps : float, array-like, Series, DataFrame or dict
            Largest input error in each entry, in the units of X, before any step of a pipeline; see `sklstm.certify`.
        y : array-like of shape (n,) or (n, k), optional
            True targets, drawn as well.
        times : array-like of shape (n,), optional
            Numbers or dates for the x axis. By default, the index of the sequence.
        output : int, default=0
            Index of the target, if the estimator predicts several.
        method : {"best", "linear", "mean-value", "intervals"}, default="best"
            How to certify; see `sklstm.certify`.
        ylabel : str, default="prediction (units of y)"
            Name and unit of the prediction.
        ax : matplotlib Axes, optional
            Axes to draw on. By default, the axes of a new figure.
        name : str, optional
            Name of the estimator, for the legend.

        Returns
        -------
        CertifiedBandDisplay
            A display for one output.

        Raises
        ------
        TypeError
            If the estimator is not a regressor of this package, or `sklstm.certify` does not know a step around it.
        ValueError
            For a bad ``eps``, ``output`` or ``method``, or arrays of different lengths.
        NotFittedError
            Before `fit`.

        Warns
        -----
        WideCertificateWarning
            If bounds are farther apart than the range of the training targets.
        """
        cls._check_matplotlib("from_estimator")
        network_estimator(estimator, cls.__name__)
        if not is_regressor(estimator):
            raise TypeError(f"{cls.__name__} needs a regressor, got {type(estimator).__name__}.")
        if not hasattr(X, "columns"):  # a table may have several rows for each sequence
            check_consistent_length(X, y, times)
        predicted = np.asarray(estimator.predict(X), dtype=np.float64)
        columns = predicted.reshape(len(predicted), -1).shape[1]
        if isinstance(output, bool) or not 0 <= output < columns:
            raise ValueError(f"output must be in 0, …, {columns - 1}, got {output!r}.")

        def one(values: Any) -> NDArray[np.float64]:
            return np.asarray(values, dtype=np.float64).reshape(len(predicted), -1)[:, output]

        refuse_mixed_rows(X, y)
        if y is not None and np.size(y := targets_in(y)) != predicted.size:
            raise ValueError(f"y must have the shape of the predictions, {predicted.shape}; got {np.shape(y)}.")
        lower, upper = certify(estimator, X, eps, method=method)
        return cls(
            y_pred=one(predicted),
            lower=one(lower),
            upper=one(upper),
            y_true=None if y is None else one(y),
            times=times,
            eps=eps,
            estimator_name=name,
            ylabel=ylabel,
        ).plot(ax)

    @classmethod
    def from_predictions(
        cls,
        y_pred: ArrayLike,
        lower: ArrayLike,
        upper: ArrayLike,
        *,
        y_true: ArrayLike | None = None,
        times: ArrayLike | None = None,
        eps: Any = None,
        ylabel: str = "prediction (units of y)",
        ax: Any = None,
        name: str | None = None,
    ) -> Self:
        """Draw predictions and bounds that were computed before, for instance after a transformation.

        Parameters
        ----------
        y_pred : array-like of shape (n,)
            Predictions.
        lower : array-like of shape (n,)
            Certified lower bounds.
        upper : array-like of shape (n,)
            Certified upper bounds.
        y_true : array-like of shape (n,), optional
            True targets, drawn as well.
        times : array-like of shape (n,), optional
            Numbers or dates for the x axis. By default, the index of the sequence.
        eps : float, array-like, Series, DataFrame or dict, optional
            Size of the input errors of these bounds, for the legend.
        ylabel : str, default="prediction (units of y)"
            Name and unit of the prediction.
        ax : matplotlib Axes, optional
            Axes to draw on. By default, the axes of a new figure.
        name : str, optional
            Name of the estimator, for the legend.

        Returns
        -------
        CertifiedBandDisplay
            A display with the given arrays.

        Raises
        ------
        ValueError
            If the arrays differ in length, or a prediction is outside its bounds.
        """
        cls._check_matplotlib("from_predictions")
        return cls(
            y_pred=y_pred,
            lower=lower,
            upper=upper,
            y_true=y_true,
            times=times,
            eps=eps,
            estimator_name=name,
            ylabel=ylabel,
        ).plot(ax)

    def plot(self, ax: Any = None, *, name: str | None = None, **kwargs: Any) -> Self:
        """Draw the predictions, the band and, if given, the true targets.

        Parameters
        ----------
        ax : matplotlib Axes, optional
            Axes to draw on. By default, the axes of a new figure.
        name : str, optional
            Name of the estimator, for the legend. By default ``estimator_name``.
        **kwargs : dict
            Passed to matplotlib's ``plot`` for the predictions.

        Returns
        -------
        CertifiedBandDisplay
            The display itself.

        Raises
        ------
        ValueError
            If the arrays differ in length, or a prediction is outside its bounds.
        """
        predicted, lower, upper = (np.asarray(part, dtype=np.float64) for part in (self.y_pred, self.lower, self.upper))
        true = None if self.y_true is None else np.asarray(self.y_true, dtype=np.float64)
        times = np.arange(len(predicted)) if self.times is None else _instants(self.times)
        for what, values in {
            "y_pred": predicted,
            "lower": lower,
            "upper": upper,
            "y_true": true,
            "times": times,
        }.items():
            if values is not None and values.shape != (predicted.size,):
                raise ValueError(f"{what} must have shape ({predicted.size},), got {values.shape}.")
        if not ((lower <= predicted) & (predicted <= upper)).all():
            raise ValueError("lower <= y_pred <= upper must hold for every sequence.")
        ax, name = self._open(ax, name)
        size = f", |noise| ≤ {self.eps:.4g}" if isinstance(self.eps, Real) else ""
        # Infinite bounds are drawn past the edge of the axes.
        known = np.concatenate([part[np.isfinite(part)] for part in (predicted, lower, upper)])
        ends = known.min(initial=0.0), known.max(initial=0.0)
        far = 100 * (ends[1] - ends[0] + 1)
        self.band_ = ax.fill_between(
            times,
            np.where(np.isfinite(lower), lower, ends[0] - far),
            np.where(np.isfinite(upper), upper, ends[1] + far),
            facecolor=PALETTE["sky blue"],
            edgecolor=PALETTE["blue"],
            alpha=0.35,
            linewidth=0.6,
            label=labelled(name, f"certified{size}"),
        )
        options = {"color": PALETTE["blue"], "linestyle": "-", "linewidth": 1.6, "label": labelled(name, "predicted")}
        self.line_ = draw_line(ax, times, predicted, options, kwargs)
        self.true_line_ = None
        if true is not None:
            (self.true_line_,) = ax.plot(
                times, true, color=PALETTE["black"], linestyle=":", marker=".", markersize=4, linewidth=1, label="true"
            )
        if times.dtype.kind == "M":  # dates; time zones were removed
            from matplotlib.dates import AutoDateLocator, ConciseDateFormatter

            locator = AutoDateLocator(minticks=3, maxticks=8)  # labels must not overlap
            ax.xaxis.set_major_locator(locator)
            ax.xaxis.set_major_formatter(ConciseDateFormatter(locator))
        if not (np.isfinite(lower) & np.isfinite(upper)).all():
            shown = [known] if true is None else [known, true[np.isfinite(true)]]
            low, high = np.concatenate(shown).min(), np.concatenate(shown).max()
            ax.set_ylim(low - 0.05 * (high - low), high + 0.3 * (high - low))  # space for the legend
        make_headroom(ax, 0.25)
        return self._finish(ax, "sequence (index)" if self.times is None else "time", self.ylabel, ncols=2)


def _instants(times: Any) -> NDArray[Any]:
    """Numbers unchanged, dates of any kind as datetime64. Dates with a time zone keep their local time.

    Raises
    ------
    TypeError
        If they are neither numbers nor dates.
    """
    values = np.asarray(times)
    if values.dtype.kind in "iuf":
        return values
    if values.dtype.kind not in "OM":
        raise TypeError(f"times must be numbers or dates, got {values.dtype}.")
    if str(getattr(times, "dtype", "")).startswith("period"):  # a period is drawn at its start
        times = getattr(times, "dt", times).to_timestamp()
    elif getattr(times, "tz", None) is not None:
        times = times.tz_localize(None)
    elif getattr(getattr(times, "dt", None), "tz", None) is not None:
        times = times.dt.tz_localize(None)
    elif values.dtype.kind == "O" and values.size and all(isinstance(each, datetime) for each in values.ravel()):
        times = [each.replace(tzinfo=None) for each in values.ravel()]
    try:
        return np.asarray(times, dtype="datetime64[ms]")
    except (TypeError, ValueError) as error:
        raise TypeError(f"times must be numbers or dates, got {values.dtype}.") from error
