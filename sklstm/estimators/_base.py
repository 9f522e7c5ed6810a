"""What the estimators share: all or nothing in a fit, and the road from an input to outputs."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, ClassVar

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

from ._fit_tasks import CallbackSupportMixin, put_back
from ._portable import Portable
from ._rules import OPTIMIZERS, SHARED_RULES
from ._saved_state import STATE
from ._tensors import in_place, place_for
from ._trainer import Trainer


class SequenceEstimator(Trainer, Portable, CallbackSupportMixin, BaseEstimator):
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
            if name in STATE or (name.endswith("_") and not name.startswith("_")):
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

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.input_tags.two_d_array = True
        tags.input_tags.three_d_array = True
        return tags
