"""The base of all estimators: training specification, sample weights, outputs, saving and pickling."""

import copy
import inspect
import math
import types
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from numbers import Real
from os import PathLike
from typing import Any, ClassVar, Self

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, clone
from sklearn.utils import Tags
from sklearn.utils.validation import _check_sample_weight, check_is_fitted
from torch import Tensor, nn

from sklstm._fitted import of_one_fit
from sklstm._sequences import Sequences, as_sequences
from sklstm._tables import targets_in
from sklstm._validation import API_PAGE_AT_TOP, Number, Rule, check_parameters, fresh_random_state
from sklstm.generalization import OccamBound, PACBayesBound
from sklstm.training import (
    InputNoise,
    LastPart,
    NetworkSpec,
    RandomPart,
    Robust,
    SequenceDataset,
    SequenceNet,
    TrainingSpec,
    Validation,
    dataset,
)
from sklstm.training._held_out import Split
from sklstm.training._inference import outputs_of
from sklstm.training._process import restores_settings
from sklstm.training._train import FEWEST_STEPS, OPTIMIZERS, Seeds, fresh_network, sizes_for

from . import _files
from ._fit_tasks import CallbackSupportMixin, FitContext
from ._pac_bayes import StochasticPredictor
from ._parameters import RULES

_LARGEST_WEIGHT = 1e30  # products of weights and losses must stay float32 numbers


@dataclass(frozen=True, eq=False)
class FitData:
    """The checked arguments of ``fit``.

    Attributes
    ----------
    X : Sequences
    y : ndarray
        Targets (n,) or (n, k) of a regressor, class numbers (n,) of a classifier.
    weight : ndarray of shape (n,) or None
        Weight of each sequence in the loss.
    validation : FitData or None
        ``X_val``, ``y_val`` and ``sample_weight_val``.
    """

    X: Sequences
    y: np.ndarray
    weight: np.ndarray | None
    validation: "FitData | None" = None


