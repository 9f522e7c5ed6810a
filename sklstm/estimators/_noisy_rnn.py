"""The ReLU recurrent classifier trained with input noise, and its generalisation bound."""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, Literal, Self

import numpy as np
import torch
from sklearn.base import ClassifierMixin
from skorch.callbacks import Callback
from torch import Tensor, nn

from sklstm._sequences import Ragged, as_sequences
from sklstm._validation import OPTIONAL_POSITIVE, POSITIVE, Choice, ClassWeight, check_parameters
from sklstm.linalg import project_rows_l1
from sklstm.networks import ReLUNetwork
from sklstm.noise import NOISES

from ._bounds import classifier_report
from ._certificates import CertifiedClassifier
from ._classification import SequenceClassifier
from ._compression import Compression
from ._fit_tasks import fit_task
from ._holdout import HoldoutClassifier
from ._quantized import HasQuantized
from ._rules import OptimizerName, PrecisionName, ScheduleName


@torch.no_grad()
def _project(module: ReLUNetwork, **limits: float | None) -> None:
    for name, limit in limits.items():
        if limit is not None:
            weight = getattr(module, name)
            weight.copy_(project_rows_l1(weight, limit))


class NoisyRNNClassifier(ClassifierMixin, CertifiedClassifier, HoldoutClassifier, HasQuantized, SequenceClassifier):
    r"""Bias-free ReLU recurrent network for classification, trained with noise on its inputs.

    The network is (1) of Tu, He & Tao 2020 [1]_: :math:`h_t = \rho(U x_t + W h_{t-1})`, :math:`y_L = V h_L`, trained by
    cross-entropy. Every training batch is perturbed by fresh noise of standard deviation ``sigma``;
    predictions are made without noise.

    Parameters
    ----------
    hidden_size : int, default=64
        Units m.
    sigma : float, default=0.1
        Standard deviation of the input noise, in the units of X. 0 trains a plain ReLU network. Noise falls on every
        time step of X, zero padding included, unless it is dropout.
    noise : {"gaussian", "uniform", "laplace", "dropout"}, default="gaussian"
        Kind of the noise (Remark 4). The first three are added, with independent entries. ``"dropout"`` sets entries to
        zero with probability σ²/(1 + σ²) and multiplies the others by 1 + σ²; ``sigma`` is then relative to the entry.
    n_channels : int, default=1
        Channels per time step of 2-D input, whose columns are time-major: all channels of the first step first.
        With 3-D input and a value other than 1, the number of channels that X must have.
    max_epochs : int, default=100
        Passes over the training data.
    lr : float, default=0.001
        Learning rate.
    lr_schedule : {"constant", "step", "exponential", "cosine", "warmup-cosine", "plateau"}, default="constant"
        Learning rate in epoch e = 0, 1, … of E = ``max_epochs``: ``"step"`` divides it by 10 at E/2 and again at 3E/4,
        ``"exponential"`` is lr · 0.01^(e/E), ``"cosine"`` falls along half a cosine to a hundredth,
        ``"warmup-cosine"`` first rises linearly over a tenth of the epochs, ``"plateau"`` halves it when the loss (the
        validation loss, if there is one) has not fallen for five epochs. ``net_.history[:, "lr"]`` has the rates.
    batch_size : int, default=64
        Sequences per optimiser step.
    optimizer : {"adam", "adamw", "sgd"}, default="adam"
        ``"sgd"`` has Nesterov momentum 0.9.
    weight_decay : float, default=0.0
        The optimiser's weight decay (section 3.4.2).
    clip_norm : float or None, default=1.0
        Largest Euclidean norm of the gradient; larger gradients are scaled down to it (section 3.4.2).
    max_norm_u, max_norm_w, max_norm_v : float or None, default=None
        Limits on the absolute row sums :math:`\|U^\top\|_1, \|W^\top\|_1, \|V^\top\|_1`, kept by projecting every row
        onto the ℓ1 ball after each step. With all three, the norms in the bound are fixed before the data is seen.
    recurrent_scale : float, default=1.0
        The recurrent matrix starts at this multiple of the identity.
    early_stopping : bool, default=False
        Hold out a stratified ``validation_fraction`` of the training data, stop when its loss has not improved for
        ``n_iter_no_change`` epochs, and restore the best weights.
    validation_fraction : float, default=0.1
        Used with ``early_stopping`` only.
    n_iter_no_change : int, default=10
        Used with ``early_stopping`` only.
    class_weight : dict, "balanced" or None, default=None
        Weights of the classes in the loss, by label; ``"balanced"`` weighs every class by the inverse of its frequency.
    warm_start : bool, default=False
        Go on in `fit` from the weights of the last one, with a fresh optimiser.
    callbacks : list of skorch callbacks or (name, callback) pairs, or None, default=None
        Given to the net besides the package's own, and used as they are: their state can be read after `fit`. Searches
        clone them with the estimator. To end training, raise `sklstm.training.StopTraining`. For the callbacks of
        scikit-learn see ``set_callbacks``.
    compute_bound : bool, default=True
        Compute ``generalization_bound_`` after training. The costly part is the smallest eigenvalue of the (L·d)²
        second-moment matrix.
    compression : Compression or None, default=None
        How to make the predictor of the Occam bound, ``quantized_``: None rounds the trained weights to one codebook,
        which is quick and seldom below chance for more than a few units; a `Compression` trains and rounds a network
        for the purpose. Fixed before seeing the data.
    margin : float, default=1.0
        Margin α of the bound.
    delta : float, default=0.05
        The bound holds with probability at least ``1 - delta``.
    device : str, default="cpu"
        A torch device, such as ``"cuda"`` or ``"cuda:1"``; or ``"auto"`` for CUDA if it can be used, else MPS, else the
        CPU, decided in `fit`: ``net_.device`` says which. See ``docs/guide/devices.md``.
    precision : {"float32", "tf32", "bfloat16"}, default="float32"
        Of matrix products in training. ``"tf32"`` allows an NVIDIA GPU its faster ones, with 11 binary digits, and
        changes nothing elsewhere; ``"bfloat16"`` takes batches forward and back in that type, on any device. Weights,
        optimiser, penalty and losses are float32 in any case, and so are predictions, certificates and bounds.
    random_state : int, RandomState instance or None, default=None
        Fixes initial weights, batch order, noise and the validation split. The global random states of numpy and torch
        are neither used nor changed.
    verbose : int, default=0
        1 shows a progress bar with data loss and penalty, validation loss and learning rate, as far as there are any,
        except in worker processes; 2 shows a line per epoch, anywhere. On the standard error stream.

    Attributes
    ----------
    net_ : SequenceNet
        The trained skorch net; ``net_.module_`` is the torch module with properties ``U``, ``W``, ``V``.
    classes_ : ndarray of shape (k,)
        Labels.
    n_iter_ : int
        Epochs run.
    loss_curve_ : list of float
        Training loss per epoch.
    generalization_bound_ : float
        Bound of Theorem 2 (``sigma=0``) or Theorem 3 on the probability of error, as the paper defines it. Ordinary
        training leaves it far above 1; the report says so. Only with ``compute_bound``.
    generalization_report_ : GeneralizationReport
        Every bound, tightest first: the paper's theorem as it is printed; the same with norms and margin paid for
        (``"theorem_2_union"``, ``"theorem_3_union"``); the bound that converges (``"rademacher"``); the Occam bound of
        ``quantized_`` (``"occam"``). Only with ``compute_bound``.
    quantized_ : NoisyRNNClassifier
        The fitted predictor that the Occam bound is about. Only with ``compute_bound``.
    n_features_in_ : int
        Columns of 2-D input, or channels of 3-D input, seen in fit.
    feature_names_in_ : ndarray of str
        Only if X was a DataFrame with string column names.

    See Also
    --------
    TikhonovLSTMRegressor : LSTM for regression with an analytic penalty on noise sensitivity.

    References
    ----------
    .. [1] Tu, Z., He, F. & Tao, D. (2020). Understanding Generalization in Recurrent Neural Networks. ICLR.

    Examples
    --------
    >>> import numpy as np
    >>> from sklstm import NoisyRNNClassifier
    >>> rng = np.random.default_rng(0)
    >>> X = rng.standard_normal((200, 12, 2))
    >>> y = np.where(X[:, :, 0].sum(axis=1) > 0, "up", "down")
    >>> model = NoisyRNNClassifier(hidden_size=16, random_state=0).fit(X, y)
    >>> model.predict_proba(X[:5]).shape
    (5, 2)
    >>> bool(np.mean(model.predict(X) == y) > 0.9)
    True
    """

    _rules = SequenceClassifier._rules | {
        "noise": Choice(tuple(NOISES)),
        "max_norm_u": OPTIONAL_POSITIVE,
        "max_norm_w": OPTIONAL_POSITIVE,
        "max_norm_v": OPTIONAL_POSITIVE,
        "recurrent_scale": POSITIVE,
        "margin": POSITIVE,
        "class_weight": ClassWeight(),
    }
    _n_gates = 1
    _module = ReLUNetwork
    _criterion = nn.CrossEntropyLoss

    def __init__(
        self,
        hidden_size: int = 64,
        *,
        sigma: float = 0.1,
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
        warm_start: bool = False,
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
        self.sigma = sigma
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
        self.warm_start = warm_start
        self.callbacks = callbacks
        self.compute_bound = compute_bound
        self.compression = compression
        self.margin = margin
        self.delta = delta
        self.device = device
        self.precision = precision
        self.random_state = random_state
        self.verbose = verbose

    @fit_task
    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Train on sequences X and labels y.

        Parameters
        ----------
        X : array-like of shape (n, L, d) or (n, L * d), DataFrame, or list of n arrays (L_i, d)
            Sequences; 2-D rows are folded by ``n_channels``. A DataFrame has L * d columns, or columns of two levels,
            time and channel. Train on standardised channels.
        y : array-like of shape (n,)
            Labels of any type, at least two different ones.
        sample_weight : array-like of shape (n,), optional
            Weights of the sequences in the cross-entropy, not negative; multiplied by those of ``class_weight``. In
            batches that hold all the data and without noise, an integer weight is as good as repeating the sequence.
            The bounds are about unweighted errors.

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
            X, codes, weight = self._check_fit(X, y, sample_weight)
            start = before.get("net_") if self.warm_start else None
            if start is not None and not np.array_equal(self.classes_, before["classes_"]):
                raise ValueError(
                    f"warm_start=True goes on with the classes of the last fit, {before['classes_']}; y has "
                    f"{self.classes_}. Use warm_start=False."
                )
            self._learn(X, codes, weight, start=start)
            if self.compute_bound:
                self.generalization_report_ = classifier_report(self, X, codes)
                self.generalization_bound_ = self.generalization_report_.value
        return self

    def _check_fit(self, X: Any, y: Any, sample_weight: Any) -> tuple[Any, np.ndarray, np.ndarray | None]:
        X, y = as_sequences(self, X, y, reset=True)
        self._check_labels(y)
        self.classes_ = self._distinct(y, "y")
        codes = np.searchsorted(self.classes_, y)
        weight = self._weights(sample_weight, len(y), partial(self._weights_of_classes, codes))
        self._check_compression(X)
        return X, codes, self._relative(weight)

    def _learn(self, X: np.ndarray | Ragged, codes: np.ndarray, weight: np.ndarray | None, **how: Any) -> None:
        self._train(X, self._targets(codes), weight=weight, **self._plan(X.shape[1], codes), **how)

    def _targets(self, codes: np.ndarray) -> Tensor:
        return torch.tensor(codes)

    def _plan(self, n_steps: int, codes: np.ndarray) -> dict[str, Any]:
        """What `_net_for` has to know besides the shared parameters."""
        given = {"U": self.max_norm_u, "W": self.max_norm_w, "V": self.max_norm_v}
        limits: dict[str, Any] = {name: None if limit is None else float(limit) for name, limit in given.items()}
        return {
            "stratify": codes,
            "projection": None if set(limits.values()) == {None} else partial(_project, **limits),
            "noise": str(self.noise),
            "n_outputs": len(self.classes_),
            "n_steps": n_steps,
            "recurrent_scale": float(self.recurrent_scale),
        }
