"""Scores under noise on the inputs."""

import copy
import inspect
from collections.abc import Callable, Mapping
from functools import partial
from numbers import Integral
from typing import Any, Literal, Self

import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import is_classifier
from sklearn.metrics import check_scoring, get_scorer
from sklearn.utils.metadata_routing import get_routing_for_object

from sklstm._labels import refuse_mixed_rows
from sklstm._tables import as_plain, targets_in
from sklstm._validation import POSITIVE_INT, Number
from sklstm.estimators._composition import layout_of
from sklstm.estimators._noisy_inputs import check_sizes, noisy_inputs
from sklstm.noise import noise_of_kind

_SEED = Number(Integral, 0, None, optional=True)


def make_noisy_scorer(
    scoring: str | Callable,
    sigma: ArrayLike | Mapping[Any, float],
    *,
    n_draws: int = 5,
    noise: Literal["gaussian", "uniform", "laplace", "dropout"] = "gaussian",
    random_state: int | None = 0,
) -> Callable:
    r"""Make a scorer that scores a model on noisy inputs.

    The score is the mean of ``scoring`` over ``n_draws`` copies of X, each with its own noise. Pass it as ``scoring``
    in scikit-learn or in `sklstm.model_selection.RegularizationPathCV`. Clean validation data favour the weakest
    regularisation. If you expect noisy inputs, score with this noise.

    Parameters
    ----------
    scoring : str or callable
        The score on each copy: a name such as ``"accuracy"`` or ``"neg_mean_squared_error"``
        (`sklearn.metrics.get_scorer_names`), a scorer from `sklearn.metrics.make_scorer`, or a function of
        (estimator, X, y). A function may return a dict of scores.
    sigma : float, array-like, Series or dict
        Standard deviation of the noise, in the units of X: one number, one for each channel, or an array that
        broadcasts to X. For rows (n, L * d), one for each channel or for each column. A Series or a dict may give the
        numbers by the labels of channels or columns, if X or the estimator knows them. In a pipeline, the noise is
        added before the first step.
    n_draws : int, default=5
        Number of noisy copies. With ``sigma=0``, X is scored once.
    noise : {"gaussian", "uniform", "laplace", "dropout"}, default="gaussian"
        Kind of the noise, as in `sklstm.NoisyRNNClassifier`; see `sklstm.noise.NOISES`.
    random_state : int or None, default=0
        Seed of the noise. With an integer, all calls on the same X use the same noise, so that the candidates of a
        search are compared fairly. With None, every call draws new noise.

    Returns
    -------
    callable
        Call it as ``scorer(estimator, X, y, sample_weight=None)``; it returns a float. It can be pickled and cloned.
        Its requests for metadata are those of ``scoring``; ``set_score_request`` sets them.

    Raises
    ------
    ValueError
        For an unknown name, a bad number, or a bad kind of noise.
    TypeError
        If ``scoring`` is neither a name nor callable, or an argument is of the wrong type.

    See Also
    --------
    sklstm.inspection.NoiseRobustnessDisplay : The error by the size of the noise, as a plot.
    make_certified_scorer : The score of the worst case, which no input error of a given size makes lower.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.linear_model import Ridge
    >>> from sklearn.model_selection import GridSearchCV
    >>> from sklstm.metrics import make_noisy_scorer
    >>> rng = np.random.default_rng(0)
    >>> X = rng.standard_normal((40, 30))
    >>> y = X[:, 0] + 0.1 * rng.standard_normal(40)
    >>> grid = {"alpha": [0.001, 10.0]}
    >>> noisy = make_noisy_scorer("neg_mean_squared_error", 1.0)
    >>> scoring = {"clean": "neg_mean_squared_error", "noisy": noisy}
    >>> search = GridSearchCV(Ridge(), grid, scoring=scoring, refit="noisy").fit(X, y)
    >>> bool(search.score(X, y) == noisy(search, X, y))
    True

    Different noise in each channel, or by the names of the columns:

    >>> make_noisy_scorer("r2", [0.5, 3.0], noise="uniform")
    make_noisy_scorer('r2', [0.5, 3.0], noise='uniform')
    >>> make_noisy_scorer("r2", {"temperature": 0.5, "humidity": 3.0}, n_draws=3)
    make_noisy_scorer('r2', {'temperature': 0.5, 'humidity': 3.0}, n_draws=3)
    """
    if not (isinstance(scoring, str) or callable(scoring)):
        raise TypeError(
            "scoring must be the name of a score, such as 'accuracy' or 'r2', or a function of (estimator, X, y); got "
            f"{scoring!r:.80}. For several scores, make a noisy scorer of each and give a search a dict of them."
        )
    scorer = get_scorer(scoring) if isinstance(scoring, str) else check_scoring(scoring=scoring)
    sigma = copy.deepcopy(as_plain(sigma, "sigma"))  # a user's array may change later
    largest = check_sizes(sigma)
    POSITIVE_INT.check("n_draws", n_draws)
    noise_of_kind(noise)
    _SEED.check("random_state", random_state)
    return _NoisyScorer(scoring, scorer, sigma, largest > 0, n_draws, noise, random_state)


