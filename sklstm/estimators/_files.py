"""Fitted estimators as files, ONNX graphs and pickles; a file holds no code, and only classes of a fixed list."""

import inspect
import math
import re
import warnings
from collections.abc import Callable, Mapping
from functools import partial
from itertools import pairwise
from os import PathLike
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.base import is_classifier, is_regressor
from sklearn.utils.validation import check_is_fitted
from torch import Tensor

from sklstm._layout import Layout
from sklstm._validation import FLAG, Device, caller_level, check_parameters
from sklstm.networks._networks import GatedNetwork
from sklstm.persistence._atomic import write_atomically
from sklstm.persistence._class_forms import Parameters, conforms
from sklstm.persistence._codec import Codec
from sklstm.persistence._container import ModelFileError, from_bytes, read_document, to_bytes
from sklstm.persistence._onnx import onnx_model
from sklstm.training import SequenceNet
from sklstm.training._batches import resolve_device
from sklstm.training._process import restores_settings
from sklstm.training._snapshot import check_snapshot, restore, take_snapshot

from ._compression import Compression
from ._pac_bayes import PACBayes

#: For everything that estimators hold.
CODEC = Codec({kind.__name__: Parameters(kind, kind._rules) for kind in (Compression, PACBayes)})

#: Classes that `load` knows, by name; a file can name no other. Every estimator of the package adds itself.
LOADABLE: dict[str, type] = {}

#: Functions from a document and a device to an object that is no estimator, by the name of its class.
OTHERS: dict[str, Callable[[dict[str, Any], Any], Any]] = {}

_DOCUMENT = {"class", "parameters", "state", "network"}
# Parameters that files and pickles of older versions lack, with the old behaviour where the default now differs.
_BEFORE = {"skip": "none"}
_DIGEST = re.compile("[0-9a-f]{64}")
# Exceptions that bad values in a file can cause; never an interrupt.
MISFITS = (TypeError, LookupError, ArithmeticError, AttributeError, RuntimeError)


def save(estimator: Any, path: str | PathLike[str]) -> None:
    """Write a fitted estimator to a file; see `SequenceEstimator.save`."""
    check_is_fitted(estimator)
    check_parameters(estimator, estimator._rules)
    content = to_bytes(document_of(estimator))
    # A file that could not be read is never written: if save and load disagreed on a rule, the model would be lost.
    try:
        from_document(type(estimator), from_bytes(content), estimator.device)
    except ValueError as error:
        raise ValueError(
            f"{type(estimator).__name__} cannot be saved: a file would be refused, since {error}."
        ) from error
    write_atomically(path, content)


def load_as(cls: type, path: str | PathLike[str], device: str | torch.device | None) -> Any:
    """Read an estimator of one class from a file; see `SequenceEstimator.load`."""
    return loaded(path, device, partial(from_document, cls))


# Any: the user knows the class of the model in the file, and a type checker does not.
@restores_settings
def load(path: str | PathLike[str], *, device: str | torch.device | None = None) -> Any:
    """Read a model that ``model.save(path)`` has written: any estimator of this package, or a `Forecaster`.

    No code in the file is executed.

    Parameters
    ----------
    path : str or PathLike
        Path of the file.
    device : str or torch.device, optional
        Device for the network; it becomes the parameter ``device``. By default this is the device that the model was
        saved with. If this machine does not have that device, it is the CPU, with a warning. With ``device="auto"`` it
        is the best device of this machine.

    Returns
    -------
    estimator
        An estimator of the class that was saved. Its predictions are those of the saved one, bit for bit on a machine
        with the same kernels.

    Raises
    ------
    ModelFileError
        If the file is no model, is damaged, was saved by a newer version, or holds a class of your own. For such a
        class use its own ``load``.
    ValueError
        If torch cannot use ``device`` on this machine.
    OSError
        If the file cannot be read, for instance ``FileNotFoundError``.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> import numpy as np
    >>> import sklstm
    >>> X = np.random.default_rng(0).standard_normal((50, 5, 2))
    >>> model = sklstm.NoisyRNNClassifier(hidden_size=4, max_epochs=2, random_state=0).fit(X, X[:, -1, 0] > 0)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     model.save(Path(folder) / "model.safetensors")
    ...     loaded = sklstm.load(Path(folder) / "model.safetensors")
    >>> bool((loaded.predict(X) == model.predict(X)).all())
    True
    """
    return loaded(path, device, _from_any)


