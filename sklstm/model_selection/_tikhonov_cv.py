"""The LSTM regressor whose λ_S is chosen by cross-validation along a path."""

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from skorch.callbacks import Callback

from sklstm.estimators import Compression, TikhonovLSTMRegressor
from sklstm.estimators._rules import OptimizerName, PrecisionName, ScheduleName

from ._docs import document
from ._path_cv import PathCV

__all__ = ["TikhonovLSTMRegressorCV"]


class TikhonovLSTMRegressorCV(PathCV):
    __doc__ = document(
        TikhonovLSTMRegressor,
        without=("lambda_s", "warm_start"),
        introduction=r"""
        `TikhonovLSTMRegressor` whose :math:`\lambda_S` is chosen by cross-validation.

        As GridSearchCV over ``lambda_s``, at a fraction of its time: the data of a fold are prepared once, the models
        of a fold have the first epochs in common, and small networks are trained together as one batched program.
        """,
        values=r"""
        lambdas : int or array-like of shape (m,), default=10
            Values of :math:`\lambda_S`, or how many to try, evenly spaced on a logarithmic scale from 1e-4 to 1. The
            unit of :math:`\lambda_S` is that of X squared: standardise X.
        """,
        attributes=r"""
        lambda_s_ : float
            The value with the best mean score; of equal ones the smallest.
        lambdas_ : ndarray of shape (m,)
            The values, ascending.
        rho_h_path_, perturbation_gain_path_ : ndarray of shape (m, n_folds)
            Gains of the models of the folds; of several layers the largest ``rho_h_``.
        """,
        see_also="""
        See Also
        --------
        TikhonovLSTMRegressor : The estimator itself.
        sklearn.model_selection.GridSearchCV : For more than one parameter.
        """,
        examples="""
        Examples
        --------
        >>> import numpy as np
        >>> from sklstm.model_selection import TikhonovLSTMRegressorCV
        >>> rng = np.random.default_rng(0)
        >>> X = rng.standard_normal((200, 12, 2))
        >>> y = X[:, -3:, 0].mean(axis=1)
        >>> model = TikhonovLSTMRegressorCV(8, lambdas=[0.001, 0.01, 0.1], cv=3, max_epochs=20, random_state=0)
        >>> model.fit(X, y).score_path_.shape
        (3, 3)
        >>> model.lambda_s_
        0.001

        Predictions and certificates are those of the model with that value, trained on all data:

        >>> lower, upper = model.certify(X, eps=0.01)
        >>> bool(((lower < model.predict(X)) & (model.predict(X) < upper)).all())
        True
        >>> model.score(X, y) == model.best_estimator_.score(X, y)
        True
        """,
    )

    _estimator_class = TikhonovLSTMRegressor
    _parameter = "lambda_s"
    _values_name = "lambdas"

    lambda_s_: float
    lambdas_: NDArray[np.float64]
    rho_h_path_: NDArray[np.float64]
    perturbation_gain_path_: NDArray[np.float64]

    def __init__(
        self,
        hidden_size: int = 32,
        *,
        lambdas: int | Sequence[float] | NDArray[np.float64] = 10,
        cv: Any = None,
        scoring: Any = None,
        n_jobs: int | None = None,
        refit: bool = True,
        shared_fraction: float = 0.6,
        strategy: Literal["auto", "stacked", "separate"] = "auto",
        lambda_1: float = 10.0,
        lambda_2: float = 10.0,
        variant: Literal["turkin", "tight"] = "turkin",
        readout: Literal["linear", "logistic"] = "linear",
        num_layers: int = 1,
        sigma: float = 0.0,
        n_channels: int = 1,
        max_epochs: int = 100,
        lr: float = 0.003,
        lr_schedule: ScheduleName = "constant",
        batch_size: int = 64,
        optimizer: OptimizerName = "adam",
        weight_decay: float = 0.0,
        clip_norm: float | None = None,
        early_stopping: bool = False,
        validation_fraction: float = 0.1,
        n_iter_no_change: int = 10,
        callbacks: Sequence[Callback | tuple[str, Callback]] | None = None,
        compute_bound: bool = True,
        compression: Compression | None = None,
        delta: float = 0.05,
        loss_cap: float | None = None,
        device: str | torch.device = "cpu",
        precision: PrecisionName = "float32",
        random_state: int | np.random.RandomState | None = None,
        verbose: int = 0,
    ) -> None:
        self.hidden_size = hidden_size
        self.lambdas = lambdas
        self.cv = cv
        self.scoring = scoring
        self.n_jobs = n_jobs
        self.refit = refit
        self.shared_fraction = shared_fraction
        self.strategy = strategy
        self.lambda_1 = lambda_1
        self.lambda_2 = lambda_2
        self.variant = variant
        self.readout = readout
        self.num_layers = num_layers
        self.sigma = sigma
        self.n_channels = n_channels
        self.max_epochs = max_epochs
        self.lr = lr
        self.lr_schedule = lr_schedule
        self.batch_size = batch_size
        self.optimizer = optimizer
        self.weight_decay = weight_decay
        self.clip_norm = clip_norm
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.n_iter_no_change = n_iter_no_change
        self.callbacks = callbacks
        self.compute_bound = compute_bound
        self.compression = compression
        self.delta = delta
        self.loss_cap = loss_cap
        self.device = device
        self.precision = precision
        self.random_state = random_state
        self.verbose = verbose

    def _grid(self, X: Any, number: int) -> NDArray[np.float64]:
        return np.geomspace(1e-4, 1, number)

    @property
    def rho_x_(self) -> Any:
        """Gain of the inputs of the model that was trained on all data."""
        return self._fitted.rho_x_

    @property
    def rho_h_(self) -> Any:
        """Gain of the states of the model that was trained on all data."""
        return self._fitted.rho_h_

    @property
    def perturbation_gain_(self) -> float:
        """Gain (55) of the model that was trained on all data."""
        return self._fitted.perturbation_gain_
