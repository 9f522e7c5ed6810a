"""Fitted forecasters as files: parameters, columns, newest rows, scales, and the document of the estimator."""

import re
from collections.abc import Mapping
from os import PathLike
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import clone
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.validation import check_is_fitted

from sklstm._validation import check_parameters
from sklstm.persistence._atomic import write_atomically
from sklstm.persistence._class_forms import conforms
from sklstm.persistence._container import from_bytes, to_bytes
from sklstm.preprocessing._regular_series import Cut, RegularSeries
from sklstm.preprocessing._scaler import Moments, SequenceScaler

from . import _files
from ._files import LOADABLE, MISFITS, decoded, encoded

_DOCUMENT = {"class", "parameters", "state", "estimator"}
# A time zone by name or by its distance from UTC; for "dateutil/..." pandas would open a file.
_ZONE = re.compile(r"(?!dateutil)[A-Za-z][A-Za-z0-9_+\-]*(/[A-Za-z0-9_+\-]+)*|UTC[+-]\d\d:\d\d")
_UNITS = ("s", "ms", "us", "ns")

_Floats = NDArray[np.float64]
#: What a file keeps of a fitted forecaster, besides its parameters and its estimator.
_STATE: dict[str, Any] = {
    "window": int,
    "horizon": int,
    "targets": tuple[int, ...],
    "known": tuple[int, ...],
    "single": bool,
    "names": list,
    "values": NDArray[Any],
    "lengths": NDArray[np.int64],
    "levels": list,
    "level": int,
    "times": dict | None,
    "ids": list | None,
    "step": int | str | None,
    "counts": _Floats,
    "means": _Floats,
    "squares": _Floats,
    "target_means": _Floats,
    "target_variances": _Floats,
    "target_scales": _Floats,
    "n_windows": int,
}


def save(forecaster: Any, path: str | PathLike[str]) -> None:
    """Write a fitted forecaster to a file; see `Forecaster.save`."""
    check_is_fitted(forecaster)
    check_parameters(forecaster, forecaster._rules)
    content = to_bytes(document_of(forecaster))
    try:
        read = from_document(type(forecaster), from_bytes(content))
        if not _same_labels(read._recent, forecaster._recent):
            raise ValueError("its times or ids could not be read back unchanged")
    except ValueError as error:
        raise ValueError(
            f"this forecaster cannot be saved: a file would be refused, since {str(error).rstrip('.')}. Files hold "
            "ids that are texts, numbers or dates, and times at a step that pandas writes as a short text, such as "
            "'h' or 'B'. table.asfreq('B').ffill() has such a step. For other tables use joblib, for a model that "
            "you alone will load."
        ) from error
    write_atomically(path, content)


def document_of(forecaster: Any) -> dict[str, Any]:
    """The content of a file for a fitted forecaster; ``TypeError`` if something cannot be saved."""
    pipeline, of_targets = forecaster.model_.regressor_, forecaster.model_.transformer_
    scaler, estimator = pipeline[0], pipeline[-1]
    if LOADABLE.get(type(estimator).__name__) is not type(estimator):
        raise TypeError(
            f"a forecaster can be saved if its estimator is one of {', '.join(sorted(LOADABLE))}, but this one is a "
            f"{type(estimator).__name__}. Use joblib for a model that you alone will load."
        )
    parameters = forecaster.get_params(deep=False)
    del parameters["estimator"]  # that of the document, before it was fitted
    if not isinstance(forecaster.scoring, str | None):
        raise TypeError(
            f"scoring is {forecaster.scoring!r:.80}, which a file cannot hold. Forecasts do not need it: call "
            "set_params(scoring=None) before."
        )
    recent, cut = forecaster._recent, forecaster._cut
    state = {
        "window": cut.window,
        "horizon": cut.horizon,
        "targets": cut.targets,
        "known": cut.known,
        "single": forecaster._single,
        "names": recent.names,
        "values": np.ascontiguousarray(recent.values),
        "lengths": recent.lengths,
        "levels": recent.levels,
        "level": recent.level,
        "times": None if recent.times is None else _fields(recent.times),
        "ids": None if recent.ids is None else [_fields(ids) for ids in _levels(recent.ids)],
        "step": recent.step if recent.step is None or isinstance(recent.step, int) else recent.step.freqstr,
        "counts": scaler._moments.count,
        "means": scaler._moments.mean,
        "squares": scaler._moments.squares,
        "target_means": of_targets.mean_,
        "target_variances": of_targets.var_,
        "target_scales": of_targets.scale_,
        "n_windows": int(of_targets.n_samples_seen_),
    }
    return {
        "class": type(forecaster).__name__,
        "parameters": encoded(parameters),
        "state": encoded(state),
        "estimator": _files.document_of(estimator),
    }