def _from_any(document: dict[str, Any], device: Any) -> Any:
    name = document.get("class")
    if isinstance(name, str) and name in OTHERS:
        return OTHERS[name](document, device)
    if not isinstance(name, str) or name not in LOADABLE:
        known = ", ".join(sorted({*LOADABLE, *OTHERS}))
        raise ValueError(f"it holds {_described(document)}, not one of {known}; a class of your own has its own load")
    return from_document(LOADABLE[name], document, device)


def loaded(path: str | PathLike[str], device: Any, read: Callable[[dict[str, Any], Any], Any]) -> Any:
    """The content of a file, made from its document and a device; `ModelFileError` for what the reader refuses."""
    if device is not None:
        Device().check("device", device)
    document = read_document(path)
    try:
        return read(document, device)
    except ValueError as error:
        raise ModelFileError(path, error) from error


def document_of(estimator: Any) -> dict[str, Any]:
    """The content of a file for a fitted estimator."""
    parameters = estimator.get_params(deep=False)
    if parameters.get("callbacks") is not None:
        warnings.warn(
            f"The callbacks of {type(estimator).__name__} are Python objects, which a file cannot hold. "
            "callbacks=None is saved.",
            UserWarning,
            stacklevel=caller_level(),
        )
        parameters["callbacks"] = None
    network = take_snapshot(estimator.net_, estimator._optimizers, resumable=False)
    return {
        "class": type(estimator).__name__,
        "parameters": encoded(parameters),
        "state": encoded(_fitted_state(estimator)),
        "network": encoded(network),
    }


def from_document(cls: Any, document: dict[str, Any], device: Any = None) -> Any:
    """The estimator in a document.

    Parameters
    ----------
    cls : type
        The class that the estimator must have.
    document : dict
        A document as `read_document` returns it.
    device : str or torch.device, optional
        As in `load`.

    Raises
    ------
    ValueError
        If the document is not of this class, or anything in it is missing, unknown or out of range.
    """
    try:
        estimator, state, network = _checked(cls, document)
        place = _place(estimator, network["device"], device)
        check_parameters(estimator, cls._rules)
    except ValueError:
        raise
    except MISFITS as error:
        raise ValueError(f"it holds something of a wrong type: {error}") from error
    estimator.net_ = restore(network, cls._network, estimator._loss, cls._optimizers, place)
    # Another order of batches and other noise than in earlier epochs, the same in every process.
    past = (state.get("_bound_seed", 0), state["n_iter_"])
    seed = int(np.random.SeedSequence(past).generate_state(1)[0])
    estimator.net_.generator = torch.Generator().manual_seed(seed)
    estimator.__dict__.update(state)
    return estimator


