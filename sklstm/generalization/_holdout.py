"""Bounds from held-out data: the exact binomial limit for 0-1 losses, empirical Bernstein for capped losses."""

import math
from dataclasses import dataclass, replace
from numbers import Number, Real
from typing import Any, Self

import numpy as np

from sklstm._labels import is_missing, refuse_other_rows
from sklstm.generalization._bound import LossBound, Term
from sklstm.generalization._bounded_losses import ErrorLoss
from sklstm.generalization._confidence import binomial_tail_inverse, kl_inverse
from sklstm.generalization._theorem_inputs import Float, as_array, check_delta

_METHODS = ("bernstein", "best")


@dataclass(frozen=True)
class HoldoutBound(LossBound):
    r"""Upper bound on the mean loss of a predictor from held-out data, the result of :func:`holdout_bound`.

    With probability at least 1 − `delta` the true mean loss is at most `value`.

    Attributes
    ----------
    value : float
        The bound, in units of the loss, at most `cap`.
    mean_loss : float
        Mean of the held-out losses, each cut at `cap`.
    standard_deviation : float or None
        √V, with V the sample variance of these losses (over n − 1). None for 0-1 losses, whose limit does not use it.
    confidence_term : float
        Amount added to `mean_loss`, before the sum is cut at `cap`.
    n_samples : int
        Number n of held-out samples.
    delta : float
        The bound holds with probability at least ``1 - delta``.
    cap : float
        Largest loss; 1 for 0-1 losses.
    zero_one : bool
        Whether the loss takes the values 0 and 1 only.
    method : {"binomial", "bernstein", "best"}
        How the limit was computed; always ``"binomial"`` for 0-1 losses.
    vacuous : bool
        True when `value` is `cap`.
    name : str
        Key of this bound in a report.
    about : str
        The predictor that the bound is about.
    assumptions : tuple of str
        Conditions under which the bound holds.
    loss : str
        The loss in words, if it is known: "absolute error".
    guess : float or None
        Mean loss of the best constant prediction (mean of the targets or most frequent label) on the held-out data, if
        known.
    informative : bool
        True when `value` is below `guess`.

    Examples
    --------
    Without an error among n samples, the limit solves (1 − p)ⁿ = δ:

    >>> from sklstm.generalization import holdout_bound
    >>> bound = holdout_bound([0] * 100, delta=0.05)
    >>> round(bound.value, 4), round(1 - 0.05 ** (1 / 100), 4)
    (0.0295, 0.0295)
    >>> bound.n_errors, bound.quantity, bound.vacuous
    (0, 'an error probability', False)
    >>> round(bound.at_delta(0.01).value, 4)  # more certain, hence larger
    0.045
    """

    value: float
    mean_loss: float
    standard_deviation: float | None
    confidence_term: float
    n_samples: int
    delta: float
    cap: float
    zero_one: bool
    method: str
    vacuous: bool
    name: str
    about: str
    assumptions: tuple[str, ...]
    loss: str = ""
    guess: float | None = None

    @property
    def ceiling(self) -> float:
        """The value from which on the bound says nothing."""
        return self.cap

    @property
    def n_errors(self) -> int:
        """Held-out errors k; for 0-1 losses only.

        Raises
        ------
        AttributeError
            For real losses.
        """
        if not self.zero_one:
            raise AttributeError("n_errors: the losses are real numbers, not errors")
        return round(self.mean_loss * self.n_samples)

    def at_delta(self, delta: float) -> Self:
        """The same losses at another failure probability.

        Parameters
        ----------
        delta : float
            In (0, 1).

        Returns
        -------
        HoldoutBound

        Raises
        ------
        ValueError
            If `delta` is out of range.
        """
        check_delta(delta)
        if self.standard_deviation is None:
            value = binomial_tail_inverse(self.n_errors, self.n_samples, delta)
            confidence_term = value - self.mean_loss
        else:
            confidence_term = self._price(self.standard_deviation, -math.log(delta))
            value = min(self.mean_loss + confidence_term, self.cap)
        return replace(
            self, value=value, confidence_term=confidence_term, delta=float(delta), vacuous=value >= self.cap
        )

    def _price(self, standard_deviation: float, nats: float) -> float:
        """The amount added to the mean of capped losses; `nats` is log(1/δ), since δ/2 may underflow."""
        if self.method == "best":
            return best_price(self.mean_loss, standard_deviation, self.n_samples, nats, self.cap)
        return _bernstein(standard_deviation, self.n_samples, nats, self.cap)

    @property
    def terms(self) -> tuple[Term, ...]:
        """The numbers in the bound."""
        if self.standard_deviation is None:
            return (
                Term("mean_loss", self.mean_loss, "k/n, share counted as errors on the held-out data"),
                Term("confidence_term", self.confidence_term, "exact binomial limit (Clopper and Pearson) minus k/n"),
                Term("n_errors", self.n_errors, "k, counted as errors"),
                Term("n_samples", self.n_samples, "n, held-out samples"),
            )
        formula = "√(2V log(2/δ) / n) + 7M log(2/δ) / (3(n − 1))"
        if self.method == "best":
            formula += ", or the smaller price of Chernoff's kl bound; each at δ/2"
        return (
            Term("mean_loss", self.mean_loss, "mean of min(loss, M) on the held-out data"),
            Term("confidence_term", self.confidence_term, formula),
            Term("standard_deviation", self.standard_deviation, "√V, sample standard deviation of min(loss, M)"),
            Term("cap", self.cap, "M, cap of the loss"),
            Term("n_samples", self.n_samples, "n, held-out samples"),
        )