def takes_sample_weight(scorer: Any) -> bool:
    """Whether a scorer takes ``sample_weight``."""
    asks = getattr(scorer, "_accept_sample_weight", None)  # of scikit-learn's own
    return bool(asks()) if asks is not None else "sample_weight" in inspect.signature(scorer).parameters


class ScorerAround:
    """A scorer around another one; it answers scikit-learn's requests as the inner scorer does."""

    def __init__(self, scoring: Any, scorer: Any) -> None:
        self._scoring, self._scorer = scoring, scorer

    def _accept_sample_weight(self) -> bool:
        return takes_sample_weight(self._scorer)

    def get_metadata_routing(self) -> Any:
        """Requests for metadata: those of the inner score."""
        return get_routing_for_object(self._scorer)

    def set_score_request(self, **requests: Any) -> Self:
        """Set which metadata the score takes, as in `set_score_request` of scikit-learn's scorers."""
        if not hasattr(self._scorer, "set_score_request"):
            raise TypeError(
                f"{self._scoring!r:.80} takes no requests for metadata. Make a scorer of it with "
                "sklearn.metrics.make_scorer, or use the name of a score."
            )
        self._scorer = copy.copy(self._scorer).set_score_request(**requests)  # the user's own scorer does not change
        return self


class _NoisyScorer(ScorerAround):
    """The result of `make_noisy_scorer`; arguments are checked there."""

    def __init__(
        self,
        scoring: Any,
        scorer: Any,
        sigma: Any,
        noisy: bool,
        n_draws: int,
        noise: str,
        random_state: int | None,
    ) -> None:
        super().__init__(scoring, scorer)
        self._sigma, self._noisy = sigma, noisy
        self._n_draws, self._noise, self._random_state = n_draws, noise, random_state

    def __call__(self, estimator: Any, X: Any, y: Any, sample_weight: Any = None, **params: Any) -> Any:
        refuse_mixed_rows(X, y, sample_weight)
        y = as_plain(y, "y") if is_classifier(estimator) else targets_in(y)
        if sample_weight is not None:
            params["sample_weight"] = sample_weight
        if not self._noisy:
            return self._scorer(estimator, X, y, **params)
        rng = np.random.default_rng(self._random_state)
        names, layout = getattr(estimator, "feature_names_in_", None), layout_of(estimator)
        draw = partial(noisy_inputs, X, self._sigma, rng, self._noise, names=names, layout=layout)
        scores = [self._scorer(estimator, draw(), y, **params) for _ in range(self._n_draws)]
        if isinstance(scores[0], dict):
            return {name: float(np.mean([score[name] for score in scores])) for name in scores[0]}
        return float(np.mean(scores))

    def __repr__(self) -> str:
        given = {
            "n_draws": (self._n_draws, 5),
            "noise": (self._noise, "gaussian"),
            "random_state": (self._random_state, 0),
        }
        options = "".join(f", {name}={value!r}" for name, (value, default) in given.items() if value != default)
        return f"make_noisy_scorer({self._scoring!r}, {self._sigma!r}{options})"
