"""What the constructor parameters that all estimators have must satisfy."""

from collections.abc import Sequence
from typing import Any, Literal

import torch
from skorch.callbacks import Callback, LRScheduler, PrintLog

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
    Device,
    Instance,
    Rule,
    Seed,
)
from sklstm.training import PRECISIONS, SCHEDULES

from ._compression import Compression

__all__ = ["OPTIMIZERS", "SHARED_RULES", "OptimizerName", "PrecisionName", "ScheduleName"]

# The keys of OPTIMIZERS and SCHEDULES and the entries of PRECISIONS, for type checkers.
OptimizerName = Literal["adam", "adamw", "sgd"]
ScheduleName = Literal["constant", "step", "exponential", "cosine", "warmup-cosine", "plateau"]
PrecisionName = Literal["float32", "tf32", "bfloat16"]

OPTIMIZERS: dict[str, tuple[type[torch.optim.Optimizer], dict[str, Any]]] = {
    # fused: one kernel for all parameters; a step takes 0.3-0.45 of the default's time from H = 16 to 128 on one thread
    # torch has it for CPU, CUDA and MPS. SGD keeps torch's default, on CUDA one kernel for all parameters too
    "adam": (torch.optim.Adam, {"optimizer__fused": True}),
    "adamw": (torch.optim.AdamW, {"optimizer__fused": True}),
    "sgd": (torch.optim.SGD, {"optimizer__momentum": 0.9, "optimizer__nesterov": True}),
}


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


def _without_names(callbacks: Sequence[Any] | None) -> list[Callback]:
    return [entry[1] if isinstance(entry, tuple) else entry for entry in callbacks or ()]


def prints(callbacks: Sequence[Any] | None) -> bool:
    """Whether one of the callbacks is there to print, which skorch leaves undone unless the net is verbose."""
    return any(isinstance(callback, PrintLog) for callback in _without_names(callbacks))


def check_monitors(callbacks: Sequence[Any] | None, early_stopping: bool) -> None:
    """ValueError if a callback is to watch a validation loss that there will not be."""
    for callback in _without_names(callbacks):
        monitor = getattr(callback, "monitor", None)
        if isinstance(monitor, str) and monitor.startswith("valid_loss") and not early_stopping:
            raise ValueError(
                f"The callback {type(callback).__name__} monitors {monitor!r}, but without early_stopping=True no data "
                f"is held out. Set early_stopping=True, or monitor={monitor.replace('valid', 'train')!r}."
            )


def check_one_schedule(callbacks: Sequence[Any] | None, lr_schedule: str) -> None:
    """ValueError if two schedules would set one learning rate."""
    if lr_schedule != "constant" and any(isinstance(callback, LRScheduler) for callback in _without_names(callbacks)):
        raise ValueError(
            f"lr_schedule={lr_schedule!r} and a skorch LRScheduler among callbacks both set the learning rate. Use one "
            "of them; lr_schedule='constant' leaves the rate to the callback."
        )


SHARED_RULES: dict[str, Rule] = {
    "hidden_size": POSITIVE_INT,
    "sigma": NON_NEGATIVE,
    "n_channels": POSITIVE_INT,
    "max_epochs": POSITIVE_INT,
    "lr": POSITIVE,
    "batch_size": POSITIVE_INT,
    "optimizer": Choice(tuple(OPTIMIZERS)),
    "weight_decay": NON_NEGATIVE,
    "clip_norm": OPTIONAL_POSITIVE,
    "lr_schedule": Choice(tuple(SCHEDULES)),
    "early_stopping": FLAG,
    "validation_fraction": PROBABILITY,
    "n_iter_no_change": POSITIVE_INT,
    "warm_start": FLAG,
    "callbacks": Callbacks(),
    "compute_bound": FLAG,
    "compression": Instance(Compression),
    "delta": SMALL_PROBABILITY,
    "device": Device(),
    "precision": Choice(PRECISIONS),
    "random_state": Seed(),
    "verbose": LEVEL,
}