def holdout_bound(
    losses: Any,
    *,
    predicted: Any = None,
    cap: float | None = None,
    method: str = "bernstein",
    delta: float = 0.05,
    name: str = "holdout",
    about: str = "the trained predictor",
) -> HoldoutBound:
    r"""Upper bound on the mean loss of a predictor, from its losses on held-out data.

    Without `cap` the losses are zeros and ones, and the bound is the exact limit of Clopper and Pearson [1]_. It is the
    largest error probability at which k errors or fewer among n have probability δ.

    With `cap` M the losses are real numbers, cut at M. The bound is the empirical Bernstein bound of Maurer and Pontil
    (Theorem 4 of [2]_, stated there for M = 1),

    .. math:: \mathrm E \min(\ell, M) \le \bar\ell + \sqrt{\frac{2 V \log(2/\delta)}{n}}
              + \frac{7 M \log(2/\delta)}{3 (n - 1)}.

    Here V is the sample variance (over n − 1). The last term is the price of estimating V. With a few hundred samples
    it is the largest term. Chernoff's bound (:func:`kl_inverse`), which does not use the variance, is then smaller.
    ``method="best"`` computes both at δ/2 and takes the smaller one. All are upper limits only.

    Parameters
    ----------
    losses : array-like or Tensor of shape (n,)
        One loss for each sample. Without `cap`, booleans or zeros and ones, where True and 1 mean an error. With `cap`,
        non-negative numbers; infinity counts as M. With `predicted`, the true labels.
    predicted : array-like of shape (n,), optional
        Predicted labels. The loss is 1 where they differ from the first argument, and 0 elsewhere. The method of the
        classifiers also counts right labels as errors where rounding could have decided differently.
    cap : float, optional
        M > 0, in units of the loss. It must not be chosen from `losses`; it may be chosen from the training data.
    method : {"bernstein", "best"}, default="bernstein"
        Used with `cap` only. ``"best"`` is the smaller of empirical Bernstein and Chernoff, each at half of `delta`.
    delta : float, default=0.05
        The bound holds with probability at least ``1 - delta``.
    name : str, default="holdout"
        Key in a report.
    about : str, default="the trained predictor"
        The predictor, in words, for the report.

    Returns
    -------
    HoldoutBound

    Raises
    ------
    ValueError
        If `losses` is empty, not one-dimensional, negative or NaN. Without `cap`, if it contains values other than 0
        and 1. With `cap`, if there are fewer than two losses, since their variance is undefined. If `predicted` is
        passed with `cap`, has another shape, or holds real numbers or labels of another type. If `cap`, `method` or
        `delta` is out of range.
    TypeError
        If `losses` does not contain numbers, or `cap` is not a number.

    References
    ----------
    .. [1] C. J. Clopper and E. S. Pearson, "The use of confidence or fiducial limits illustrated in the case of the
       binomial", Biometrika 26, 1934.
    .. [2] A. Maurer and M. Pontil, "Empirical Bernstein bounds and sample variance penalization", COLT 2009.

    Examples
    --------
    >>> import numpy as np
    >>> from sklstm.generalization import holdout_bound
    >>> y, predicted = np.zeros(100), np.r_[np.zeros(98), 1, 1]
    >>> round(holdout_bound(y, predicted=predicted).value, 4)
    0.0616
    >>> round(holdout_bound(np.linspace(0, 0.5, 1000), cap=1.0).value, 4)
    0.271
    """
    check_delta(delta)
    _check_cap(cap)
    if method not in _METHODS:
        raise ValueError(f"method must be one of {', '.join(map(repr, _METHODS))}; got {method!r}")
    if cap is None and method != "bernstein":
        raise ValueError(
            "0-1 losses have an exact limit, and method is for losses with a cap. Pass cap, or leave out method."
        )
    values = _losses(losses, predicted, cap)
    zero_one = cap is None
    limit = 1.0 if cap is None else float(cap)
    n = len(values)
    # Losses are divided by the cap first: squares of very large or very small losses would leave float64.
    unit = np.minimum(values, limit) / limit
    blank = HoldoutBound(
        value=limit,
        mean_loss=limit * float(np.mean(unit)),
        standard_deviation=None if zero_one else limit * float(np.std(unit, ddof=1)),
        confidence_term=math.inf,
        n_samples=n,
        delta=float(delta),
        cap=limit,
        zero_one=zero_one,
        method="binomial" if zero_one else method,
        vacuous=True,
        guess=None if predicted is None else ErrorLoss().of_best_constant(as_array(losses)),
        name=name,
        about=about,
        assumptions=_assumptions(zero_one),
    )
    return blank.at_delta(delta)


