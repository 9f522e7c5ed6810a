"""The bounds of a generalisation report as bars."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike

from sklstm.estimators._reports import generalization_report
from sklstm.generalization import GeneralizationReport
from sklstm.generalization._report_text import at_most

from ._display import PALETTE, Display
from ._unwrapping import network_estimator


@dataclass(kw_only=True, eq=False, repr=False)
class GeneralizationReportDisplay(Display):
    """Generalisation bounds as bars, with the losses of constant predictions, in units of the largest loss.

    The largest loss, the ``ceiling``, differs between losses. A bound above its own ceiling says nothing. Bounds are
    divided by their ceilings, so that one line at 1 serves all bars. The number at a bar is the bound itself, rounded
    upwards.

    Parameters
    ----------
    names : sequence of n str
        Names of the bounds.
    values : array-like of shape (n,)
        The bounds. Each holds with its own confidence level. Infinite ones are drawn to the edge.
    ceilings : array-like of shape (n,)
        The largest losses. A bound of this size or more says nothing.
    guesses : array-like of shape (n,), optional
        Loss of the best constant prediction (mean of the targets or most frequent label) for each bound; NaN where
        unknown. A smaller bound is informative.
    together : array-like of shape (n,), optional
        The bounds that hold simultaneously. To use the smallest bound, choose it among these.
    delta : float, optional
        Upper limit on the probability that at least one of the bounds in `together` fails.

    Attributes
    ----------
    bars_ : matplotlib BarContainer
        One bar for each bound.
    together_ : matplotlib Line2D or None
        Markers at the bounds that hold simultaneously.
    guesses_ : matplotlib Line2D or None
        Strokes at the losses of the best constant prediction (mean of the targets or most frequent label).
    ceiling_line_ : matplotlib Line2D
        The line at 1.
    ax_ : matplotlib Axes
        Axes with the bars.
    figure_ : matplotlib Figure
        Figure with the axes.

    See Also
    --------
    sklstm.generalization.GeneralizationReport : The same bounds as a table, with terms and assumptions.

    Examples
    --------
    >>> import numpy as np
    >>> from sklstm import NoisyRNNClassifier
    >>> from sklstm.inspection import GeneralizationReportDisplay
    >>> rng = np.random.default_rng(0)
    >>> X = rng.standard_normal((200, 12, 2))
    >>> y = X[:, :, 0].sum(axis=1) > 0
    >>> model = NoisyRNNClassifier(8, max_epochs=5, random_state=0).fit(X[:150], y[:150])
    >>> report = model.generalization_report(X[:150], y[:150]).with_bound(model.holdout_bound(X[150:], y[150:]))
    >>> display = GeneralizationReportDisplay.from_report(report)
    >>> display.names == list(report)
    True

    You can draw the data again, on other axes or with other options:

    >>> display.plot(name="in short").ax_ is display.ax_
    True

    The bounds of a fitted estimator, without the bound from a hold-out set:

    >>> "holdout" in GeneralizationReportDisplay.from_estimator(model, X[:150], y[:150]).names
    False
    """

    names: Sequence[str]
    values: ArrayLike
    ceilings: ArrayLike
    guesses: ArrayLike | None = None
    together: ArrayLike | None = None
    delta: float | None = None

    @classmethod
    def from_estimator(cls, estimator: Any, X: Any, y: Any, *, ax: Any = None) -> Self:
        """Draw the report of a fitted estimator from its training data.

        Parameters
        ----------
        estimator : estimator
            An estimator of this package, alone or in a Pipeline, a TransformedTargetRegressor or a search. Its bounds
            are about its own inputs and targets. They do not cover what earlier steps learnt from the data.
        X, y : array-like
            The training data; see `sklstm.generalization_report`.
        ax : matplotlib Axes, optional
            Axes to draw on. By default, the axes of a new figure.

        Returns
        -------
        GeneralizationReportDisplay
            A display with the bounds in the order of the report, tightest first.

        Raises
        ------
        TypeError
            For any other estimator.
        ValueError
            If X and y are not the training data.
        NotFittedError
            Before `fit`.
        """
        cls._check_matplotlib("from_estimator")
        network_estimator(estimator, cls.__name__)
        return cls.from_report(generalization_report(estimator, X, y), ax=ax)

    @classmethod
    def from_report(cls, report: GeneralizationReport, *, ax: Any = None) -> Self:
        """Draw a report.

        Parameters
        ----------
        report : GeneralizationReport
            The result of ``generalization_report`` of an estimator, or a report made from bounds.
        ax : matplotlib Axes, optional
            Axes to draw on. By default, the axes of a new figure.

        Returns
        -------
        GeneralizationReportDisplay
            A display with the bounds in the order of the report, tightest first.

        Raises
        ------
        TypeError
            If `report` is not a GeneralizationReport.
        """
        cls._check_matplotlib("from_report")
        if not isinstance(report, GeneralizationReport):
            raise TypeError(f"report must be a GeneralizationReport, got {type(report).__name__}.")
        shares = report.simultaneous()
        return cls(
            names=list(report),
            values=np.array([bound.value for bound in report.bounds]),
            ceilings=np.array([bound.ceiling for bound in report.bounds]),
            guesses=np.array([np.nan if bound.guess is None else bound.guess for bound in report.bounds]),
            together=np.array([shares[name].value for name in report]) if len(report) > 1 else None,
            delta=report.delta,
        ).plot(ax)

    def plot(self, ax: Any = None, *, name: str | None = None, **kwargs: Any) -> Self:
        """Draw the bars.

        Parameters
        ----------
        ax : matplotlib Axes, optional
            Axes to draw on, preferably empty. By default, the axes of a new figure.
        name : str, optional
            Name of the estimator, for the title.
        **kwargs : dict
            Passed to matplotlib's ``barh``.

        Returns
        -------
        GeneralizationReportDisplay
            The display itself.

        Raises
        ------
        ValueError
            If the arrays differ in length, a bound is negative or not a number, or a ceiling is not positive.
        """
        n = len(self.names)
        values, ceilings = self._values("values", n), self._values("ceilings", n)
        together = None if self.together is None else self._values("together", n)
        for what, bounds in {"values": values, "together": together}.items():
            if bounds is not None and not (bounds >= 0).all():
                raise ValueError(f"{what} must hold bounds of 0 or more, got {bounds.tolist()}.")
        if not (np.isfinite(ceilings) & (ceilings > 0)).all():
            raise ValueError(f"ceilings must be positive and finite, got {ceilings.tolist()}.")
        ax, name = self._open(ax, name)
        from matplotlib.patheffects import withStroke

        ratios = values / ceilings
        shares = ratios if together is None else together / ceilings
        left, right = _limits(np.concatenate([ratios, shares]))
        ends, marks, places = np.clip(ratios, left, right), np.clip(shares, left, right), np.arange(n)
        guesses = np.full(n, np.nan) if self.guesses is None else self._values("guesses", n) / ceilings
        poor = (ratios >= 1) | (ratios >= guesses)  # which is False where the guess is unknown
        self.bars_ = ax.barh(places, ends - left, **({"height": 0.4, "left": left} | kwargs))
        for bar, is_poor in zip(self.bars_, poor, strict=True):
            if not {"color", "facecolor", "fc"} & set(kwargs):
                bar.set_facecolor(PALETTE["orange" if is_poor else "blue"])
            if not {"edgecolor", "ec"} & set(kwargs):
                bar.set_edgecolor("white")
            if not {"linewidth", "lw"} & set(kwargs):
                bar.set_linewidth(0)
            if "hatch" not in kwargs:
                bar.set_hatch("///" if is_poor else None)
        beside = {"textcoords": "offset points", "path_effects": [withStroke(linewidth=3, foreground="white")]}
        for place, title, value in zip(places, self.names, values, strict=True):
            # Names are inside the axes: outside, they could overlap the neighbouring axes.
            ax.annotate(title, (left, place - 0.2), (3, 1), va="bottom", ha="left", **beside)
            end = max(ends[place], marks[place])
            text = at_most(value) if np.isfinite(value) else "inf →"
            # On white, because the line at 1 may pass behind.
            plain = {"facecolor": "white", "edgecolor": "none", "pad": 1}
            ax.annotate(text, (end, place), (8, 0), va="center", ha="left", bbox=plain, **beside)
        self.ceiling_line_ = ax.axvline(
            1, color="black", linestyle="--", linewidth=1.2, label="from 1 on: says nothing"
        )
        self.guesses_ = None
        if np.isfinite(guesses).any():
            (self.guesses_,) = ax.plot(
                np.clip(guesses, left, right),
                places,
                "|",
                color="black",
                markersize=22,
                label="best constant prediction",
            )
        self.together_ = None
        if together is not None:
            label = "together" + ("" if self.delta is None else f", δ = {self.delta:.3g}")
            (self.together_,) = ax.plot(marks, places, "D", color="black", markersize=5, label=label)
        ax.set_xscale("log")
        ax.set_xlim(left, right * (right / left) ** 0.25)
        ax.set_yticks([])
        ax.set_ylim(max(n, 2) - 0.5, -1.1)  # the first on top, below the legend
        ax.xaxis.labelpad = 1
        if name is not None:
            ax.set_title(name)
        xlabel = "bound / value at which it says nothing (no unit)"
        return self._finish(ax, xlabel, loc="upper right", ncols=2, fontsize="small")


def _limits(ratios: Any) -> tuple[float, float]:
    """Ends of the axis. They include 1 and all ratios that are finite and positive."""
    known = ratios[np.isfinite(ratios) & (ratios > 0)]
    low, high = min(known.min(initial=0.1), 0.1), max(known.max(initial=1.0), 1.0)
    left = 10.0 ** np.floor(np.log10(low) - 0.3)
    return float(left), float(high * 10 ** (0.15 * np.log10(high / left)) if np.isinf(ratios).any() else high)
