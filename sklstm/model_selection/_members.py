"""The models of a path on one fold: made from one preparation of the data, alike but for one parameter."""

import copy
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from operator import methodcaller
from typing import Any

import numpy as np
from sklearn.base import clone
from sklearn.utils import _safe_indexing
from torch import Tensor

from sklstm.estimators._tensors import loaded
from sklstm.exceptions import DivergenceError
from sklstm.training import SequenceDataset, SequenceNet, check_cuda_process, go_on_from, normalised, resolve_device

__all__ = ["Fold", "Member", "Split"]


@dataclass(frozen=True)
class Split:
    """Rows of one fold."""

    number: int
    train: np.ndarray
    test: np.ndarray


@dataclass
class Member:
    """One model of a path on one fold."""

    fold: "Fold"
    index: int  # of its value
    estimator: Any
    net: SequenceNet
    data: SequenceDataset
    error: DivergenceError | None = None
    seconds: float = 0.0

    @property
    def is_penalised(self) -> bool:
        """Whether training has a penalty, and begins at a feasible start."""
        return self.net.penalty is not None

    def go_on_from(self, other: "Member", n_epochs: int) -> None:
        """Begin where another model stands after its first epochs."""
        go_on_from(other.net, self.net, incremental=True)
        self.net.epochs_done_ = n_epochs

    def finish(self) -> None:
        """Make the estimator a fitted one, unless training has failed for good."""
        if self.error is None or self.error.kept:
            self.estimator._set_training_attributes(self.net)


class Fold:
    """Training data of a fold, checked and turned into tensors once.

    Parameters
    ----------
    estimator : SequenceEstimator
        Unfitted; its parameters are those of all models.
    parameter : str
        The one that differs.
    values : sequence of float
    X, y, sample_weight
        As of ``fit``, all of them.
    split : Split
    """

    def __init__(
        self,
        estimator: Any,
        parameter: str,
        values: Sequence[float],
        X: Any,
        y: Any,
        sample_weight: np.ndarray | None,
        split: Split,
    ):
        self.estimator, self.parameter, self.values, self.number = estimator, parameter, values, split.number
        self.leader = clone(estimator)
        check_cuda_process(resolve_device(estimator.device))
        weight = None if sample_weight is None else _safe_indexing(sample_weight, split.train)
        X_train, target, weight = self.leader._check_fit(
            _safe_indexing(X, split.train), _safe_indexing(y, split.train), weight
        )
        self.n_steps, self.n_features = X_train.shape[1:]
        self.data = loaded(normalised(self.leader._dataset(X_train, self.leader._targets(target), weight)))
        self._target = target
        self._start: dict[str, Tensor] | None = None  # weights of a network that has been prepared

    def member(self, index: int) -> Member:
        """An untrained model for one of the values."""
        estimator = clone(self.estimator).set_params(**{self.parameter: self.values[index]})
        own = set(estimator.__dict__)
        # What checking the data has left on the leader; parameters are the member's own.
        estimator.__dict__.update({name: value for name, value in vars(self.leader).items() if name not in own})
        plan = estimator._plan(self.n_steps, self._target)
        prepared = plan.get("prepare") is not None
        if prepared and self._start is not None:  # from the same weights to the same start, the same way
            plan["prepare"] = methodcaller("load_state_dict", self._start)
        net, data = estimator._net_for(self.data, self.n_features, **plan)
        if prepared and self._start is None:
            self._start = copy.deepcopy(net.module_.state_dict())
        return Member(self, index, estimator, net, data)

    @contextmanager
    def lent(self) -> Iterator[None]:
        """As ``fit`` does, borrow what training needs of the process."""
        with self.leader._lent(self.n_features, min(int(self.leader.batch_size), len(self.data))):
            yield