def _bernstein(standard_deviation: float, n: int, nats: float, cap: float) -> float:
    log_term = nats + math.log(2)
    return standard_deviation * math.sqrt(2 * log_term / n) + 7 * cap * log_term / (3 * (n - 1))


def best_price(mean: float, standard_deviation: float, n: int, nats: float, cap: float) -> float:
    """The amount added to a mean of n losses in [0, cap]: the smaller of empirical Bernstein and Chernoff.

    Each has half of δ, which is exp(-`nats`). Both then hold at once, and so does the smaller one.
    """
    nats += math.log(2)
    chernoff = cap * kl_inverse(min(mean / cap, 1.0), nats / n) - mean
    return min(_bernstein(standard_deviation, n, nats, cap), chernoff)


def _check_cap(cap: Any) -> None:
    if cap is None:
        return
    if not isinstance(cap, Real) or isinstance(cap, bool | np.bool_):
        raise TypeError(f"cap must be a number, got {cap!r}")
    if not 0 < float(cap) < math.inf:
        raise ValueError(f"cap must be a positive number, got {cap!r}")


def _refuse_other_labels(labels: Any, predicted: Any) -> None:
    """``ValueError`` if these are missing, no labels, or of two types: all would be counted as errors."""
    for values, name in ((labels, "true"), (predicted, "predicted")):
        if is_missing(values).any():
            raise ValueError(f"A {name} label is missing, in row {int(is_missing(values).argmax())}.")
        if any(isinstance(value, float) and not value.is_integer() for value in values.tolist()):
            raise ValueError(
                "predicted= compares labels, but these are real numbers. For a regressor give its losses and a cap M "
                "that was chosen without them: holdout_bound(np.minimum((y - predicted) ** 2, M), cap=M)."
            )
    kinds = [_kind_of_labels(values) for values in (labels, predicted)]
    if None not in kinds and kinds[0] != kinds[1]:
        raise ValueError(
            f"The true labels are {kinds[0]}, such as {labels[0]!s}, but the predicted ones are {kinds[1]}, such as "
            f"{predicted[0]!s}. All would count as errors. Give both in one type."
        )


def _kind_of_labels(labels: Any) -> str | None:
    """Numbers, texts or times, in words; None for other objects, or several types."""
    if labels.dtype.kind in "biufmM":
        return "times" if labels.dtype.kind in "mM" else "numbers"
    names = {str: "texts", np.bool_: "numbers", Number: "numbers"}
    kinds = {next((name for kind, name in names.items() if isinstance(label, kind)), None) for label in labels.tolist()}
    return kinds.pop() if len(kinds) == 1 else None


def _losses(losses: Any, predicted: Any, cap: float | None) -> Float:
    refuse_other_rows(predicted, losses, "predicted", "the true labels")
    raw = as_array(losses)
    if raw.ndim != 1 or raw.size == 0:
        raise ValueError(f"losses must have shape (n_samples,), at least one of them; got {raw.shape}")
    if predicted is not None:
        if cap is not None:
            raise ValueError("predicted labels give 0-1 losses, which have no cap. Pass either predicted or cap.")
        labels = as_array(predicted)
        # Shapes are compared first: an (n, 1) column and (n,) would broadcast to n² comparisons.
        if labels.shape != raw.shape:
            raise ValueError(f"predicted must have the shape of the true labels, {raw.shape}; got {labels.shape}")
        _refuse_other_labels(raw, labels)
        return np.asarray(raw != labels, dtype=np.float64)
    if raw.dtype.kind not in "biuf":
        raise TypeError(f"losses must be numbers or booleans, got dtype {raw.dtype}. For labels pass predicted=.")
    values = np.asarray(raw, dtype=np.float64)
    if np.isnan(values).any():
        raise ValueError("losses contain NaN")
    if (values < 0).any():
        raise ValueError(f"losses must not be negative, got {values.min():g}")
    if cap is None and not np.isin(values, (0, 1)).all():
        raise ValueError("losses other than 0 and 1 need a cap. Pass cap, which must not be chosen from these losses.")
    if cap is not None and len(values) < 2:
        raise ValueError("the empirical Bernstein bound needs two losses or more, since one has no variance")
    return values


def _assumptions(zero_one: bool) -> tuple[str, ...]:
    cap = "The cap of the loss was fixed in advance, or chosen from data independent of the held-out sample."
    return (
        "The held-out samples are independent draws from one distribution; overlapping windows of one series are not.",
        "They are independent of the data that trained the predictor. No choice about it used them: no early "
        "stopping, no hyperparameter.",
        *(() if zero_one else (cap,)),
    )