def _checked(cls: Any, document: dict[str, Any]) -> tuple[Any, dict[str, Any], dict[str, Any]]:
    """An unfitted estimator, its fitted attributes and the values of its network."""
    if set(document) != _DOCUMENT:
        raise ValueError(f"it needs the entries {sorted(_DOCUMENT)} and no others")
    if document["class"] != cls.__name__:
        raise ValueError(f"it holds {_described(document)}, not {cls.__name__}")
    kept, cap = _apart(document["state"])
    parameters, state, network = (
        decoded(plain, part)
        for part, plain in (("parameters", document["parameters"]), ("state", kept), ("network", document["network"]))
    )
    parameters.pop("compute_bound", None)
    accepted = set(inspect.signature(cls).parameters)
    parameters = {name: value for name, value in _BEFORE.items() if name in accepted} | parameters
    if unknown := set(parameters) - accepted:
        raise ValueError(f"{cls.__name__} has no parameters {sorted(map(str, unknown))}"[:300])
    if parameters.get("callbacks") is not None:
        raise ValueError("it claims to hold callbacks, which no file does")
    check_snapshot(network, cls._network, cls._optimizers)
    for name in ("lr", "weight_decay", "max_epochs", "batch_size"):
        cls._rules[name].check(f"{name} of the network", network[name])
    estimator = cls(**parameters)
    if cap is not None and is_regressor(estimator):
        state["_bound_cap"] = cap
    _check_state(state, estimator, network["module"])
    if state["n_iter_"] != sum(len(part["train_loss"]) for part in network["history"]):
        raise ValueError("n_iter_ is not the number of epochs in the history of the network")
    return estimator, state, network


def _apart(plain: Any) -> tuple[Any, float | None]:
    """Encoded fitted attributes without the report of older files, and the cap of its Occam bound.

    An older file has the bound but no digest of the data, so that no report is made from it.
    """
    if not isinstance(plain, dict) or not isinstance(items := plain.get("items"), list):
        return plain, None
    reports = [item for item in items if isinstance(item, list) and item[:1] == ["generalization_report_"]]
    if not reports:
        return plain, None
    try:
        bounds = reports[0][1]["fields"]["bounds"]
        scale = next(bound["fields"]["scale"] for bound in bounds if bound["class"] == "OccamBound")
    except (*MISFITS, StopIteration) as error:
        raise ValueError("its report has no Occam bound") from error
    if not conforms(scale, float):
        raise ValueError("the scale of its Occam bound is no number")
    return plain | {"items": [item for item in items if item not in reports]}, float(scale)


def _place(estimator: Any, saved: str, device: Any) -> Any:
    """Device for the network of a loaded estimator; also sets its parameter `device`."""
    if device is None and estimator.device == "auto":
        device = "auto"
    place = resolve_device(device) if device is not None else _usable(saved, type(estimator).__name__)
    if device is not None or str(place) != saved or not _is_usable(estimator.device):
        estimator.device = place if device is None else device
    return place


def encoded(values: dict[str, Any]) -> dict[str, Any]:
    """The values in the form in which the codec encodes a dict; its messages then name the entry alone."""
    return {"kind": "dict", "items": [[name, CODEC.encode(value, name)] for name, value in values.items()]}


def decoded(plain: Any, name: str) -> dict[str, Any]:
    values = CODEC.decode(plain, name)
    if type(values) is not dict:
        raise ValueError(f"{name} is no dict")
    return values


def _described(document: dict[str, Any]) -> str:
    if "class" not in document:
        return f"a {str(document.get('kind', 'document'))[:80]}"
    return f"a model of class {str(document['class'])[:80]!r}"


def _is_usable(device: Any) -> bool:
    try:
        Device().check("device", device)
    except ValueError:
        return False
    return True


def _usable(device: str, who: str) -> str:
    """The device if this machine has it; otherwise the CPU, with a warning."""
    if torch.device(device).type == "cpu":  # also "cpu:0", which torch accepts but cannot load again
        return "cpu"
    if _is_usable(device):
        return device
    warnings.warn(
        f"{who} was on the device {device!r}, which torch cannot use here. It is loaded onto the CPU, and its "
        "parameter device is now 'cpu'.",
        UserWarning,
        stacklevel=caller_level(),
    )
    return "cpu"


