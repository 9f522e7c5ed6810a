"""Models that travel: pickles that any machine can load, files without code, ONNX graphs."""

import inspect
import warnings
from os import PathLike
from typing import Any, ClassVar, Self

import numpy as np
import torch
from sklearn.base import BaseEstimator, is_classifier
from sklearn.utils.validation import check_is_fitted
from torch import Tensor, nn

from sklstm._validation import FLAG, Device, Rule, caller_level, check_parameters
from sklstm.generalization import GeneralizationReport
from sklstm.persistence import ModelFileError, from_bytes, onnx_model, read_document, to_bytes, write_atomically
from sklstm.training import SequenceNet
from sklstm.training._batches import resolve_device
from sklstm.training._snapshot import OptimizerTable, check_snapshot, restore, take_snapshot

from ._saved_state import CODEC, OF_KIND, check_state, fitted_state

__all__ = ["Portable", "from_document"]

_DOCUMENT = {"class", "parameters", "state", "network"}


class Portable(BaseEstimator):
    """`save`, `load`, `to_onnx` and pickling for estimators that hold a trained net."""

    _rules: ClassVar[dict[str, Rule]]
    _optimizers: ClassVar[OptimizerTable]
    _network: ClassVar[type[Any]]
    _loss: ClassVar[type[nn.Module]]

    net_: SequenceNet
    device: Any

    def save(self, path: str | PathLike[str]) -> None:
        """Write the fitted model to one file that holds no code: safetensors with JSON in its metadata.

        Everything that predictions, certificates and reports need is in it, see ``docs/guide/saving.md``. Not in it:
        the state of the optimiser, training data, callbacks (saved as None, with a warning). The model stays as it is.

        Parameters
        ----------
        path : str or PathLike
            Of the file. One that is there is replaced, in one step at the end; its folder must exist.

        Raises
        ------
        NotFittedError
            Before `fit`.
        TypeError
            If a parameter or a fitted attribute is of a type that files do not hold; the message names it.
        ValueError
            If a parameter has been set to a value that `fit` would refuse.
        OSError
            If the file cannot be written, for instance ``FileNotFoundError`` for a folder that is not there.

        See Also
        --------
        load : The way back.

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
        check_is_fitted(self)
        check_parameters(self, self._rules)
        content = to_bytes(self._document())
        # No file is written that could not be read: a rule that save and load see differently would cost the model.
        try:
            from_document(type(self), from_bytes(content), self.device)
        except ValueError as error:
            raise ValueError(
                f"{type(self).__name__} cannot be saved: a file would be refused, since {error}."
            ) from error
        write_atomically(path, content)

    @classmethod
    def load(cls, path: str | PathLike[str], *, device: str | torch.device | None = None) -> Self:
        """Read a model that `save` has written. Nothing in the file is executed, whatever it holds.

        Parameters
        ----------
        path : str or PathLike
            Of the file.
        device : str or torch.device, optional
            Where to put the network; becomes the parameter ``device``. By default where it was when saved, or the CPU,
            with a warning, where this machine has no such device; where ``device`` is ``"auto"``, the best that it has.

        Returns
        -------
        estimator
            Its predictions are those of the saved one, bit for bit on a machine with the same kernels. Its optimiser is
            fresh.

        Raises
        ------
        ModelFileError
            If the file is no model, is damaged, was saved by a newer version, or holds a model of another class.
        ValueError
            If torch cannot use ``device`` here.
        OSError
            If the file cannot be read.

        See Also
        --------
        save : Writes such a file.
        sklstm.load : The same for a file of any class of this package.

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
        if device is not None:
            Device().check("device", device)
        document = read_document(path)
        try:
            return from_document(cls, document, device)
        except ValueError as error:
            raise ModelFileError(path, error) from error

    def to_onnx(self, path: str | PathLike[str] | None = None, *, with_lengths: bool = False) -> Any:
        """The fitted network as an ONNX model, for runtimes without Python.

        Parameters
        ----------
        path : str or PathLike, optional
            Of a file to write; one that is there is replaced.
        with_lengths : bool, default=False
            Add the input ``lengths`` (n,) int64: the steps of every sequence in a batch that is filled up to one
            length. What follows a sequence's last step then does not count, whatever its values.

        Returns
        -------
        onnx.ModelProto
            Input ``X`` (n, L, d) in float32; n and L are free. Output of a regressor: ``prediction``, in the shape of
            y; of a classifier: ``label`` (n,) and ``probabilities`` (n, k). Outputs are float32, labels int64,
            float64, bool or strings.

        Raises
        ------
        ImportError
            Without the package onnx, ``pip install "sklstm[onnx]"``.
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
        check_is_fitted(self)
        FLAG.check("with_lengths", with_lengths)
        module = self.net_.module_
        model = onnx_model(
            module,
            classes=getattr(self, "classes_", None),
            one_output=getattr(self, "_target_shape", None) == (),
            with_lengths=bool(with_lengths),
            metadata={
                "estimator": type(self).__name__,
                "n_features": str(self.net_.module__n_features),
                "n_features_in": str(getattr(self, "n_features_in_", "")),
            },
        )
        if path is not None:
            write_atomically(path, model.SerializeToString())
        return model

    def __getstate__(self) -> dict[str, Any]:
        state = dict(super().__getstate__())
        if isinstance(state.get("net_"), SequenceNet):
            # Not the net itself: callbacks and functions that it holds may not pickle, its tensors may be on a GPU.
            snapshot = take_snapshot(state["net_"], self._optimizers, resumable=True)
            state["net_"] = CODEC.encode(snapshot, "net_")
        report = state.get("generalization_report_")
        if isinstance(report, GeneralizationReport):
            try:
                state["generalization_report_"] = CODEC.encode(report, "generalization_report_")
            except TypeError:  # with a bound of the user's own: that pickles as it can
                state["generalization_report_"] = report
        return {name: value.detach().cpu() if isinstance(value, Tensor) else value for name, value in state.items()}

    def __setstate__(self, state: dict[str, Any]) -> None:
        state = dict(state)
        if isinstance(state.get("net_"), dict):
            snapshot = CODEC.decode(state["net_"], "net_")
            if state.get("device") == "auto":
                device = resolve_device("auto")
            else:
                device = _usable(snapshot["device"], type(self).__name__)
                if str(device) != snapshot["device"]:
                    state["device"] = device
            state["net_"] = restore(snapshot, self._network, self._loss, self._optimizers, device)
        if isinstance(state.get("generalization_report_"), dict):
            state["generalization_report_"] = CODEC.decode(state["generalization_report_"], "generalization_report_")
        super().__setstate__(state)

    def __copy__(self) -> Self:
        # copy.copy would go through the two methods above and copy the network.
        twin = type(self).__new__(type(self))
        twin.__dict__.update(self.__dict__)
        return twin

    def _document(self) -> dict[str, Any]:
        parameters = self.get_params(deep=False)
        if parameters.get("callbacks") is not None:
            warnings.warn(
                f"The callbacks of {type(self).__name__} are Python objects, which the file does not hold: "
                "callbacks=None is saved.",
                UserWarning,
                stacklevel=caller_level(),
            )
            parameters["callbacks"] = None
        network = take_snapshot(self.net_, self._optimizers, resumable=False)
        return {
            "class": type(self).__name__,
            "parameters": _encoded(parameters),
            "state": _encoded(fitted_state(self)),
            "network": _encoded(network),
        }


def from_document(cls: type[Portable], document: dict[str, Any], device: Any = None) -> Any:
    """The estimator in a document.

    Parameters
    ----------
    cls : type
        The class that it must be of.
    document : dict
        As `sklstm.persistence.read_document` returns it.
    device : str or torch.device, optional
        As of `Portable.load`.

    Raises
    ------
    ValueError
        If the document is not of this class, or anything in it is missing, unknown or out of range.
    """
    if set(document) != _DOCUMENT:
        raise ValueError(f"it needs the entries {sorted(_DOCUMENT)} and no others")
    if document["class"] != cls.__name__:
        raise ValueError(f"it holds a model of class {document['class']!r:.80}, not {cls.__name__}")
    parameters, state, network = (_decoded(document[part], part) for part in ("parameters", "state", "network"))
    if unknown := set(parameters) - set(inspect.signature(cls).parameters):
        raise ValueError(f"{cls.__name__} has no parameters {sorted(map(str, unknown))}"[:300])
    if parameters.get("callbacks") is not None:
        raise ValueError("it claims to hold callbacks, which no file does")
    check_snapshot(network, cls._network, cls._optimizers)
    check_state(state, cls._network, network["module"])
    estimator = cls(**parameters)
    kind = "classifier" if is_classifier(estimator) else "regressor"
    if any((name in state) != (kind == owner) for owner, names in OF_KIND.items() for name in names):
        raise ValueError(f"its fitted attributes are not those of a {kind}")
    if device is None and estimator.device == "auto":
        device = "auto"
    place = resolve_device(device) if device is not None else _usable(network["device"], cls.__name__)
    if device is not None or str(place) != network["device"] or not _is_usable(estimator.device):
        estimator.device = place if device is None else device
    try:
        check_parameters(estimator, cls._rules)
        for name in ("lr", "weight_decay", "max_epochs", "batch_size"):
            cls._rules[name].check(f"{name} of the network", network[name])
    except TypeError as error:
        raise ValueError(str(error)) from error
    estimator.net_ = restore(network, cls._network, cls._loss, cls._optimizers, place)
    # Another order of batches and other noise than in the epochs behind it, the same in every process.
    past = (state.get("_bound_seed", 0), state["n_iter_"])
    seed = int(np.random.SeedSequence(past).generate_state(1)[0])
    estimator.net_.generator = torch.Generator().manual_seed(seed)
    estimator.__dict__.update(state)
    return estimator


def _encoded(values: dict[str, Any]) -> dict[str, Any]:
    """The values as the codec encodes a dict; its messages then name the entry alone."""
    return {"kind": "dict", "items": [[name, CODEC.encode(value, name)] for name, value in values.items()]}


def _decoded(plain: Any, name: str) -> dict[str, Any]:
    values = CODEC.decode(plain, name)
    if type(values) is not dict:
        raise ValueError(f"{name} is no dict")
    return values


def _is_usable(device: Any) -> bool:
    try:
        Device().check("device", device)
    except ValueError:
        return False
    return True


def _usable(device: str, who: str) -> str:
    """The device if this machine has it; otherwise the CPU, with a warning."""
    if torch.device(device).type == "cpu":  # "cpu:0" too, which torch takes and cannot load again
        return "cpu"
    if _is_usable(device):
        return device
    warnings.warn(
        f"{who} was on the device {device!r}, which torch cannot use here. It is loaded onto the CPU; its parameter "
        "device is now 'cpu'.",
        UserWarning,
        stacklevel=caller_level(),
    )
    return "cpu"
