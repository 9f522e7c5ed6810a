"""The LSTM regressor with Turkin's analytic penalty on noise sensitivity."""

import warnings
from copy import deepcopy
from functools import partial
from typing import Any

import numpy as np
from sklearn.base import RegressorMixin
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils.validation import check_array
from torch import Tensor, nn

from sklstm._validation import NON_NEGATIVE, OPTIONAL_POSITIVE, Choice, as_sequences, check_parameters
from sklstm.generalization import GeneralizationReport, choose_cap, occam_certificate
from sklstm.modules import READOUTS, LSTMRegressorModule
from sklstm.perturbation import feasible_scale, perturbation_gain, tikhonov_gains, tikhonov_penalty

from ._base import SequenceEstimator, as_tensor
from ._certificates import CertifiedEstimator

LARGEST_TARGET = 1e18  # squares of errors, summed over a batch, stay below float32's 3e38


def _penalty(module: LSTMRegressorModule, **parameters: Any) -> Tensor:
    return tikhonov_penalty(*module.weights, **parameters)


def _start_feasible(module: LSTMRegressorModule, variant: str) -> None:
    weight_ih, weight_hh, _ = module.weights
    module.scale_recurrent_(feasible_scale(weight_ih, weight_hh, variant=variant))


class TikhonovLSTMRegressor(RegressorMixin, CertifiedEstimator, SequenceEstimator):
    r"""LSTM regressor trained with an analytic penalty on how input noise moves its output.

    The objective is (57) of Turkin 2017 [1]_: mean squared error plus

    .. math::

        \lambda_S \|W_{hy}\|^2 \frac{\rho_x^2}{1 - \rho_h^2} + \lambda_1 (\rho_h^2 - 1)_+
        + \lambda_2 (\beta\|W_{oh}\| - 1)_+ ,

    where :math:`\rho_x` and :math:`\rho_h` are gains computed from the spectral norms of the gate matrices. As printed
    the objective is unbounded below; beyond :math:`\rho_h^2 = 0.95` the fraction is continued by its tangent line, and
    the recurrent matrices are scaled to be feasible before training. With all three weights zero neither happens, and
    the estimator is a plain LSTM.

    Parameters
    ----------
    hidden_size : int, default=32
        Units H of the LSTM.
    lambda_s : float, default=0.01
        Weight :math:`\lambda_S` of the perturbation term: the strength of the regularisation.
    lambda_1 : float, default=10.0
        Weight of the constraint :math:`\rho_h^2 < 1`.
    lambda_2 : float, default=10.0
        Weight of the constraint :math:`\beta\|W_{oh}\| \le 1`.
    variant : {"turkin", "tight"}, default="turkin"
        The paper's chain of inequalities, or the same without its slack; see `sklstm.perturbation.tikhonov_gains`.
    readout : {"linear", "logistic"}, default="linear"
        Linear readout of the last state, or (1) of the paper for targets in [0, 1].
    sigma : float, default=0.0
        Standard deviation of Gaussian noise added to the inputs of every training batch.
    n_channels : int, default=1
        Channels per time step of 2-D input, whose columns are time-major: all channels of the first step first.
        With 3-D input and a value other than 1, the number of channels that X must have.
    max_epochs : int, default=100
        Passes over the training data.
    lr : float, default=0.003
        Learning rate.
    batch_size : int, default=64
        Sequences per optimiser step.
    optimizer : {"adam", "adamw", "sgd"}, default="adam"
        ``"sgd"`` has Nesterov momentum 0.9.
    weight_decay : float, default=0.0
        The optimiser's weight decay.
    clip_norm : float or None, default=None
        Largest Euclidean norm of the gradient; larger gradients are scaled down to it.
    early_stopping : bool, default=False
        Hold out ``validation_fraction`` of the training data, stop when its loss has not improved for
        ``n_iter_no_change`` epochs, and restore the best weights. The validation loss does not contain the penalty.
    validation_fraction : float, default=0.1
        Used with ``early_stopping`` only.
    n_iter_no_change : int, default=10
        Used with ``early_stopping`` only.
    compute_bound : bool, default=True
        Compute ``generalization_bound_`` after training; costs about a dozen passes over the training data.
    delta : float, default=0.05
        The generalisation bound holds with probability at least ``1 - delta``.
    loss_cap : float or None, default=None
        Cap M of the squared loss in the generalisation bound, in squared units of y. None chooses a power of two
        after seeing y and pays for the choice.
    device : str, default="cpu"
        A torch device.
    random_state : int, RandomState instance or None, default=None
        Fixes initial weights, batch order, noise and the validation split. The global random states of numpy and torch
        are neither used nor changed.
    verbose : int, default=0
        Above 0, a progress bar with data loss and penalty.

    Attributes
    ----------
    net_ : SequenceNet
        The trained skorch net; ``net_.module_`` is the torch module.
    n_iter_ : int
        Epochs run.
    loss_curve_ : list of float
        Training objective, penalty included, per epoch; ``net_.history`` has ``data_loss`` and ``penalty`` apart.
    rho_x_, rho_h_ : float
        Gains (52) and (53) of the fitted weights, in float64.
    perturbation_gain_ : float
        :math:`\|W_{hy}\|^2 \rho_x^2 / (1 - \rho_h^2)`, (55); ``inf`` if a constraint is violated. A surrogate of the
        squared sensitivity, not a certificate.
    generalization_bound_ : float
        Occam bound on the expected capped squared loss of the quantised network, in squared units of y. Only with
        ``compute_bound``.
    generalization_report_ : GeneralizationReport
        How that number comes about. Only with ``compute_bound``.
    n_features_in_ : int
        Columns of 2-D input, or channels of 3-D input, seen in fit.
    feature_names_in_ : ndarray of str
        Only if X was a DataFrame with string column names.

    See Also
    --------
    NoisyRNNClassifier : Bias-free ReLU network for classification, trained with input noise.

    References
    ----------
    .. [1] Turkin, A. (2017). Tikhonov Regularization for Long Short-Term Memory Networks. arXiv:1708.02979.

    Examples
    --------
    >>> import numpy as np
    >>> from sklstm import TikhonovLSTMRegressor
    >>> rng = np.random.default_rng(0)
    >>> X = rng.standard_normal((200, 12, 2))
    >>> y = X[:, -3:, 0].mean(axis=1)
    >>> model = TikhonovLSTMRegressor(hidden_size=8, max_epochs=60, random_state=0).fit(X, y)
    >>> model.predict(X[:5]).shape
    (5,)
    >>> bool(model.rho_h_ < 1)
    True
    """

    _rules = SequenceEstimator._rules | {
        "lambda_s": NON_NEGATIVE,
        "lambda_1": NON_NEGATIVE,
        "lambda_2": NON_NEGATIVE,
        "variant": Choice(("turkin", "tight")),
        "readout": Choice(tuple(READOUTS)),
        "loss_cap": OPTIONAL_POSITIVE,
    }
    _n_gates = 4
    _cell = "lstm"

    def __init__(
        self,
        hidden_size=32,
        *,
        lambda_s=0.01,
        lambda_1=10.0,
        lambda_2=10.0,
        variant="turkin",
        readout="linear",
        sigma=0.0,
        n_channels=1,
        max_epochs=100,
        lr=0.003,
        batch_size=64,
        optimizer="adam",
        weight_decay=0.0,
        clip_norm=None,
        early_stopping=False,
        validation_fraction=0.1,
        n_iter_no_change=10,
        compute_bound=True,
        delta=0.05,
        loss_cap=None,
        device="cpu",
        random_state=None,
        verbose=0,
    ):
        self.hidden_size = hidden_size
        self.lambda_s = lambda_s
        self.lambda_1 = lambda_1
        self.lambda_2 = lambda_2
        self.variant = variant
        self.readout = readout
        self.sigma = sigma
        self.n_channels = n_channels
        self.max_epochs = max_epochs
        self.lr = lr
        self.batch_size = batch_size
        self.optimizer = optimizer
        self.weight_decay = weight_decay
        self.clip_norm = clip_norm
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.n_iter_no_change = n_iter_no_change
        self.compute_bound = compute_bound
        self.delta = delta
        self.loss_cap = loss_cap
        self.device = device
        self.random_state = random_state
        self.verbose = verbose

    def fit(self, X: Any, y: Any) -> "TikhonovLSTMRegressor":
        """Train on sequences X and targets y.

        Parameters
        ----------
        X : array-like of shape (n, L, d) or (n, L * d)
            Sequences; 2-D rows are folded by ``n_channels``. Train on standardised channels.
        y : array-like of shape (n,) or (n, k)
            Targets; predictions come back in the same shape.

        Returns
        -------
        self

        Raises
        ------
        ValueError, TypeError
            For bad hyperparameters or data, before any training; ``ValueError`` also if training diverges.
        """
        check_parameters(self, self._rules)
        with self._all_or_nothing():
            X, y = self._check_training_data(X, y)
            weights = {"lambda_s": self.lambda_s, "lambda_1": self.lambda_1, "lambda_2": self.lambda_2}
            regularised = any(weights.values())
            net = self._train(
                LSTMRegressorModule,
                nn.MSELoss,
                X,
                as_tensor(y.reshape(len(y), -1)),
                prepare=partial(_start_feasible, variant=self.variant) if regularised else None,
                penalty=partial(_penalty, variant=self.variant, **weights) if regularised else None,
                n_outputs=int(np.prod(y.shape[1:], dtype=int)),
                readout=self.readout,
            )
            self._set_training_attributes(net)
            self._set_gains(warn=regularised)
            if self.compute_bound:
                self._set_bound(X, y)
        return self

    def predict(self, X: Any) -> np.ndarray:
        """Predict targets.

        Parameters
        ----------
        X : array-like of shape (n, L', d) or (n, L * d)
            As in `fit`; 3-D sequences may have another length.

        Returns
        -------
        ndarray of shape (n,) or (n, k), float64
            In the shape that y had; each prediction is independent of the other rows of X, bit for bit.
        """
        return self._forward(X).astype(np.float64).reshape(-1, *self._target_shape)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        # scikit-learn's name for R² < 0.5 on one regression problem whose informative feature, read as a sequence of
        # one channel, is the value at one fixed step out of ten. Remembering a position seems to take the strong
        # recurrence that rho_h < 1 rules out: R² ends at 0.3 to 0.4 after 400 epochs. The plain LSTM passes.
        tags.regressor_tags.poor_score = any((self.lambda_s, self.lambda_1, self.lambda_2))
        return tags

    def _check_training_data(self, X: Any, y: Any) -> tuple[np.ndarray, np.ndarray]:
        X, y = as_sequences(self, X, y, reset=True, multi_output=True, y_numeric=True, ensure_min_samples=2)
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
        self._target_shape = y.shape[1:]
        return X, y

    def _set_gains(self, *, warn: bool) -> None:
        weights = [weight.detach().double() for weight in self.net_.module_.weights]
        gains = tikhonov_gains(*weights[:2], variant=self.variant)
        self.rho_x_, self.rho_h_ = gains.rho_x.item(), gains.rho_h.item()
        self.perturbation_gain_ = perturbation_gain(gains, weights[2], variant=self.variant).item()
        if not warn or gains.feasible:
            return
        broken, remedy = [], []
        if gains.rho_h >= 1:
            broken.append(f"rho_h = {gains.rho_h:.4g} is not below 1")
            remedy.append(f"raise lambda_s ({self.lambda_s}) or lambda_1 ({self.lambda_1})")
        if gains.gate > 1:
            broken.append(f"the output gate's recurrent norm, times beta, is {gains.gate:.4g}, above 1")
            remedy.append(f"raise lambda_2 ({self.lambda_2})")
        warnings.warn(
            f"The fitted LSTM is infeasible: {' and '.join(broken)}. perturbation_gain_ is therefore inf and says "
            f"nothing about noise. Standardise X and y if they are not; then {' and '.join(remedy)}, or lower lr "
            f"({self.lr}).",
            ConvergenceWarning,
            stacklevel=3,
        )

    def _set_bound(self, X: np.ndarray, y: np.ndarray) -> None:
        targets = y.reshape(len(y), -1)
        cap, price = (self.loss_cap, 1.0) if self.loss_cap is not None else choose_cap(targets)
        trained = self.net_.module_
        module = deepcopy(trained)  # takes the quantised weights, in place: the trained ones must be other tensors

        def capped_loss(weights: dict[str, Tensor]) -> float:
            module.load_state_dict(weights)
            squared_error = np.mean((targets - self._evaluate(module, X)) ** 2, axis=1)
            return float(np.mean(np.minimum(squared_error, cap)) / cap)

        bound = occam_certificate(
            trained.state_dict(), capped_loss, len(X), delta=self.delta, delta_weight=price, scale=cap
        )
        self.generalization_report_ = GeneralizationReport((bound,))
        self.generalization_bound_ = bound.value
