"""How noise in training changes the gap between test and training error, as in figure 1 of Tu et al."""

from collections.abc import Sequence
from numbers import Integral
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import clone, is_classifier
from sklearn.compose import TransformedTargetRegressor
from sklearn.metrics import check_scoring
from sklearn.model_selection import check_cv
from sklearn.pipeline import Pipeline
from sklearn.utils import _safe_indexing, indexable
from sklearn.utils.parallel import Parallel, delayed

from sklstm._tables import as_plain, sequences_in
from sklstm._validation import Number, Seed
from sklstm.estimators._base import SequenceEstimator

from ._errors import default_error, noise_seeds, targets
from ._figures import axes_for, curve_values, draw_mean, line_options, next_style, of_means, require_matplotlib, scale_x
from ._noise_robustness import check_sigmas
from ._training_noise import with_noise

__all__ = ["NoiseGeneralizationDisplay"]

_COUNT = Number(Integral, 1, None)


class NoiseGeneralizationDisplay:
    r"""Generalisation error, test error minus training error, by the size of the noise in training.

    This is figure 1 of Tu, He & Tao 2020 [1]_: the training error is measured with the noise of training, the test
    error without.

    Parameters
    ----------
    sigmas : array-like of shape (m,)
        Standard deviations of the training noise.
    train_errors : array-like of shape (m, r)
        Errors on the training data with the noise, of r trainings for each size of it.
    test_errors : array-like of shape (m, r)
        Errors of the same models on the test data without noise.
    error_name : str, default="error"
        What the error is.
    estimator_name : str, optional
        Whose errors they are, for the legend.

    Attributes
    ----------
    line_ : matplotlib Line2D
        Mean of the differences.
    band_ : matplotlib PolyCollection or None
        The mean ± its standard error; None for one training.
    ax_ : matplotlib Axes
        Axes with the line.
    figure_ : matplotlib Figure
        Figure with the axes.

    See Also
    --------
    NoiseRobustnessDisplay : Noise after training, not in it.

    Notes
    -----
    The trainings of cross-validation share data: the standard error is too small as one of independent samples.

    References
    ----------
    .. [1] Tu, Z., He, F. & Tao, D. (2020). Understanding Generalization in Recurrent Neural Networks. ICLR.

    Examples
    --------
    >>> import numpy as np
    >>> from sklstm import NoisyRNNClassifier
    >>> from sklstm.inspection import NoiseGeneralizationDisplay
    >>> rng = np.random.default_rng(0)
    >>> X = rng.standard_normal((60, 12, 2))
    >>> y = X[:, :, 0].sum(axis=1) > 0
    >>> model = NoisyRNNClassifier(8, max_epochs=10)
    >>> display = NoiseGeneralizationDisplay.from_estimator(model, X, y, sigmas=[0.0, 0.5], cv=3, random_state=0)
    >>> display.test_errors.shape
    (2, 3)

    What was computed can be drawn again, on other axes or with other options:

    >>> display.plot(linewidth=3).ax_ is display.ax_
    True
    """

    def __init__(
        self,
        *,
        sigmas: ArrayLike,
        train_errors: ArrayLike,
        test_errors: ArrayLike,
        error_name: str = "error",
        estimator_name: str | None = None,
    ) -> None:
        self.sigmas = sigmas
        self.train_errors = train_errors
        self.test_errors = test_errors
        self.error_name = error_name
        self.estimator_name = estimator_name

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        X: Any,
        y: Any,
        *,
        sigmas: ArrayLike,
        cv: Any = None,
        n_repeats: int = 1,
        n_draws: int = 3,
        scoring: Any = None,
        n_jobs: int | None = None,
        random_state: int | np.random.RandomState | None = None,
        ax: Any = None,
        name: str | None = None,
    ) -> Self:
        """Train with each size of noise on each training fold, measure on both sides of the split, and draw.

        Parameters
        ----------
        estimator : estimator
            An estimator of this package with the parameter ``sigma``, alone or inside a pipeline or a
            TransformedTargetRegressor. It need not be fitted, and stays as it is: clones are trained.
        X : array-like of shape (n, L, d) or (n, L * d), DataFrame, or list of n arrays (L_i, d)
            All sequences.
        y : array-like of shape (n,) or (n, k)
            Targets.
        sigmas : array-like of shape (m,)
            Standard deviations of the training noise, in the units of what the network is given.
        cv : int, cross-validation splitter, iterable of splits or None, default=None
            As of scikit-learn's GridSearchCV; None is 5 folds, stratified for a classifier.
        n_repeats : int, default=1
            Trainings for each size and split, which differ in their random state.
        n_draws : int, default=3
            Draws of the noise, of the kind that the estimator is trained with, over which a training error is averaged.
        scoring : str, callable or None, default=None
            One score, as of GridSearchCV, whose negative is the error. None is the mean squared error of a regressor
            and the error rate of a classifier.
        n_jobs : int or None, default=None
            Worker processes; None is 1, -1 one for every core.
        random_state : int, RandomState instance or None, default=None
            Fixes the random states of the trainings, which are the same for all sizes of the noise.
        ax : matplotlib Axes, optional
            Axes to draw on; by default those of a new figure.
        name : str, optional
            Whose errors they are, for the legend.

        Returns
        -------
        NoiseGeneralizationDisplay
            With errors of shape (m, n_splits * n_repeats).

        Raises
        ------
        TypeError
            If no estimator of this package with a ``sigma`` is there, or more than one.
        ValueError
            For bad parameters, no y, or arrays that do not fit together.
        """
        caller = f"{cls.__name__}.from_estimator"
        require_matplotlib(caller)
        prefix = _network_prefix(estimator, cls.__name__)
        sigmas = check_sigmas(sigmas)
        _COUNT.check("n_repeats", n_repeats)
        _COUNT.check("n_draws", n_draws)
        Seed().check("random_state", random_state)
        y = targets(X, y, caller)
        sequences = None if hasattr(X, "columns") else sequences_in(X)
        X, y = indexable(as_plain(X) if sequences is None else sequences, y)
        error_name = default_error(estimator)[0]
        if scoring is not None and not isinstance(scoring, str) and not callable(scoring):
            raise TypeError(f"scoring must be one name or callable, got {scoring!r:.80}.")
        scorer = None if scoring is None else check_scoring(estimator, scoring)
        if scorer is not None:
            negated = isinstance(scoring, str) and scoring.startswith("neg_")
            what = scoring.removeprefix("neg_").replace("_", " ") if isinstance(scoring, str) else "score"
            error_name = what if negated else f"minus {what}"
        splits = list(check_cv(cv, y, classifier=is_classifier(estimator)).split(X, y))
        seeds = noise_seeds(random_state, len(splits) * n_repeats)
        trainings = [(split, seeds[i * n_repeats + j]) for i, split in enumerate(splits) for j in range(n_repeats)]
        measured = Parallel(n_jobs=n_jobs)(
            delayed(_train_and_measure)(
                clone(estimator).set_params(
                    **{
                        f"{prefix}sigma": float(sigma),
                        f"{prefix}random_state": int(seed),
                        f"{prefix}compute_bound": False,  # nobody reads them here
                    }
                ),
                X,
                y,
                split,
                scorer,
                np.random.default_rng(seed).spawn(n_draws),
            )
            for sigma in sigmas
            for split, seed in trainings
        )
        errors = np.array(measured).reshape(len(sigmas), len(trainings), 2)
        return cls(
            sigmas=sigmas,
            train_errors=errors[:, :, 0],
            test_errors=errors[:, :, 1],
            error_name=error_name,
            estimator_name=name,
        ).plot(ax)

    def plot(self, ax: Any = None, *, name: str | None = None, **kwargs: Any) -> Self:
        """Draw the mean difference of the errors and its standard error.

        Parameters
        ----------
        ax : matplotlib Axes, optional
            Axes to draw on; by default those of a new figure.
        name : str, optional
            Whose errors they are, for the legend; by default ``estimator_name``.
        **kwargs : dict
            Passed to matplotlib's ``plot``.

        Returns
        -------
        NoiseGeneralizationDisplay
            The display itself.

        Raises
        ------
        ValueError
            If the errors do not belong to the sizes of the noise, or to each other.
        """
        name = self.estimator_name if name is None else name
        sigmas = check_sigmas(self.sigmas)
        train, test = (curve_values(what, getattr(self, what), len(sigmas)) for what in ("train_errors", "test_errors"))
        if train.shape != test.shape:
            raise ValueError(f"train_errors and test_errors must have one shape, got {train.shape} and {test.shape}.")
        order = np.argsort(sigmas)
        ax = axes_for(ax, f"{type(self).__name__}.plot")
        options = next_style(ax)._asdict() | {"label": "_gap" if name is None else name}
        self.line_, self.band_ = draw_mean(ax, sigmas[order], (test - train)[order], line_options(options, kwargs))
        scale_x(ax, sigmas)
        ax.set(
            xlabel="σ of the training noise (units of the inputs)",
            ylabel=of_means(f"test − train {self.error_name}", self.band_),
        )
        if name is not None:
            ax.legend()
        self.ax_, self.figure_ = ax, ax.figure
        return self


