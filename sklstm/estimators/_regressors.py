"""The two regressors: LSTM and GRU, trained with Turkin's penalty."""

from sklstm.networks import GRUNetwork, LSTMNetwork

from ._base_regressor import SequenceRegressor


class TikhonovLSTMRegressor(SequenceRegressor):
    r"""LSTM regressor trained with an analytic penalty on how input noise moves its output.

    The objective is (57) of Turkin 2017 [1]_: mean squared error, or another ``loss``, plus

    .. math::

        \lambda_S \|W_{hy}\|^2 \frac{\rho_x^2}{1 - \rho_h^2} + \lambda_1 (\rho_h^2 - 1)_+
        + \lambda_2 (\beta\|W_{oh}\| - 1)_+ .

    Here :math:`\rho_x` and :math:`\rho_h` are gains computed from the spectral norms of the gate matrices. As printed,
    the objective is unbounded below. So beyond :math:`\rho_h^2 = 0.95` the fraction is continued by its tangent line.
    Before training, the recurrent matrices are scaled until the constraints hold. With all three weights zero neither
    happens, and the estimator is a plain LSTM.

    Parameters
    ----------
    hidden_size : int, default=32
        Number of units H in every layer.
    lambda_s : float or "auto", default="auto"
        Weight :math:`\lambda_S` of the perturbation term: the strength of the regularisation. ``"auto"`` is 0.01 for
        regressors and 0.00001 for classifiers. With ``robust_eps``, ``"auto"`` switches the whole penalty off, also
        ``lambda_1`` and ``lambda_2``: it would cost accuracy and not narrow the certified bounds. ``variant="stable"``
        keeps its penalty.
    lambda_1 : float, default=10.0
        Weight of the constraint :math:`\rho_h^2 < 1`.
    lambda_2 : float, default=10.0
        Weight of the constraint :math:`\beta\|W_{oh}\| \le 1`.
    variant : {"turkin", "tight", "stable"}, default="turkin"
        How the gains are estimated. ``"turkin"`` is the paper's chain of inequalities, and ``"tight"`` is the same
        chain without its slack; see `sklstm.tikhonov.tikhonov_gains`. With ``"stable"`` the penalty is
        :math:`\lambda_S \log(1 + \text{gain}^2)`. This gain is proved for inputs in the range of X and sequences of any
        length; see ``certified_gain_``. ``lambda_1`` then weighs the constraint that the gain is finite, and
        ``lambda_2`` is not used.
    readout : {"linear", "logistic"}, default="linear"
        ``"linear"`` is a linear function of the last state. ``"logistic"`` is (1) of the paper, for targets in [0, 1].
    skip : {"none", "last", "linear"}, default="linear"
        What is added to the readout of the recurrent layers; ``"none"`` adds nothing. ``"linear"`` adds A vec(x) with a
        trained matrix A. A starts at the ridge solution and the readout at zero. So training begins with ridge
        regression and adds what is not linear. A reads the last steps: as many as the shortest training sequence has,
        but at most 512 numbers. In a later, shorter sequence the missing steps count as zeros, the mean of a
        standardised channel. ``"last"`` adds the last value of the target's own channel, so that the network learns the
        change from it. X and y then need the same units. With ``sigma`` the ridge solution contains the exact Tikhonov
        term of the noise.
    skip_channel : int, str, list of these, or None, default=None
        Used with ``skip="last"`` only: the channel of X that holds the target's past. Give its number, or its label if
        X is a DataFrame with names for its channels. Give one for all outputs, or a list with one for each output. None
        needs an X of one channel.
    num_layers : int, default=1
        Number of recurrent layers; each reads the states of the one before. The gains of the layers multiply. So for
        every layer beyond the first, ``lambda_s`` is divided by the factor by which this layer multiplies the
        perturbation term before training. The factor is 59 for an LSTM and 31 for a GRU, or 29 and 13 with ``"tight"``.
        One value of ``lambda_s`` thus suits any depth.
    sigma : float, default=0.0
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
    loss : {"squared_error", "absolute_error", "huber", "quantile"}, default="squared_error"
        The loss that training minimises, averaged over outputs; the penalty is added to it. Predictions estimate the
        mean of y given X, with ``"absolute_error"`` its median, with ``"quantile"`` its quantile. ``"huber"`` is half
        of the squared error up to an error of 1 and grows like the absolute error beyond, so standardise y. The last
        three are less affected by outliers in y. Bounds and displays use this loss; ``score`` is always R².
    quantile : float, default=0.5
        Used with ``loss="quantile"`` only, in (0, 1). With 0.9, y exceeds the prediction in a tenth of all cases.
    n_channels : int, default=1
        Number of channels per time step of 2-D input. Its columns are time-major: all channels of the first step come
        first. With 3-D input and a value other than 1, X must have this number of channels.
    layout : {"ntc", "nct"}, default="ntc"
        Axes of X: ``"ntc"`` is (n, time, channels), ``"nct"`` is (n, channels, time), as in aeon and sktime. With
        ``"nct"``, sequences of a list are (d, L_i), and rows have all steps of the first channel first. ``eps`` and
        ``sigma`` in the shape of X have the axes of X. Data frames with a column for each channel, and wide tables, are
        read by the names of their channels in both layouts.
    max_epochs : int or "auto", default="auto"
        Passes over the training data. ``"auto"`` is 30 with ``skip="linear"`` and the squared error. Otherwise it is
        100, or more for small data: as many as make 1,500 optimiser steps.
    lr : float, default=0.003
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
    clip_norm : float or None, default=None
        Largest Euclidean norm of the gradient; a larger gradient is scaled down to it. None does not clip.
    early_stopping : bool, default=False
        Stop when the validation loss has not improved for ``n_iter_no_change`` epochs, and restore the best weights.
        The validation data are ``validation_fraction`` of the training data, held out, or the ``X_val`` and ``y_val``
        that you pass to `fit`. The validation loss does not contain the penalty.
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
    warm_start : bool, default=False
        Whether `fit` continues from the weights of the last fit, with a fresh optimiser.
    callbacks : list of skorch callbacks or (name, callback) pairs, or None, default=None
        Callbacks for the net, besides the package's own. They are used as they are, so you can read their state after
        `fit`. Searches clone them with the estimator. To end training, raise `sklstm.training.StopTraining`. For the
        callbacks of scikit-learn see ``set_callbacks``.
    compression : Compression, PACBayes or None, default=None
        How ``generalization_report`` makes the predictor of its Occam bound. None rounds the trained weights to one
        codebook. A `Compression` trains and rounds a network for this purpose. With a `PACBayes` the report has the
        bound of a stochastic predictor instead. Choose it before you see the data.
    delta : float, default=0.05
        The generalisation bound holds with probability at least ``1 - delta``.
    loss_cap : float or None, default=None
        Cap M of the loss in the generalisation bound, in units of the loss: squared units of y for the squared error.
        None chooses a power of two after seeing y; the bound is a little larger for this choice.
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
        The trained skorch net; ``net_.module_`` is the torch module.
    n_iter_ : int
        Number of epochs run.
    loss_curve_ : list of float
        Training objective per epoch, with the penalty. ``net_.history`` also has ``data_loss`` and ``penalty``
        separately. Its ``norm_error`` is the relative error of the norms that training used: a bound for up to 64
        units, otherwise measured.
    validation_loss_curve_ : list of float or None
        Validation loss per epoch, without the penalty. None without early stopping. NaN for epochs without a validation
        loss: those of `partial_fit` after a `fit` with early stopping.
    best_loss_ : float
        The lowest validation loss of an epoch. Without early stopping, the lowest value of ``loss_curve_``.
    history_ : list of dict
        A copy of what was recorded in every epoch, as numbers: losses, learning rate, seconds.
    rho_x_, rho_h_ : float, or ndarray of shape (num_layers,) for more than one layer
        Exact gains of the fitted weights, computed in float64; see `sklstm.tikhonov.tikhonov_gains`.
    perturbation_gain_ : float
        :math:`\|W_{hy}\|^2 \prod_l \rho_{x,l}^2 / (1 - \rho_{h,l}^2)`, which is (55) for every layer, plus
        :math:`\|A\|_F^2` of a linear part. ``inf`` if a constraint is violated. It estimates the squared sensitivity;
        it certifies nothing.
    certified_gain_ : float
        Proved bound on how far input errors move the outputs of the network. Errors with a Euclidean norm of at most ε
        at every step move the outputs by at most this gain times ε. This holds for any ``variant`` and for sequences of
        any length, within the ranges that the channels have in the training data. For several outputs the movement is
        the Euclidean norm. ``inf`` where nothing is proved. See `sklstm.certificates.network_gain`.
    generalization_bound_ : float
        Occam bound on the expected capped loss of the network with rounded weights, in units of the loss.
        ``generalization_report`` shows how it is computed.
    n_features_in_ : int
        Number of columns of 2-D input, or of channels of 3-D input, in `fit`.
    feature_names_in_ : ndarray of str
        Names of the columns. Only if X was a DataFrame with string column names.

    See Also
    --------
    TikhonovGRURegressor : The same with gated recurrent units (GRU).
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
    >>> model = TikhonovLSTMRegressor(hidden_size=8, max_epochs=20, random_state=0).fit(X, y)
    >>> model.predict(X[:5]).shape
    (5,)
    >>> bool(model.rho_h_ < 1)
    True
    """

    _network = LSTMNetwork


