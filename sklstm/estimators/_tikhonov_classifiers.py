"""Classifiers with gated cells: cross-entropy with Turkin's penalty, and a class for each cell."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from skorch.callbacks import Callback

from sklstm._layout import LayoutName
from sklstm.networks import GRUNetwork, LSTMNetwork
from sklstm.training import NetworkSpec, SequenceNet, TrainingSpec

from ._base import FitData
from ._base_classifier import SequenceClassifier
from ._compression import Compression
from ._fit_tasks import FitContext
from ._pac_bayes import PACBayes
from ._parameters import NoiseName, OptimizerName, PrecisionName, ScheduleName
from ._tikhonov import certified_gain, measured_gains, tikhonov_parts, warn_if_infeasible


class TikhonovClassifier(SequenceClassifier):
    """Constructor and training; a subclass names its network."""

    rho_x_: float | NDArray[np.float64]
    rho_h_: float | NDArray[np.float64]
    perturbation_gain_: float

    _lambda_s = 0.00001  # that "auto" stands for

    def __init__(
        self,
        hidden_size: int = 32,
        *,
        lambda_s: float | Literal["auto"] = "auto",
        lambda_1: float = 10.0,
        lambda_2: float = 10.0,
        variant: Literal["turkin", "tight", "stable"] = "tight",
        num_layers: int = 1,
        sigma: float = 0.0,
        noise: NoiseName = "gaussian",
        robust_eps: ArrayLike = 0.0,
        robust_weight: float = 0.5,
        robust_box: float = 1.0,
        n_channels: int = 1,
        layout: LayoutName = "ntc",
        max_epochs: int | Literal["auto"] = "auto",
        lr: float = 0.003,
        lr_schedule: ScheduleName = "cosine",
        batch_size: int | Literal["auto"] = "auto",
        optimizer: OptimizerName = "adam",
        weight_decay: float = 0.0,
        clip_norm: float | None = None,
        early_stopping: bool = False,
        validation_fraction: float = 0.1,
        validation_split: Literal["random", "last"] = "random",
        validation_gap: int = 0,
        n_iter_no_change: int = 10,
        class_weight: Mapping[Any, float] | Literal["balanced"] | None = None,
        warm_start: bool = False,
        callbacks: Sequence[Callback | tuple[str, Callback]] | None = None,
        compression: Compression | PACBayes | None = None,
        delta: float = 0.05,
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
        self.num_layers = num_layers
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
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.validation_split = validation_split
        self.validation_gap = validation_gap
        self.n_iter_no_change = n_iter_no_change
        self.class_weight = class_weight
        self.warm_start = warm_start
        self.callbacks = callbacks
        self.compression = compression
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
                "num_layers": int(self.num_layers),
            },
        )
        penalty, start = tikhonov_parts(self, self._network.cell, data.X)
        spec = self._shared_spec(network, data, context, labels=data.y)
        return replace(spec, penalty=penalty, start=start)

    def _set_fitted(self, net: SequenceNet) -> None:
        super()._set_fitted(net)
        self.__dict__.update(measured_gains(net.module_, self.variant))

    @property
    def certified_gain_(self) -> float:
        """Bound on what disturbances do to the outputs, whatever the length; see the class."""
        return certified_gain(self)

    def _warn_after_training(self) -> None:
        warn_if_infeasible(self)


class TikhonovLSTMClassifier(TikhonovClassifier):
    r"""LSTM classifier trained with an analytic penalty on how input noise moves its outputs.

    The objective is (57) of Turkin 2017 [1]_ with another loss, which the paper allows: cross-entropy plus

    .. math::

        \lambda_S \|W_{hy}\|^2 \frac{\rho_x^2}{1 - \rho_h^2} + \lambda_1 (\rho_h^2 - 1)_+
        + \lambda_2 (\beta\|W_{oh}\| - 1)_+ ,

    where :math:`\rho_x` and :math:`\rho_h` are gains computed from the spectral norms of the gate matrices. The first
    term estimates how far noise moves the network's outputs; outputs that move by d change the cross-entropy by at most
    :math:`\sqrt2\|d\|`. The start of training and the barrier at :math:`\rho_h^2 = 1` are those of
    `TikhonovLSTMRegressor`. With all three weights zero the estimator is a plain LSTM.

    Parameters
    ----------
    hidden_size : int, default=32
        Units H of every layer.
    lambda_s : float or "auto", default="auto"
        Weight :math:`\lambda_S` of the perturbation term: the strength of the regularisation. ``"auto"`` is 0.01
        for regressors and 0.00001 for classifiers; with ``robust_eps`` there is then no penalty, whatever ``lambda_1``
        and ``lambda_2`` are, since it would cost accuracy and add nothing to what is certified, unless ``variant`` is
        ``"stable"``.
    lambda_1 : float, default=10.0
        Weight of the constraint :math:`\rho_h^2 < 1`.
    lambda_2 : float, default=10.0
        Weight of the constraint :math:`\beta\|W_{oh}\| \le 1`.
    variant : {"turkin", "tight", "stable"}, default="tight"
        The paper's chain of inequalities, or the same without its slack; see `sklstm.tikhonov.tikhonov_gains`. With
        ``"stable"`` the penalty is :math:`\lambda_S \log(1 + \text{gain}^2)` with a gain that is proved for inputs in
        the range of X and sequences of any length, see ``certified_gain_``; ``lambda_1`` weighs the constraint that it
        is finite, and ``lambda_2`` is not used.
    num_layers : int, default=1
        Recurrent layers; each reads the states of the one before. The gains of the layers multiply. ``lambda_s`` is
        divided, for every layer beyond the first, by what that layer multiplies the perturbation term by before
        training (59 for an LSTM, 31 for a GRU; 29 and 13 if ``"tight"``), so that one value suits any depth.
    sigma : float, default=0.0
        Standard deviation of the noise on the inputs of every training batch, in the units of X; 0 is no noise. It
        falls on every time step of X, zero padding included, unless it is dropout. Predictions are made without noise.
    noise : {"gaussian", "uniform", "laplace", "dropout"}, default="gaussian"
        Kind of the noise. The first three are added, with independent entries. ``"dropout"`` sets entries to zero with
        probability σ²/(1 + σ²) and multiplies the others by 1 + σ²; ``sigma`` is then relative to the entry.
    robust_eps : float or array-like of shape (d,), default=0.0
        Errors of the inputs that training is to withstand: up to so much in every entry of X, in the units of X; one
        number, or one per channel. The loss is then that of attacked inputs and the largest that the bounds of
        ``certify(method="intervals")`` allow, mixed by ``robust_weight``; both grow in during the first half of the
        epochs. 0 is ordinary training. Train so what is to be certified.
    robust_weight : float, default=0.5
        Share κ of the largest loss that the bounds allow, in [0, 1]; the rest is the loss of attacked inputs. 0 is
        adversarial training. Below 1, bounds that allow more than the best constant guess loses, as over many steps,
        are held back: the network would become that constant.
    robust_box : float, default=1.0
        Half-width τ, in (0, 1], of the box that the bounds are about, in units of ``robust_eps``. Small boxes are
        placed towards the attacked input; they give up some of the certificate for accuracy.
    n_channels : int, default=1
        Channels per time step of 2-D input, whose columns are time-major: all channels of the first step first.
        With 3-D input and a value other than 1, the number of channels that X must have.
    layout : {"ntc", "nct"}, default="ntc"
        Axes of X: ``"ntc"`` is (n, time, channels), ``"nct"`` is (n, channels, time), as in aeon and sktime. With
        ``"nct"``, sequences of a list are (d, L_i), rows have all steps of the first channel first, and ``eps`` and
        ``sigma`` of the shape of X have its axes. Data frames with a column for each channel, and wide tables, name
        their channels: they are read by these names, whatever the layout.
    max_epochs : int or "auto", default="auto"
        Passes over the training data. ``"auto"`` is 100, or as many as make 1,500 optimiser steps where data are small.
    lr : float, default=0.003
        Learning rate.
    lr_schedule : {"constant", "step", "exponential", "cosine", "warmup-cosine", "plateau"}, default="cosine"
        Learning rate in epoch e = 0, 1, … of E = ``max_epochs``: ``"step"`` divides it by 10 at E/2 and again at 3E/4,
        ``"exponential"`` is lr · 0.01^(e/E), ``"cosine"`` falls along half a cosine to a hundredth,
        ``"warmup-cosine"`` first rises linearly over a tenth of the epochs, ``"plateau"`` halves it when the loss (the
        validation loss, if there is one) has not fallen for five epochs. ``net_.history[:, "lr"]`` has the rates.
    batch_size : int or "auto", default="auto"
        Sequences per optimiser step, at most; the batches of an epoch differ by one in size. ``"auto"`` is the largest
        of 8, 16, 32 and 64 that makes at least eight batches an epoch, or else 8.
    optimizer : {"adam", "adamw", "sgd"}, default="adam"
        ``"sgd"`` has Nesterov momentum 0.9.
    weight_decay : float, default=0.0
        The optimiser's weight decay.
    clip_norm : float or None, default=None
        Largest Euclidean norm of the gradient; larger gradients are scaled down to it.
    early_stopping : bool, default=False
        Hold out ``validation_fraction`` of the training data, stratified if at random, or judge on the ``X_val`` and
        ``y_val`` of `fit`; stop when their loss has not improved for ``n_iter_no_change`` epochs, and restore the best
        weights. The validation loss does not contain the penalty.
    validation_fraction : float, default=0.1
        Used with ``early_stopping`` only, and not with ``X_val``.
    validation_split : {"random", "last"}, default="random"
        What early stopping holds out: a random part, or the last sequences of X. A random part of windows that overlap
        is known from the windows that are trained on; hold out the last ones, with a gap.
    validation_gap : int, default=0
        With ``validation_split="last"``: sequences before the part held out that are not trained on either. Windows of
        ``sliding_windows(series, window, horizon)`` have no step in common with ``window + horizon - 1``.
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
    compression : Compression, PACBayes or None, default=None
        How ``generalization_report`` makes the predictor of its Occam bound: None rounds the trained weights to one
        codebook; a `Compression` trains and rounds a network for the purpose. With a `PACBayes` the report has the
        bound of a stochastic predictor instead. Fixed before seeing the data.
    delta : float, default=0.05
        The generalisation bound holds with probability at least ``1 - delta``.
    device : str, default="cpu"
        A torch device, such as ``"cuda"`` or ``"cuda:1"``; or ``"auto"`` for CUDA if it can be used, else MPS, else the
        CPU, decided in `fit`: ``net_.device`` says which. See ``docs/guide/devices.md``.
    precision : {"float32", "tf32", "bfloat16"}, default="float32"
        Of matrix products in training. ``"tf32"`` allows an NVIDIA GPU its faster ones, with 11 binary digits, and
        changes nothing elsewhere; ``"bfloat16"`` takes batches forward and back in that type, on any device. Weights,
        optimiser, penalty and losses are float32 in any case, and so are predictions, certificates and bounds.
    random_state : int, RandomState instance or None, default=None
        Fixes initial weights, batch order, noise and a random validation split. The global random states of numpy and
        torch are neither used nor changed.
    verbose : int, default=0
        1 shows a progress bar with data loss and penalty, validation loss and learning rate, as far as there are any,
        except in worker processes; 2 shows a line per epoch, anywhere. On the standard error stream.

    Attributes
    ----------
    net_ : SequenceNet
        The trained skorch net; ``net_.module_`` is the torch module.
    classes_ : ndarray of shape (k,)
        Labels.
    n_iter_ : int
        Epochs run.
    loss_curve_ : list of float
        Training objective, penalty included, per epoch; ``net_.history`` has ``data_loss`` and ``penalty`` apart, and
        the relative error of the norms that training used as ``norm_error``: a bound for up to 64 units, else measured.
    validation_loss_curve_ : list of float or None
        Validation loss per epoch, without penalty; None without early stopping. NaN for epochs that had none, those of
        `partial_fit` after a `fit` with early stopping.
    best_loss_ : float
        The lowest validation loss of an epoch; without early stopping, the lowest of ``loss_curve_``.
    history_ : list of dict
        What has been recorded of every epoch, as numbers: losses, learning rate, seconds; a copy.
    rho_x_, rho_h_ : float, or ndarray of shape (num_layers,) for more than one layer
        Gains of the fitted weights, exact, in float64; see `sklstm.tikhonov.tikhonov_gains`.
    perturbation_gain_ : float
        :math:`\|W_{hy}\|^2 \prod_l \rho_{x,l}^2 / (1 - \rho_{h,l}^2)`, (55) for every layer; ``inf`` if a constraint is
        violated. A surrogate of the squared sensitivity, not a certificate.
    certified_gain_ : float
        No disturbance of Euclidean norm at most ε at every step, of any sequence within the ranges that the channels
        have in the training data, however long, moves the outputs of the network by more than this times ε. Proved, of
        any ``variant``; of several outputs it is the Euclidean norm. ``inf`` where nothing is known. See
        `sklstm.certificates.network_gain`.
    generalization_bound_ : float
        Occam bound on the probability of error of the network with rounded weights. ``generalization_report`` says how
        it comes about.
    n_features_in_ : int
        Columns of 2-D input, or channels of 3-D input, seen in fit.
    feature_names_in_ : ndarray of str
        Only if X was a DataFrame with string column names.

    See Also
    --------
    TikhonovGRUClassifier : The same with gated recurrent units.
    TikhonovLSTMRegressor : The same for numbers.
    NoisyRNNClassifier : Bias-free ReLU network, trained with input noise; the theorems of Tu et al. are about it.

    References
    ----------
    .. [1] Turkin, A. (2017). Tikhonov Regularization for Long Short-Term Memory Networks. arXiv:1708.02979.

    Examples
    --------
    >>> import numpy as np
    >>> from sklstm import TikhonovLSTMClassifier
    >>> rng = np.random.default_rng(0)
    >>> X = rng.standard_normal((200, 12, 2))
    >>> y = np.where(X[:, -3:, 0].mean(axis=1) > 0, "up", "down")
    >>> model = TikhonovLSTMClassifier(hidden_size=8, lr=0.03, max_epochs=20, random_state=0).fit(X, y)
    >>> model.predict_proba(X[:5]).shape
    (5, 2)
    >>> bool(np.mean(model.predict(X) == y) > 0.85), bool(model.rho_h_ < 1)
    (True, True)
    """

    _network = LSTMNetwork


class TikhonovGRUClassifier(TikhonovClassifier):
    r"""GRU classifier trained with an analytic penalty on how input noise moves its outputs.

    The objective is that of `TikhonovLSTMClassifier` with the gains of a gated recurrent unit, derived in the steps of
    Turkin 2017 [1]_: cross-entropy plus

    .. math::

        \lambda_S \|W_{hy}\|^2 \frac{\rho_x^2}{1 - \rho_h^2} + \lambda_1 (\rho_h^2 - 1)_+ , \quad
        \rho_v = \sqrt2 \left(\alpha\|W_{zv}\|
        + \beta(\|W_{zv}\| + \|W_{nv}\| + \alpha\kappa\|W_{rv}\|)\right), \quad v \in \{x, h\},

    with the :math:`\kappa`, start and barrier of `TikhonovGRURegressor`. With ``lambda_s``, ``lambda_1`` and
    ``lambda_2`` all zero the estimator is a plain GRU.

    Parameters
    ----------
    hidden_size : int, default=32
        Units H of every layer.
    lambda_s : float or "auto", default="auto"
        Weight :math:`\lambda_S` of the perturbation term: the strength of the regularisation. ``"auto"`` is 0.01
        for regressors and 0.00001 for classifiers; with ``robust_eps`` there is then no penalty, whatever ``lambda_1``
        and ``lambda_2`` are, since it would cost accuracy and add nothing to what is certified, unless ``variant`` is
        ``"stable"``.
    lambda_1 : float, default=10.0
        Weight of the constraint :math:`\rho_h^2 < 1`.
    lambda_2 : float, default=10.0
        Weight of the constraint on the output gate. A GRU has none: the term is zero. The parameter is here so
        that one grid serves LSTM and GRU.
    variant : {"turkin", "tight", "stable"}, default="tight"
        The paper's chain of inequalities, or the same without its slack; see `sklstm.tikhonov.tikhonov_gains`. With
        ``"stable"`` the penalty is :math:`\lambda_S \log(1 + \text{gain}^2)` with a gain that is proved for inputs in
        the range of X and sequences of any length, see ``certified_gain_``; ``lambda_1`` weighs the constraint that it
        is finite, and ``lambda_2`` is not used.
    num_layers : int, default=1
        Recurrent layers; each reads the states of the one before. The gains of the layers multiply. ``lambda_s`` is
        divided, for every layer beyond the first, by what that layer multiplies the perturbation term by before
        training (59 for an LSTM, 31 for a GRU; 29 and 13 if ``"tight"``), so that one value suits any depth.
    sigma : float, default=0.0
        Standard deviation of the noise on the inputs of every training batch, in the units of X; 0 is no noise. It
        falls on every time step of X, zero padding included, unless it is dropout. Predictions are made without noise.
    noise : {"gaussian", "uniform", "laplace", "dropout"}, default="gaussian"
        Kind of the noise. The first three are added, with independent entries. ``"dropout"`` sets entries to zero with
        probability σ²/(1 + σ²) and multiplies the others by 1 + σ²; ``sigma`` is then relative to the entry.
    robust_eps : float or array-like of shape (d,), default=0.0
        Errors of the inputs that training is to withstand: up to so much in every entry of X, in the units of X; one
        number, or one per channel. The loss is then that of attacked inputs and the largest that the bounds of
        ``certify(method="intervals")`` allow, mixed by ``robust_weight``; both grow in during the first half of the
        epochs. 0 is ordinary training. Train so what is to be certified.
    robust_weight : float, default=0.5
        Share κ of the largest loss that the bounds allow, in [0, 1]; the rest is the loss of attacked inputs. 0 is
        adversarial training. Below 1, bounds that allow more than the best constant guess loses, as over many steps,
        are held back: the network would become that constant.
    robust_box : float, default=1.0
        Half-width τ, in (0, 1], of the box that the bounds are about, in units of ``robust_eps``. Small boxes are
        placed towards the attacked input; they give up some of the certificate for accuracy.
    n_channels : int, default=1
        Channels per time step of 2-D input, whose columns are time-major: all channels of the first step first.
        With 3-D input and a value other than 1, the number of channels that X must have.
    layout : {"ntc", "nct"}, default="ntc"
        Axes of X: ``"ntc"`` is (n, time, channels), ``"nct"`` is (n, channels, time), as in aeon and sktime. With
        ``"nct"``, sequences of a list are (d, L_i), rows have all steps of the first channel first, and ``eps`` and
        ``sigma`` of the shape of X have its axes. Data frames with a column for each channel, and wide tables, name
        their channels: they are read by these names, whatever the layout.
    max_epochs : int or "auto", default="auto"
        Passes over the training data. ``"auto"`` is 100, or as many as make 1,500 optimiser steps where data are small.
    lr : float, default=0.003
        Learning rate.
    lr_schedule : {"constant", "step", "exponential", "cosine", "warmup-cosine", "plateau"}, default="cosine"
        Learning rate in epoch e = 0, 1, … of E = ``max_epochs``: ``"step"`` divides it by 10 at E/2 and again at 3E/4,
        ``"exponential"`` is lr · 0.01^(e/E), ``"cosine"`` falls along half a cosine to a hundredth,
        ``"warmup-cosine"`` first rises linearly over a tenth of the epochs, ``"plateau"`` halves it when the loss (the
        validation loss, if there is one) has not fallen for five epochs. ``net_.history[:, "lr"]`` has the rates.
    batch_size : int or "auto", default="auto"
        Sequences per optimiser step, at most; the batches of an epoch differ by one in size. ``"auto"`` is the largest
        of 8, 16, 32 and 64 that makes at least eight batches an epoch, or else 8.
    optimizer : {"adam", "adamw", "sgd"}, default="adam"
        ``"sgd"`` has Nesterov momentum 0.9.
    weight_decay : float, default=0.0
        The optimiser's weight decay.
    clip_norm : float or None, default=None
        Largest Euclidean norm of the gradient; larger gradients are scaled down to it.
    early_stopping : bool, default=False
        Hold out ``validation_fraction`` of the training data, stratified if at random, or judge on the ``X_val`` and
        ``y_val`` of `fit`; stop when their loss has not improved for ``n_iter_no_change`` epochs, and restore the best
        weights. The validation loss does not contain the penalty.
    validation_fraction : float, default=0.1
        Used with ``early_stopping`` only, and not with ``X_val``.
    validation_split : {"random", "last"}, default="random"
        What early stopping holds out: a random part, or the last sequences of X. A random part of windows that overlap
        is known from the windows that are trained on; hold out the last ones, with a gap.
    validation_gap : int, default=0
        With ``validation_split="last"``: sequences before the part held out that are not trained on either. Windows of
        ``sliding_windows(series, window, horizon)`` have no step in common with ``window + horizon - 1``.
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
    compression : Compression, PACBayes or None, default=None
        How ``generalization_report`` makes the predictor of its Occam bound: None rounds the trained weights to one
        codebook; a `Compression` trains and rounds a network for the purpose. With a `PACBayes` the report has the
        bound of a stochastic predictor instead. Fixed before seeing the data.
    delta : float, default=0.05
        The generalisation bound holds with probability at least ``1 - delta``.
    device : str, default="cpu"
        A torch device, such as ``"cuda"`` or ``"cuda:1"``; or ``"auto"`` for CUDA if it can be used, else MPS, else the
        CPU, decided in `fit`: ``net_.device`` says which. See ``docs/guide/devices.md``.
    precision : {"float32", "tf32", "bfloat16"}, default="float32"
        Of matrix products in training. ``"tf32"`` allows an NVIDIA GPU its faster ones, with 11 binary digits, and
        changes nothing elsewhere; ``"bfloat16"`` takes batches forward and back in that type, on any device. Weights,
        optimiser, penalty and losses are float32 in any case, and so are predictions, certificates and bounds.
    random_state : int, RandomState instance or None, default=None
        Fixes initial weights, batch order, noise and a random validation split. The global random states of numpy and
        torch are neither used nor changed.
    verbose : int, default=0
        1 shows a progress bar with data loss and penalty, validation loss and learning rate, as far as there are any,
        except in worker processes; 2 shows a line per epoch, anywhere. On the standard error stream.

    Attributes
    ----------
    net_ : SequenceNet
        The trained skorch net; ``net_.module_`` is the torch module.
    classes_ : ndarray of shape (k,)
        Labels.
    n_iter_ : int
        Epochs run.
    loss_curve_ : list of float
        Training objective, penalty included, per epoch; ``net_.history`` has ``data_loss`` and ``penalty`` apart, and
        the relative error of the norms that training used as ``norm_error``: a bound for up to 64 units, else measured.
    validation_loss_curve_ : list of float or None
        Validation loss per epoch, without penalty; None without early stopping. NaN for epochs that had none, those of
        `partial_fit` after a `fit` with early stopping.
    best_loss_ : float
        The lowest validation loss of an epoch; without early stopping, the lowest of ``loss_curve_``.
    history_ : list of dict
        What has been recorded of every epoch, as numbers: losses, learning rate, seconds; a copy.
    rho_x_, rho_h_ : float, or ndarray of shape (num_layers,) for more than one layer
        Gains of the fitted weights, exact, in float64; see `sklstm.tikhonov.tikhonov_gains`.
    perturbation_gain_ : float
        :math:`\|W_{hy}\|^2 \prod_l \rho_{x,l}^2 / (1 - \rho_{h,l}^2)`, (55) for every layer; ``inf`` if a constraint is
        violated. A surrogate of the squared sensitivity, not a certificate.
    certified_gain_ : float
        No disturbance of Euclidean norm at most ε at every step, of any sequence within the ranges that the channels
        have in the training data, however long, moves the outputs of the network by more than this times ε. Proved, of
        any ``variant``; of several outputs it is the Euclidean norm. ``inf`` where nothing is known. See
        `sklstm.certificates.network_gain`.
    generalization_bound_ : float
        Occam bound on the probability of error of the network with rounded weights. ``generalization_report`` says how
        it comes about.
    n_features_in_ : int
        Columns of 2-D input, or channels of 3-D input, seen in fit.
    feature_names_in_ : ndarray of str
        Only if X was a DataFrame with string column names.

    See Also
    --------
    TikhonovLSTMClassifier : The same with long short-term memory.
    TikhonovGRURegressor : The same for numbers.
    NoisyRNNClassifier : Bias-free ReLU network, trained with input noise; the theorems of Tu et al. are about it.

    References
    ----------
    .. [1] Turkin, A. (2017). Tikhonov Regularization for Long Short-Term Memory Networks. arXiv:1708.02979.

    Examples
    --------
    >>> import numpy as np
    >>> from sklstm import TikhonovGRUClassifier
    >>> rng = np.random.default_rng(0)
    >>> X = rng.standard_normal((200, 12, 2))
    >>> y = np.where(X[:, -3:, 0].mean(axis=1) > 0, "up", "down")
    >>> model = TikhonovGRUClassifier(hidden_size=8, lr=0.03, max_epochs=20, random_state=0).fit(X, y)
    >>> model.predict_proba(X[:5]).shape
    (5, 2)
    >>> bool(np.mean(model.predict(X) == y) > 0.85), bool(model.rho_h_ < 1)
    (True, True)
    """

    _network = GRUNetwork
