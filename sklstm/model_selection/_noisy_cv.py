"""The ReLU classifier whose input noise σ is chosen by cross-validation along a path."""

from collections.abc import Mapping, Sequence
from functools import reduce
from operator import add
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from skorch.callbacks import Callback

from sklstm.estimators import Compression, NoisyRNNClassifier
from sklstm.estimators._rules import OptimizerName, PrecisionName, ScheduleName
from sklstm.preprocessing._scaler import moments

from ._docs import document
from ._path_cv import PathCV

__all__ = ["NoisyRNNClassifierCV"]


class NoisyRNNClassifierCV(PathCV):
    __doc__ = document(
        NoisyRNNClassifier,
        without=("sigma", "warm_start"),
        introduction="""
        `NoisyRNNClassifier` whose input noise ``sigma`` is chosen by cross-validation.

        As GridSearchCV over ``sigma``, at a fraction of its time: the data of a fold are prepared once, the models of a
        fold have the first epochs in common, and small networks are trained together as one batched program.
        """,
        values="""
        sigmas : int or array-like of shape (m,), default=10
            Values of ``sigma``, or how many to try: 0, and the others evenly spaced on a logarithmic scale from a
            hundredth of the standard deviation of X to the whole.
        """,
        attributes="""
        sigma_ : float
            The value with the best mean score; of equal ones the smallest.
        sigmas_ : ndarray of shape (m,)
            The values, ascending.
        classes_ : ndarray of shape (k,)
            Labels.
        """,
        see_also="""
        See Also
        --------
        NoisyRNNClassifier : The estimator itself.
        sklearn.model_selection.GridSearchCV : For more than one parameter.
        """,
        examples="""
        Examples
        --------
        >>> import numpy as np
        >>> from sklstm.model_selection import NoisyRNNClassifierCV
        >>> rng = np.random.default_rng(0)
        >>> X = rng.standard_normal((200, 12, 2))
        >>> y = np.where(X[:, :, 0].sum(axis=1) > 0, "up", "down")
        >>> model = NoisyRNNClassifierCV(8, sigmas=[0.0, 0.1, 0.3], cv=3, max_epochs=20, random_state=0).fit(X, y)
        >>> model.score_path_.shape, bool(model.score(X, y) > 0.9)
        ((3, 3), True)

        Predictions and certificates are those of the model with the best value, trained on all data:

        >>> bool((model.predict(X) == model.best_estimator_.predict(X)).all())
        True
        >>> model.predict_proba(X).shape, model.decision_function(X).shape
        ((200, 2), (200,))
        >>> lower, upper = model.certify(X, eps=0.01)
        >>> bool((lower < upper).all()), model.certified_radius(X).shape
        (True, (200,))
        >>> model.certified_accuracy(X, y, eps=0.01) <= model.score(X, y)
        True
        """,
    )

    _estimator_class = NoisyRNNClassifier
    _parameter = "sigma"
    _values_name = "sigmas"

    sigma_: float
    sigmas_: NDArray[np.float64]
    classes_: NDArray[Any]

    def __init__(
        self,
        hidden_size: int = 64,
        *,
        sigmas: int | Sequence[float] | NDArray[np.float64] = 10,
        cv: Any = None,
        scoring: Any = None,
        n_jobs: int | None = None,
        refit: bool = True,
        shared_fraction: float = 0.6,
        strategy: Literal["auto", "stacked", "separate"] = "auto",
        noise: Literal["gaussian", "uniform", "laplace", "dropout"] = "gaussian",
        n_channels: int = 1,
        max_epochs: int = 100,
        lr: float = 0.001,
        lr_schedule: ScheduleName = "constant",
        batch_size: int = 64,
        optimizer: OptimizerName = "adam",
        weight_decay: float = 0.0,
        clip_norm: float | None = 1.0,
        max_norm_u: float | None = None,
        max_norm_w: float | None = None,
        max_norm_v: float | None = None,
        recurrent_scale: float = 1.0,
        early_stopping: bool = False,
        validation_fraction: float = 0.1,
        n_iter_no_change: int = 10,
        class_weight: Mapping[Any, float] | Literal["balanced"] | None = None,
        callbacks: Sequence[Callback | tuple[str, Callback]] | None = None,
        compute_bound: bool = True,
        compression: Compression | None = None,
        margin: float = 1.0,
        delta: float = 0.05,
        device: str | torch.device = "cpu",
        precision: PrecisionName = "float32",
        random_state: int | np.random.RandomState | None = None,
        verbose: int = 0,
    ) -> None:
        self.hidden_size = hidden_size
        self.sigmas = sigmas
        self.cv = cv
        self.scoring = scoring
        self.n_jobs = n_jobs
        self.refit = refit
        self.shared_fraction = shared_fraction
        self.strategy = strategy
        self.noise = noise
        self.n_channels = n_channels
        self.max_epochs = max_epochs
        self.lr = lr
        self.lr_schedule = lr_schedule
        self.batch_size = batch_size
        self.optimizer = optimizer
        self.weight_decay = weight_decay
        self.clip_norm = clip_norm
        self.max_norm_u = max_norm_u
        self.max_norm_w = max_norm_w
        self.max_norm_v = max_norm_v
        self.recurrent_scale = recurrent_scale
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.n_iter_no_change = n_iter_no_change
        self.class_weight = class_weight
        self.callbacks = callbacks
        self.compute_bound = compute_bound
        self.compression = compression
        self.margin = margin
        self.delta = delta
        self.device = device
        self.precision = precision
        self.random_state = random_state
        self.verbose = verbose

    def _grid(self, X: Any, number: int) -> NDArray[np.float64]:
        parts = X if isinstance(X, list) else [X]
        spread = reduce(add, (moments(np.reshape(np.asarray(part), (-1, 1)), None) for part in parts)).scale[0]
        return np.append(0.0, np.geomspace(0.01, 1, number - 1) * spread)

    def predict_proba(self, X: Any) -> NDArray[np.float64]:
        """Class probabilities by the model that was trained on all data.

        Parameters
        ----------
        X : array-like of shape (n, L, d) or (n, L * d), DataFrame, or list of n arrays (L_i, d)
            As in `fit`.

        Returns
        -------
        ndarray of shape (n, k), float64
            Columns in the order of ``classes_``.
        """
        return self._fitted.predict_proba(X)

    def decision_function(self, X: Any) -> NDArray[np.float64]:
        """Network outputs of the model that was trained on all data.

        Parameters
        ----------
        X : array-like of shape (n, L, d) or (n, L * d), DataFrame, or list of n arrays (L_i, d)
            As in `fit`.

        Returns
        -------
        ndarray of shape (n, k), or (n,) for two classes, float64
            As of `NoisyRNNClassifier.decision_function`.
        """
        return self._fitted.decision_function(X)

    def certified_radius(self, X: Any, *, rtol: float = 0.01) -> NDArray[np.float64]:
        """Certified radii of the predictions; see `NoisyRNNClassifier.certified_radius`.

        Parameters
        ----------
        X : array-like of shape (n, L, d) or (n, L * d)
            As in `certify`.
        rtol : float, default=0.01
            The radius returned is within this factor of the largest one that the certificate yields.

        Returns
        -------
        ndarray of shape (n,), float64
            In the units of X.
        """
        return self._fitted.certified_radius(X, rtol=rtol)

    def certified_accuracy(self, X: Any, y: Any, eps: Any) -> float:
        """Share of the sequences that are classified rightly under any perturbation up to ``eps``.

        Parameters
        ----------
        X : array-like of shape (n, L, d) or (n, L * d)
            As in `certify`.
        y : array-like of shape (n,)
            True labels.
        eps : float or array-like
            As in `certify`.

        Returns
        -------
        float
        """
        return self._fitted.certified_accuracy(X, y, eps)
