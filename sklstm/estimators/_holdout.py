"""Bounds on the loss of a fitted estimator from data that it has never seen."""

from collections.abc import Callable
from typing import Any, Literal

import numpy as np
from sklearn.metrics import accuracy_score
from sklearn.utils import check_array, check_consistent_length, column_or_1d
from sklearn.utils.validation import check_is_fitted

from sklstm._tables import as_plain
from sklstm._validation import OPTIONAL_POSITIVE, PROBABILITY
from sklstm.generalization import GeneralizationReport, HoldoutBound, holdout_bound


class HoldoutClassifier:
    """`holdout_bound` for classifiers."""

    # Of the estimator beside it.
    predict: Callable[..., np.ndarray]
    delta: float

    def holdout_bound(self, X: Any, y: Any, *, delta: float | None = None) -> HoldoutBound:
        """Upper limit on the error probability of `predict` from held-out data, exact.

        The binomial limit of Clopper and Pearson; see `sklstm.generalization.holdout_bound`. To see it beside the
        bounds from the training data: ``model.generalization_report_.with_bound(model.holdout_bound(X, y))``.

        Parameters
        ----------
        X : array-like of shape (n, L', d) or (n, L * d)
            Sequences that played no part in making the estimator: neither in `fit` nor in choosing its
            hyperparameters. As in `predict`.
        y : array-like of shape (n,)
            True labels. A label that `fit` has not seen counts as an error.
        delta : float, optional
            The bound may fail with this probability; by default the estimator's ``delta``.

        Returns
        -------
        HoldoutBound

        Raises
        ------
        ValueError, TypeError
            For bad X, y or ``delta``, or labels of another kind than those of `fit`.
        NotFittedError
            Before `fit`.

        Examples
        --------
        >>> import numpy as np
        >>> from sklstm import NoisyRNNClassifier
        >>> X = np.random.default_rng(0).standard_normal((300, 5, 1))
        >>> y = X[:, -1, 0] > 0
        >>> model = NoisyRNNClassifier(4, max_epochs=3, random_state=0).fit(X[:100], y[:100])
        >>> bound = model.holdout_bound(X[100:], y[100:])
        >>> bool(np.isclose(bound.mean_loss, 1 - model.score(X[100:], y[100:]))), bool(bound.value > bound.mean_loss)
        (True, True)
        >>> "holdout" in model.generalization_report_.with_bound(bound)
        True
        """
        check_is_fitted(self)
        delta = _delta(self, delta)
        y = column_or_1d(as_plain(y, "y"))
        predicted = self.predict(X)
        check_consistent_length(predicted, y)
        accuracy_score(y, predicted)  # refuses labels of another kind, which would all count as errors
        return holdout_bound(y, predicted=predicted, delta=delta, **_subject(self))


class HoldoutRegressor:
    """`holdout_bound` for regressors."""

    # Of the estimator beside it.
    predict: Callable[..., np.ndarray]
    delta: float
    loss_cap: float | None
    generalization_report_: GeneralizationReport

    def holdout_bound(
        self,
        X: Any,
        y: Any,
        *,
        delta: float | None = None,
        cap: float | None = None,
        method: Literal["bernstein", "best"] = "bernstein",
    ) -> HoldoutBound:
        """Upper limit on the expected capped squared loss of `predict` from held-out data.

        The empirical Bernstein bound of Maurer and Pontil on the mean of min((y − f(x))², cap), the squared error
        being averaged over outputs; see `sklstm.generalization.holdout_bound`. To see it beside the bound from the
        training data: ``model.generalization_report_.with_bound(model.holdout_bound(X, y))``.

        Parameters
        ----------
        X : array-like of shape (n, L', d) or (n, L * d)
            At least two sequences that played no part in making the estimator: neither in `fit` nor in choosing its
            hyperparameters. As in `predict`.
        y : array-like of shape (n,) or (n, k)
            True targets, in the shape of those of `fit`.
        delta : float, optional
            The bound may fail with this probability; by default the estimator's ``delta``.
        cap : float, optional
            Largest loss, in squared units of y, chosen without looking at these X and y. By default that of
            ``generalization_report_``, or the estimator's ``loss_cap``.
        method : {"bernstein", "best"}, default="bernstein"
            ``"best"`` is the smaller of empirical Bernstein and Chernoff, each with half of ``delta``: for samples of
            a few hundred sequences.

        Returns
        -------
        HoldoutBound

        Raises
        ------
        ValueError, TypeError
            For bad X, y, ``delta``, ``cap`` or ``method``; if no cap is given and `fit` has chosen none, because of
            ``compute_bound=False``.
        NotFittedError
            Before `fit`.

        Examples
        --------
        >>> import numpy as np
        >>> from sklstm import TikhonovLSTMRegressor
        >>> X = np.random.default_rng(0).standard_normal((300, 5, 1))
        >>> y = X[:, -1, 0]
        >>> model = TikhonovLSTMRegressor(4, max_epochs=3, random_state=0).fit(X[:100], y[:100])
        >>> bound = model.holdout_bound(X[100:], y[100:], cap=4.0)
        >>> bool(np.isclose(bound.mean_loss, np.minimum((y - model.predict(X))[100:] ** 2, 4).mean()))
        True
        >>> bound.mean_loss < bound.value <= bound.cap
        True
        """
        check_is_fitted(self)
        delta = _delta(self, delta)
        OPTIONAL_POSITIVE.check("cap", cap)
        if cap is None:
            cap = self._cap()
        y = check_array(as_plain(y, "y"), ensure_2d=False, allow_nd=True, dtype=np.float64, input_name="y")
        predicted = self.predict(X)
        if y.shape != predicted.shape:
            raise ValueError(f"y must have the shape of the predictions, {predicted.shape}; got {y.shape}.")
        with np.errstate(over="ignore"):  # an infinite loss is cut at the cap like any other
            losses = np.mean((y - predicted).reshape(len(y), -1) ** 2, axis=1)
        return holdout_bound(losses, cap=cap, method=method, delta=delta, **_subject(self))

    def _cap(self) -> float:
        if hasattr(self, "generalization_report_"):
            return float(self.generalization_report_.ceiling)
        if hasattr(self, "_quantized_cap"):
            return float(self._quantized_cap)
        if self.loss_cap is not None:
            return float(self.loss_cap)
        raise ValueError(
            "compute_bound=False has left no cap of the loss: pass cap=, a number chosen without looking at the "
            "held-out data, for instance four times the variance of the training targets."
        )


def _delta(estimator: Any, delta: float | None) -> float:
    delta = estimator.delta if delta is None else delta
    PROBABILITY.check("delta", delta)
    return float(delta)


def _subject(estimator: Any) -> dict[str, Any]:
    """Name in a report and predictor of a hold-out bound: ``quantized_`` is not the trained network."""
    if hasattr(estimator, "_quantized_cap"):
        return {"name": "holdout_quantized", "about": "the quantised predictor"}
    return {}
