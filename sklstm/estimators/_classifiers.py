"""The bias-free network of Tu, He & Tao, trained with input noise."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import ArrayLike
from skorch.callbacks import Callback

from sklstm._layout import LayoutName
from sklstm.linalg import project_rows_l1
from sklstm.networks import RNNNetwork
from sklstm.training import NetworkSpec, TrainingSpec
from sklstm.training._net import Projection

from ._base import FitData
from ._base_classifier import SequenceClassifier
from ._compression import Compression
from ._fit_tasks import FitContext
from ._pac_bayes import PACBayes
from ._parameters import ActivationName, NoiseName, OptimizerName, PrecisionName, ScheduleName


@dataclass(frozen=True)
class RowNorms(Projection):
    """Projection of the rows of U, W and V onto ℓ1 balls of these radii; None is no limit."""

    stacks = True

    U: float | None = None
    W: float | None = None
    V: float | None = None

    @torch.no_grad()
    def __call__(self, module: Any) -> None:
        for weight, limit in ((module.U, self.U), (module.W, self.W), (module.V, self.V)):
            if limit is not None:
                weight.copy_(project_rows_l1(weight, limit))


class NoisyRNNClassifier(SequenceClassifier):
    r"""Bias-free recurrent network for classification, trained with noise on its inputs.

    The network is (1) of Tu, He & Tao 2020 [1]_: :math:`h_t = \rho(U x_t + W h_{t-1})`, :math:`y_L = V h_L`. It is
    trained by cross-entropy. Every training batch gets fresh noise of standard deviation ``sigma``, of one of the kinds
    that Remark 4 allows.

    The network has no biases. So outputs of ReLU units grow in proportion to the input: :math:`y_L(a x) = a\,y_L(x)`
    for :math:`a > 0`. Outputs of tanh units change sign with it: :math:`y_L(-x) = -y_L(x)`. Add a channel that is
    always 1 if labels depend on the size of the input, or are the same for x and −x. See ``docs/guide/noisy_rnn.md``.

    Parameters
    ----------
    hidden_size : int, default=64
        Number of units m.
    activation : {"relu", "tanh"}, default="relu"
        Activation function ρ. States of tanh units stay between −1 and 1. Theorems 1 to 3 of the paper need the ReLU.
        The report of a tanh network has the bound that converges and the Occam bound only.
    sigma : float, default=0.1
        Standard deviation of the noise added to the inputs of every training batch, in the units of X. 0 is no noise.
        Noise falls on every time step of X, zero padding included; dropout leaves padding at zero. Predictions are made
        without noise.
    noise : {"gaussian", "uniform", "laplace", "dropout"}, default="gaussian"
        Kind of the noise. The first three are added, with independent entries. ``"dropout"`` sets entries to zero with
        probability σ²/(1 + σ²) and multiplies the others by 1 + σ². Its ``sigma`` is relative to the size of the entry.
    robust_eps : float or array-like of shape (d,), default=0.0
        Largest input error that training makes the network robust to, in every entry of X and in the units of X. Give
        one number, or one per channel. Train with it if you want narrow certified bounds. The loss is then a mixture of
        two: the loss of attacked inputs, and the largest loss within the bounds of ``certify(method="intervals")``.
        ``robust_weight`` is the share of the second. The errors and that share grow during the first half of the
        epochs. 0 is ordinary training.
    robust_weight : float, default=0.5
        Share κ of the largest loss within the bounds, in [0, 1]. The rest is the loss of attacked inputs. 0 is
        adversarial training. Over many steps the bounds can allow a larger loss than a constant prediction has. For κ
        below 1 such bounds count for little, since the network would otherwise become constant.
    robust_box : float, default=1.0
        Half-width τ, in (0, 1], of the box of inputs that the bounds are computed for, in units of ``robust_eps``. A
        box smaller than 1 is moved towards the attacked input. Small boxes give up some certified tightness for
        accuracy.
    n_channels : int, default=1
        Number of channels per time step of 2-D input. Its columns are time-major: all channels of the first step come
        first. With 3-D input and a value other than 1, X must have this number of channels.
    layout : {"ntc", "nct"}, default="ntc"
        Axes of X: ``"ntc"`` is (n, time, channels), ``"nct"`` is (n, channels, time), as in aeon and sktime. With
        ``"nct"``, sequences of a list are (d, L_i), and rows have all steps of the first channel first. ``eps`` and
        ``sigma`` in the shape of X have the axes of X. Data frames with a column for each channel, and wide tables, are
        read by the names of their channels in both layouts.
    max_epochs : int or "auto", default="auto"
        Passes over the training data. ``"auto"`` is 100, or more for small data: as many as make 1,500 optimiser steps.
    lr : float, default=0.001
        Learning rate.
    lr_schedule : {"constant", "step", "exponential", "cosine", "warmup-cosine", "plateau"}, default="cosine"
        How the learning rate changes in epoch e = 0, 1, … of E = ``max_epochs``. ``"step"`` divides it by 10 at E/2 and
        again at 3E/4. ``"exponential"`` is lr · 0.01^(e/E). ``"cosine"`` falls along half a cosine to a hundredth.
        ``"warmup-cosine"`` first rises linearly over a tenth of the epochs. ``"plateau"`` halves it when the loss has
        not fallen for five epochs: the validation loss, if there is one. ``net_.history[:, "lr"]`` has the rates.
    batch_size : int or "auto", default="auto"
        Largest number of sequences per optimiser step; the batches of an epoch differ by at most one in size.
        ``"auto"`` is the largest of 8, 16, 32 and 64 that makes at least eight batches an epoch, or else 8.
    optimizer : {"adam", "adamw", "sgd"}, default="adam"
        The optimiser; ``"sgd"`` has Nesterov momentum 0.9.
    weight_decay : float, default=0.0
        The optimiser's weight decay.
    clip_norm : float or None, default=1.0
        Largest Euclidean norm of the gradient; a larger gradient is scaled down to it. None does not clip.
    max_norm_u, max_norm_w, max_norm_v : float or None, default=None
        Limits on the absolute row sums :math:`\|U^\top\|_1, \|W^\top\|_1, \|V^\top\|_1`. After each step every row is
        projected onto the ℓ1 ball. With all three limits, the norms in the bound are fixed before the data are seen.
    recurrent_scale : float, default=1.0
        The recurrent matrix starts as this multiple of the identity.
    early_stopping : bool, default=False
        Stop when the validation loss has not improved for ``n_iter_no_change`` epochs, and restore the best weights.
        The validation data are ``validation_fraction`` of the training data, held out (stratified if at random), or the
        ``X_val`` and ``y_val`` that you pass to `fit`.
    validation_fraction : float, default=0.1
        Share of the training data to hold out. Used with ``early_stopping`` only, and not with ``X_val``.
    validation_split : {"random", "last"}, default="random"
        What early stopping holds out: a random part, or the last sequences of X. For overlapping windows use ``"last"``
        with a gap: a random part shares its values with the windows that are trained on.
    validation_gap : int, default=0
        With ``validation_split="last"``: number of sequences before the held-out part that are not trained on either.
        For windows of ``sliding_windows(series, window, horizon)`` use ``window + horizon - 1``: the two parts then
        share no step.
    n_iter_no_change : int, default=10
        Number of epochs without improvement before training stops. Used with ``early_stopping`` only.
    class_weight : dict, "balanced" or None, default=None
        Weight of each class in the loss, by label. ``"balanced"`` weighs every class by the inverse of its frequency.
    warm_start : bool, default=False
        Whether `fit` continues from the weights of the last fit, with a fresh optimiser.
    callbacks : list of skorch callbacks or (name, callback) pairs, or None, default=None
        Callbacks for the net, besides the package's own. They are used as they are, so you can read their state after
        `fit`. Searches clone them with the estimator. To end training, raise `sklstm.training.StopTraining`. For the
        callbacks of scikit-learn see ``set_callbacks``.
    compression : Compression, PACBayes or None, default=None
        How ``generalization_report`` makes the predictor of its Occam bound. None rounds the trained weights to one
        codebook. This is quick, but with more than a few units the bound is rarely below chance. A `Compression` trains
        and rounds a network for this purpose. With a `PACBayes` the report has the bound of a stochastic predictor
        instead. Choose it before you see the data.
    margin : float, default=1.0
        Margin α in the bounds of the paper's theorems.
    delta : float, default=0.05
        The generalisation bound holds with probability at least ``1 - delta``.
    device : str, default="cpu"
        A torch device, such as ``"cuda"`` or ``"cuda:1"``. ``"auto"`` is CUDA if it can be used, else MPS, else the
        CPU. This is decided in `fit`, and ``net_.device`` shows the result. See ``docs/guide/devices.md``.
    precision : {"float32", "tf32", "bfloat16"}, default="float32"
        Number type of matrix products in training. ``"tf32"`` lets an NVIDIA GPU use its faster products with 11 binary
        digits, and changes nothing on other devices. ``"bfloat16"`` computes the forward and backward pass in that
        type, on any device. Weights, optimiser, penalty and losses are always float32, and so are predictions,
        certificates and bounds.
    random_state : int, RandomState instance or None, default=None
        Random seed for initial weights, batch order, noise and a random validation split. The global random states of
        numpy and torch are neither used nor changed.
    verbose : int, default=0
        0 prints nothing. 1 shows a progress bar with losses, penalty and learning rate, except in worker processes. 2
        prints a line per epoch, also there. Both write to the standard error stream.

    Attributes
    ----------
    net_ : SequenceNet
        The trained skorch net; ``net_.module_`` is the torch module with properties ``U``, ``W``, ``V``.
    classes_ : ndarray of shape (k,)
        The labels, sorted.
    n_iter_ : int
        Number of epochs run.
    loss_curve_ : list of float
        Training loss per epoch.
    validation_loss_curve_ : list of float or None
        Validation loss per epoch, without the penalty. None without early stopping. NaN for epochs without a validation
        loss: those of `partial_fit` after a `fit` with early stopping.
    best_loss_ : float
        The lowest validation loss of an epoch. Without early stopping, the lowest value of ``loss_curve_``.
    history_ : list of dict
        A copy of what was recorded in every epoch, as numbers: losses, learning rate, seconds.
    generalization_bound_ : float
        The paper's bound on the error probability of the trained network on clean inputs, as printed. It is Theorem 3,
        or Theorem 2 if ``sigma=0`` or the sequences are a list of unequal lengths. It is never below 1, usually far
        above, and may be infinite. The norms in it are read from the trained weights, unless ``max_norm_*`` fix them.
        With ``activation="tanh"``, which the theorems do not cover, it is the Occam bound of the rounded weights.
        ``generalization_report`` has this and every other bound, and their assumptions.
    n_features_in_ : int
        Number of columns of 2-D input, or of channels of 3-D input, in `fit`.
    feature_names_in_ : ndarray of str
        Names of the columns. Only if X was a DataFrame with string column names.

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

    _network = RNNNetwork

    def __init__(
        self,
        hidden_size: int = 64,
        *,
        activation: ActivationName = "relu",
        sigma: float = 0.1,
        noise: NoiseName = "gaussian",
        robust_eps: ArrayLike = 0.0,
        robust_weight: float = 0.5,
        robust_box: float = 1.0,
        n_channels: int = 1,
        layout: LayoutName = "ntc",
        max_epochs: int | Literal["auto"] = "auto",
        lr: float = 0.001,
        lr_schedule: ScheduleName = "cosine",
        batch_size: int | Literal["auto"] = "auto",
        optimizer: OptimizerName = "adam",
        weight_decay: float = 0.0,
        clip_norm: float | None = 1.0,
        max_norm_u: float | None = None,
        max_norm_w: float | None = None,
        max_norm_v: float | None = None,
        recurrent_scale: float = 1.0,
        early_stopping: bool = False,
        validation_fraction: float = 0.1,
        validation_split: Literal["random", "last"] = "random",
        validation_gap: int = 0,
        n_iter_no_change: int = 10,
        class_weight: Mapping[Any, float] | Literal["balanced"] | None = None,
        warm_start: bool = False,
        callbacks: Sequence[Callback | tuple[str, Callback]] | None = None,
        compression: Compression | PACBayes | None = None,
        margin: float = 1.0,
        delta: float = 0.05,
        device: str | torch.device = "cpu",
        precision: PrecisionName = "float32",
        random_state: int | np.random.RandomState | None = None,
        verbose: int = 0,
    ) -> None:
        self.hidden_size = hidden_size
        self.activation = activation
        self.sigma = sigma
        self.noise = noise
        self.robust_eps = robust_eps
        self.robust_weight = robust_weight
        self.robust_box = robust_box
        self.n_channels = n_channels
        self.layout = layout
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
        self.validation_split = validation_split
        self.validation_gap = validation_gap
        self.n_iter_no_change = n_iter_no_change
        self.class_weight = class_weight
        self.warm_start = warm_start
        self.callbacks = callbacks
        self.compression = compression
        self.margin = margin
        self.delta = delta
        self.device = device
        self.precision = precision
        self.random_state = random_state
        self.verbose = verbose

    def _training_spec(self, data: FitData, context: FitContext) -> TrainingSpec:
        network = NetworkSpec(
            self._network,
            {
                "n_features": data.X.shape[2],
                "hidden_size": int(self.hidden_size),
                "n_outputs": len(self.classes_),
                "n_steps": data.X.shape[1],
                "recurrent_scale": float(self.recurrent_scale),
                "activation": str(self.activation),
            },
        )
        limits = (self.max_norm_u, self.max_norm_w, self.max_norm_v)
        projection = RowNorms(*(None if limit is None else float(limit) for limit in limits))
        spec = self._shared_spec(network, data, context, labels=data.y)
        return replace(spec, projection=None if projection == RowNorms() else projection)