def from_document(cls: Any, document: dict[str, Any], device: Any = None) -> Any:
    """The forecaster in a document, as `_files.from_document` makes an estimator; ``ValueError`` if it is invalid."""
    try:
        return _from_document(cls, document, device)
    except ValueError:
        raise
    except MISFITS as error:
        raise ValueError(f"it holds something of a wrong type: {error}") from error


def _from_document(cls: Any, document: dict[str, Any], device: Any) -> Any:
    if set(document) != _DOCUMENT or document["class"] != cls.__name__:
        raise ValueError(f"it is no {cls.__name__}: that has the entries {sorted(_DOCUMENT)} and no others")
    inner = document["estimator"]
    name = inner.get("class") if type(inner) is dict else None
    if not isinstance(name, str) or name not in LOADABLE:
        raise ValueError("its estimator is of an unknown class")
    parameters, state = (decoded(document[part], part) for part in ("parameters", "state"))
    if set(parameters) != set(cls._get_param_names()) - {"estimator"}:
        raise ValueError(f"the parameters of {cls.__name__} are others")
    estimator = _files.from_document(LOADABLE[name], inner, device)
    forecaster = cls(clone(estimator), **parameters)
    forecaster._check()
    _check_state(state, estimator)
    cut = Cut(state["window"], state["horizon"], state["targets"], state["known"], flat=False)
    model = forecaster._composition(clone(estimator), cut, state["values"].shape[1])
    model.regressor_ = Pipeline([("scaler", _scaler(state)), ("estimator", estimator)])
    model.transformer_, model._training_dim = _target_scaler(state), 2
    forecaster._set_fitted(model, cut, _series(state), state["single"])
    return forecaster


def _check_state(state: Mapping[str, Any], estimator: Any) -> None:
    """``ValueError`` if something is missing, of another type, or does not fit the estimator or the other entries."""
    if set(state) != set(_STATE):
        raise ValueError(f"its state needs the entries {sorted(_STATE)} and no others")
    for name, hint in _STATE.items():
        if not conforms(state[name], hint):
            raise ValueError(f"{name} has the wrong type")
    values, lengths, names = state["values"], state["lengths"], state["names"]
    window, horizon, targets, known = (state[name] for name in ("window", "horizon", "targets", "known"))
    d, k = estimator.n_features_in_, horizon * len(targets)
    if values.ndim != 2 or values.dtype.kind != "f" or values.shape[1] != d or not np.isfinite(values).all():
        raise ValueError("its values do not have the columns that the estimator takes")
    if lengths.ndim != 1 or (lengths < max(window, 1)).any() or lengths.sum() != len(values):
        raise ValueError("its lengths do not fit its series")
    if window < 1 or horizon < 1 or (known and window < horizon) or estimator._target_shape != (k,):
        raise ValueError("window, horizon and targets do not fit the estimator")
    if len({*targets, *known}) != len(targets) + len(known) or not all(0 <= n < d for n in (*targets, *known)):
        raise ValueError("its targets or known columns are no positions of columns")
    if len(names) not in (0, d) or (state["single"] and len(targets) > 1):
        raise ValueError("names do not fit the columns")
    shapes = {"counts": d, "means": d, "squares": d, "target_means": k, "target_variances": k, "target_scales": k}
    for name, size in shapes.items():
        if state[name].shape != (size,) or not np.isfinite(state[name]).all():
            raise ValueError(f"{name} must be {size} finite numbers")
    if not (state["counts"] >= 1).all() or (state["squares"] < 0).any() or (state["target_variances"] < 0).any():
        raise ValueError("its counts and variances are invalid")
    if (state["target_scales"] <= 0).any():
        raise ValueError("target_scales must be positive")


def _scaler(state: Mapping[str, Any]) -> SequenceScaler:
    scaler: Any = SequenceScaler()
    scaler._set_moments(Moments(state["counts"], state["means"], state["squares"]), counted=True)
    scaler.n_features_in_ = scaler._n_channels = state["values"].shape[1]
    scaler._fitted_flat = False
    return scaler


