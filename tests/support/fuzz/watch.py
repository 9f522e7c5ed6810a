"""Calls under watch: what they may raise, warn of, print and change."""

import contextlib
import functools
import io
import re
import traceback
import warnings
from collections import Counter
from dataclasses import dataclass, is_dataclass
from typing import Any

import hypothesis
import numpy as np
import pandas as pd
import sympy  # noqa: F401  a dependency of torch, which loads it in the first fit, and adds a warnings filter as it loads
import torch
from sklearn.base import BaseEstimator
from sklearn.exceptions import ConvergenceWarning, DataConversionWarning
from skorch import NeuralNet

from sklstm.exceptions import DataWarning, DivergenceError, WideCertificateWarning
from tests.support.fuzz.known import KNOWN

calls: Counter = Counter()  # (method, whether it was refused) -> how many, for the benchmark's record


class Finding(AssertionError):
    """A property that does not hold."""


def finding(text):
    """Fail, unless the defect is a known one."""
    if any(re.search(pattern, text, re.DOTALL) for pattern in KNOWN):
        hypothesis.reject()
    raise Finding(text)


def canonical(value: Any) -> Any:
    """Everything that a value holds, in a form that ``==`` compares bit for bit."""
    if isinstance(value, NeuralNet):
        epochs = [{name: entry for name, entry in epoch.items() if name != "dur"} for epoch in value.history]
        optimizer = value.optimizer_.state_dict()
        # Of the rates the value counts: a pickle holds plain numbers.
        groups = [{name: float(group[name]) for name in ("lr", "weight_decay")} for group in optimizer["param_groups"]]
        parts = (value.module_.state_dict(), optimizer["state"], groups, value.generator.get_state(), epochs)
        return tuple(map(canonical, parts))
    if isinstance(value, BaseEstimator) or is_dataclass(value):
        return type(value).__name__, canonical(vars(value))
    if isinstance(value, torch.Tensor):
        if value.is_nested:
            return canonical(list(value.unbind()))
        return "tensor", value.dtype, value.requires_grad, _content(value.detach())
    if isinstance(value, pd.DataFrame | pd.Series):
        names = list(value.columns) if isinstance(value, pd.DataFrame) else value.name
        types = list(map(str, value.dtypes)) if isinstance(value, pd.DataFrame) else str(value.dtype)
        return "pandas", repr(names), repr(list(value.index)), types, repr(value.to_numpy().tolist())
    if isinstance(value, np.ndarray):
        content = canonical(value.tolist()) if value.dtype.kind == "O" else value.tobytes()
        return "array", value.dtype.str, value.shape, value.flags.writeable, content
    if isinstance(value, dict):
        return {repr(key): canonical(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return type(value).__name__, [canonical(entry) for entry in value]
    if isinstance(value, np.random.RandomState):
        return "RandomState"  # a fit draws from it, as scikit-learn's do
    return re.sub(r" at 0x[0-9a-f]+", "", repr(value))


def _content(tensor):
    if tensor.is_meta or tensor.is_quantized:
        return repr(tensor)
    dense = tensor.to_dense() if tensor.layout is torch.sparse_coo else tensor
    return tuple(dense.shape), dense.cpu().contiguous().reshape(-1).view(torch.uint8).numpy().tobytes()


def process_state():
    """What every call must leave as it was."""
    return {
        "numpy's random state": repr(np.random.get_state()),
        "torch's random state": torch.random.get_rng_state().numpy().tobytes(),
        "grad mode": torch.is_grad_enabled(),
        "default dtype": torch.get_default_dtype(),
        "thread count": torch.get_num_threads(),
        "error state": np.geterr(),
        # torch 2.6 imports pkg_resources when it first trains, which adds a filter for a warning of its own.
        "warnings filters": [each for each in warnings.filters if each[2].__module__ != "pkg_resources"],
        "deterministic algorithms": torch.are_deterministic_algorithms_enabled(),
        "print options": (np.get_printoptions(), repr(torch._tensor_str.PRINT_OPTS)),
    }


@dataclass
class Outcome:
    """A value, or the error that was raised in its place."""

    value: Any = None
    error: Exception | None = None

    @property
    def ok(self):
        return self.error is None


CHANGING = {"fit", "partial_fit", "set_params"}
# What a message can be about, besides parameters.
_ARGUMENTS = (
    r"\b(X|y|X_cal|y_cal|sample_weight|eps|sigma|classes|labels?|method|[Ss]equences?|samples?|features?|weights?"
    r"|fitted|tensors?)\b"
)
# numpy's and pandas' words for what is no number at all; scikit-learn's checks of estimators ask for some of them.
_CONVERSIONS = r"could not convert string to float|argument must be a string"


def _warning_is_allowed(entry, method):
    text = str(entry.message)
    if issubclass(entry.category, ConvergenceWarning | DataConversionWarning | DataWarning | WideCertificateWarning):
        return True
    if method == "score" and type(entry.message).__name__ == "UndefinedMetricWarning":
        return True
    return entry.category is UserWarning and "feature names" in text


def _check_error(error, estimator, label):
    where = traceback.extract_tb(error.__traceback__)
    place = f"{where[-1].filename.rpartition('site-packages/')[2]}:{where[-1].name}"
    text = f"{label} raised {type(error).__module__}.{type(error).__name__}: {error} ({place})"
    if not isinstance(error, ValueError | TypeError):
        finding(text)
    if type(error).__module__.split(".")[0] not in ("builtins", "sklearn", "sklstm", "narwhals"):
        finding(f"{text}: an error of another library")
    if any(f"/{library}/" in where[-1].filename for library in ("torch", "skorch", "scipy", "threadpoolctl")):
        finding(f"{text}: refused in the middle of the work")
    message = str(error)
    if not message.strip():
        finding(f"{text}: says nothing")
    if "/sklearn/" in where[-1].filename or "/narwhals/" in where[-1].filename:
        return  # their wording is theirs
    names = "|".join(map(re.escape, estimator._get_param_names()))
    if not re.search(rf"\b({names})\b|{_ARGUMENTS}|{_CONVERSIONS}", message):
        finding(f"{text}: does not say what it is about")


def call(estimator, method, /, *args, **kwargs):
    """Call a method, or a function of an estimator, under watch; the outcome is its value or a proper error.

    Whatever else happens is a `Finding`.
    """
    function = functools.partial(method, estimator) if callable(method) else getattr(estimator, method)
    method = method.__name__ if callable(method) else method
    label = f"{type(estimator).__name__}.{method}"
    parameters = {} if method == "set_params" else canonical(estimator.get_params(deep=False))
    before, inputs = canonical(vars(estimator)), canonical([args, kwargs])
    identities = {name: id(value) for name, value in vars(estimator).items()}
    outcome, printed = Outcome(), io.StringIO()
    with warnings.catch_warnings(record=True) as caught, contextlib.redirect_stdout(printed):
        warnings.simplefilter("always")
        process = process_state()
        try:
            outcome.value = function(*args, **kwargs)
        except Exception as error:
            outcome.error = error
        after = process_state()
    calls[method, outcome.ok] += 1
    for name, value in process.items():
        if after[name] != value:
            finding(f"{label} changed {name} from {value} to {after[name]}")
    if outcome.error is not None:
        _check_error(outcome.error, estimator, label)
    for entry in caught:
        if not _warning_is_allowed(entry, method):
            finding(f"{label} warned {entry.category.__name__}: {entry.message} ({entry.filename}:{entry.lineno})")
    if printed.getvalue():
        finding(f"{label} printed {printed.getvalue()!r}")
    if canonical([args, kwargs]) != inputs:
        finding(f"{label} changed its arguments")
    if parameters and canonical(estimator.get_params(deep=False)) != parameters:
        finding(f"{label} changed the parameters")
    if isinstance(outcome.error, DivergenceError):
        return outcome  # the last good weights are kept, or what was there before
    if (outcome.error is not None or method not in CHANGING) and canonical(vars(estimator)) != before:
        finding(f"{label} changed the estimator, and {outcome.error or 'should not'}")
    if outcome.error is not None and {name: id(value) for name, value in vars(estimator).items()} != identities:
        finding(f"{label} failed and left other objects in the estimator")
    return outcome


def must(estimator, method, /, *args, **kwargs):
    """The value of a call that has no reason to be refused."""
    outcome = call(estimator, method, *args, **kwargs)
    if outcome.error is not None:
        place = traceback.extract_tb(outcome.error.__traceback__)[-1]
        method = getattr(method, "__name__", method)
        finding(
            f"{type(estimator).__name__}.{method} refused valid input: {type(outcome.error).__name__}: "
            f"{outcome.error} ({place.filename.rpartition('/')[2]}:{place.lineno})"
        )
    return outcome.value


def refused(estimator, method, /, *args, about, **kwargs):
    """The error of a call that must be refused."""
    outcome = call(estimator, method, *args, **kwargs)
    if outcome.ok:
        method = getattr(method, "__name__", method)
        finding(f"{type(estimator).__name__}.{method} took {about}")
    return outcome.error


def same(left, right, what):
    """Fail unless two values are equal bit for bit."""
    difference = _difference(canonical(left), canonical(right))
    if difference:
        finding(f"{what} differ: {difference}")


def _difference(left, right, path=""):
    """Where two canonical forms part."""
    if left == right:
        return ""
    if isinstance(left, dict) and isinstance(right, dict) and left.keys() == right.keys():
        return next(_difference(left[key], right[key], f"{path}.{key}") for key in left if left[key] != right[key])
    if isinstance(left, list | tuple) and isinstance(right, list | tuple) and len(left) == len(right):
        pairs = enumerate(zip(left, right, strict=True))
        return next(_difference(*pair, f"{path}[{index}]") for index, pair in pairs if pair[0] != pair[1])
    return f"{path}: {left!r:.300} and {right!r:.300}"


def learnt(estimator):
    """Public fitted attributes, and what the net holds."""
    return {name: canonical(value) for name, value in vars(estimator).items() if name.endswith("_")}
