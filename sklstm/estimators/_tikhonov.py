"""What the Tikhonov regressors share: everything but the cell."""

import warnings
from collections.abc import Sequence
from functools import partial
from typing import Any, ClassVar, Literal, Self

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.base import RegressorMixin
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils import Tags
from sklearn.utils.validation import check_array
from skorch.callbacks import Callback
from torch import Tensor, nn

from sklstm._sequences import Ragged, as_sequences
from sklstm._validation import NON_NEGATIVE, OPTIONAL_POSITIVE, POSITIVE_INT, Choice, caller_level, check_parameters
from sklstm.networks import READOUTS
from sklstm.tikhonov import TikhonovGains, perturbation_gain, tikhonov_gains
from sklstm.training import SequenceNet

from ._base import SequenceEstimator
from ._bounds import regressor_report
from ._certificates import CertifiedEstimator
from ._compression import Compression
from ._fit_tasks import fit_task
from ._holdout import HoldoutRegressor
from ._network_penalty import Network, NetworkPenalty, start_feasible
from ._quantized import HasQuantized
from ._rules import OptimizerName, PrecisionName, ScheduleName
from ._tensors import as_tensor

LARGEST_TARGET = 1e18  # squares of errors, summed over a batch, stay below float32's 3e38


class TikhonovRegressor(RegressorMixin, CertifiedEstimator, HoldoutRegressor, HasQuantized, SequenceEstimator):
    """Constructor, fit and predict; a subclass names its module and its number of gates."""

    _module: ClassVar[type[Network]]
    _criterion = nn.MSELoss

    rho_x_: float | NDArray[np.float64]
    rho_h_: float | NDArray[np.float64]
    perturbation_gain_: float
    _target_shape: tuple[int, ...]

    _rules = SequenceEstimator._rules | {
        "lambda_s": NON_NEGATIVE,
        "lambda_1": NON_NEGATIVE,
        "lambda_2": NON_NEGATIVE,
        "variant": Choice(("turkin", "tight")),
        "readout": Choice(tuple(READOUTS)),
        "num_layers": POSITIVE_INT,
        "loss_cap": OPTIONAL_POSITIVE,
    }

    def __init__(
        self,
        hidden_size: int = 32,
        *,
        lambda_s: float = 0.01,
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
        warm_start: bool = False,
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
        self.lambda_s = lambda_s
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
        self.warm_start = warm_start
        self.callbacks = callbacks
        self.compute_bound = compute_bound
        self.compression = compression
        self.delta = delta
        self.loss_cap = loss_cap
        self.device = device
        self.precision = precision
        self.random_state = random_state
        self.verbose = verbose

    @fit_task
    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Train on sequences X and targets y.

        Parameters
        ----------
        X : array-like of shape (n, L, d) or (n, L * d), DataFrame, or list of n arrays (L_i, d)
            Sequences; 2-D rows are folded by ``n_channels``. A DataFrame has L * d columns, or columns of two levels,
            time and channel. Train on standardised channels.
        y : array-like of shape (n,) or (n, k)
            Targets; predictions come back in the same shape.
        sample_weight : array-like of shape (n,), optional
            Weights of the sequences in the squared error, not negative. In batches that hold all the data, an integer
            weight is as good as repeating the sequence. ``generalization_bound_`` is about unweighted loss.

        Returns
        -------
        self

        Raises
        ------
        ValueError, TypeError
            For bad hyperparameters or data, before any training; ``ValueError`` also if training diverges.
        """
        check_parameters(self, self._rules)
        with self._all_or_nothing() as before:
            X, y, weight = self._check_fit(X, y, sample_weight)
            self._learn(X, y, weight, start=before.get("net_") if self.warm_start else None)
            if any((self.lambda_s, self.lambda_1, self.lambda_2)):
                self._warn_if_infeasible()
            if self.compute_bound:
                self.generalization_report_ = regressor_report(self, X, y.reshape(len(y), -1), self._evaluate)
                self.generalization_bound_ = self.generalization_report_.value
        return self

    def partial_fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Train for one epoch on sequences X and targets y, from where training stands.

        The first call starts as `fit` does. Later ones go on with the optimiser's state, under the hyperparameters of
        the moment; those that shape the network must stay. The learning rate is ``lr``, whatever ``lr_schedule``.

        Parameters
        ----------
        X : array-like of shape (n, L, d) or (n, L * d), DataFrame, or list of n arrays (L_i, d)
            As in `fit`.
        y : array-like of shape (n,) or (n, k)
            Targets, in the shape of those of the first call.
        sample_weight : array-like of shape (n,), optional
            Weights of the sequences in the squared error, not negative. They count as they are: only `fit`
            scales them to a mean of 1, which a part of the data does not tell.

        Returns
        -------
        self
            Without ``generalization_bound_``, which takes all the training data at once.

        Raises
        ------
        ValueError, TypeError
            As `fit`; also with ``early_stopping=True``.

        Examples
        --------
        >>> import numpy as np
        >>> from sklstm import TikhonovLSTMRegressor
        >>> X = np.random.default_rng(0).standard_normal((90, 5, 1))
        >>> model = TikhonovLSTMRegressor(4, random_state=0)
        >>> for part in np.split(X, 3):
        ...     model = model.partial_fit(part, part[:, -1, 0])
        >>> model.n_iter_
        3
        """
        check_parameters(self, self._rules)
        with self._one_more_epoch() as fitted:
            X, y = self._check_training_data(X, y, reset=fitted is None)
            weight = self._absolute(self._weights(sample_weight, len(y)))
            self._learn(X, y, weight, start=fitted, incremental=True)
        return self

    def _check_fit(self, X: Any, y: Any, sample_weight: Any) -> tuple[Any, np.ndarray, np.ndarray | None]:
        X, y = self._check_training_data(X, y, reset=True, ensure_min_samples=2)
        weight = self._weights(sample_weight, len(y))
        self._check_compression(X)
        return X, y, self._relative(weight)

    def _learn(self, X: np.ndarray | Ragged, y: np.ndarray, weight: np.ndarray | None, **how: Any) -> None:
        self._train(X, self._targets(y), weight=weight, **self._plan(X.shape[1], y), **how)

    def _targets(self, y: np.ndarray) -> Tensor:
        return as_tensor(y.reshape(len(y), -1))

    def _plan(self, n_steps: int, y: np.ndarray) -> dict[str, Any]:
        """What `_net_for` has to know besides the shared parameters."""
        weights = {name: float(getattr(self, name)) for name in ("lambda_s", "lambda_1", "lambda_2")}
        regularised = any(weights.values())
        return {
            "prepare": partial(start_feasible, variant=self.variant) if regularised else None,
            "penalty": NetworkPenalty(self._module.cell, variant=self.variant, **weights) if regularised else None,
            "n_outputs": int(np.prod(y.shape[1:], dtype=int)),
            "readout": self.readout,
            "num_layers": int(self.num_layers),
        }

    def _set_training_attributes(self, net: SequenceNet) -> None:
        super()._set_training_attributes(net)
        if isinstance(net.penalty, NetworkPenalty):
            net.penalty_state_ = net.penalty.state_dict()  # for `partial_fit`
            net.penalty.forget()
        self._set_gains()

    def predict(self, X: Any) -> NDArray[np.float64]:
        """Predict targets.

        Parameters
        ----------
        X : array-like of shape (n, L', d) or (n, L * d), DataFrame, or list of n arrays (L_i, d)
            As in `fit`; 3-D sequences and those of a list may have other lengths.

        Returns
        -------
        ndarray of shape (n,) or (n, k), float64
            In the shape that y had; each prediction is independent of the other rows of X, bit for bit.
        """
        return self._forward(X).astype(np.float64).reshape(-1, *self._target_shape)

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        # scikit-learn's name for R² < 0.5 on one regression problem whose informative feature, read as a sequence of
        # one channel, is the value at one fixed step out of ten. Remembering a position seems to take the strong
        # recurrence that rho_h < 1 rules out: R² ends at 0.3 to 0.4 after 400 epochs. The plain LSTM passes.
        tags.regressor_tags.poor_score = any((self.lambda_s, self.lambda_1, self.lambda_2))
        return tags

    def _check_training_data(self, X: Any, y: Any, *, reset: bool, **checks: Any) -> tuple[Any, np.ndarray]:
        X, y = as_sequences(self, X, y, reset=reset, multi_output=True, y_numeric=True, **checks)
        if y.dtype.kind not in "biufO":
            raise ValueError(f"y must hold numbers, got dtype {y.dtype}. Convert it, or use a classifier for labels.")
        y = check_array(y, ensure_2d=False, allow_nd=True, dtype=np.float64, input_name="y", estimator=self)
        if np.abs(y).max(initial=0) > LARGEST_TARGET:
            raise ValueError(
                f"y holds values above {LARGEST_TARGET:.0e}, whose squares overflow float32. Rescale it, for instance "
                "with TransformedTargetRegressor and StandardScaler."
            )
        if y.ndim > 2 or 0 in y.shape:
            raise ValueError(f"y must have shape (n_samples,) or (n_samples, n_outputs), got {y.shape}.")
        if self.readout == "logistic" and (y.min() < 0 or y.max() > 1):
            raise ValueError(
                f"readout='logistic' predicts values in (0, 1), but y runs from {y.min():.6g} to {y.max():.6g}. "
                "Rescale y (TransformedTargetRegressor with MinMaxScaler) or use readout='linear'."
            )
        if not reset and y.shape[1:] != self._target_shape:
            raise ValueError(
                f"y must have the shape of the first call, (n_samples, {', '.join(map(str, self._target_shape))}); "
                f"got {y.shape}."
            )
        self._target_shape = y.shape[1:]
        return X, y

    def _gains(self) -> list[TikhonovGains]:
        module = self.net_.module_
        return [
            tikhonov_gains(
                *(part.detach().cpu().double() for part in (weight_ih, weight_hh, bias_hh)),
                variant=self.variant,
                cell=module.cell,
            )
            for weight_ih, weight_hh, _, bias_hh in module.layers
        ]

    def _set_gains(self) -> None:
        gains, module = self._gains(), self.net_.module_
        rho_x, rho_h = (np.array([getattr(layer, name).item() for layer in gains]) for name in ("rho_x", "rho_h"))
        single = len(gains) == 1
        self.rho_x_, self.rho_h_ = (rho_x.item(), rho_h.item()) if single else (rho_x, rho_h)
        readout = module.readout.weight.detach().cpu().double()
        self.perturbation_gain_ = perturbation_gain(gains, readout, variant=self.variant).item()

    def _warn_if_infeasible(self) -> None:
        gains = self._gains()
        if all(layer.feasible for layer in gains):
            return
        broken, remedy = [], {}
        for number, layer in enumerate(gains, 1):
            where = f" of layer {number}" if len(gains) > 1 else ""
            if layer.rho_h >= 1:
                broken.append(f"rho_h{where} = {layer.rho_h:.4g} is not below 1")
                remedy["rho_h"] = f"raise lambda_s ({self.lambda_s}) or lambda_1 ({self.lambda_1})"
            if layer.gate > 1:
                broken.append(f"the output gate's recurrent norm{where}, times beta, is {layer.gate:.4g}, above 1")
                remedy["gate"] = f"raise lambda_2 ({self.lambda_2})"
        warnings.warn(
            f"The fitted {self._module.cell.upper()} is infeasible: {' and '.join(broken)}. perturbation_gain_ is "
            "therefore inf and says nothing about noise. Standardise X and y if they are not; then "
            f"{' and '.join(remedy.values())}, or lower lr ({self.lr}).",
            ConvergenceWarning,
            stacklevel=caller_level(),
        )
