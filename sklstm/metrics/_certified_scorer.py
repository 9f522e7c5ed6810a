"""Scores of the worst case that certified bounds allow."""

import copy
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn import metrics
from sklearn.base import is_classifier
from sklearn.utils import column_or_1d

from sklstm._labels import refuse_mixed_rows
from sklstm._tables import as_plain, targets_in
from sklstm._validation import Choice
from sklstm.certificates._output_bounds import METHODS
from sklstm.estimators._certify import certified_limits
from sklstm.estimators._label_certificates import certified_right
from sklstm.estimators._noisy_inputs import check_sizes

from ._noisy_scorer import ScorerAround

_METHOD, _LABEL_METHOD = Choice(METHODS), Choice((*METHODS, "auto"))


def _distance(y: NDArray, predicted: NDArray) -> NDArray:
    return np.abs(predicted - y)


def _pinball(y: NDArray, predicted: NDArray, alpha: float = 0.5) -> NDArray:
    return np.maximum(alpha * (y - predicted), (alpha - 1) * (y - predicted))


# The loss of a single prediction, up to a factor and a monotone function. It is smallest at y and increases away from y
# on either side, so it is largest at an end of an interval. Each score falls if one of its predictions loses more.
_REGRESSION: dict[Callable, Callable] = {
    metrics.mean_squared_error: _distance,
    metrics.root_mean_squared_error: _distance,
    metrics.mean_absolute_error: _distance,
    metrics.median_absolute_error: _distance,
    metrics.max_error: _distance,
    metrics.mean_absolute_percentage_error: _distance,
    metrics.r2_score: _distance,
    metrics.d2_absolute_error_score: _distance,
    metrics.mean_pinball_loss: _pinball,
    metrics.d2_pinball_score: _pinball,
}
_GAINS = (metrics.r2_score, metrics.d2_absolute_error_score, metrics.d2_pinball_score)  # the others are losses
# For these it does not matter which wrong label a sequence gets.
_LABELS = (metrics.accuracy_score, metrics.balanced_accuracy_score)
_NAMES = (
    "'accuracy', 'balanced_accuracy', 'r2', 'd2_absolute_error_score', 'neg_mean_squared_error', "
    "'neg_root_mean_squared_error', 'neg_mean_absolute_error', 'neg_median_absolute_error', 'neg_max_error' and "
    "'neg_mean_absolute_percentage_error'; of sklearn.metrics.make_scorer, those of mean_pinball_loss "
    "(greater_is_better=False) and d2_pinball_score"
)


def make_certified_scorer(
    scoring: str | Callable,
    eps: ArrayLike | Mapping[Any, float],
    *,
    method: Literal["best", "linear", "mean-value", "intervals", "auto"] = "best",
) -> Callable:
    """Make a scorer of the worst case that certified bounds allow for inputs within ``eps`` of X.

    For a regressor it is the score of the worst predictions between the bounds of `sklstm.certify`. For a classifier it
    is the score if every sequence without a certified label were classified wrongly. No input error of at most ``eps``
    in each entry makes the score of the model lower. Pass it as ``scoring`` in scikit-learn or in
    `sklstm.model_selection.RegularizationPathCV`, to choose the model that you want to certify.

    Parameters
    ----------
    scoring : str or callable
        One of ``"accuracy"``, ``"balanced_accuracy"``, ``"r2"``, ``"d2_absolute_error_score"``,
        ``"neg_mean_squared_error"``, ``"neg_root_mean_squared_error"``, ``"neg_mean_absolute_error"``,
        ``"neg_median_absolute_error"``, ``"neg_max_error"`` and ``"neg_mean_absolute_percentage_error"``. It can also
        be a scorer that `sklearn.metrics.make_scorer` has made of one of these, of ``mean_pinball_loss`` or of
        ``d2_pinball_score``. For these, the worst predictions are at ends of the intervals.
    eps : float, array-like, Series or dict
        Largest absolute input error, in the units of X, as in `sklstm.certify`: one number, or one for each channel
        (d,), by position or by label. Sizes that differ between sequences do not work in cross-validation.
    method : {"best", "linear", "mean-value", "intervals", "auto"}, default="best"
        How to certify; see `sklstm.certify`. ``"auto"``, from `sklstm.certified_accuracy`, works for scores of labels
        only.

    Returns
    -------
    callable
        Call it as ``scorer(estimator, X, y, sample_weight=None)``. It returns a float: at most the plain score, and
        equal to it for ``eps=0``. For regressors it is ``-inf`` if a bound is infinite. It can be pickled and cloned.
        Its requests for metadata are those of ``scoring``; ``set_score_request`` sets them.

    Raises
    ------
    ValueError
        For an unknown name, a score that is not supported, or a bad ``eps`` or ``method``. When called, also as in
        `sklstm.certify`.
    TypeError
        If ``scoring`` is neither a name nor a scorer, or an argument has the wrong type. When called, if the estimator
        cannot be certified, or if a score of labels gets a regressor or the other way round.

    See Also
    --------
    make_noisy_scorer : The mean score under random noise, for any estimator and any score.
    sklstm.certified_accuracy : The same as ``"accuracy"``.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.model_selection import GridSearchCV
    >>> from sklstm import TikhonovLSTMRegressor
    >>> from sklstm.metrics import make_certified_scorer
    >>> X = np.random.default_rng(0).standard_normal((60, 6, 2))
    >>> y = X[:, -2:, 0].mean(axis=1)
    >>> worst = make_certified_scorer("neg_mean_squared_error", 0.1)
    >>> scoring = {"clean": "neg_mean_squared_error", "worst": worst}
    >>> lstm = TikhonovLSTMRegressor(4, max_epochs=3, random_state=0)
    >>> search = GridSearchCV(lstm, {"lambda_s": [0.001, 0.1]}, cv=2, scoring=scoring, refit="worst").fit(X, y)
    >>> bool((search.cv_results_["mean_test_worst"] < search.cv_results_["mean_test_clean"]).all())
    True

    Different input errors in each channel, or by the names of the columns:

    >>> make_certified_scorer("r2", [0.5, 0.0], method="linear")
    make_certified_scorer('r2', [0.5, 0.0], method='linear')
    >>> make_certified_scorer("accuracy", {"temperature": 0.5, "humidity": 3.0}, method="auto")
    make_certified_scorer('accuracy', {'temperature': 0.5, 'humidity': 3.0}, method='auto')
    """
    if not (isinstance(scoring, str) or callable(scoring)):
        raise TypeError(
            f"scoring must be the name of a score, such as 'accuracy' or 'r2', or a scorer; got {scoring!r:.80}. For "
            "several scores, make a certified scorer of each and give a search a dict of them."
        )
    scorer = metrics.get_scorer(scoring) if isinstance(scoring, str) else scoring
    # scikit-learn keeps the parts of a scorer under these names.
    function, sign = (getattr(scorer, name, None) for name in ("_score_func", "_sign"))
    if function not in (*_REGRESSION, *_LABELS):
        raise ValueError(
            f"The worst case of {scoring!r:.80} cannot be computed from bounds on single predictions. Supported are "
            f"{_NAMES}."
        )
    if sign != (1 if function in (*_GAINS, *_LABELS) else -1):
        raise ValueError(f"greater_is_better of {scoring!r:.80} is wrong: its best value would count as its worst.")
    eps = copy.deepcopy(as_plain(eps, "eps"))  # a user's array may change later
    check_sizes(eps, "eps")
    (_LABEL_METHOD if function in _LABELS else _METHOD).check("method", method)
    return _CertifiedScorer(scoring, scorer, eps, method)


