"""Validation data of early stopping: a part of the training data, at random or the last one, or separate data."""

import math
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.model_selection import train_test_split

from ._batches import SequenceDataset, normalised

#: Positions of the training sequences, and of the validation sequences.
Rows = tuple[NDArray[np.int64], NDArray[np.int64]]


def _check_fraction(fraction: float) -> None:
    if not 0 < fraction < 1:
        raise ValueError(f"fraction must be above 0 and below 1, got {fraction!r}")


class Split(Protocol):
    """A rule that divides n sequences in two."""

    def __call__(self, n: int, seed: int) -> Rows:
        """Positions of the training and of the validation sequences; ``ValueError`` if there are too few."""
        ...


@dataclass(frozen=True, eq=False)
class RandomPart:
    """Hold out sequences at random; not for overlapping windows or others that resemble their neighbours.

    Parameters
    ----------
    fraction : float
        Fraction of the sequences to hold out.
    stratify : ndarray of shape (n,), optional
        Labels whose frequencies both parts should have.

    Examples
    --------
    >>> from sklstm.training import RandomPart
    >>> train, judge = RandomPart(0.2)(10, seed=0)
    >>> train, judge
    (array([4, 9, 1, 6, 7, 3, 0, 5]), array([2, 8]))
    """

    fraction: float
    stratify: NDArray | None = None

    def __post_init__(self) -> None:
        _check_fraction(self.fraction)

    def __call__(self, n: int, seed: int) -> Rows:
        try:
            train, judge = train_test_split(
                np.arange(n), test_size=self.fraction, random_state=seed, stratify=self.stratify
            )
        except ValueError as error:
            raise ValueError(
                f"early_stopping=True cannot hold out validation_fraction={self.fraction} of {n} "
                f"sequences: {error} Use more data, another fraction, or early_stopping=False."
            ) from error
        return train, judge


@dataclass(frozen=True, eq=False)
class LastPart:
    """Hold out the last sequences, and use none of the ``gap`` before them.

    Parameters
    ----------
    fraction : float
        Fraction of the sequences to hold out; as many as `RandomPart` holds out.
    gap : int
        Number of sequences between the two parts that belong to neither. With
        ``sliding_windows(series, window, horizon)`` the parts have no step in common if it is at least
        ``window + horizon - 1``.
    labels : ndarray of shape (n,), optional
        Labels. Each of them must occur among the training sequences.

    Examples
    --------
    >>> from sklstm.training import LastPart
    >>> LastPart(0.2, gap=3)(10, seed=0)
    (array([0, 1, 2, 3, 4]), array([8, 9]))
    """

    fraction: float
    gap: int = 0
    labels: NDArray | None = None

    def __post_init__(self) -> None:
        _check_fraction(self.fraction)
        if self.gap < 0:
            raise ValueError(f"gap must not be negative, got {self.gap!r}")

    def __call__(self, n: int, seed: int) -> Rows:
        n_held = math.ceil(self.fraction * n)
        n_train = n - n_held - self.gap
        if n_train < 1:
            raise ValueError(
                f"early_stopping=True cannot hold out validation_fraction={self.fraction}, the last {n_held} of {n} "
                f"sequences, with validation_gap={self.gap} before them: nothing is left to train on. Use more data, "
                "another fraction, or a smaller gap."
            )
        if self.labels is not None and len(lost := np.setdiff1d(self.labels, self.labels[:n_train])):
            raise ValueError(
                f"validation_split='last' cannot hold out the last {n_held} of {n} sequences: "
                f"{len(lost)} of {len(np.unique(self.labels))} classes occur in none of the {n_train} to train on. Are "
                "the sequences sorted by class? Order them by time, pass X_val and y_val, or use "
                "validation_split='random'."
            )
        return np.arange(n_train), np.arange(n - n_held, n)


@dataclass(frozen=True, eq=False)
class Validation:
    """Early stopping, and its validation data.

    Parameters
    ----------
    data : RandomPart, LastPart or SequenceDataset
        A part of the training data to hold out. Or other data; all training data are then trained on.
    n_iter_no_change : int
        Number of epochs without a better validation loss after which training ends; the best weights are restored.

    Examples
    --------
    >>> import numpy as np
    >>> import torch
    >>> from sklstm.networks import LSTMNetwork
    >>> from sklstm.training import LastPart, NetworkSpec, TrainingSpec, Validation, dataset, train
    >>> X = np.random.default_rng(0).standard_normal((60, 5, 1))
    >>> network = NetworkSpec(LSTMNetwork, {"n_features": 1, "hidden_size": 4, "n_outputs": 1})
    >>> spec = TrainingSpec(
    ...     network, torch.nn.MSELoss, lr=0.1, validation=Validation(LastPart(0.2, gap=4), n_iter_no_change=3)
    ... )
    >>> net = train(spec, dataset(X, torch.tensor(X[:, -1], dtype=torch.float32)))
    >>> losses = net.history[:, "valid_loss"]
    >>> bool(len(losses) - np.argmin(losses) - 1 == 3)  # epochs after the best one
    True

    How it divides data:

    >>> data = dataset(X, torch.tensor(X[:, -1]))
    >>> training, judged = spec.validation.parts(data, seed=0)
    >>> len(training), len(judged)
    (44, 12)
    """

    data: Split | SequenceDataset
    n_iter_no_change: int = 10

    def __post_init__(self) -> None:
        if self.n_iter_no_change < 1:
            raise ValueError(f"n_iter_no_change must be at least 1, got {self.n_iter_no_change!r}")

    def rows(self, n: int, seed: int) -> Rows | None:
        """Positions of the training and of the validation sequences.

        Parameters
        ----------
        n : int
            Number of sequences of the training.
        seed : int
            Random seed of the split.

        Returns
        -------
        tuple of ndarray, or None
            Positions; None if it has separate validation data.

        Examples
        --------
        >>> from sklstm.training import LastPart, Validation
        >>> Validation(LastPart(0.2)).rows(10, seed=0)[1]
        array([8, 9])
        """
        return None if isinstance(self.data, SequenceDataset) else self.data(n, seed)

    def parts(self, data: SequenceDataset, seed: int) -> tuple[SequenceDataset, SequenceDataset]:
        """Training data and validation data.

        Parameters
        ----------
        data : SequenceDataset
            Data of the training.
        seed : int
            Random seed of the split.

        Returns
        -------
        tuple of SequenceDataset
            Both parts; weights have a mean of 1 in each.

        Raises
        ------
        ValueError
            If the data cannot be divided in this way.
        """
        if isinstance(self.data, SequenceDataset):
            return data, normalised(self.data)
        rows = self.data(len(data), seed)
        train, judge = (normalised(data.part(torch.as_tensor(some))) for some in rows)
        # What one training has computed of a part serves others on the same part.
        train.known = data.known.setdefault(("part", rows[0].tobytes()), {})
        return train, judge