def _target_scaler(state: Mapping[str, Any]) -> StandardScaler:
    """A StandardScaler in its fitted form: its scale is 1 where targets are constant up to rounding."""
    scaler: Any = StandardScaler()
    scaler.mean_, scaler.var_, scaler.scale_ = (state[f"target_{name}"] for name in ("means", "variances", "scales"))
    scaler.n_samples_seen_ = np.int64(state["n_windows"])
    scaler.n_features_in_ = len(scaler.mean_)
    return scaler


def _series(state: Mapping[str, Any]) -> RegularSeries:
    """The newest rows; ``ValueError`` if times and ids do not fit them."""
    parts = (state["values"], state["lengths"], state["names"])
    if state["times"] is None:
        if state["ids"] is not None or state["step"] is not None or len(state["lengths"]) != 1:
            raise ValueError("it has ids but no times")
        return RegularSeries(*parts, None, None, None, [], 0)
    import pandas as pd
    from pandas.tseries.frequencies import to_offset

    ids, levels = state["ids"], state["levels"]
    times, step = _index(state["times"]), state["step"]
    if ids is not None:
        read = [_index(fields) for fields in ids]
        ids = read[0] if len(read) == 1 else pd.MultiIndex.from_arrays(read)
    n_levels = 1 + (0 if ids is None else ids.nlevels)
    if len(times) != len(state["values"]) or len(state["lengths"]) != (1 if ids is None else len(ids)):
        raise ValueError("its times or ids do not fit its rows")
    if len(levels) != n_levels or not 0 <= state["level"] < n_levels:
        raise ValueError("its levels do not fit an index")
    series = RegularSeries(
        *parts, ids, times, step if isinstance(step, int) else to_offset(step), levels, state["level"]
    )
    series.check_times()
    return series


def _levels(index: Any) -> list:
    return [index.get_level_values(level) for level in range(index.nlevels)]


def _fields(index: Any) -> dict[str, Any]:
    """Labels as values that files can hold."""
    if not hasattr(index, "asi8"):
        values = index.to_numpy()
        return {"kind": "labels", "values": values if values.dtype.kind in "biufU" else values.astype(object)}
    if not hasattr(index, "unit"):
        return {"kind": "periods", "values": index.asi8, "freq": index.freqstr}
    zone = getattr(index, "tz", None)
    kind = "spans" if index.dtype.kind == "m" else "dates"
    return {"kind": kind, "values": index.asi8, "unit": index.unit, "zone": None if zone is None else str(zone)}


def _index(fields: Any) -> Any:
    """Inverse of `_fields`; ``ValueError`` for anything else."""
    import pandas as pd

    match fields:
        case {"kind": "labels", "values": np.ndarray() as values} if values.ndim == 1 and len(fields) == 2:
            return pd.Index(values)
        case {"kind": "periods", "values": np.ndarray() as values, "freq": str(freq)} if _are_numbers(values):
            return pd.PeriodIndex.from_ordinals(values, freq=freq)
        case {"kind": "spans", "values": np.ndarray() as values, "unit": str(unit), "zone": None}:
            if _are_numbers(values) and unit in _UNITS:
                return pd.TimedeltaIndex(values.view(f"m8[{unit}]"))
        case {"kind": "dates", "values": np.ndarray() as values, "unit": str(unit), "zone": None | str() as zone}:
            if _are_numbers(values) and unit in _UNITS and (zone is None or _ZONE.fullmatch(zone)):
                dates = pd.DatetimeIndex(values.view(f"M8[{unit}]"))
                return dates if zone is None else dates.tz_localize("UTC").tz_convert(zone)
    raise ValueError("it holds times or ids of an unknown kind")


def _are_numbers(values: NDArray) -> bool:
    return values.ndim == 1 and values.dtype == np.int64


def _same_labels(one: RegularSeries, other: RegularSeries) -> bool:
    """Whether two tables have the same times, step and ids."""
    if other.times is None:
        return one.times is None
    same_ids = other.ids is None or bool((one.ids == other.ids).all())
    return (
        same_ids and one.step == other.step and one.times.dtype == other.times.dtype and one.times.equals(other.times)
    )
