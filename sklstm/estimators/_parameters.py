"""Valid values of the constructor parameters of the estimators."""

from collections.abc import Mapping
from dataclasses import dataclass
from numbers import Real
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from skorch.callbacks import Callback

from sklstm._layout import LAYOUT
from sklstm._losses import LOSS
from sklstm._sequences import Sequences
from sklstm._validation import (
    FLAG,
    LEVEL,
    NON_NEGATIVE,
    NON_NEGATIVE_INT,
    OPTIONAL_POSITIVE,
    POSITIVE,
    POSITIVE_INT,
    PROBABILITY,
    SMALL_PROBABILITY,
    Choice,
    ClassWeight,
    Device,
    Instance,
    Number,
    NumberOr,
    Rule,
    Seed,
    is_integer,
)
from sklstm.networks import ACTIVATIONS, READOUTS
from sklstm.noise import NOISES
from sklstm.training._callbacks import SCHEDULES
from sklstm.training._process import PRECISIONS
from sklstm.training._train import OPTIMIZERS

from ._compression import Compression
from ._pac_bayes import PACBayes

# The keys of NOISES, LOSSES, OPTIMIZERS and SCHEDULES and the entries of ACTIVATIONS and PRECISIONS, for type checkers.
ActivationName = Literal["relu", "tanh"]
NoiseName = Literal["gaussian", "uniform", "laplace", "dropout"]
LossName = Literal["squared_error", "absolute_error", "huber", "quantile"]
OptimizerName = Literal["adam", "adamw", "sgd"]
ScheduleName = Literal["constant", "step", "exponential", "cosine", "warmup-cosine", "plateau"]
PrecisionName = Literal["float32", "tf32", "bfloat16"]


class Callbacks:
    """None, or a sequence of skorch callbacks, alone or each with a name."""

    def check(self, name: str, value: Any) -> None:
        if value is None:
            return
        if not isinstance(value, list | tuple):
            raise TypeError(f"{name} must be None or a list of skorch callbacks, got {value!r}.")
        for entry in value:
            named = isinstance(entry, tuple) and len(entry) == 2 and isinstance(entry[0], str)
            callback = entry[1] if named else entry
            if not isinstance(callback, Callback):
                raise TypeError(
                    f"every entry of {name} must be an instance of skorch.callbacks.Callback or a pair (name, "
                    f"instance); got {entry!r}. Use set_callbacks for callbacks of scikit-learn."
                )


class Channels:
    """None, a channel, or a channel for each output: numbers, or labels of the channels of a DataFrame."""

    def check(self, name: str, value: Any) -> None:
        for channel in value if isinstance(value, list | tuple) else () if value is None else (value,):
            if not (isinstance(channel, str) or (is_integer(channel) and channel >= 0)):
                raise TypeError(
                    f"{name} must be None, the number of a channel from 0 on, its label, or a list with one of these "
                    f"for each output; got {value!r}."
                )


class Radii:
    """A non-negative number, or one for each channel."""

    def check(self, name: str, value: Any) -> None:
        if isinstance(value, Mapping) or (hasattr(value, "index") and hasattr(value, "to_numpy")):
            raise TypeError(
                f"{name} has labels, but an estimator knows no labels before fit. Give an array with one number for "
                f"each channel in the order of X, for instance [{name}[channel] for channel in channels]."
            )
        if not isinstance(value, list | tuple | np.ndarray) or np.ndim(value) == 0:
            NON_NEGATIVE.check(name, value.item() if isinstance(value, np.ndarray) else value)
            return
        if np.ndim(value) != 1 or len(value) == 0:
            raise ValueError(f"{name} must be a number, or one number for each channel; got {value!r}.")
        for radius in value:
            NON_NEGATIVE.check(f"every entry of {name}", radius)


