"""What a fitted estimator is made of beside its network, and how each part is checked when it comes from a file."""

from collections.abc import Callable, Mapping
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor, nn

from sklstm.generalization import GeneralizationReport, OccamBound
from sklstm.persistence import GENERALIZATION, Codec, Parameters, conforms
from sklstm.training._snapshot import check_weights

from ._compression import Compression

__all__ = ["CODEC", "OF_KIND", "STATE", "check_state", "fitted_state"]

#: Of everything that estimators hold.
CODEC = Codec(GENERALIZATION | {"Compression": Parameters(Compression, Compression._rules)})

_Gain = float | NDArray[np.float64]

#: Fitted attributes that a file keeps, with their types; `net_` is kept apart. A new one is a new row.
STATE: dict[str, Any] = {
    "n_iter_": int,
    "loss_curve_": list[float],
    "n_features_in_": int,
    "feature_names_in_": NDArray[Any],
    "classes_": NDArray[Any],
    "rho_x_": _Gain,
    "rho_h_": _Gain,
    "perturbation_gain_": float,
    "generalization_bound_": float,
    "generalization_report_": GeneralizationReport,
    "_fitted_flat": bool,
    "_n_channels": int,
    "_target_shape": tuple[int, ...],
    "_bound_seed": int,
    "_quantized_cap": float,
}
#: What estimators of one kind have after fit, and others never.
OF_KIND = {
    "classifier": ("classes_",),
    "regressor": ("_target_shape", "rho_x_", "rho_h_", "perturbation_gain_"),
}
# What all have.
_ALWAYS = {"n_iter_", "loss_curve_", "n_features_in_", "_fitted_flat", "_n_channels"}


def fitted_state(estimator: Any) -> dict[str, Any]:
    """The fitted attributes of an estimator that a file keeps; ``TypeError`` if there is one that it cannot keep."""
    state = {}
    for name, value in vars(estimator).items():
        if name in STATE:
            if not conforms(value, STATE[name]):
                raise TypeError(f"{name} is of type {type(value).__name__}, which save cannot keep as {name}.")
            state[name] = value
        elif name.endswith("_") and not name.startswith("_") and name != "net_":
            raise TypeError(
                f"{name}, of type {type(value).__name__}, is no fitted attribute that save knows. Delete it, or use "
                "joblib for a model that you alone will load."
            )
    return state


def check_state(state: Mapping[str, Any], module: type[nn.Module], arguments: Mapping[str, Any]) -> None:
    """Check fitted attributes from a file.

    Parameters
    ----------
    state : mapping of str to object
    module : type of nn.Module
        The network's class,
    arguments : mapping
        and its arguments, checked before.

    Raises
    ------
    ValueError
        If an attribute is missing, unknown, of another type, or does not fit the network or the others.
    """
    if unknown := set(state) - set(STATE):
        raise ValueError(f"it has the unknown fitted attributes {sorted(map(str, unknown))}"[:300])
    if missing := _ALWAYS - set(state):
        raise ValueError(f"it lacks the fitted attributes {sorted(missing)}")
    for name, value in state.items():
        if not conforms(value, STATE[name]):
            raise ValueError(f"{name} is not of its type")
    for name, holds in _CONDITIONS.items():
        if name in state and not holds(state[name], state, arguments):
            raise ValueError(f"{name} does not fit the network or the other attributes")
    if ("generalization_report_" in state) != ("generalization_bound_" in state):
        raise ValueError("a report and its bound go together")
    if "generalization_report_" in state:
        _check_report(state["generalization_report_"], module, dict(arguments))


def _check_report(report: GeneralizationReport, module: type[nn.Module], arguments: dict[str, Any]) -> None:
    try:
        str(report)  # every term and every word of it
    except (ValueError, TypeError, ArithmeticError, LookupError, AttributeError) as error:
        raise ValueError(f"its report cannot be shown: {error}") from error
    for bound in report.bounds:
        if isinstance(bound, OccamBound):
            weights: dict[str, Tensor] = bound.weights
            recurrent = next((tensor for name, tensor in weights.items() if "weight_hh" in name), None)
            if recurrent is None or recurrent.ndim != 2:
                raise ValueError("the weights of the Occam bound have no recurrent matrix")
            check_weights(weights, module, arguments | {"hidden_size": recurrent.shape[1]})


def _labels(value: np.ndarray, state: Mapping[str, Any], arguments: Mapping[str, Any]) -> bool:
    # As `np.unique` makes them; NaN would not be greater than anything.
    labels = value.tolist()
    if value.shape != (arguments["n_outputs"],) or not all(
        isinstance(entry, str | int | float | np.generic) for entry in labels
    ):
        return False
    try:
        return all(low < high for low, high in pairwise(labels))
    except TypeError:
        return False


def _names(value: np.ndarray, state: Mapping[str, Any], arguments: Mapping[str, Any]) -> bool:
    return value.shape == (state["n_features_in_"],) and all(isinstance(name, str) for name in value.tolist())


def _columns(value: int, state: Mapping[str, Any], arguments: Mapping[str, Any]) -> bool:
    channels = arguments["n_features"]
    return (0 < value < 1 << 40 and value % channels == 0) if state["_fitted_flat"] else value == channels


def _gain(value: Any, state: Mapping[str, Any], arguments: Mapping[str, Any]) -> bool:
    layers = arguments.get("num_layers", 1)
    return np.shape(value) == (() if layers == 1 else (layers,)) and bool(np.all(np.asarray(value) >= 0))


_CONDITIONS: dict[str, Callable[[Any, Mapping[str, Any], Mapping[str, Any]], bool]] = {
    "n_iter_": lambda value, state, arguments: value == len(state["loss_curve_"]),
    "n_features_in_": _columns,
    "feature_names_in_": _names,
    "classes_": _labels,
    "rho_x_": _gain,
    "rho_h_": _gain,
    "perturbation_gain_": lambda value, state, arguments: value >= 0,
    "generalization_bound_": lambda value, state, arguments: (
        "generalization_report_" in state and value == state["generalization_report_"].value
    ),
    "_n_channels": lambda value, state, arguments: value == arguments["n_features"],
    "_target_shape": lambda value, state, arguments: (
        value in ((), (arguments["n_outputs"],)) and (value != () or arguments["n_outputs"] == 1)
    ),
    "_bound_seed": lambda value, state, arguments: 0 <= value < 2**31,
    "_quantized_cap": lambda value, state, arguments: value > 0,
}
