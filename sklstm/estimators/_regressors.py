"""The two regressors: LSTM and GRU with Turkin's penalty."""

from sklstm.networks import GRUNetwork, LSTMNetwork

from ._base_regressor import SequenceRegressor


class TikhonovLSTMRegressor(SequenceRegressor):
    r"""LSTM regressor trained with an analytic penalty on how input noise moves its output.

    The objective is (57) of Turkin 2017 [1]_: mean squared error, or another ``loss``, plus

    .. math::

        \lambda_S \|W_{hy}\|^2 \frac{\rho_x^2}{1 - \rho_h^2} + \lambda_1 (\rho_h^2 - 1)_+
        + \lambda_2 (\beta\|W_{oh}\| - 1)_+ ,

    where :math:`\rho_x` and :math:`\rho_h` are gains computed from the spectral norms of the gate matrices. As
    printed the objective is unbounded below; beyond :math:`\rho_h^2 = 0.95` the fraction is continued by its
    tangent line, and the recurrent matrices are scaled to be feasible before training. With all three weights zero
    neither happens, and the estimator is a plain LSTM.

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
    variant : {"turkin", "tight", "stable"}, default="turkin"
        The paper's chain of inequalities, or the same without its slack; see `sklstm.tikhonov.tikhonov_gains`. With
        ``"stable"`` the penalty is :math:`\lambda_S \log(1 + \text{gain}^2)` with a gain that is proved for inputs in
        the range of X and sequences of any length, see ``certified_gain_``; ``lambda_1`` weighs the constraint that it
        is finite, and ``lambda_2`` is not used.
    readout : {"linear", "logistic"}, default="linear"
        Linear readout of the last state, or (1) of the paper for targets in [0, 1].
    skip : {"none", "last", "linear"}, default="linear"
        What is added to the readout of the recurrent layers. ``"linear"``: A vec(x) with a matrix A, which starts at
        the ridge solution while the readout starts at zero, so that training begins with ridge regression and adds to
        it what is not linear. A reads the last steps, as many as the shortest training sequence has, but at most 512
        numbers; in a shorter sequence of later input the steps that it lacks count as zeros, the mean of a standardised
        channel. ``"last"``: the last value of the target's own channel, so that what is learnt is the change from
        it; X and y need common units. With ``sigma`` the noise's exact Tikhonov term is in the ridge solution.
    skip_channel : int, str, list of these, or None, default=None
        Used with ``skip="last"`` only: the channel of X that holds the target's past, by number or, where X is a
        DataFrame with names for its channels, by label; one for all outputs or a list with one for each. None is for X
        of one channel.
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
    loss : {"squared_error", "absolute_error", "huber", "quantile"}, default="squared_error"
        What training minimises, averaged over outputs, beside the penalty. Predictions estimate the mean of y given X,
        its median with ``"absolute_error"``, its quantile with ``"quantile"``. ``"huber"`` is half of the squared error
        up to an error of 1 and grows like the absolute error beyond: for standardised y. The last three are moved less
        by outliers in y. Bounds and displays are about this loss; ``score`` is R² whatever it is.
    quantile : float, default=0.5
        Of ``loss="quantile"`` only, in (0, 1): 0.9 for a value that y exceeds in a tenth of all cases.
    n_channels : int, default=1
        Channels per time step of 2-D input, whose columns are time-major: all channels of the first step first.
        With 3-D input and a value other than 1, the number of channels that X must have.
    layout : {"ntc", "nct"}, default="ntc"
        Axes of X: ``"ntc"`` is (n, time, channels), ``"nct"`` is (n, channels, time), as in aeon and sktime. With
        ``"nct"``, sequences of a list are (d, L_i), rows have all steps of the first channel first, and ``eps`` and
        ``sigma`` of the shape of X have its axes. Data frames with a column for each channel, and wide tables, name
        their channels: they are read by these names, whatever the layout.
    max_epochs : int or "auto", default="auto"
        Passes over the training data. ``"auto"`` is 30 with ``skip="linear"`` and the squared error; otherwise 100, or
        as many as make 1,500 optimiser steps where data are small.
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
        Hold out ``validation_fraction`` of the training data, or judge on the ``X_val`` and ``y_val`` of `fit`; stop
        when their loss has not improved for ``n_iter_no_change`` epochs, and restore the best weights. The validation
        loss does not contain the penalty.
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
    loss_cap : float or None, default=None
        Cap M of the loss in the generalisation bound, in units of the loss: squared units of y for the squared error.
        None chooses a power of two after seeing y and pays for the choice.
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
        violated; plus :math:`\|A\|_F^2` of a linear part. A surrogate of the squared sensitivity, not a certificate.
    certified_gain_ : float
        No disturbance of Euclidean norm at most ε at every step, of any sequence within the ranges that the channels
        have in the training data, however long, moves the outputs of the network by more than this times ε. Proved, of
        any ``variant``; of several outputs it is the Euclidean norm. ``inf`` where nothing is known. See
        `sklstm.certificates.network_gain`.
    generalization_bound_ : float
        Occam bound on the expected capped loss of the network with rounded weights, in units of the loss.
        ``generalization_report`` says how it comes about.
    n_features_in_ : int
        Columns of 2-D input, or channels of 3-D input, seen in fit.
    feature_names_in_ : ndarray of str
        Only if X was a DataFrame with string column names.

    See Also
    --------
    TikhonovGRURegressor : The same with gated recurrent units.
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

    The objective is that of `TikhonovLSTMRegressor`, (57) of Turkin 2017 [1]_, with the gains of a gated recurrent
    unit, derived in the paper's steps: mean squared error, or another ``loss``, plus

    .. math::

        \lambda_S \|W_{hy}\|^2 \frac{\rho_x^2}{1 - \rho_h^2} + \lambda_1 (\rho_h^2 - 1)_+ , \quad
        \rho_v = \sqrt2 \left(\alpha\|W_{zv}\|
        + \beta(\|W_{zv}\| + \|W_{nv}\| + \alpha\kappa\|W_{rv}\|)\right), \quad v \in \{x, h\},

    where :math:`\kappa = \max_j (\sum_k |W_{nh,jk}| + |b_{nh,j}|)` bounds what the reset gate multiplies. Beyond
    :math:`\rho_h^2 = 0.95` the fraction is continued by its tangent line, and the recurrent matrices are scaled to
    be feasible before training. With ``lambda_s``, ``lambda_1`` and ``lambda_2`` all zero neither happens, and the
    estimator is a plain GRU.

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
    variant : {"turkin", "tight", "stable"}, default="turkin"
        The paper's chain of inequalities, or the same without its slack; see `sklstm.tikhonov.tikhonov_gains`. With
        ``"stable"`` the penalty is :math:`\lambda_S \log(1 + \text{gain}^2)` with a gain that is proved for inputs in
        the range of X and sequences of any length, see ``certified_gain_``; ``lambda_1`` weighs the constraint that it
        is finite, and ``lambda_2`` is not used.
    readout : {"linear", "logistic"}, default="linear"
        Linear readout of the last state, or (1) of the paper for targets in [0, 1].
    skip : {"none", "last", "linear"}, default="linear"
        What is added to the readout of the recurrent layers. ``"linear"``: A vec(x) with a matrix A, which starts at
        the ridge solution while the readout starts at zero, so that training begins with ridge regression and adds to
        it what is not linear. A reads the last steps, as many as the shortest training sequence has, but at most 512
        numbers; in a shorter sequence of later input the steps that it lacks count as zeros, the mean of a standardised
        channel. ``"last"``: the last value of the target's own channel, so that what is learnt is the change from
        it; X and y need common units. With ``sigma`` the noise's exact Tikhonov term is in the ridge solution.
    skip_channel : int, str, list of these, or None, default=None
        Used with ``skip="last"`` only: the channel of X that holds the target's past, by number or, where X is a
        DataFrame with names for its channels, by label; one for all outputs or a list with one for each. None is for X
        of one channel.
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
    loss : {"squared_error", "absolute_error", "huber", "quantile"}, default="squared_error"
        What training minimises, averaged over outputs, beside the penalty. Predictions estimate the mean of y given X,
        its median with ``"absolute_error"``, its quantile with ``"quantile"``. ``"huber"`` is half of the squared error
        up to an error of 1 and grows like the absolute error beyond: for standardised y. The last three are moved less
        by outliers in y. Bounds and displays are about this loss; ``score`` is R² whatever it is.
    quantile : float, default=0.5
        Of ``loss="quantile"`` only, in (0, 1): 0.9 for a value that y exceeds in a tenth of all cases.
    n_channels : int, default=1
        Channels per time step of 2-D input, whose columns are time-major: all channels of the first step first.
        With 3-D input and a value other than 1, the number of channels that X must have.
    layout : {"ntc", "nct"}, default="ntc"
        Axes of X: ``"ntc"`` is (n, time, channels), ``"nct"`` is (n, channels, time), as in aeon and sktime. With
        ``"nct"``, sequences of a list are (d, L_i), rows have all steps of the first channel first, and ``eps`` and
        ``sigma`` of the shape of X have its axes. Data frames with a column for each channel, and wide tables, name
        their channels: they are read by these names, whatever the layout.
    max_epochs : int or "auto", default="auto"
        Passes over the training data. ``"auto"`` is 30 with ``skip="linear"`` and the squared error; otherwise 100, or
        as many as make 1,500 optimiser steps where data are small.
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
        Hold out ``validation_fraction`` of the training data, or judge on the ``X_val`` and ``y_val`` of `fit`; stop
        when their loss has not improved for ``n_iter_no_change`` epochs, and restore the best weights. The validation
        loss does not contain the penalty.
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
    loss_cap : float or None, default=None
        Cap M of the loss in the generalisation bound, in units of the loss: squared units of y for the squared error.
        None chooses a power of two after seeing y and pays for the choice.
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
        violated; plus :math:`\|A\|_F^2` of a linear part. A surrogate of the squared sensitivity, not a certificate.
    certified_gain_ : float
        No disturbance of Euclidean norm at most ε at every step, of any sequence within the ranges that the channels
        have in the training data, however long, moves the outputs of the network by more than this times ε. Proved, of
        any ``variant``; of several outputs it is the Euclidean norm. ``inf`` where nothing is known. See
        `sklstm.certificates.network_gain`.
    generalization_bound_ : float
        Occam bound on the expected capped loss of the network with rounded weights, in units of the loss.
        ``generalization_report`` says how it comes about.
    n_features_in_ : int
        Columns of 2-D input, or channels of 3-D input, seen in fit.
    feature_names_in_ : ndarray of str
        Only if X was a DataFrame with string column names.

    See Also
    --------
    TikhonovLSTMRegressor : The same with long short-term memory.
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
