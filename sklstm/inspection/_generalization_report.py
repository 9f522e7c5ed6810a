"""The bounds of a report as bars, from useful to vacuous."""

from collections.abc import Sequence
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike

from sklstm.generalization import GeneralizationReport
from sklstm.generalization._report import at_most

from ._figures import PALETTE, axes_for, curve_values, require_matplotlib
from ._fitted import network_estimator

__all__ = ["GeneralizationReportDisplay"]


class GeneralizationReportDisplay:
    """Generalisation bounds as bars, each in units of the value from which on it says nothing.

    Losses have different largest values, so a bound is divided by its own ``ceiling``: one line at 1 holds for all of
    them, and bars that reach it are vacuous. The number at a bar is the bound itself, rounded upwards.

    Parameters
    ----------
    names : sequence of n str
        Names of the bounds.
    values : array-like of shape (n,)
        The bounds, each with its own confidence; infinite ones are drawn to the edge.
    ceilings : array-like of shape (n,)
        The values from which on they say nothing.
    together : array-like of shape (n,), optional
        The bounds that hold all at once; whoever chooses the smallest must choose among these.
    delta : float, optional
        Probability with which the bounds `together` may fail.

    Attributes
    ----------
    bars_ : matplotlib BarContainer
        A bar for each bound.
    together_ : matplotlib Line2D or None
        Markers at the bounds that hold all at once.
    vacuous_line_ : matplotlib Line2D
        The line at 1.
    ax_ : matplotlib Axes
        Axes with the bars.
    figure_ : matplotlib Figure
        Figure with the axes.

    See Also
    --------
    sklstm.generalization.GeneralizationReport : The same as a table, with terms and assumptions.

    Examples
    --------
    >>> import numpy as np
    >>> from sklstm import NoisyRNNClassifier
    >>> from sklstm.inspection import GeneralizationReportDisplay
    >>> rng = np.random.default_rng(0)
    >>> X = rng.standard_normal((200, 12, 2))
    >>> y = X[:, :, 0].sum(axis=1) > 0
    >>> model = NoisyRNNClassifier(8, max_epochs=5, random_state=0).fit(X[:150], y[:150])
    >>> report = model.generalization_report_.with_bound(model.holdout_bound(X[150:], y[150:]))
    >>> display = GeneralizationReportDisplay.from_report(report)
    >>> display.names == list(report)
    True

    What was computed can be drawn again, on other axes or with other options:

    >>> display.plot(name="in short").ax_ is display.ax_
    True

    The bounds of a fitted estimator, without the hold-out:

    >>> "holdout" in GeneralizationReportDisplay.from_estimator(model).names
    False
    """

    def __init__(
        self,
        *,
        names: Sequence[str],
        values: ArrayLike,
        ceilings: ArrayLike,
        together: ArrayLike | None = None,
        delta: float | None = None,
    ) -> None:
        self.names = names
        self.values = values
        self.ceilings = ceilings
        self.together = together
        self.delta = delta

    @classmethod
    def from_estimator(cls, estimator: Any, *, ax: Any = None) -> Self:
        """Draw the report of a fitted estimator.

        Parameters
        ----------
        estimator : estimator
            An estimator of this package, fitted with ``compute_bound=True``, alone or inside a pipeline, a
            TransformedTargetRegressor or a search. Its bounds are about its own inputs and targets: what the steps
            before it have learnt from the data is not part of them.
        ax : matplotlib Axes, optional
            Axes to draw on; by default those of a new figure.

        Returns
        -------
        GeneralizationReportDisplay
            With the bounds in the order of the report, tightest first.

        Raises
        ------
        TypeError
            For another kind of estimator.
        ValueError
            If it was fitted without computing bounds.
        NotFittedError
            Before `fit`.
        """
        require_matplotlib(f"{cls.__name__}.from_estimator")
        final = network_estimator(estimator, cls.__name__)
        if not hasattr(final, "generalization_report_"):
            raise ValueError(
                f"This {type(final).__name__} has no generalization_report_: fit it with compute_bound=True "
                "(partial_fit computes no bounds)."
            )
        return cls.from_report(final.generalization_report_, ax=ax)

    @classmethod
    def from_report(cls, report: GeneralizationReport, *, ax: Any = None) -> Self:
        """Draw a report.

        Parameters
        ----------
        report : GeneralizationReport
            A ``generalization_report_``, or one that was put together.
        ax : matplotlib Axes, optional
            Axes to draw on; by default those of a new figure.

        Returns
        -------
        GeneralizationReportDisplay
            With the bounds in the order of the report, tightest first.

        Raises
        ------
        TypeError
            If `report` is none.
        """
        require_matplotlib(f"{cls.__name__}.from_report")
        if not isinstance(report, GeneralizationReport):
            raise TypeError(f"report must be a GeneralizationReport, got {type(report).__name__}.")
        shares = report.simultaneous()
        return cls(
            names=list(report),
            values=np.array([bound.value for bound in report.bounds]),
            ceilings=np.array([bound.ceiling for bound in report.bounds]),
            together=np.array([shares[name].value for name in report]) if len(report) > 1 else None,
            delta=report.delta,
        ).plot(ax)

    def plot(self, ax: Any = None, *, name: str | None = None, **kwargs: Any) -> Self:
        """Draw the bars.

        Parameters
        ----------
        ax : matplotlib Axes, optional
            Axes to draw on, best empty ones; by default those of a new figure.
        name : str, optional
            Whose bounds they are, for the title.
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
        values, ceilings = (curve_values(what, getattr(self, what), n)[:, 0] for what in ("values", "ceilings"))
        together = None if self.together is None else curve_values("together", self.together, n)[:, 0]
        for what, bounds in {"values": values, "together": together}.items():
            if bounds is not None and not (bounds >= 0).all():
                raise ValueError(f"{what} must hold bounds of 0 or more, got {bounds.tolist()}.")
        if not (np.isfinite(ceilings) & (ceilings > 0)).all():
            raise ValueError(f"ceilings must be positive and finite, got {ceilings.tolist()}.")
        ax = axes_for(ax, f"{type(self).__name__}.plot")
        from matplotlib.patheffects import withStroke

        ratios = values / ceilings
        shares = ratios if together is None else together / ceilings
        left, right = _limits(np.concatenate([ratios, shares]))
        ends, marks, places = np.clip(ratios, left, right), np.clip(shares, left, right), np.arange(n)
        vacuous = ratios >= 1
        self.bars_ = ax.barh(places, ends - left, **({"height": 0.4, "left": left} | kwargs))
        for bar, says_nothing in zip(self.bars_, vacuous, strict=True):
            if not {"color", "facecolor", "fc"} & set(kwargs):
                bar.set_facecolor(PALETTE["orange" if says_nothing else "blue"])
            if not {"edgecolor", "ec"} & set(kwargs):
                bar.set_edgecolor("white")
            if not {"linewidth", "lw"} & set(kwargs):
                bar.set_linewidth(0)
            if "hatch" not in kwargs:
                bar.set_hatch("///" if says_nothing else None)
        beside = {"textcoords": "offset points", "path_effects": [withStroke(linewidth=3, foreground="white")]}
        for place, title, value in zip(places, self.names, values, strict=True):
            # Names stand inside: beside the axes they would need more room than their neighbours may leave.
            ax.annotate(title, (left, place - 0.2), (3, 1), va="bottom", ha="left", **beside)
            end = max(ends[place], marks[place])
            text = at_most(value) if np.isfinite(value) else "inf →"
            # On white, as the line at 1 may pass behind.
            plain = {"facecolor": "white", "edgecolor": "none", "pad": 1}
            ax.annotate(text, (end, place), (8, 0), va="center", ha="left", bbox=plain, **beside)
        self.vacuous_line_ = ax.axvline(
            1, color="black", linestyle="--", linewidth=1.2, label="from 1 on: says nothing"
        )
        self.together_ = None
        if together is not None:
            label = "together" + ("" if self.delta is None else f", δ = {self.delta:.3g}")
            (self.together_,) = ax.plot(marks, places, "D", color="black", markersize=5, label=label)
        ax.set_xscale("log")
        ax.set_xlim(left, right * (right / left) ** 0.25)
        ax.set_yticks([])
        ax.set_ylim(max(n, 2) - 0.5, -1.1)  # the first on top, below the legend
        ax.set_xlabel("bound / value at which it says nothing (no unit)", labelpad=1)
        if name is not None:
            ax.set_title(name)
        ax.legend(loc="upper right", ncols=2, fontsize="small")
        self.ax_, self.figure_ = ax, ax.figure
        return self


def _limits(ratios: Any) -> tuple[float, float]:
    """Ends of the axis: whole decades around what is finite and positive, and around 1."""
    known = ratios[np.isfinite(ratios) & (ratios > 0)]
    low, high = min(known.min(initial=0.1), 0.1), max(known.max(initial=1.0), 1.0)
    left = 10.0 ** np.floor(np.log10(low) - 0.3)
    return float(left), float(high * 10 ** (0.15 * np.log10(high / left)) if np.isinf(ratios).any() else high)