class SequenceEstimator(CallbackSupportMixin, BaseEstimator):
    """What all estimators share; subclasses have the constructor, ``fit`` and the measured attributes."""

    _rules: ClassVar[dict[str, Rule]] = {}
    _network: ClassVar[type[Any]]
    _optimizers = OPTIMIZERS
    _doc_link_module, _doc_link_template = "sklstm", API_PAGE_AT_TOP

    net_: SequenceNet
    loss_curve_: list[float]
    n_iter_: int
    n_features_in_: int
    feature_names_in_: NDArray[np.object_]
    generalization_bound_: float
    # Smallest and largest targets (2, k) that a regressor was trained on. Models saved by older versions lack them.
    _target_range: NDArray[np.float64] | None = None

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        shared: Any = cls.__init__
        if "__init__" not in vars(cls) and isinstance(shared, types.FunctionType):
            # Its own constructor, so that an error about arguments names the class that was called.
            own = types.FunctionType(
                shared.__code__, shared.__globals__, "__init__", shared.__defaults__, shared.__closure__
            )
            own.__dict__.update(shared.__dict__)
            own.__kwdefaults__, own.__annotations__ = shared.__kwdefaults__, shared.__annotations__
            own.__qualname__, own.__module__ = f"{cls.__qualname__}.__init__", cls.__module__
            cls.__init__ = own  # type: ignore[method-assign]
        own_rules = {name: RULES[name] for name in inspect.signature(cls.__init__).parameters if name in RULES}
        if cls.__module__.startswith("sklstm.") and "_network" in vars(cls):
            _files.LOADABLE[cls.__name__] = cls  # a fixed list: a file names its class, and can name no other
        cls._rules = cls._rules | own_rules  # a subclass may have fewer parameters, but has all attributes

    # What a subclass adds to training.

    def _check_fit(self, X: Any, y: Any, sample_weight: Any, validation: Mapping[str, Any]) -> FitData:
        """Check the arguments of ``fit``, and record what all later input must match."""
        raise NotImplementedError

    def _check_again(self, X: Any, y: Any) -> FitData:
        """Check only the form of data that should be those of ``fit``."""
        raise NotImplementedError

    def _training_spec(self, data: FitData, context: FitContext) -> TrainingSpec:
        """The specification of a training on this data."""
        raise NotImplementedError

    @property
    def _loss(self) -> Callable[..., nn.Module]:
        """The loss without the penalty: a function from reduction to criterion."""
        raise NotImplementedError

    def _targets(self, y: np.ndarray) -> Tensor:
        """Targets in the form that the loss takes."""
        raise NotImplementedError

    def _loss_of_guess(self, y: np.ndarray, weight: np.ndarray | None) -> float:
        """Mean loss of the best constant prediction for these targets."""
        raise NotImplementedError

    def _set_fitted(self, net: SequenceNet) -> None:
        """Set the fitted attributes that follow from a trained net."""
        self.net_ = net
        self.loss_curve_ = [epoch["train_loss"] for epoch in net.history]
        self.n_iter_ = len(self.loss_curve_)

    def _shared_spec(
        self,
        network: NetworkSpec,
        data: FitData,
        context: FitContext,
        *,
        labels: np.ndarray | None = None,
    ) -> TrainingSpec:
        """The part of the training specification that comes from parameters of all estimators."""
        resume = context.resume
        seeds = Seeds()
        if resume is None or not resume.everything:
            random_state = fresh_random_state(self.random_state)
            *drawn, self._bound_seed = random_state.randint(2**31 - 1, size=4).tolist()
            seeds = Seeds(*drawn)
        batch_size, max_epochs = self._sizes(len(data.X))
        return TrainingSpec(
            network,
            self._loss,
            inputs=InputNoise(float(self.sigma), str(self.noise)) if self.sigma > 0 else None,
            robust=self._robust(data, context, labels=labels is not None),
            resume=resume,
            optimizer=str(self.optimizer),
            lr=float(self.lr),
            lr_schedule="constant" if context.one_epoch else str(self.lr_schedule),
            weight_decay=float(self.weight_decay),
            clip_norm=None if self.clip_norm is None else float(self.clip_norm),
            max_epochs=1 if context.one_epoch else max_epochs,
            batch_size=batch_size,
            validation=self._validation(data, labels) if self.early_stopping else None,
            callbacks=(*(self.callbacks or ()), *context.callbacks),
            device=self.device,
            precision=str(self.precision),
            seeds=seeds,
            label=type(self).__name__,
            verbose=int(self.verbose),
        )

    def _ramp(self, data: FitData, context: FitContext) -> float:
        """Number of epochs in which robust training rises to its full strength: half of all epochs."""
        batch_size, max_epochs = self._sizes(len(data.X))
        if not context.one_epoch:
            return max_epochs / 2
        # The number of later calls of `partial_fit` is unknown: as many steps as in the shortest of fits, at most.
        return min(max_epochs, FEWEST_STEPS / -(-len(data.X) // batch_size)) / 2

    def _robust(self, data: FitData, context: FitContext, *, labels: bool) -> Robust | None:
        """The settings of robust training; None for ordinary training."""
        eps = np.asarray(self.robust_eps, dtype=np.float64)
        if eps.ndim and len(eps) != data.X.shape[2]:
            raise ValueError(
                f"robust_eps has {len(eps)} entries, but X has {data.X.shape[2]} channels. Give one number for each "
                "channel, or one number for all."
            )
        if not eps.any():
            return None
        # Equal targets, as in one call of `partial_fit`, say nothing about constant predictions.
        guess = self._loss_of_guess(data.y, data.weight) or math.inf
        if context.one_epoch and data.weight is not None:  # weights that are used unscaled
            guess *= float(data.weight.mean())
        return Robust(
            eps,
            float(self.robust_weight),
            float(self.robust_box),
            ramp=self._ramp(data, context),
            labels=labels,
            guess=guess,
        )

    def _sizes(self, n: int) -> tuple[int, int]:
        """Batch size and number of epochs for a training on n sequences."""
        return sizes_for(n, self.batch_size, self.max_epochs)

    def _starts_by(self, name: str) -> bool:
        """Whether another value of this parameter starts from weights too different for a few epochs to make up."""
        return False

    def _validation(self, data: FitData, labels: np.ndarray | None) -> Validation:
        """How early stopping gets its validation data."""
        source: Split | SequenceDataset
        if data.validation is not None:
            source = training_data(self, data.validation)
        elif self.validation_split == "last":
            source = LastPart(float(self.validation_fraction), int(self.validation_gap), labels)
        else:
            source = RandomPart(float(self.validation_fraction), labels)
        return Validation(source, int(self.n_iter_no_change))

    def _check_validation(self, given: Mapping[str, Any], check: Callable[[Any, Any, Any], FitData]) -> FitData | None:
        """Check the validation data given to ``fit``, after the training data; None if there are none."""
        X_val, y_val, weight = given["X_val"], given["y_val"], given["sample_weight_val"]
        if X_val is None and y_val is None:
            if weight is not None:
                raise ValueError(
                    "sample_weight_val is provided, but X_val and y_val were not provided. Pass all three, or leave "
                    "out sample_weight_val."
                )
            if self.early_stopping and self.validation_split == "random" and self.validation_gap:
                raise ValueError(
                    f"validation_gap={self.validation_gap} has no effect on validation_split='random'. Use "
                    "validation_split='last' or validation_gap=0."
                )
            return None
        if y_val is None:
            raise ValueError("X_val is provided, but y_val was not provided. Pass both or neither.")
        if X_val is None:
            raise ValueError("y_val is provided, but X_val was not provided. Pass both or neither.")
        if not self.early_stopping:
            raise ValueError(
                "X_val and y_val are passed to fit, but early_stopping=False. Set early_stopping=True, so that "
                "training stops when their loss no longer falls, or leave them out."
            )
        try:
            return check(X_val, y_val, weight)
        except (ValueError, TypeError) as error:
            # The checks are those of X and y, so their messages name X, y and sample_weight.
            kind = TypeError if isinstance(error, TypeError) else ValueError
            raise kind(f"In the validation data X_val, y_val, sample_weight_val: {error}") from error

    def _at(self, net: SequenceNet) -> Self:
        """A copy of this estimator as it would be if training ended now."""
        twin = copy.copy(self)
        module = copy.deepcopy(net.module_).to(net.device)  # on CUDA this stores the copy's weights in one block
        twin._set_fitted(net.twin(module))
        return twin

    # Weights of sequences.

    @staticmethod
    def _given_weights(sample_weight: Any, n: int) -> np.ndarray | None:
        """Weights (n,) as given, checked."""
        if sample_weight is None:
            return None
        if isinstance(sample_weight, Real):
            Number(Real, 0).check("sample_weight", sample_weight)
        try:
            return _check_sample_weight(
                targets_in(sample_weight, "sample_weight"), np.zeros((n, 1)), dtype=np.float64, ensure_non_negative=True
            )
        except OverflowError as error:
            raise ValueError(f"sample_weight holds a number that is beyond float64: {error}.") from error

    @staticmethod
    def _weights(*given: np.ndarray | None) -> np.ndarray | None:
        """Weights (n,): the product of the weights of sequences and of their classes; None if all are one."""
        factors = [factor for factor in given if factor is not None]
        if not factors:
            return None
        with np.errstate(over="ignore"):
            weight = np.prod(factors, axis=0)
        if not weight.any():
            raise ValueError(
                "sample_weight and class_weight leave every sequence with a weight of zero. At least one product "
                "must be positive."
            )
        if not np.isfinite(weight).all():
            raise ValueError("sample_weight times class_weight is beyond float64. Divide the weights by a constant.")
        return None if (weight == 1).all() else weight

    @staticmethod
    def _relative(weight: np.ndarray | None) -> np.ndarray | None:
        """Weights of one fit, where only their ratios matter; None if all are equal."""
        return None if weight is None or (weight == weight[0]).all() else weight / weight.max()

    @staticmethod
    def _absolute(weight: np.ndarray | None) -> np.ndarray | None:
        """Weights of one of many calls, which are used unscaled."""
        if weight is not None and weight.max() > _LARGEST_WEIGHT:
            raise ValueError(
                f"sample_weight goes up to {weight.max():.3g}, but partial_fit, which uses weights unscaled, allows "
                f"at most {_LARGEST_WEIGHT:.0e}. Divide the weights by a constant."
            )
        return weight

    def _check_compression(self, X: Sequences) -> None:
        if self.compression is not None:
            self.compression.check(X.shape, int(self.hidden_size))

    # Outputs.

    def _outputs(self, X: Any) -> np.ndarray:
        """Network outputs (n, k) in float32."""
        sequences = as_sequences(self, X, reset=False)
        return outputs_of(self.net_.module_, sequences)

    # What training leaves.

    @property
    def validation_loss_curve_(self) -> list[float] | None:
        """Validation loss per epoch; None if no epoch had one.

        NaN for epochs without one, for instance those of ``partial_fit``.
        """
        check_is_fitted(self, "net_")
        history = self.net_.history
        losses = [float(epoch.get("valid_loss", math.nan)) for epoch in history]
        return losses if any("valid_loss" in epoch for epoch in history) else None

    @property
    def best_loss_(self) -> float:
        """The lowest validation loss of all epochs; without validation, the lowest training loss."""
        model = copy.copy(self)
        losses = model.validation_loss_curve_ or model.loss_curve_
        return min((loss for loss in losses if not math.isnan(loss)), default=math.inf)

    @property
    def history_(self) -> list[dict[str, Any]]:
        """One dict per epoch: losses, learning rate, seconds, and what callbacks have recorded; a copy."""
        check_is_fitted(self, "net_")
        return [{name: value for name, value in epoch.items() if name != "batches"} for epoch in self.net_.history]

    @restores_settings
    @of_one_fit
    def quantized(self, bound: OccamBound) -> Self:
        """The fitted predictor that the Occam bound holds for: this one with rounded weights.

        Parameters
        ----------
        bound : OccamBound
            ``generalization_report(X, y)["occam"]`` of this estimator.

        Returns
        -------
        estimator
            A fitted estimator with its own gains. It has no ``generalization_bound_`` and no report of its own. Its
            ``holdout_bound`` says that it holds for the quantised predictor.

        Raises
        ------
        NotFittedError
            Before `fit`.
        TypeError
            If `bound` is a bound of another type.
        ValueError
            If its weights do not fit the network.

        Examples
        --------
        >>> import numpy as np
        >>> from sklstm import NoisyRNNClassifier
        >>> X = np.random.default_rng(0).standard_normal((300, 5, 1))
        >>> y = X[:, -1, 0] > 0
        >>> model = NoisyRNNClassifier(4, max_epochs=3, random_state=0).fit(X, y)
        >>> bound = model.generalization_report(X, y)["occam"]
        >>> bool(np.mean(model.quantized(bound).predict(X) != y) <= bound.train_loss)  # which counts ties as errors
        True
        """
        return quantized(self, bound)

    def stochastic(self, bound: PACBayesBound) -> StochasticPredictor:
        """The predictor that the PAC-Bayes bound holds for: it draws new weights for every prediction.

        Parameters
        ----------
        bound : PACBayesBound
            ``generalization_report(X, y)["pac_bayes"]`` of this estimator, with ``compression=PACBayes(...)``.

        Returns
        -------
        StochasticPredictor
            Its ``sample`` gives the predictions of one network; its ``predict`` gives the mean or vote of several.

        Raises
        ------
        NotFittedError
            Before `fit`.
        TypeError
            If `bound` is a bound of another type.
        ValueError
            If `bound` belongs to another network.

        Examples
        --------
        >>> import numpy as np
        >>> from sklstm import NoisyRNNClassifier, PACBayes
        >>> X = np.random.default_rng(0).standard_normal((300, 5, 1))
        >>> y = X[:, -1, 0] > 0
        >>> settings = PACBayes(epochs=2, n_draws=100)
        >>> model = NoisyRNNClassifier(4, max_epochs=3, compression=settings, random_state=0).fit(X, y)
        >>> stochastic = model.stochastic(model.generalization_report(X, y)["pac_bayes"])
        >>> stochastic.predict(X[:3]).shape, stochastic.sample(X[:3], random_state=0).shape
        ((3,), (3,))
        """
        return StochasticPredictor(copy.copy(self), bound)

    def _get_fitted_attr_html(self, doc_link: str = "") -> Any:
        table = super()._get_fitted_attr_html(doc_link)
        table.data.pop("history_", None)  # columns of numbers
        return table

    # What travels.

    @restores_settings
    @of_one_fit
    def save(self, path: str | PathLike[str]) -> None:
        """Write the fitted model to one file that holds no code: safetensors with JSON in its metadata.

        The file has everything that predictions, certificates and reports need; see ``docs/guide/saving.md``. It does
        not have the state of the optimiser, the training data, or callbacks. Callbacks are saved as None, with a
        warning. The model itself does not change.

        Parameters
        ----------
        path : str or PathLike
            Path of the file. An existing file is replaced, in one step at the end. The folder must exist.

        Raises
        ------
        NotFittedError
            Before `fit`.
        TypeError
            If a parameter or a fitted attribute has a type that files cannot hold; the message names it.
        ValueError
            If a parameter has been set to a value that `fit` would refuse.
        OSError
            If the file cannot be written, for instance ``FileNotFoundError`` if its folder does not exist.

        See Also
        --------
        load : Reads the file.

        Examples
        --------
        >>> import tempfile
        >>> from pathlib import Path
        >>> import numpy as np
        >>> from sklstm import TikhonovLSTMRegressor
        >>> X = np.random.default_rng(0).standard_normal((50, 5, 1))
        >>> model = TikhonovLSTMRegressor(4, max_epochs=2, random_state=0).fit(X, X[:, -1, 0])
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     model.save(Path(folder) / "model.safetensors")
        ...     [file.name for file in Path(folder).iterdir()]
        ['model.safetensors']
        """
        _files.save(self, path)

    @classmethod
    @restores_settings
    def load(cls, path: str | PathLike[str], *, device: str | torch.device | None = None) -> Self:
        """Read a model that `save` has written; no code in the file is executed.

        Parameters
        ----------
        path : str or PathLike
            Path of the file.
        device : str or torch.device, optional
            Device for the network; it becomes the parameter ``device``. By default this is the device that the model
            was saved with. If this machine does not have that device, it is the CPU, with a warning. With
            ``device="auto"`` it is the best device of this machine.

        Returns
        -------
        estimator
            Its predictions are those of the saved model, bit for bit on a machine with the same kernels. Its optimiser
            is fresh.

        Raises
        ------
        ModelFileError
            If the file is not a model, is damaged, was saved by a newer version, or holds a model of another class.
        ValueError
            If torch cannot use ``device`` on this machine.
        OSError
            If the file cannot be read.

        See Also
        --------
        save : Writes such a file.
        sklstm.load : Reads a file of any class of this package.

        Examples
        --------
        >>> import tempfile
        >>> from pathlib import Path
        >>> import numpy as np
        >>> from sklstm import TikhonovLSTMRegressor
        >>> X = np.random.default_rng(0).standard_normal((50, 5, 1))
        >>> model = TikhonovLSTMRegressor(4, max_epochs=2, random_state=0).fit(X, X[:, -1, 0])
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     model.save(Path(folder) / "model.safetensors")
        ...     loaded = TikhonovLSTMRegressor.load(Path(folder) / "model.safetensors")
        >>> bool((loaded.predict(X) == model.predict(X)).all()), loaded.hidden_size
        (True, 4)
        """
        return _files.load_as(cls, path, device)

    @restores_settings
    @of_one_fit
    def to_onnx(self, path: str | PathLike[str] | None = None, *, with_lengths: bool = False) -> Any:
        """The fitted network as an ONNX model, for runtimes without Python.

        Parameters
        ----------
        path : str or PathLike, optional
            Path of a file to write; an existing file is replaced.
        with_lengths : bool, default=False
            Add the input ``lengths`` (n,) int64: the number of steps of every sequence in a padded batch. What follows
            the last step of a sequence then has no effect.

        Returns
        -------
        onnx.ModelProto
            A model with the input ``X`` in float32, (n, L, d) or, with ``layout="nct"``, (n, d, L); n and L are free. A
            regressor's output is ``prediction``, in the shape of y. A classifier's outputs are ``label`` (n,) and
            ``probabilities`` (n, k). Numeric outputs are float32. Labels are int64, float64, bool or strings.

        Raises
        ------
        ImportError
            If the package onnx is not installed: ``pip install "sklstm[onnx]"``.
        NotFittedError
            Before `fit`.
        TypeError
            If ONNX has no type for the labels.
        OSError
            If the file cannot be written.

        Examples
        --------
        >>> import numpy as np
        >>> from sklstm import NoisyRNNClassifier
        >>> X = np.random.default_rng(0).standard_normal((50, 5, 1))
        >>> model = NoisyRNNClassifier(4, max_epochs=2, random_state=0).fit(X, np.where(X[:, -1, 0] > 0, "up", "down"))
        >>> graph = model.to_onnx(with_lengths=True).graph
        >>> [value.name for value in graph.input], [value.name for value in graph.output]
        (['X', 'lengths'], ['label', 'probabilities'])
        """
        return _files.to_onnx(self, path, with_lengths)

    @restores_settings
    def __getstate__(self) -> dict[str, Any]:
        return _files.pickle_state(self, super().__getstate__())

    @restores_settings
    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        self.__dict__.update(_files.parameters_since(self))
        self.__dict__.update(_files.unpickled(self))

    def __copy__(self) -> Self:
        twin = type(self).__new__(type(self))  # copy.copy would call the two methods above and so build another network
        twin.__dict__.update(self.__dict__)
        return twin

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.input_tags.two_d_array = True
        tags.input_tags.three_d_array = True
        return tags


# Functions of an estimator: the steps of a fit, for code that trains many at once, and its quantised predictor.


def checked(estimator: SequenceEstimator, X: Any, y: Any, sample_weight: Any, validation: Mapping[str, Any]) -> FitData:
    """The checked arguments of ``fit``; also checks the parameters, and records what all later input must match."""
    check_parameters(estimator, estimator._rules)
    return estimator._check_fit(X, y, sample_weight, validation)


def training_spec(estimator: SequenceEstimator, data: FitData) -> TrainingSpec:
    """The specification of what ``fit`` would train on checked data."""
    return estimator._training_spec(data, FitContext())


def training_data(estimator: SequenceEstimator, data: FitData, *, relative: bool = True) -> SequenceDataset:
    """Checked data in the form that training takes; weights that are not ``relative`` are used unscaled."""
    targets = estimator._targets(data.y)
    return dataset(data.X, targets, data.weight, device=estimator.device, relative=relative)


def cloned_with(estimator: SequenceEstimator, **changed: Any) -> Any:
    """A copy of the estimator with other parameter values that keeps what `checked` has recorded."""
    twin: Any = clone(estimator).set_params(**changed)
    own = set(vars(twin))
    twin.__dict__.update({name: value for name, value in vars(estimator).items() if name not in own})
    return twin


def set_fitted(estimator: SequenceEstimator, net: SequenceNet) -> Any:
    """Set the fitted attributes of an estimator with checked data, but no bound."""
    estimator._set_fitted(net)
    return estimator


def quantized(estimator: SequenceEstimator, bound: Any) -> Any:
    """A fitted estimator with the weights that an Occam bound holds for; see its method of this name."""
    check_is_fitted(estimator)
    if not isinstance(bound, OccamBound):
        raise TypeError(
            f"bound must be the Occam bound of this estimator, generalization_report(X, y)['occam']; got {bound!r:.80}."
        )
    recurrent = next((tensor for name, tensor in bound.weights.items() if "weight_hh" in name), torch.empty(1, 1))
    device = next(estimator.net_.module_.parameters()).device
    module = fresh_network(estimator.net_, recurrent.shape[1], 0).to(device)
    shapes, given = ({name: value.shape for name, value in of.items()} for of in (module.state_dict(), bound.weights))
    if shapes != given:
        raise ValueError(
            f"bound is about another network than this {type(estimator).__name__}: its weights do not fit. Take the "
            "bound from generalization_report(X, y) of this estimator."
        )
    module.load_state_dict(bound.weights)
    twin = copy.copy(estimator)
    twin.__dict__["hidden_size"] = recurrent.shape[1]
    net = estimator.net_.twin(module)
    net.__dict__["module__hidden_size"] = recurrent.shape[1]  # bypasses skorch, which would build a new network
    twin._set_fitted(net)
    twin.__dict__["_quantized_cap"] = bound.scale  # tells `holdout_bound_of` which predictor this is
    for name in ("generalization_bound_", "_bound_cap"):
        twin.__dict__.pop(name, None)
    return twin