def worst_predictions(
    estimator: Any, X: Any, y: Any, eps: Any, loss: Callable[..., NDArray], method: str = "best"
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Targets in the shape of predictions, and the predictions within their certified bounds with the largest loss.

    Parameters
    ----------
    loss : callable
        A function from targets and predictions, all of one shape, to the loss of each. The loss rises away from the
        target on either side, so it is largest at one of the bounds.
    """
    lower, upper = certified_limits(estimator, X, eps, method)
    true = np.asarray(y, dtype=np.float64)
    if true.size != lower.size:
        raise ValueError(f"y must have the shape of the predictions, {lower.shape}; got {true.shape}.")
    true = true.reshape(lower.shape)
    return true, np.where(loss(true, lower) > loss(true, upper), lower, upper)


class _CertifiedScorer(ScorerAround):
    """The result of `make_certified_scorer`; arguments are checked there."""

    def __init__(self, scoring: Any, scorer: Any, eps: Any, method: str) -> None:
        super().__init__(scoring, scorer)
        self._eps, self._method = eps, method

    def __call__(self, estimator: Any, X: Any, y: Any, sample_weight: Any = None) -> float:
        function, sign, options = self._scorer._score_func, self._scorer._sign, dict(self._scorer._kwargs)
        weight = {} if sample_weight is None else {"sample_weight": sample_weight}
        labels = function in _LABELS
        if is_classifier(estimator) != labels:
            kind = "classifiers" if labels else "regressors"
            raise TypeError(f"{self._scoring!r:.80} is a score of {kind}, got {type(estimator).__name__}.")
        refuse_mixed_rows(X, y, sample_weight)
        y = as_plain(y, "y") if labels else targets_in(y)
        if labels:
            worst = self._worst_labels(estimator, X, y)
        else:
            own = {name: value for name, value in options.items() if name == "alpha"}
            loss = partial(_REGRESSION[function], **own)
            _, worst = worst_predictions(estimator, X, y, self._eps, loss, self._method)
            if not np.isfinite(worst).all():
                return -np.inf
        return float(sign * function(y, worst, **options, **weight))

    def _worst_labels(self, estimator: Any, X: Any, y: Any) -> NDArray:
        right = certified_right(estimator, X, y, self._eps, self._method)
        y = column_or_1d(y)
        known = np.unique(y)
        if len(known) == 1:
            known = np.unique(estimator.classes_)
        wrong = known[(np.searchsorted(known, y) + 1) % len(known)]
        return np.where(right, y, wrong)

    def __repr__(self) -> str:
        option = "" if self._method == "best" else f", method={self._method!r}"
        return f"make_certified_scorer({self._scoring!r}, {self._eps!r}{option})"