def to_onnx(estimator: Any, path: str | PathLike[str] | None, with_lengths: bool) -> Any:
    """The network of a fitted estimator as an ONNX model; see `SequenceEstimator.to_onnx`."""
    check_is_fitted(estimator)
    FLAG.check("with_lengths", with_lengths)
    layout = Layout.of(estimator).name
    model = onnx_model(
        estimator.net_.module_,
        classes=estimator.classes_ if is_classifier(estimator) else None,
        one_output=is_regressor(estimator) and estimator._target_shape == (),
        with_lengths=bool(with_lengths),
        layout=layout,
        metadata={
            "estimator": type(estimator).__name__,
            "n_features": str(estimator.net_.module__n_features),
            "n_features_in": str(estimator.n_features_in_),
            "layout": layout,
        },
    )
    if path is not None:
        write_atomically(path, model.SerializeToString())
    return model


def pickle_state(estimator: Any, state: Mapping[str, Any]) -> dict[str, Any]:
    """What a pickle of an estimator holds: its attributes as numpy arrays and plain values."""
    state = dict(state)
    if isinstance(state.get("net_"), SequenceNet):
        # Not the net itself: its callbacks and functions may not pickle, and its tensors may be on a GPU.
        snapshot = take_snapshot(state["net_"], estimator._optimizers, resumable=True)
        state["net_"] = CODEC.encode(snapshot, "net_")
    return {name: value.detach().cpu() if isinstance(value, Tensor) else value for name, value in state.items()}


def parameters_since(estimator: Any) -> dict[str, Any]:
    """Parameters that are newer than the pickle of an estimator."""
    known = vars(estimator)
    return {
        name: _BEFORE.get(name, parameter.default)
        for name, parameter in inspect.signature(type(estimator)).parameters.items()
        if name not in known and parameter.default is not inspect.Parameter.empty
    }


def unpickled(estimator: Any) -> dict[str, Any]:
    """The inverse of `pickle_state`; the network goes to its former device, if this machine has it.

    Parameters
    ----------
    estimator : object
        An estimator with the attributes of the pickle.

    Returns
    -------
    dict
        The attributes that change.
    """
    state, known = {}, vars(estimator)
    if isinstance(known.get("net_"), dict):
        snapshot = CODEC.decode(known["net_"], "net_")
        if known.get("device") == "auto":
            device = resolve_device("auto")
        else:
            device = _usable(snapshot["device"], type(estimator).__name__)
            if str(device) != snapshot["device"]:
                state["device"] = device
        state["net_"] = restore(snapshot, estimator._network, estimator._loss, estimator._optimizers, device)
    return state


_Values = Mapping[str, Any]


def _labels(value: np.ndarray, state: _Values, arguments: _Values) -> bool:
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


def _names(value: np.ndarray, state: _Values, arguments: _Values) -> bool:
    return value.shape == (state["n_features_in_"],) and all(isinstance(name, str) for name in value.tolist())


def _columns(value: int, state: _Values, arguments: _Values) -> bool:
    channels = arguments["n_features"]
    return (0 < value < 1 << 40 and value % channels == 0) if state["_fitted_flat"] else value == channels


def _gain(value: Any, state: _Values, arguments: _Values) -> bool:
    layers = arguments.get("num_layers", 1)
    return np.shape(value) == (() if layers == 1 else (layers,)) and bool(np.all(np.asarray(value) >= 0))


def _range(value: np.ndarray, n_columns: int) -> bool:
    return value.shape == (2, n_columns) and bool((value[0] <= value[1]).all())


class Kept(NamedTuple):
    """A fitted attribute that files keep: its type, which estimators have it, and when it fits the network."""

    hint: Any
    # Whether a fitted estimator of this kind has it; None if only some fits have it.
    has: Callable[[Any], bool] | None
    # A function of its value, the fitted attributes, and the arguments of the network.
    fits: Callable[[Any, _Values, _Values], bool] = lambda value, state, arguments: True


def _always(estimator: Any) -> bool:
    return True


def _has_gains(estimator: Any) -> bool:
    return issubclass(estimator._network, GatedNetwork)