class TikhonovGRURegressor(SequenceRegressor):
    r"""GRU regressor trained with an analytic penalty on how input noise moves its output.

    The objective is that of `TikhonovLSTMRegressor`, (57) of Turkin 2017 [1]_. Its gains are those of a gated recurrent
    unit, derived in the paper's steps. It is the mean squared error, or another ``loss``, plus

    .. math::

        \lambda_S \|W_{hy}\|^2 \frac{\rho_x^2}{1 - \rho_h^2} + \lambda_1 (\rho_h^2 - 1)_+ , \quad
        \rho_v = \sqrt2 \left(\alpha\|W_{zv}\|
        + \beta(\|W_{zv}\| + \|W_{nv}\| + \alpha\kappa\|W_{rv}\|)\right), \quad v \in \{x, h\}.

    Here :math:`\kappa = \max_j (\sum_k |W_{nh,jk}| + |b_{nh,j}|)` bounds what the reset gate multiplies. Beyond
    :math:`\rho_h^2 = 0.95` the fraction is continued by its tangent line. Before training, the recurrent matrices are
    scaled until the constraints hold. With ``lambda_s``, ``lambda_1`` and ``lambda_2`` all zero neither happens, and
    the estimator is a plain GRU.

    Parameters
    ----------
    hidden_size : int, default=32
        Number of units H in every layer.
    lambda_s : float or "auto", default="auto"
        Weight :math:`\lambda_S` of the perturbation term: the strength of the regularisation. ``"auto"`` is 0.01 for
        regressors and 0.00001 for classifiers. With ``robust_eps``, ``"auto"`` switches the whole penalty off, also
        ``lambda_1`` and ``lambda_2``: it would cost accuracy and not narrow the certified bounds. ``variant="stable"``
        keeps its penalty.
    lambda_1 : float, default=10.0
        Weight of the constraint :math:`\rho_h^2 < 1`.
    lambda_2 : float, default=10.0
        Weight of the constraint on the output gate. A GRU has no output gate, so the term is zero. The parameter exists
        so that one grid serves LSTM and GRU.
    variant : {"turkin", "tight", "stable"}, default="turkin"
        How the gains are estimated. ``"turkin"`` is the paper's chain of inequalities, and ``"tight"`` is the same
        chain without its slack; see `sklstm.tikhonov.tikhonov_gains`. With ``"stable"`` the penalty is
        :math:`\lambda_S \log(1 + \text{gain}^2)`. This gain is proved for inputs in the range of X and sequences of any
        length; see ``certified_gain_``. ``lambda_1`` then weighs the constraint that the gain is finite, and
        ``lambda_2`` is not used.
    readout : {"linear", "logistic"}, default="linear"
        ``"linear"`` is a linear function of the last state. ``"logistic"`` is (1) of the paper, for targets in [0, 1].
    skip : {"none", "last", "linear"}, default="linear"
        What is added to the readout of the recurrent layers; ``"none"`` adds nothing. ``"linear"`` adds A vec(x) with a
        trained matrix A. A starts at the ridge solution and the readout at zero. So training begins with ridge
        regression and adds what is not linear. A reads the last steps: as many as the shortest training sequence has,
        but at most 512 numbers. In a later, shorter sequence the missing steps count as zeros, the mean of a
        standardised channel. ``"last"`` adds the last value of the target's own channel, so that the network learns the
        change from it. X and y then need the same units. With ``sigma`` the ridge solution contains the exact Tikhonov
        term of the noise.
    skip_channel : int, str, list of these, or None, default=None
        Used with ``skip="last"`` only: the channel of X that holds the target's past. Give its number, or its label if
        X is a DataFrame with names for its channels. Give one for all outputs, or a list with one for each output. None
        needs an X of one channel.
    num_layers : int, default=1
        Number of recurrent layers; each reads the states of the one before. The gains of the layers multiply. So for
        every layer beyond the first, ``lambda_s`` is divided by the factor by which this layer multiplies the
        perturbation term before training. The factor is 59 for an LSTM and 31 for a GRU, or 29 and 13 with ``"tight"``.
        One value of ``lambda_s`` thus suits any depth.
    sigma : float, default=0.0
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
    loss : {"squared_error", "absolute_error", "huber", "quantile"}, default="squared_error"
        The loss that training minimises, averaged over outputs; the penalty is added to it. Predictions estimate the
        mean of y given X, with ``"absolute_error"`` its median, with ``"quantile"`` its quantile. ``"huber"`` is half
        of the squared error up to an error of 1 and grows like the absolute error beyond, so standardise y. The last
        three are less affected by outliers in y. Bounds and displays use this loss; ``score`` is always R².
    quantile : float, default=0.5
        Used with ``loss="quantile"`` only, in (0, 1). With 0.9, y exceeds the prediction in a tenth of all cases.
    n_channels : int, default=1
        Number of channels per time step of 2-D input. Its columns are time-major: all channels of the first step come
        first. With 3-D input and a value other than 1, X must have this number of channels.
    layout : {"ntc", "nct"}, default="ntc"
        Axes of X: ``"ntc"`` is (n, time, channels), ``"nct"`` is (n, channels, time), as in aeon and sktime. With
        ``"nct"``, sequences of a list are (d, L_i), and rows have all steps of the first channel first. ``eps`` and
        ``sigma`` in the shape of X have the axes of X. Data frames with a column for each channel, and wide tables, are
        read by the names of their channels in both layouts.
    max_epochs : int or "auto", default="auto"
        Passes over the training data. ``"auto"`` is 30 with ``skip="linear"`` and the squared error. Otherwise it is
        100, or more for small data: as many as make 1,500 optimiser steps.
    lr : float, default=0.003
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
    clip_norm : float or None, default=None
        Largest Euclidean norm of the gradient; a larger gradient is scaled down to it. None does not clip.
    early_stopping : bool, default=False
        Stop when the validation loss has not improved for ``n_iter_no_change`` epochs, and restore the best weights.
        The validation data are ``validation_fraction`` of the training data, held out, or the ``X_val`` and ``y_val``
        that you pass to `fit`. The validation loss does not contain the penalty.
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
    warm_start : bool, default=False
        Whether `fit` continues from the weights of the last fit, with a fresh optimiser.
    callbacks : list of skorch callbacks or (name, callback) pairs, or None, default=None
        Callbacks for the net, besides the package's own. They are used as they are, so you can read their state after
        `fit`. Searches clone them with the estimator. To end training, raise `sklstm.training.StopTraining`. For the
        callbacks of scikit-learn see ``set_callbacks``.
    compression : Compression, PACBayes or None, default=None
        How ``generalization_report`` makes the predictor of its Occam bound. None rounds the trained weights to one
        codebook. A `Compression` trains and rounds a network for this purpose. With a `PACBayes` the report has the
        bound of a stochastic predictor instead. Choose it before you see the data.
    delta : float, default=0.05
        The generalisation bound holds with probability at least ``1 - delta``.
    loss_cap : float or None, default=None
        Cap M of the loss in the generalisation bound, in units of the loss: squared units of y for the squared error.
        None chooses a power of two after seeing y; the bound is a little larger for this choice.
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
        The trained skorch net; ``net_.module_`` is the torch module.
    n_iter_ : int
        Number of epochs run.
    loss_curve_ : list of float
        Training objective per epoch, with the penalty. ``net_.history`` also has ``data_loss`` and ``penalty``
        separately. Its ``norm_error`` is the relative error of the norms that training used: a bound for up to 64
        units, otherwise measured.
    validation_loss_curve_ : list of float or None
        Validation loss per epoch, without the penalty. None without early stopping. NaN for epochs without a validation
        loss: those of `partial_fit` after a `fit` with early stopping.
    best_loss_ : float
        The lowest validation loss of an epoch. Without early stopping, the lowest value of ``loss_curve_``.
    history_ : list of dict
        A copy of what was recorded in every epoch, as numbers: losses, learning rate, seconds.
    rho_x_, rho_h_ : float, or ndarray of shape (num_layers,) for more than one layer
        Exact gains of the fitted weights, computed in float64; see `sklstm.tikhonov.tikhonov_gains`.
    perturbation_gain_ : float
        :math:`\|W_{hy}\|^2 \prod_l \rho_{x,l}^2 / (1 - \rho_{h,l}^2)`, which is (55) for every layer, plus
        :math:`\|A\|_F^2` of a linear part. ``inf`` if a constraint is violated. It estimates the squared sensitivity;
        it certifies nothing.
    certified_gain_ : float
        Proved bound on how far input errors move the outputs of the network. Errors with a Euclidean norm of at most ε
        at every step move the outputs by at most this gain times ε. This holds for any ``variant`` and for sequences of
        any length, within the ranges that the channels have in the training data. For several outputs the movement is
        the Euclidean norm. ``inf`` where nothing is proved. See `sklstm.certificates.network_gain`.
    generalization_bound_ : float
        Occam bound on the expected capped loss of the network with rounded weights, in units of the loss.
        ``generalization_report`` shows how it is computed.
    n_features_in_ : int
        Number of columns of 2-D input, or of channels of 3-D input, in `fit`.
    feature_names_in_ : ndarray of str
        Names of the columns. Only if X was a DataFrame with string column names.

    See Also
    --------
    TikhonovLSTMRegressor : The same with long short-term memory (LSTM).
    NoisyRNNClassifier : Bias-free ReLU network for classification, trained with input noise.

    References
    ----------
    .. [1] Turkin, A. (2017). Tikhonov Regularization for Long Short-Term Memory Networks. arXiv:1708.02979.

    Examples
    --------
    >>> import numpy as np
    >>> from sklstm import TikhonovGRURegressor
    >>> rng = np.random.default_rng(0)
    >>> X = rng.standard_normal((200, 12, 2))
    >>> y = X[:, -3:, 0].mean(axis=1)
    >>> model = TikhonovGRURegressor(hidden_size=8, max_epochs=20, random_state=0).fit(X, y)
    >>> model.predict(X[:5]).shape
    (5,)
    >>> bool(model.rho_h_ < 1)
    True
    """

    _network = GRUNetwork