def _network_prefix(estimator: Any, caller: str) -> str:
    """What stands before the parameters of the network's estimator: ``"tikhonovlstmregressor__"`` in a pipeline."""
    known = hasattr(estimator, "get_params") and not isinstance(estimator, type)
    parameters = {"": estimator} | (estimator.get_params() if known else {})
    found = [name for name, value in parameters.items() if isinstance(value, SequenceEstimator)]
    if len(found) != 1:
        raise TypeError(
            f"{caller} needs one estimator of sklstm, alone or inside others; found {len(found)} in {estimator!r:.80}."
        )
    around = estimator
    while not isinstance(around, SequenceEstimator):  # `with_noise` follows these two
        if isinstance(around, Pipeline):
            around = around.steps[-1][1]
        elif isinstance(around, TransformedTargetRegressor):
            around = around.regressor
        else:
            raise TypeError(
                f"{caller} needs an estimator of sklstm alone, at the end of a Pipeline or in a "
                f"TransformedTargetRegressor; got {type(around).__name__}."
            )
    return f"{found[0]}__" if found[0] else ""


def _train_and_measure(
    estimator: Any,
    X: Any,
    y: Any,
    split: tuple[NDArray[Any], NDArray[Any]],
    scorer: Any,
    draws: Sequence[np.random.Generator],
) -> tuple[float, float]:
    """Errors of the estimator, trained here: with noise on its training rows, mean over the draws; on its test rows."""
    (X_train, y_train), (X_test, y_test) = ((_safe_indexing(X, rows), _safe_indexing(y, rows)) for rows in split)
    estimator.fit(X_train, y_train)
    measure = default_error(estimator)[1]

    def error(model: Any, inputs: Any, targets: Any) -> float:
        return measure(targets, model.predict(inputs)) if scorer is None else -float(scorer(model, inputs, targets))

    noisy = [error(with_noise(estimator, rng), X_train, y_train) for rng in draws]
    return float(np.mean(noisy)), error(estimator, X_test, y_test)
