"""What all regressors share: the constructor, ``fit`` and predictions."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from numbers import Real
from typing import Any, Literal, Self

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from sklearn.base import RegressorMixin
from sklearn.utils import Tags
from sklearn.utils.validation import _num_samples, check_array
from skorch.callbacks import Callback
from torch import Tensor

from sklstm._fitted import of_one_fit
from sklstm._labels import refuse_mixed_rows
from sklstm._layout import Layout, LayoutName
from sklstm._losses import RegressionLoss
from sklstm._sequences import Sequences, as_sequences, as_tensor
from sklstm._tables import targets_in
from sklstm.generalization import GeneralizationReport, HoldoutBound
from sklstm.training import NetworkSpec, SequenceNet, TrainingSpec, train
from sklstm.training._convergence import warn_if_constant, warn_if_unsettled
from sklstm.training._linear_start import LinearStart, steps_read
from sklstm.training._process import restores_settings
from sklstm.training._train import sizes_for

from ._base import FitData, SequenceEstimator, training_data
from ._certify import certify
from ._compression import Compression
from ._data_warnings import warn_about_data
from ._fit_tasks import FitContext, fitting, one_more_epoch, with_callbacks
from ._pac_bayes import PACBayes
from ._parameters import LossName, NoiseName, OptimizerName, PrecisionName, ScheduleName
from ._reports import generalization_report, holdout_bound_of, set_bound
from ._tikhonov import certified_gain, is_regularised, measured_gains, tikhonov_parts, warn_if_infeasible

LARGEST_TARGET = 1e18  # squares of errors, summed over a batch, stay below float32's 3e38


class SequenceRegressor(RegressorMixin, SequenceEstimator):
    """Constructor, fit and predict; a subclass sets its network."""

    rho_x_: float | NDArray[np.float64]
    rho_h_: float | NDArray[np.float64]
    perturbation_gain_: float
    _target_shape: tuple[int, ...]

    _lambda_s = 0.01  # what "auto" means here

    def __init__(
        self,
        hidden_size: int = 32,
        *,
        lambda_s: float | Literal["auto"] = "auto",
        lambda_1: float = 10.0,
        lambda_2: float = 10.0,
        variant: Literal["turkin", "tight", "stable"] = "turkin",
        readout: Literal["linear", "logistic"] = "linear",
        skip: Literal["none", "last", "linear"] = "linear",
        skip_channel: int | str | Sequence[int | str] | None = None,
        num_layers: int = 1,
        sigma: float = 0.0,
        noise: NoiseName = "gaussian",
        robust_eps: ArrayLike = 0.0,
        robust_weight: float = 0.5,
        robust_box: float = 1.0,
        loss: LossName = "squared_error",
        quantile: float = 0.5,
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
        warm_start: bool = False,
        callbacks: Sequence[Callback | tuple[str, Callback]] | None = None,
        compression: Compression | PACBayes | None = None,
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
        self.skip = skip
        self.skip_channel = skip_channel
        self.num_layers = num_layers
        self.sigma = sigma
        self.noise = noise
        self.robust_eps = robust_eps
        self.robust_weight = robust_weight
        self.robust_box = robust_box
        self.loss = loss
        self.quantile = quantile
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
        self.warm_start = warm_start
        self.callbacks = callbacks
        self.compression = compression
        self.delta = delta
        self.loss_cap = loss_cap
        self.device = device
        self.precision = precision
        self.random_state = random_state
        self.verbose = verbose

    @with_callbacks
    @restores_settings
    def fit(
        self,
        X: Any,
        y: Any,
        sample_weight: Any = None,
        *,
        X_val: Any = None,
        y_val: Any = None,
        sample_weight_val: Any = None,
    ) -> Self:
        """Train on sequences X and targets y.

        Parameters
        ----------
        X : array-like of shape (n, L, d) or (n, L * d), DataFrame, or list of n arrays (L_i, d)
            Sequences. 2-D rows are split into time steps of ``n_channels`` values. A DataFrame has L * d columns, or
            columns of two levels, time and channel. Standardise the channels first, for instance with `SequenceScaler`.
        y : array-like of shape (n,) or (n, k)
            Targets; predictions have the same shape.
        sample_weight : array-like of shape (n,), optional
            Weights of the sequences in the loss, not negative. An integer weight equals repeating the sequence if one
            batch holds all the data and ``skip`` is not ``"linear"``. With ``skip="linear"`` it does not, since the
            ridge penalty is chosen by leaving out one sequence at a time. ``generalization_bound_`` is about the
            unweighted loss.
        X_val : array-like of shape (m, L', d) or (m, L * d), DataFrame, or list of m arrays (L_i, d)
            Validation data, only with ``early_stopping=True``. Early stopping then uses them, and training uses all of
            X. In a pipeline use ``Pipeline(..., transform_input=["X_val"])``, so that the scalers transform them too.
        y_val : array-like of shape (m,) or (m, k)
            Targets of X_val, in the shape of y.
        sample_weight_val : array-like of shape (m,), optional
            Weights of the validation sequences in the validation loss.

        Returns
        -------
        self

        Raises
        ------
        ValueError, TypeError
            For bad hyperparameters or data, before any training. Also ``ValueError`` if training diverges.

        Warns
        -----
        DataWarning
            If X or y is far from a mean of 0 and a variance of 1, or if the axes of X look swapped. Also if X is a
            table with times in its index, since each row is then read as one sequence.
        """
        validation = {"X_val": X_val, "y_val": y_val, "sample_weight_val": sample_weight_val}
        with fitting(self, X, y, sample_weight) as (model, context):
            data = model._check_fit(X, y, sample_weight, validation)
            warn_about_data(model, X, data)
            spec = model._training_spec(data, context)
            model._set_fitted(train(spec, training_data(model, data)))
            if spec.robust is not None:
                warn_if_constant(model.net_, data.X, model._targets(data.y))
            warn_if_infeasible(model)
            warn_if_unsettled(model.net_, model.lr_schedule, model._best_guess(data, spec))
            set_bound(model, data)
        return self

    @restores_settings
    def partial_fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Train for one more epoch on sequences X and targets y.

        The first call starts as `fit` does. Later calls continue with the state of the optimiser and the current
        hyperparameters. Hyperparameters that shape the network must stay the same. The learning rate is always ``lr``;
        ``lr_schedule`` is not used.

        Parameters
        ----------
        X : array-like of shape (n, L, d) or (n, L * d), DataFrame, or list of n arrays (L_i, d)
            As in `fit`.
        y : array-like of shape (n,) or (n, k)
            Targets, in the shape of those of the first call.
        sample_weight : array-like of shape (n,), optional
            Weights of the sequences in the loss, not negative. They are used unscaled, because the mean over all data
            is not known here.

        Returns
        -------
        self
            The estimator, without ``generalization_bound_``: that needs all training data at once.

        Raises
        ------
        ValueError, TypeError
            As in `fit`; also with ``early_stopping=True``.

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
        with one_more_epoch(self) as (model, context):
            refuse_mixed_rows(X, y, sample_weight)
            sequences, y = model._check_data(X, y, reset=context.resume is None)
            weight = model._absolute(model._weights(model._given_weights(sample_weight, len(y))))
            data = FitData(sequences, y, weight)
            if context.resume is None:
                warn_about_data(model, X, data)
            spec = model._training_spec(data, context)
            model._set_fitted(train(spec, training_data(model, data, relative=False)))
            if spec.robust is not None and len(model.net_.history) > spec.robust.ramp:
                warn_if_constant(model.net_, data.X, model._targets(data.y))
        return self

    @restores_settings
    @of_one_fit
    def predict(self, X: Any) -> NDArray[np.float64]:
        """Predict targets.

        Parameters
        ----------
        X : array-like of shape (n, L', d) or (n, L * d), DataFrame, or list of n arrays (L_i, d)
            As in `fit`. 3-D sequences, and those of a list, may have other lengths.

        Returns
        -------
        ndarray of shape (n,) or (n, k), float64
            Predictions in the shape of y. Each one is independent of the other rows of X, bit for bit.

        Raises
        ------
        NonFiniteOutputError
            If an output of the network is infinite or NaN. This happens, for instance, after overflow on sequences far
            longer than those of the training.
        """
        return self._outputs(X).astype(np.float64).reshape(-1, *self._target_shape)

    def certify(
        self,
        X: Any,
        eps: Any,
        *,
        method: Literal["best", "linear", "mean-value", "intervals"] = "best",
        batch_size: int | None = None,
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Certified bounds on the outputs for every input within ``eps`` of X; see `sklstm.certify`.

        For every X' with ``|X' - X| <= eps`` in each entry, ``lower <= predict(X') <= upper``. Rounding errors are
        included.

        Parameters
        ----------
        X : array-like of shape (n, L', d) or (n, L * d)
            As in `fit`. 3-D sequences may have another length, and lists may hold sequences of unequal length.
        eps : float, array-like, Series, DataFrame or dict
            Largest absolute input error, not negative, in the units of X: one number, one per channel, or an array.
            Labels are matched with those of X.
        method : {"best", "linear", "mean-value", "intervals"}, default="best"
            ``"linear"`` gives the narrowest bounds and takes longest. ``"intervals"`` is the fastest and gives the
            widest.
        batch_size : int, optional
            Number of sequences computed at once, which limits the memory.

        Returns
        -------
        lower : ndarray, float64
            Lower bounds.
        upper : ndarray, float64
            Upper bounds. Both have the shape of the predictions; with ``eps=0`` both are the predictions.

        Warns
        -----
        WideCertificateWarning
            If bounds are farther apart than the range of the training targets.

        Examples
        --------
        >>> import numpy as np
        >>> from sklstm import TikhonovLSTMRegressor
        >>> rng = np.random.default_rng(0)
        >>> X = rng.standard_normal((50, 5, 1))
        >>> model = TikhonovLSTMRegressor(4, max_epochs=3, random_state=0).fit(X, X[:, -1, 0])
        >>> lower, upper = model.certify(X, eps=0.1)
        >>> noisy = model.predict(X + rng.uniform(-0.1, 0.1, X.shape))
        >>> bool(((lower <= noisy) & (noisy <= upper)).all())
        True
        >>> narrow, wide = model.certify(X, eps=0.1, method="linear")  # never wider
        >>> bool((wide - narrow <= upper - lower).all())
        True
        """
        return certify(self, X, eps, method=method, batch_size=batch_size)

    @restores_settings
    @of_one_fit
    def holdout_bound(
        self,
        X: Any,
        y: Any,
        *,
        delta: float | None = None,
        cap: float | None = None,
        method: Literal["bernstein", "best"] = "bernstein",
    ) -> HoldoutBound:
        """Upper bound on the expected capped loss of `predict`, from held-out data.

        The empirical Bernstein bound of Maurer and Pontil on the mean of min(loss, cap). The loss is the estimator's
        ``loss``, averaged over outputs; see `sklstm.generalization.holdout_bound`. To compare it with the bound from
        the training data, use ``model.generalization_report(X_train, y_train).with_bound(model.holdout_bound(X, y))``.

        Parameters
        ----------
        X : array-like of shape (n, L', d) or (n, L * d)
            At least two sequences, in a form that `predict` takes. They must have played no part in making the
            estimator: neither in `fit` nor in choosing hyperparameters. The complete training data, in their order,
            are recognised and refused; parts of them are not.
        y : array-like of shape (n,) or (n, k)
            True targets, in the shape of those of `fit`.
        delta : float, optional
            The bound holds with probability at least ``1 - delta``. By default the estimator's ``delta``.
        cap : float, optional
            Largest loss, in units of the loss. Choose it without looking at these X and y. The default is the cap of
            ``generalization_bound_``: the estimator's ``loss_cap``, or what `fit` has chosen.
        method : {"bernstein", "best"}, default="bernstein"
            ``"best"`` is the smaller of the empirical Bernstein and the Chernoff bound, each with half of ``delta``.
            Use it for a few hundred sequences.

        Returns
        -------
        HoldoutBound

        Raises
        ------
        ValueError, TypeError
            For bad X, y, ``delta``, ``cap`` or ``method``, or for the training data. Also after `partial_fit` if you
            pass no ``cap``, since none is known then.
        NotFittedError
            Before `fit`.

        Examples
        --------
        >>> import numpy as np
        >>> from sklstm import TikhonovLSTMRegressor
        >>> X = np.random.default_rng(0).standard_normal((300, 5, 1))
        >>> y = X[:, -1, 0]
        >>> model = TikhonovLSTMRegressor(4, max_epochs=3, random_state=0).fit(X[:100], y[:100])
        >>> bound = model.holdout_bound(X[100:], y[100:], cap=4.0)
        >>> bool(np.isclose(bound.mean_loss, np.minimum((y - model.predict(X))[100:] ** 2, 4).mean()))
        True
        >>> bound.mean_loss < bound.value <= bound.cap
        True
        """
        return holdout_bound_of(self, X, y, delta=delta, cap=cap, method=method)

    @restores_settings
    @of_one_fit
    def score(self, X: Any, y: Any, sample_weight: Any = None) -> float:
        """R² of the predictions, averaged over targets.

        Parameters
        ----------
        X : array-like of shape (n, L', d) or (n, L * d), DataFrame, or list of n arrays (L_i, d)
            As in `predict`.
        y : array-like of shape (n,) or (n, k)
            True targets. If y has row labels, they must be those of X.
        sample_weight : array-like of shape (n,), optional
            Weights of the sequences. Row labels, if any, must be those of X.

        Returns
        -------
        float
            R², at most 1.

        Raises
        ------
        ValueError
            For bad X, for y of another shape, or for row labels that differ.

        Examples
        --------
        >>> import numpy as np
        >>> from sklstm import TikhonovLSTMRegressor
        >>> X = np.random.default_rng(0).standard_normal((60, 5, 1))
        >>> y = X[:, -1, 0]
        >>> model = TikhonovLSTMRegressor(4, max_epochs=2, random_state=0).fit(X, y)
        >>> model.score(X, y) <= 1
        True
        """
        refuse_mixed_rows(X, y, sample_weight)
        if sample_weight is not None:
            sample_weight = self._given_weights(sample_weight, _num_samples(y))
        return float(super().score(X, targets_in(y), sample_weight))

    def generalization_report(self, X: Any, y: Any) -> GeneralizationReport:
        """Every bound on the loss of new data, from the training data; see `sklstm.generalization_report`.

        Parameters
        ----------
        X : array-like of shape (n, L, d) or (n, L * d), DataFrame, or list of n arrays (L_i, d)
            The X of `fit`: all sequences, in the same order. Other data are refused.
        y : array-like of shape (n,) or (n, k)
            The y of `fit`.

        Returns
        -------
        GeneralizationReport
            The Occam bound (``"occam"``) on the capped loss, at the current ``delta``. Without a ``compression`` its
            value is ``generalization_bound_``. With a `PACBayes` the report has the PAC-Bayes bound (``"pac_bayes"``)
            instead.

        Raises
        ------
        ValueError, TypeError
            If X and y are not the training data. Also after `partial_fit`, whose training data are not recorded.
        NotFittedError
            Before `fit`.

        Examples
        --------
        >>> import numpy as np
        >>> from sklstm import TikhonovLSTMRegressor
        >>> X = np.random.default_rng(0).standard_normal((300, 5, 1))
        >>> y = X[:, -1, 0]
        >>> model = TikhonovLSTMRegressor(4, max_epochs=3, random_state=0).fit(X, y)
        >>> model.generalization_report(X, y)["occam"].value == model.generalization_bound_
        True
        """
        return generalization_report(self, X, y)

    def _check_fit(self, X: Any, y: Any, sample_weight: Any, validation: Mapping[str, Any]) -> FitData:
        refuse_mixed_rows(X, y, sample_weight)
        X, y = self._check_data(X, y, reset=True, min_samples=2)
        weight = self._weights(self._given_weights(sample_weight, len(y)))
        self._check_compression(X)
        return FitData(X, y, self._relative(weight), self._check_validation(validation, self._check_more))

    def _check_more(self, X: Any, y: Any, sample_weight: Any) -> FitData:
        """Check data that must match those seen before."""
        refuse_mixed_rows(X, y, sample_weight)
        X, y = self._check_data(X, y, reset=False)
        return FitData(X, y, self._relative(self._weights(self._given_weights(sample_weight, len(y)))))

    def _check_again(self, X: Any, y: Any) -> FitData:
        return FitData(*self._check_data(X, y, reset=False), None)

    def _check_data(self, X: Any, y: Any, *, reset: bool, min_samples: int = 1) -> tuple[Sequences, np.ndarray]:
        X, y = as_sequences(self, X, y, reset=reset, numeric_y=True, min_samples=min_samples)
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
        rounded = y.astype(np.float32)  # as in training: scalers sometimes return 1 + 2e-16
        if self.readout == "logistic" and (rounded.min() < 0 or rounded.max() > 1):
            raise ValueError(
                f"readout='logistic' predicts values in (0, 1), but y runs from {y.min():.6g} to {y.max():.6g}. "
                "Rescale y (TransformedTargetRegressor with MinMaxScaler) or use readout='linear'."
            )
        if not reset and y.shape[1:] != self._target_shape:
            raise ValueError(
                f"y must have the shape of the y seen first, (n_samples, {', '.join(map(str, self._target_shape))}); "
                f"got {y.shape}."
            )
        self._target_shape = y.shape[1:]
        return X, y

    def _targets(self, y: np.ndarray) -> Tensor:
        return as_tensor(y.reshape(len(y), -1))

    @property
    def _loss(self) -> RegressionLoss:
        return RegressionLoss.of(self.loss, self.quantile)

    def _training_spec(self, data: FitData, context: FitContext) -> TrainingSpec:
        n_outputs = int(np.prod(data.y.shape[1:], dtype=int))
        seen = data.y.reshape(len(data.y), -1)
        if self._target_range is not None:  # targets of earlier calls of `partial_fit`
            seen = np.concatenate((seen, self._target_range))
        self._target_range = np.stack((seen.min(axis=0), seen.max(axis=0)))
        network = NetworkSpec(
            self._network,
            {
                "n_features": data.X.shape[2],
                "hidden_size": int(self.hidden_size),
                "n_outputs": n_outputs,
                "readout": self.readout,
                "num_layers": int(self.num_layers),
                **self._linear_part(data.X, n_outputs, context),
            },
        )
        penalty, start = tikhonov_parts(self, self._network.cell, data.X)
        spec = self._shared_spec(network, data, context)
        if self.skip != "none":
            start = (*start, LinearStart(spec.inputs, 0.0 if spec.robust is None else spec.robust.eps))
        return replace(spec, penalty=penalty, start=start)

    def _best_guess(self, data: FitData, spec: TrainingSpec) -> float | None:
        """Loss of the best constant prediction for the validation or training data; None without a linear part."""
        if self.skip == "none":
            return None
        judged: FitData = data if data.validation is None else data.validation
        y, weight = judged.y, judged.weight
        rows = None if spec.validation is None else spec.validation.rows(len(y), spec.seeds.split)
        if rows is not None:
            y, weight = y[rows[1]], None if weight is None else weight[rows[1]]
        return self._loss_of_guess(y, weight)

    def _loss_of_guess(self, y: np.ndarray, weight: np.ndarray | None) -> float:
        return self._loss.of_best_constant(y.reshape(len(y), -1), weight)

    def _sizes(self, n: int) -> tuple[int, int]:
        # Other losses, and robust training, have their optimum further away from the ridge solution.
        from_ridge = self.skip == "linear" and self.loss == "squared_error" and not np.any(self.robust_eps)
        return sizes_for(n, self.batch_size, self.max_epochs, from_ridge=from_ridge)

    def _starts_by(self, name: str) -> bool:
        # Each size of noise or of input error has its own ridge regression.
        return name in ("sigma", "robust_eps") and self.skip == "linear"

    def _linear_part(self, X: Sequences, n_outputs: int, context: FitContext) -> dict[str, Any]:
        """Arguments of the network that define its linear part."""
        if self.skip == "none":
            return {}
        if self.skip == "last":
            return {"skip_channels": self._skip_channels(X.shape[2], n_outputs)}
        known = {} if context.resume is None else context.resume.net.get_params_for("module")
        shortest = X.shape[1] if X.lengths is None else int(X.lengths.min())
        return {"skip_steps": known.get("skip_steps", steps_read(X.shape[2], shortest))}  # as many as before

    def _skip_channels(self, n_channels: int, n_outputs: int) -> tuple[int, ...]:
        """The channels of ``skip="last"`` as numbers, one for each output."""
        given: Any = self.skip_channel
        if self.readout == "logistic":
            raise ValueError(
                "skip='last' adds a value of X to the readout, and readout='logistic' would apply a logistic "
                "function to the sum. Use skip='linear' or readout='linear'."
            )
        if given is None and n_channels > 1:
            raise ValueError(
                f"skip='last' needs skip_channel: which of the {n_channels} channels of X holds the target's past. "
                "Set skip_channel to its number or label."
            )
        each = list(given) if isinstance(given, list | tuple) else [0 if given is None else given] * n_outputs
        if len(each) != n_outputs:
            raise ValueError(
                f"skip_channel has {len(each)} channels, but y has {n_outputs} outputs. Give one channel for each "
                "output."
            )
        # If X came as rows with column names, these are the names of all steps: the last step's names are its channels.
        names = Layout.of(self).last_of(list(vars(self).get("feature_names_in_", ())), n_channels)
        for channel in each:
            if channel not in (names if isinstance(channel, str) else range(n_channels)):
                raise ValueError(
                    f"skip_channel={given!r}: there is no channel {channel!r} among the {n_channels} of X"
                    f"{', ' + ', '.join(map(repr, names)) if names else ', which have no names'}."
                )
        numbers = vars(self).get("_names_seen", [])[-n_channels:]
        for channel in each:
            place = numbers.index(repr(channel)) if repr(channel) in numbers else channel
            if place != channel:
                raise ValueError(
                    f"skip_channel={given!r}: X has a column called {channel}, which is its column {place}, but "
                    "skip_channel counts from 0. Give the columns names, or number them from 0."
                )
        return tuple(names.index(channel) if isinstance(channel, str) else int(channel) for channel in each)

    def _set_fitted(self, net: SequenceNet) -> None:
        super()._set_fitted(net)
        self.__dict__.update(measured_gains(net.module_, self.variant))

    @property
    def certified_gain_(self) -> float:
        """Proved bound on how far input errors move the outputs, for any length; see the class."""
        return certified_gain(self)

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        # This is scikit-learn's tag for R² < 0.5 on one regression problem. Read as a sequence of one channel, its
        # informative feature is the value at one fixed step out of ten. To remember a position seems to need the strong
        # recurrence that rho_h < 1 rules out: R² ends at 0.3 to 0.4 after 400 epochs. The plain LSTM passes, as ridge
        # regression does. The tag is also read for predictions, when the parameters may be anything.
        words, numbers = (self.skip, self.variant), (self.lambda_1, self.lambda_2)
        are_valid = all(isinstance(word, str) for word in words) and all(isinstance(each, Real) for each in numbers)
        are_valid = are_valid and isinstance(self.lambda_s, Real | str)
        tags.regressor_tags.poor_score = are_valid and self.skip != "linear" and is_regularised(self)
        return tags