_Gain = float | NDArray[np.float64]

#: Fitted attributes that a file keeps; `net_` is kept separately. A new attribute needs a new row.
KEPT: dict[str, Kept] = {
    "n_iter_": Kept(int, _always, lambda value, state, _: value == len(state["loss_curve_"])),
    "loss_curve_": Kept(list[float], _always),
    "n_features_in_": Kept(int, _always, _columns),
    "feature_names_in_": Kept(NDArray[Any], None, _names),
    "classes_": Kept(NDArray[Any], is_classifier, _labels),
    "rho_x_": Kept(_Gain, _has_gains, _gain),
    "rho_h_": Kept(_Gain, _has_gains, _gain),
    "perturbation_gain_": Kept(float, _has_gains, lambda value, *_: value >= 0),
    "generalization_bound_": Kept(float, None, lambda value, *_: value > 0),
    "_data_digest": Kept(
        str,
        None,
        lambda value, state, _: (
            bool({"generalization_bound_", "_quantized_cap"} & set(state)) and bool(_DIGEST.fullmatch(value))
        ),
    ),
    "_bound_cap": Kept(float, None, lambda value, *_: 0 < value < math.inf),
    "_fitted_flat": Kept(bool, _always),
    "_names_seen": Kept(list[str], None, lambda value, state, _: len(value) == state["n_features_in_"]),
    "_n_channels": Kept(int, _always, lambda value, _, arguments: value == arguments["n_features"]),
    "_target_shape": Kept(
        tuple[int, ...],
        is_regressor,
        lambda value, _, arguments: value == (arguments["n_outputs"],) or (value == () and arguments["n_outputs"] == 1),
    ),
    "_input_range": Kept(NDArray[np.float64], None, lambda value, _, arguments: _range(value, arguments["n_features"])),
    "_target_range": Kept(
        NDArray[np.float64],
        None,
        lambda value, state, arguments: "_target_shape" in state and _range(value, arguments["n_outputs"]),
    ),
    "_bound_seed": Kept(int, None, lambda value, *_: 0 <= value < 2**31),
    "_quantized_cap": Kept(float, None, lambda value, *_: value > 0),
}


def _fitted_state(estimator: Any) -> dict[str, Any]:
    """The fitted attributes of an estimator that a file keeps; ``TypeError`` for one that it cannot keep."""
    state = {}
    for name, value in vars(estimator).items():
        if name in KEPT:
            if not conforms(value, KEPT[name].hint):
                raise TypeError(f"{name} is of type {type(value).__name__}, which save cannot keep as {name}.")
            state[name] = value
        elif name.endswith("_") and not name.startswith("_") and name != "net_":
            raise TypeError(
                f"{name}, of type {type(value).__name__}, is no fitted attribute that save knows. Delete it, or use "
                "joblib for a model that you alone will load."
            )
    return state


def _check_state(state: _Values, estimator: Any, arguments: _Values) -> None:
    """Check fitted attributes from a file.

    Parameters
    ----------
    state : mapping of str to object
    estimator : object
        An estimator with the parameters of the file.
    arguments : mapping
        Checked arguments of its network.

    Raises
    ------
    ValueError
        If an attribute is missing, unknown, of another type, or does not fit the network or the others.
    """
    if unknown := set(state) - set(KEPT):
        raise ValueError(f"it has the unknown fitted attributes {sorted(map(str, unknown))}"[:300])
    for name, kept in KEPT.items():
        if kept.has is not None and kept.has(estimator) != (name in state):
            raise ValueError(f"it {'lacks' if kept.has(estimator) else 'cannot have'} the fitted attribute {name}")
    for name, value in state.items():
        if not conforms(value, KEPT[name].hint):
            raise ValueError(f"{name} has the wrong type")
    for name, value in state.items():
        if not KEPT[name].fits(value, state, arguments):
            raise ValueError(f"{name} does not fit the network or the other attributes")
