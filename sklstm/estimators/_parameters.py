"""What the constructor parameters of the estimators must satisfy."""

from typing import Any, Literal

from skorch.callbacks import Callback

from sklstm._validation import (
    FLAG,
    LEVEL,
    NON_NEGATIVE,
    OPTIONAL_POSITIVE,
    POSITIVE,
    POSITIVE_INT,
    PROBABILITY,
    SMALL_PROBABILITY,
    Choice,
    ClassWeight,
    Device,
    Instance,
    Rule,
    Seed,
)
from sklstm.networks import READOUTS
from sklstm.noise import NOISES
from sklstm.training._callbacks import SCHEDULES
from sklstm.training._process import PRECISIONS
from sklstm.training._train import OPTIMIZERS

from ._compression import Compression

__all__ = ["RULES", "OptimizerName", "PrecisionName", "ScheduleName"]

# The keys of OPTIMIZERS and SCHEDULES and the entries of PRECISIONS, for type checkers.
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
                    f"instance); got {entry!r}. Callbacks of scikit-learn are set with set_callbacks."
                )


#: Of every parameter of every estimator; an estimator is checked by those that its constructor has.
RULES: dict[str, Rule] = {
    "hidden_size": POSITIVE_INT,
    "lambda_s": NON_NEGATIVE,
    "lambda_1": NON_NEGATIVE,
    "lambda_2": NON_NEGATIVE,
    "variant": Choice(("turkin", "tight")),
    "readout": Choice(tuple(READOUTS)),
    "num_layers": POSITIVE_INT,
    "sigma": NON_NEGATIVE,
    "noise": Choice(tuple(NOISES)),
    "n_channels": POSITIVE_INT,
    "max_epochs": POSITIVE_INT,
    "lr": POSITIVE,
    "lr_schedule": Choice(tuple(SCHEDULES)),
    "batch_size": POSITIVE_INT,
    "optimizer": Choice(tuple(OPTIMIZERS)),
    "weight_decay": NON_NEGATIVE,
    "clip_norm": OPTIONAL_POSITIVE,
    "max_norm_u": OPTIONAL_POSITIVE,
    "max_norm_w": OPTIONAL_POSITIVE,
    "max_norm_v": OPTIONAL_POSITIVE,
    "recurrent_scale": POSITIVE,
    "early_stopping": FLAG,
    "validation_fraction": PROBABILITY,
    "n_iter_no_change": POSITIVE_INT,
    "class_weight": ClassWeight(),
    "warm_start": FLAG,
    "callbacks": Callbacks(),
    "compute_bound": FLAG,
    "compression": Instance(Compression),
    "margin": POSITIVE,
    "delta": SMALL_PROBABILITY,
    "loss_cap": OPTIONAL_POSITIVE,
    "device": Device(),
    "precision": Choice(PRECISIONS),
    "random_state": Seed(),
    "verbose": LEVEL,
}
