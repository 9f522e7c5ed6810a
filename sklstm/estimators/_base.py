"""What the estimators share: all or nothing in a fit, and the road from an input to outputs."""

from collections.abc import Iterator
from contextlib import contextmanager
from os import PathLike
from typing import Any, ClassVar, Self

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.base import BaseEstimator
from sklearn.utils import Tags
from torch import nn

from sklstm._sequences import Ragged, as_sequences
from sklstm._validation import Rule
from sklstm.exceptions import DivergenceError
from sklstm.training import BLOCK, SequenceNet, predict_blocks, products_in, undisturbed

from . import _files
from ._fit_tasks import CallbackSupportMixin, put_back
from ._rules import OPTIMIZERS, SHARED_RULES
from ._tensors import in_place, place_for
from ._trainer import Trainer


class SequenceEstimator(Trainer, CallbackSupportMixin, BaseEstimator):
    """Shared machinery; the constructors, losses and reports are the estimators' own."""

    _rules: ClassVar[dict[str, Rule]] = SHARED_RULES
    _optimizers = OPTIMIZERS

    n_features_in_: int
    feature_names_in_: NDArray[np.object_]
    generalization_bound_: float

    @contextmanager
    def _all_or_nothing(self, *, keep: bool = False) -> Iterator[dict[str, Any]]:
        """Start a fit from the constructor's parameters alone; if it fails, leave the estimator as it was before.

        Parameters
        ----------
        keep : bool
            Start from what is fitted already.

        Yields
        ------
        dict
            The attributes from before.
        """
        before = dict(self.__dict__)
        for name in [] if keep else before:
            if name in _files.KEPT or (name.endswith("_") and not name.startswith("_")):
                delattr(self, name)
        try:
            with torch.inference_mode(False), undisturbed():  # in inference mode nothing could be trained
                yield before
        except BaseException as error:
            # A fit that diverges keeps its last good weights, if there are any; to `partial_fit` those of before are.
            if keep or not (isinstance(error, DivergenceError) and error.kept):
                put_back(self, before)
            raise

    @contextmanager
    def _one_more_epoch(self) -> Iterator[SequenceNet | None]:
        """Of `partial_fit`: yields the fitted net, if there is one; takes away what the new weights make untrue."""
        if self.early_stopping:
            raise ValueError("partial_fit does not support early_stopping=True: it sees a part of the data at a time.")
        fitted = getattr(self, "net_", None)
        with self._all_or_nothing(keep=fitted is not None):
            yield fitted
            for name in ("generalization_report_", "generalization_bound_", "_quantized_cap"):
                self.__dict__.pop(name, None)

    def _check_compression(self, X: np.ndarray | Ragged) -> None:
        if self.compression is not None:
            self.compression.check(X.shape[2], int(self.hidden_size))

    def _forward(self, X: Any) -> np.ndarray:
        """Network outputs (n, k) in float32."""
        X = as_sequences(self, X, reset=False)
        return self._evaluate(self.net_.module_, X)

    def _evaluate(self, module: nn.Module, X: np.ndarray | Ragged) -> np.ndarray:
        device = next(module.parameters()).device
        available = torch.get_num_threads()
        with undisturbed(), self._threads(self.net_, BLOCK), products_in("float32", device):
            # Where a block is too little work for several threads, they take a block each.
            n_workers = available if device.type == "cpu" and torch.get_num_threads() == 1 else 1
            return predict_blocks(module, in_place(X, place_for(X, device)), n_workers).cpu().numpy()

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
        _files.save(self, path)

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
        return _files.load_as(cls, path, device)

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
        return _files.to_onnx(self, path, with_lengths)

    def __getstate__(self) -> dict[str, Any]:
        return _files.pickle_state(self, super().__getstate__())

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(_files.unpickle_state(type(self), state))

    def __copy__(self) -> Self:
        twin = type(self).__new__(type(self))  # copy.copy would go through the two methods above: another network
        twin.__dict__.update(self.__dict__)
        return twin

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.input_tags.two_d_array = True
        tags.input_tags.three_d_array = True
        return tags
