"""Parameters of the estimators: valid ones, and whatever else somebody might pass."""

import decimal
import fractions
import math

import numpy as np
import pandas as pd
import torch
from hypothesis import strategies as st

from sklstm import Compression


def _whole(low, high):
    return st.builds(lambda wrap, n: wrap(n), st.sampled_from([int, np.int64, np.int8]), st.integers(low, high))


def _reals(*values):
    return st.builds(lambda wrap, x: wrap(x), st.sampled_from([float, np.float32, np.float64]), st.sampled_from(values))


def flags(*likely):
    return st.sampled_from([*likely, True, False, np.True_, np.False_])


def _words(*values):
    return st.builds(lambda wrap, word: wrap(word), st.sampled_from([str, np.str_]), st.sampled_from(values))


QUICK = Compression(hidden_size=2, epochs=1, stage_epochs=1, n_stages=1, n_trials=4, coarseness=(16.0,))
_VALUES = {
    "hidden_size": _whole(1, 4),
    "activation": _words("relu", "tanh"),
    "sigma": st.just(0) | _reals(0.0, 0.5, 2.0),
    "robust_eps": st.just(0) | _reals(0.0, 0.1, 1e-9),
    "robust_weight": st.sampled_from([0, 1]) | _reals(0.0, 0.5, 1.0),
    "robust_box": st.just(1) | _reals(0.1, 1.0),
    "max_epochs": _whole(1, 2),
    "lr": _reals(0.003, 0.01, 1e-12),
    "lr_schedule": _words("constant", "step", "exponential", "cosine", "warmup-cosine", "plateau"),
    "batch_size": _whole(1, 16) | st.just(10**6) | st.just("auto"),
    "optimizer": _words("adam", "adamw", "sgd"),
    "weight_decay": st.just(0) | _reals(0.0, 0.01, 1.0),
    "clip_norm": st.none() | st.just(1) | _reals(1.0, 1e-9, 1e9),
    "validation_fraction": _reals(0.5, 0.25),
    "n_iter_no_change": _whole(1, 3) | st.just(10**12),
    "delta": _reals(0.05, 0.5, 0.999),
    "device": st.sampled_from(["cpu", torch.device("cpu")]),
    "precision": _words("float32", "tf32", "bfloat16"),
    "random_state": st.integers(0, 3) | st.sampled_from([2**32 - 1, np.int64(7), np.uint32(7)]),
    "verbose": st.sampled_from([0, False, np.int64(0)]),
    "warm_start": flags(),
    "compression": st.none() | st.just(QUICK),
    "lambda_s": st.just(0) | _reals(0.0, 0.01, 1e-12, 1.0),
    "lambda_1": st.just(0) | _reals(0.0, 10.0),
    "lambda_2": st.just(0) | _reals(0.0, 10.0),
    "variant": _words("turkin", "tight", "stable"),
    "layout": st.just("ntc"),  # "nct" is another X: see `tests/estimators/test_layouts.py`
    "readout": _words("linear", "logistic"),
    "skip": _words("none", "linear"),  # "last" goes with other parameters: see `tasks`
    "skip_channel": st.none() | st.sampled_from([0, np.int64(1), "load", [0], ("load", 1)]),
    "num_layers": _whole(1, 2),
    "loss": _words("squared_error", "absolute_error", "huber", "quantile"),
    "quantile": _reals(0.5, 0.125, 0.9),
    "loss_cap": st.none() | _reals(1.0, 1e-6, 1e6),
    "noise": _words("gaussian", "uniform", "laplace", "dropout"),
    "max_norm_u": st.none() | _reals(0.1, 2.0, 100.0),
    "max_norm_w": st.none() | _reals(0.1, 2.0, 100.0),
    "max_norm_v": st.none() | _reals(0.1, 2.0, 100.0),
    "recurrent_scale": st.just(1) | _reals(1.0, 0.01, 2.0),
    "margin": st.just(1) | _reals(1.0, 1e-6, 1e6),
    "class_weight": st.sampled_from([None, "balanced"]),
}


def values_of(kind):
    """Valid values of the parameters of an estimator."""
    return {name: _VALUES[name] for name in kind._get_param_names() if name in _VALUES}


@st.composite
def parameters(draw, kind):
    """A few parameters away from their defaults, the others as small as they get."""
    known = values_of(kind)
    names = draw(st.lists(st.sampled_from(sorted(known)), unique=True, max_size=6))
    few = {"hidden_size": 2, "max_epochs": 1, "random_state": 0}
    return few | {name: draw(known[name]) for name in names}


# ---------------------------------------------------------------- any values

# Apart from numbers so large that memory or the night would not suffice.
# fmt: off
VALUES = [
    None, True, False, np.True_, np.False_, 0, -1, 1, 2, 0.0, -0.0, 1.0, 2.5, -1e-300, 1e-300, 1e300, 1e-30, 1e30,
    math.nan, math.inf, -math.inf, np.float32("nan"), np.float64("-inf"), np.float16(0.1), np.float32(1e30),
    np.longdouble("0.5"), np.longdouble("1e4000"), np.int64(-3), np.uint8(3), np.int8(1), 1j, np.complex64(1),
    "", "1", "adam", "turkin", "linear", "balanced", "gaussian", "cpu", "ä\0", np.str_("sgd"), b"adam",
    np.bytes_(b"cpu"), [], [1], (), (1, 2), {}, {"a": 1}, {0: 1, 1: 2}, {0: -1}, set(), np.array(1), np.array([1.0]),
    np.array([]), torch.tensor(1), torch.tensor(0.5), torch.nn.Identity(), object(), int, len, lambda: None, range(2),
    slice(1), fractions.Fraction(1, 2), decimal.Decimal("0.5"), pd.NA, pd.NaT, pd.Series([1]),
    np.datetime64("2020-01-01"), np.timedelta64(1, "s"), np.random.RandomState(0), np.random.default_rng(0),
    torch.Generator(), torch.device("cpu"), torch.device("meta"), "meta", "cuda", "mps", "cuda:99", NotImplemented,
    Ellipsis,
]
ANYTHING = st.sampled_from(VALUES)
_ENORMOUS = st.sampled_from([10**30, 2**31, 2**63, 10**400])
NUMBERS = {
    "hidden_size", "sigma", "max_epochs", "lr", "batch_size", "weight_decay", "validation_fraction", "n_iter_no_change",
    "delta", "lambda_s", "lambda_1", "lambda_2", "num_layers", "margin", "recurrent_scale", "n_channels", "clip_norm",
    "loss_cap", "quantile", "max_norm_u", "max_norm_w", "max_norm_v", "validation_gap", "robust_eps", "robust_weight",
    "robust_box",
}
# fmt: on
_COSTLY = {"hidden_size", "max_epochs", "num_layers"}


def must_be_refused(name, value):
    """Whether no reading of the documentation lets this value of a parameter pass."""
    if name not in NUMBERS:
        return False
    if isinstance(value, float | np.floating):
        return not np.isfinite(value)
    if name == "robust_eps" and isinstance(value, list | tuple | np.ndarray):
        return False  # one number per channel
    return isinstance(value, str | bytes | list | tuple | dict | set | complex | np.ndarray | torch.Tensor)


@st.composite
def a_parameter(draw, kind):
    """Name and value of a parameter."""
    name = draw(st.sampled_from(sorted(kind._get_param_names())))
    return name, draw(ANYTHING if name in _COSTLY else ANYTHING | _ENORMOUS)