#: For the parameters of all estimators; each estimator checks those that its constructor has.
RULES: dict[str, Rule] = {
    "hidden_size": POSITIVE_INT,
    "activation": Choice(ACTIVATIONS),
    "lambda_s": NumberOr(NON_NEGATIVE, "auto"),
    "lambda_1": NON_NEGATIVE,
    "lambda_2": NON_NEGATIVE,
    "variant": Choice(("turkin", "tight", "stable")),
    "readout": Choice(tuple(READOUTS)),
    "skip": Choice(("none", "last", "linear")),
    "skip_channel": Channels(),
    "num_layers": POSITIVE_INT,
    "sigma": NON_NEGATIVE,
    "noise": Choice(tuple(NOISES)),
    "robust_eps": Radii(),
    "robust_weight": Number(Real, 0, 1),
    "robust_box": Number(Real, 0, 1, "right"),
    "loss": LOSS,
    "quantile": PROBABILITY,
    "n_channels": POSITIVE_INT,
    "layout": LAYOUT,
    "max_epochs": NumberOr(POSITIVE_INT, "auto"),
    "lr": POSITIVE,
    "lr_schedule": Choice(tuple(SCHEDULES)),
    "batch_size": NumberOr(POSITIVE_INT, "auto"),
    "optimizer": Choice(tuple(OPTIMIZERS)),
    "weight_decay": NON_NEGATIVE,
    "clip_norm": OPTIONAL_POSITIVE,
    "max_norm_u": OPTIONAL_POSITIVE,
    "max_norm_w": OPTIONAL_POSITIVE,
    "max_norm_v": OPTIONAL_POSITIVE,
    "recurrent_scale": POSITIVE,
    "early_stopping": FLAG,
    "validation_fraction": PROBABILITY,
    "validation_split": Choice(("random", "last")),
    "validation_gap": NON_NEGATIVE_INT,
    "n_iter_no_change": POSITIVE_INT,
    "class_weight": ClassWeight(),
    "warm_start": FLAG,
    "callbacks": Callbacks(),
    "compression": Instance(Compression, PACBayes),
    "margin": POSITIVE,
    "delta": SMALL_PROBABILITY,
    "loss_cap": OPTIONAL_POSITIVE,
    "device": Device(),
    "precision": Choice(PRECISIONS),
    "random_state": Seed(),
    "verbose": LEVEL,
}


@dataclass(frozen=True)
class PathParameter:
    """A continuous regularisation parameter, and values worth trying on standardised data.

    Attributes
    ----------
    rule : Rule
        Rule that every value must satisfy.
    low, high : float
        Ends of the range.
    with_zero : bool
        Whether 0, no regularisation, comes first.
    relative_to_data : bool
        Whether the ends are multiples of the standard deviation of X.
    for_labels : float
        Factor on the ends for a classifier.
    """

    rule: Rule
    low: float
    high: float
    with_zero: bool = False
    relative_to_data: bool = False
    for_labels: float = 1.0


#: What `sklstm.model_selection.RegularizationPathCV` can choose; a new parameter needs a new row.
PATH_PARAMETERS: dict[str, PathParameter] = {
    "lambda_s": PathParameter(NON_NEGATIVE, 1e-4, 1.0, for_labels=0.01),
    "lambda_1": PathParameter(NON_NEGATIVE, 0.1, 1000.0),
    "lambda_2": PathParameter(NON_NEGATIVE, 0.1, 1000.0),
    "sigma": PathParameter(NON_NEGATIVE, 0.01, 1.0, with_zero=True, relative_to_data=True),
    "robust_eps": PathParameter(NON_NEGATIVE, 0.01, 0.3, with_zero=True, relative_to_data=True),
    "robust_weight": PathParameter(RULES["robust_weight"], 0.1, 1.0, with_zero=True),
    "robust_box": PathParameter(RULES["robust_box"], 0.1, 1.0),
    "weight_decay": PathParameter(NON_NEGATIVE, 1e-5, 0.1, with_zero=True),
    "clip_norm": PathParameter(POSITIVE, 0.1, 10.0),
    "max_norm_u": PathParameter(POSITIVE, 0.5, 50.0),
    "max_norm_w": PathParameter(POSITIVE, 0.5, 50.0),
    "max_norm_v": PathParameter(POSITIVE, 0.5, 50.0),
}


def path_values(name: str, number: int, X: Sequences, *, labels: bool = False) -> NDArray[np.float64]:
    """Ascending values of a parameter to try, evenly spaced on a logarithmic scale; some parameters also get 0.

    They have two significant digits, or as many as keep them distinct.
    """
    parameter = PATH_PARAMETERS[name]
    unit = (X.spread() or 1.0) if parameter.relative_to_data else 1.0  # X may be constant
    unit *= parameter.for_labels if labels else 1.0
    positive = number - parameter.with_zero
    exact = np.geomspace(parameter.low, parameter.high, positive) * unit
    if positive == 1:  # beside 0
        exact = np.array([np.sqrt(parameter.low * parameter.high) * unit])
    for digits in range(2, 18):
        rounded = np.unique([float(f"{value:.{digits}g}") for value in exact])
        if len(rounded) == len(exact):
            break
    return np.append(0.0, rounded) if parameter.with_zero else rounded
