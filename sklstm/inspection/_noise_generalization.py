"""Generalisation error by the noise in training, as in figure 1 of Tu et al."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import clone, is_classifier
from sklearn.metrics import check_scoring
from sklearn.model_selection import check_cv
from sklearn.utils import _safe_indexing, indexable
from sklearn.utils.parallel import Parallel, delayed

from sklstm._tables import as_plain, sequences_in
from sklstm.estimators._composition import innermost

from ._display import Display, curve_values, scale_x
from ._model_errors import check_draws, check_sigmas, default_error, noise_seeds, targets
from ._unwrapping import network_inside, with_noise


@dataclass(kw_only=True, eq=False, repr=False)
class NoiseGeneralizationDisplay(Display):
    """Generalisation error (test error minus training error) by the standard deviation of the training noise.

    This is figure 1 of Tu, He & Tao 2020 [1]_. The training error is measured with the noise of training, the test
    error without noise.

    Parameters
    ----------
    sigmas : array-like of shape (m,)
        Standard deviations of the training noise.
    train_errors : array-like of shape (m, r)
        Errors on the training data with noise, for r trainings with each standard deviation.
    test_errors : array-like of shape (m, r)
        Errors of the same models on the test data without noise.
    error_name : str, default="error"
        Name of the error.
    estimator_name : str, optional
        Name of the estimator, for the legend.

    Attributes
    ----------
    line_ : matplotlib Line2D
        Mean of the differences between test and training error.
    band_ : matplotlib PolyCollection or None
        The mean ± its standard error. None if there is only one training.
    ax_ : matplotlib Axes
        Axes with the line.
    figure_ : matplotlib Figure
        Figure with the axes.

    See Also
    --------
    NoiseRobustnessDisplay : Noise after training instead of in training.

    Notes
    -----
    The trainings of cross-validation share data. The standard error treats them as independent, so it is too small.

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

    You can draw the data again, on other axes or with other options:

    >>> display.plot(linewidth=3).ax_ is display.ax_
    True
    """

    sigmas: ArrayLike
    train_errors: ArrayLike
    test_errors: ArrayLike
    error_name: str = "error"
    estimator_name: str | None = None

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
        """Train on each training fold with each standard deviation of noise, measure both errors, and draw them.

        Parameters
        ----------
        estimator : estimator
            An estimator of this package with the parameter ``sigma``, alone, at the end of a Pipeline or in a
            TransformedTargetRegressor. It need not be fitted. It is not changed: clones are trained.
        X : array-like of shape (n, L, d) or (n, L * d), DataFrame, or list of n arrays (L_i, d)
            All sequences.
        y : array-like of shape (n,) or (n, k)
            Targets.
        sigmas : array-like of shape (m,)
            Standard deviations of the training noise, in the units of the network's inputs.
        cv : int, cross-validation splitter, iterable of splits or None, default=None
            As in scikit-learn's GridSearchCV. None means 5 folds, stratified for a classifier.
        n_repeats : int, default=1
            Number of trainings for each standard deviation and split. They differ in their random state.
        n_draws : int, default=3
            Number of draws of the training noise over which a training error is averaged.
        scoring : str, callable or None, default=None
            One score, as in GridSearchCV. The error is minus the score. None means the ``loss`` of a regressor or the
            error rate of a classifier.
        n_jobs : int or None, default=None
            Number of worker processes. None means 1, -1 means one for every core.
        random_state : int, RandomState instance or None, default=None
            Seed of the trainings. All standard deviations use the same random states.
        ax : matplotlib Axes, optional
            Axes to draw on. By default, the axes of a new figure.
        name : str, optional
            Name of the estimator, for the legend.

        Returns
        -------
        NoiseGeneralizationDisplay
            A display with errors of shape (m, n_splits * n_repeats).

        Raises
        ------
        TypeError
            If `estimator` is not such an estimator or composition.
        ValueError
            For bad parameters, no y, or arrays of different lengths.
        """
        caller = cls._check_matplotlib("from_estimator")
        prefix, network = network_inside(estimator, cls.__name__)
        sigmas = check_sigmas(sigmas)
        check_draws(random_state, n_repeats=n_repeats, n_draws=n_draws)
        y = targets(X, y, caller)
        sequences = None if hasattr(X, "columns") else sequences_in(X)
        X, y = indexable(as_plain(X) if sequences is None else sequences, y)
        error_name = default_error(network)[0]
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
                clone(estimator).set_params(**{f"{prefix}sigma": float(sigma), f"{prefix}random_state": int(seed)}),
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
        """Draw the mean difference between test and training error, and its standard error.

        Parameters
        ----------
        ax : matplotlib Axes, optional
            Axes to draw on. By default, the axes of a new figure.
        name : str, optional
            Name of the estimator, for the legend. By default ``estimator_name``.
        **kwargs : dict
            Passed to matplotlib's ``plot``.

        Returns
        -------
        NoiseGeneralizationDisplay
            The display itself.

        Raises
        ------
        ValueError
            If there is not one row of errors for each of ``sigmas``, or their shapes differ.
        """
        sigmas = check_sigmas(self.sigmas)
        train, test = (curve_values(what, getattr(self, what), len(sigmas)) for what in ("train_errors", "test_errors"))
        if train.shape != test.shape:
            raise ValueError(
                f"train_errors and test_errors must have the same shape, got {train.shape} and {test.shape}."
            )
        ax, name = self._open(ax, name)
        self.line_, self.band_ = self._draw_mean(ax, sigmas, test - train, "_gap" if name is None else name, kwargs)
        scale_x(ax, sigmas)
        xlabel, ylabel = "σ of the training noise (units of the inputs)", f"test − train {self.error_name}"
        return self._finish(ax, xlabel, ylabel, band=self.band_, legend=name is not None)


def _train_and_measure(
    estimator: Any,
    X: Any,
    y: Any,
    split: tuple[NDArray[Any], NDArray[Any]],
    scorer: Any,
    draws: Sequence[np.random.Generator],
) -> tuple[float, float]:
    """Train, then measure: the error on the training rows with noise, averaged over the draws, and on the test rows."""
    (X_train, y_train), (X_test, y_test) = ((_safe_indexing(X, rows), _safe_indexing(y, rows)) for rows in split)
    estimator.fit(X_train, y_train)
    measure = default_error(innermost(estimator))[1]

    def error(model: Any, inputs: Any, targets: Any) -> float:
        return measure(targets, model.predict(inputs)) if scorer is None else -float(scorer(model, inputs, targets))

    noisy = [error(with_noise(estimator, rng), X_train, y_train) for rng in draws]
    return float(np.mean(noisy)), error(estimator, X_test, y_test)
