"""Errors of fitted models: on clean inputs, on noisy inputs, and certified errors."""

from collections.abc import Callable, Sequence
from numbers import Integral
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import is_classifier
from sklearn.metrics import zero_one_loss
from sklearn.utils import check_array, check_consistent_length

from sklstm._labels import refuse_mixed_rows
from sklstm._layout import NTC, Layout
from sklstm._losses import RegressionLoss
from sklstm._sizes import sizes_by_position
from sklstm._tables import as_plain, targets_in
from sklstm._validation import NON_NEGATIVE, Number, Seed, fresh_random_state
from sklstm.estimators._base_regressor import SequenceRegressor
from sklstm.estimators._composition import layout_of
from sklstm.estimators._label_certificates import certified_right
from sklstm.estimators._noisy_inputs import noisy_inputs
from sklstm.metrics._certified_scorer import worst_predictions

Error = Callable[[Any, Any], float]
_COUNT = Number(Integral, 1, None)


def check_sigmas(sigmas: ArrayLike) -> NDArray[np.float64]:
    """Standard deviations of the noise as an array.

    Raises
    ------
    ValueError
        If there are none, or one is negative or not finite.
    """
    array = np.asarray(sigmas)
    if array.ndim != 1 or array.size == 0:
        raise ValueError(f"sigmas must be a sequence of numbers, at least one; got {sigmas!r}.")
    for sigma in array:
        NON_NEGATIVE.check("every entry of sigmas", sigma)
    return array.astype(np.float64)


def check_draws(random_state: Any, **counts: Any) -> None:
    """Check the random state, and that the numbers of draws or repetitions are 1 or more."""
    for name, count in counts.items():
        _COUNT.check(name, count)
    Seed().check("random_state", random_state)


def targets(X: Any, y: Any, caller: str, sample_weight: Any = None) -> Any:
    """y in a form that scikit-learn's metrics take, after the rows of X, y and the weights were compared.

    Raises
    ------
    ValueError
        If y is None, or X and y differ in their number of sequences. The second check is skipped for tables, which may
        have several rows for each sequence.
    """
    if y is None:
        raise ValueError(f"{caller} measures errors and requires y, the true targets; got None.")
    refuse_mixed_rows(X, y, sample_weight)
    y = as_plain(y, "y")
    if not hasattr(X, "columns"):
        check_consistent_length(X, y)
    return y


def default_error(*networks: Any) -> tuple[str, Error]:
    """Name and function (y_true, y_pred) of an error for estimators, which are all classifiers or all regressors.

    The error rate for classifiers. For regressors the loss that all were trained for, if it is the same one. Otherwise,
    and for regressors of other packages, the mean squared error. Pass the innermost estimator of a composition.
    """
    if is_classifier(networks[0]):
        return "error rate", lambda y, predicted: float(zero_one_loss(y, predicted))
    loss = common_loss(*networks)

    def error(y: Any, predicted: Any) -> float:
        targets_in(y)
        y, predicted = (
            check_array(values, ensure_2d=False, dtype=np.float64, input_name=name).reshape(len(values), -1)
            for name, values in (("y", y), ("predictions", predicted))
        )
        return float(loss.each(predicted, y).mean())

    return f"mean {loss.words}", error


def common_loss(*networks: Any) -> RegressionLoss:
    """The loss of all regressors if it is the same one, or the squared error."""
    losses = {network._loss if isinstance(network, SequenceRegressor) else RegressionLoss() for network in networks}
    return losses.pop() if len(losses) == 1 else RegressionLoss()


def perturbed(
    X: Any, sigma: float, scale: Any, rng: np.random.Generator, layout: Layout = NTC, names: Any = None
) -> Any:
    """X plus independent Gaussian noise of standard deviation ``sigma * scale``. The result has the form of X.

    Parameters
    ----------
    X : array-like, DataFrame, or list of these
        Inputs; they are not changed.
    sigma : float
        Standard deviation. With 0, the result is X itself.
    scale : float, array-like, Series or dict
        Factor of the noise: one number, one for each channel, or an array that broadcasts to X, or to each sequence of
        a list. Labels are matched with those of X.
    rng : numpy Generator
        Source of the noise.
    layout : Layout
        Layout of X and of an array `scale`.
    names : sequence, optional
        Names of the channels or columns, for an X that has no labels itself.

    Raises
    ------
    TypeError
        If X contains something other than numbers.
    ValueError
        If `scale` does not fit X.
    """
    if sigma == 0:
        return X
    factors = sizes_by_position(scale, X, "scale", names=names, layout=layout)
    factors = np.asarray(as_plain(factors, "scale"), dtype=np.float64)
    return layout.from_ntc(noisy_inputs(layout.to_ntc(X), sigma * factors, rng, name="scale"))


def training_noise(X: Any, *, estimator: Any, rng: np.random.Generator) -> Any:
    """X plus the noise that `estimator` adds in training: its kind and its ``sigma``."""
    parameters = estimator.get_params(deep=False)
    return noisy_inputs(X, parameters["sigma"], rng, parameters.get("noise", "gaussian"), layout=layout_of(estimator))


def noise_seeds(random_state: Any, n_draws: int) -> NDArray[Any]:
    """One seed for each draw. With None, the seeds differ from call to call."""
    return fresh_random_state(random_state).randint(2**31 - 1, size=n_draws)


def noisy_errors(
    estimator: Any,
    X: Any,
    y: Any,
    *,
    sigmas: Sequence[float] | NDArray[np.float64],
    scale: Any,
    seeds: Sequence[int] | NDArray[Any],
    error: Error,
) -> NDArray[np.float64]:
    """Errors (n_sigmas, n_draws) under Gaussian noise. All sigmas use the same draws, multiplied by sigma."""
    layout, names = layout_of(estimator), getattr(estimator, "feature_names_in_", None)

    def noisy(sigma: float, seed: Any) -> Any:
        return perturbed(X, sigma, scale, np.random.default_rng(seed), layout, names)

    return np.array([[error(y, estimator.predict(noisy(sigma, seed))) for seed in seeds] for sigma in sigmas])


def certified_error(estimator: Any, X: Any, y: Any, eps: Any, loss: RegressionLoss, method: str = "best") -> float:
    """Upper bound, from `sklstm.certify`, on the error of inputs within `eps` of X.

    The error rate counts every sequence whose true label is not certified. The losses of regressors are convex in the
    prediction. `eps` is in the units of X, before any step of a pipeline.
    """
    if is_classifier(estimator):
        return 1 - float(certified_right(estimator, X, y, eps, method).mean())
    true, worst = worst_predictions(estimator, X, y, eps, lambda y, end: loss.entries(end, y).numpy(), method)
    return float(loss.entries(worst, true).mean())
