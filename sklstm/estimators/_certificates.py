"""Certificates of fitted estimators: bounds on outputs, and on perturbations that cannot change a label."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager
from numbers import Integral, Real
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.special import expit
from sklearn.metrics import accuracy_score
from sklearn.utils import check_consistent_length, column_or_1d
from torch import nn

from sklstm._entries import as_plain
from sklstm._mapped import row_blocks
from sklstm._sequences import Ragged, as_sequences
from sklstm._validation import Choice, Number
from sklstm.certificates import RecurrentNetwork, output_bounds
from sklstm.certificates._output_bounds import METHODS
from sklstm.training import BLOCK, SequenceNet, products_in, undisturbed

from ._radii import boxes_around, ends_of, largest_radii
from ._tensors import module_for_float64

METHOD = Choice(METHODS)
BATCH_SIZE = Number(Integral, 1, None, optional=True)
RTOL = Number(Real, 1e-9, 1)
# Indices (m,), sequences (m, L, d) and the ends, two tensors (m, L, d) in float64, of boxes around them.
Block = tuple[np.ndarray, np.ndarray, torch.Tensor, torch.Tensor]
_LOGISTIC_ERROR = 8 * 2.0**-24  # of a float32 logistic, network's and ours; see certificates.enclosures


def network_of(module: Any) -> RecurrentNetwork:
    """The recurrent layers and the readout of one of the package's modules."""
    (recurrent,) = (part for part in module.children() if isinstance(part, nn.RNNBase))
    return RecurrentNetwork.from_torch(recurrent, module.readout)


def boxes(X: np.ndarray, radii: np.ndarray) -> tuple[torch.Tensor, torch.Tensor]:
    """Ends of X ± radii in float64, rounded outwards where the radius is not zero."""
    lower, upper = ends_of(X, radii)
    if max(-lower.min(), upper.max()) > np.finfo(np.float32).max:
        raise ValueError("X ± eps holds values too large for float32, in which the network computes.")
    return torch.from_numpy(lower), torch.from_numpy(upper)


def blocks_of(parts: Iterable[tuple[np.ndarray, np.ndarray, np.ndarray]]) -> Iterator[Block]:
    """What `boxes_around` returns, a few sequences at a time."""
    for rows, part, radii in parts:
        for block in row_blocks(part):
            yield rows[block], part[block], *boxes(part[block], radii[block])


def is_point(low: torch.Tensor, high: torch.Tensor) -> np.ndarray:
    """Which boxes (n,) between two ends (n, L, d) hold one input only."""
    return (low == high).flatten(1).all(dim=1).numpy()


class CertifiedEstimator:
    """`certify` for estimators that hold a recurrent network."""

    # Of the `SequenceEstimator` beside it.
    net_: SequenceNet
    _evaluate: Callable[..., np.ndarray]
    _threads: Callable[..., AbstractContextManager[None]]

    def certify(
        self,
        X: Any,
        eps: Any,
        *,
        method: Literal["best", "linear", "mean-value", "intervals"] = "best",
        batch_size: int | None = None,
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Bounds on the outputs for every input within ``eps`` of X, entry by entry.

        Sound, not estimated: for every X' with ``|X' - X| <= eps`` in each entry, ``lower <= output(X') <= upper``.
        This holds for the network in exact arithmetic and for its outputs as computed on a CPU in float32, rounding
        included. Nothing is assumed about the noise but its size.

        Parameters
        ----------
        X : array-like of shape (n, L', d) or (n, L * d)
            As in `fit`; 3-D sequences may have another length, and lists hold sequences of unequal length.
        eps : float or array-like
            Largest absolute perturbation, not negative, in the units of X: one number; one per channel (d,); one per
            column (L * d,) of 2-D X, or per step and channel (L', d) of 3-D X; an array of the shape of X, in which
            axes may be 1; for sequences of unequal length, a list of such arrays. A Series or DataFrame beside a
            DataFrame X must have its columns as labels, in any order; everything else counts by position.
        method : {"best", "linear", "mean-value", "intervals"}, default="best"
            ``"intervals"`` propagates bounds forward; the cheapest, and the tightest for large ``eps``.
            ``"mean-value"`` bounds the derivatives over the box; nearly exact for small ``eps``. ``"best"`` computes
            both and takes the smaller, entry by entry. ``"linear"`` carries affine forms of all states along: never
            wider than ``"best"``, often many times narrower, at the cost of several thousand predictions.
        batch_size : int, optional
            Sequences handled at once, which bounds the memory. By default as many as take about 100 MB.

        Returns
        -------
        lower : ndarray, float64
            Limits from below.
        upper : ndarray, float64
            Limits from above. For a regressor in the shape of its predictions; for a classifier (n, k), one column of
            network outputs per class. With ``eps=0`` both are the outputs themselves.

        Raises
        ------
        ValueError, TypeError
            For a negative or non-finite ``eps``, one of a wrong shape, or bad X, before any work.
        NotFittedError
            Before `fit`.

        Examples
        --------
        >>> import numpy as np
        >>> from sklstm import TikhonovLSTMRegressor
        >>> rng = np.random.default_rng(0)
        >>> X = rng.standard_normal((50, 5, 1))
        >>> model = TikhonovLSTMRegressor(4, max_epochs=3, random_state=0).fit(X, X[:, -1, 0])
        >>> lower, upper = model.certify(X, eps=0.1)
        >>> noisy = model.predict(X + rng.uniform(-0.1, 0.1, X.shape))
        >>> bool(((lower <= noisy) & (noisy <= upper)).all())
        True
        >>> narrow, wide = model.certify(X, eps=0.1, method="linear")  # never wider
        >>> bool((wide - narrow <= upper - lower).all())
        True
        """
        METHOD.check("method", method)
        BATCH_SIZE.check("batch_size", batch_size)
        sequences = as_sequences(self, X, reset=False)
        blocks = blocks_of(boxes_around(self, X, sequences, eps))
        return self._certify_blocks(len(sequences), blocks, method, batch_size)

    def _certify_blocks(
        self, n: int, blocks: Iterable[Block], method: str, batch_size: int | None
    ) -> tuple[np.ndarray, np.ndarray]:
        """Bounds on the outputs for n boxes, in the shape of the predictions of a regressor, else (n, k)."""
        lower, upper = (np.empty((n, self.net_.module_.readout.out_features)) for _ in range(2))
        for rows, X, low, high in blocks:
            lower[rows], upper[rows] = self._certify(X, low, high, method, batch_size)
        shape = (-1, *getattr(self, "_target_shape", lower.shape[1:]))
        return lower.reshape(shape), upper.reshape(shape)

    def _certify(
        self, X: np.ndarray, low: torch.Tensor, high: torch.Tensor, method: str, batch_size: int | None
    ) -> tuple[np.ndarray, np.ndarray]:
        """Bounds (m, k) on the outputs for inputs between two ends (m, L, d); X (m, L, d) is one of them."""
        lower, upper = self._bounds(low, high, method, batch_size)
        module = self.net_.module_
        if isinstance(getattr(module, "link", None), nn.Sigmoid):
            lower = (expit(lower) - _LOGISTIC_ERROR).clip(0, 1)
            upper = (expit(upper) + _LOGISTIC_ERROR).clip(0, 1)
        exact = is_point(low, high)
        if exact.any():
            lower[exact] = upper[exact] = self._evaluate(module, X[exact])
        return lower, upper

    def _bounds(
        self,
        low: torch.Tensor,
        high: torch.Tensor,
        method: str = "best",
        batch_size: int | None = None,
        minus: np.ndarray | None = None,
    ) -> tuple[np.ndarray, np.ndarray]:
        """Bounds (n, k) on the outputs before any link function, or on their differences with the output ``minus``.

        They hold for inputs between two ends (n, L, d) in float64.
        """
        module = module_for_float64(self.net_.module_)
        network = network_of(module)
        device = network.weight_out.device
        lower, upper = low.to(device), high.to(device)
        reference = None if minus is None else torch.as_tensor(minus, device=device)
        with undisturbed(), self._threads(self.net_, BLOCK), products_in("float32", device):
            bounds = output_bounds(network, lower, upper, method=method, minus=reference, batch_size=batch_size)
        return bounds.lower.cpu().numpy(), bounds.upper.cpu().numpy()


class CertifiedClassifier(CertifiedEstimator):
    """Certificates about labels."""

    classes_: np.ndarray

    def _certified(self, low: torch.Tensor, high: torch.Tensor, labels: np.ndarray) -> np.ndarray:
        """Whether no input between two ends makes any output reach that of the predicted class."""
        _, upper = self._bounds(low, high, minus=labels)
        np.put_along_axis(upper, labels[:, None], -np.inf, axis=1)
        return upper.max(axis=1) < 0

    def certified_radius(self, X: Any, *, rtol: float = 0.01) -> NDArray[np.float64]:
        """Radii within which no perturbation of the input changes the predicted label.

        Bisection on the certificate of `certify`, applied to the differences between the outputs.

        Parameters
        ----------
        X : array-like of shape (n, L', d) or (n, L * d)
            As in `certify`.
        rtol : float, default=0.01
            At least 1e-9. The radius returned is within this factor of the largest one that the certificate yields.

        Returns
        -------
        ndarray of shape (n,), float64
            ``predict(X') == predict(X)`` for every X' with ``|X' - X| <= radius`` in each entry. 0 where nothing
            could be certified, not even a billionth of the size of X; at most a million times its size.

        Examples
        --------
        >>> import numpy as np
        >>> from sklstm import NoisyRNNClassifier
        >>> X = np.random.default_rng(0).standard_normal((50, 5, 1))
        >>> model = NoisyRNNClassifier(4, max_epochs=3, random_state=0).fit(X, X[:, -1, 0] > 0)
        >>> radii = model.certified_radius(X)
        >>> signs = np.random.default_rng(1).choice([-1.0, 1.0], X.shape)
        >>> bool((model.predict(X + radii[:, None, None] * signs) == model.predict(X)).all())
        True
        """
        RTOL.check("rtol", rtol)
        sequences = as_sequences(self, X, reset=False)
        if not isinstance(sequences, Ragged):
            return np.concatenate([self._radii(sequences[block], rtol) for block in row_blocks(sequences)])
        radii = np.empty(len(sequences))
        for rows, part in sequences.by_length():
            radii[rows] = self._radii(part, rtol)
        return radii

    def _radii(self, sequences: np.ndarray, rtol: float) -> np.ndarray:
        if sequences.dtype.kind != "f":  # of a file; the negative of an integer may not be one
            sequences = sequences.astype(np.float64)
        scale = np.abs(sequences).max(axis=(1, 2))
        return self._radii_of(sequences, lambda rows, radii: boxes(sequences[rows], radii), scale, rtol)

    def _radii_of(
        self,
        sequences: np.ndarray,
        ends: Callable[[np.ndarray, np.ndarray], tuple[torch.Tensor, torch.Tensor]],
        scale: np.ndarray,
        rtol: float,
    ) -> np.ndarray:
        """Certified radii (n,) of sequences (n, L, d) whose boxes are between the ends for indices and radii."""
        labels = self._labels(sequences)

        def holds(rows: np.ndarray, at: np.ndarray) -> np.ndarray:
            radii = np.broadcast_to(at[:, None, None], (len(at), *sequences.shape[1:]))
            return self._certified(*ends(rows, radii), labels[rows])

        return largest_radii(holds, scale, rtol)

    def _labels(self, sequences: np.ndarray | Ragged) -> np.ndarray:
        """Indices (n,) of the predicted classes."""
        return self._evaluate(self.net_.module_, sequences).argmax(axis=1)

    def certified_accuracy(self, X: Any, y: Any, eps: Any) -> float:
        """Fraction of samples that are classified rightly whatever perturbation of size ``eps`` befalls them.

        Parameters
        ----------
        X : array-like of shape (n, L', d) or (n, L * d)
            As in `certify`.
        y : array-like of shape (n,)
            True labels.
        eps : float or array-like
            As in `certify`.

        Returns
        -------
        float
            At most the accuracy, and equal to it for ``eps=0``. A lower bound on the accuracy under any attack.

        Raises
        ------
        ValueError
            As `certify`; also if X and y differ in length.

        Examples
        --------
        >>> import numpy as np
        >>> from sklstm import NoisyRNNClassifier
        >>> X = np.random.default_rng(0).standard_normal((50, 5, 1))
        >>> y = X[:, -1, 0] > 0
        >>> model = NoisyRNNClassifier(4, max_epochs=3, random_state=0).fit(X, y)
        >>> model.certified_accuracy(X, y, eps=0.0) == model.score(X, y)
        True
        >>> certified = [model.certified_accuracy(X, y, eps) for eps in (0.0, 0.01, 0.1, 1.0)]
        >>> certified == sorted(certified, reverse=True)
        True
        """
        sequences = as_sequences(self, X, reset=False)
        return self._accuracy(sequences, blocks_of(boxes_around(self, X, sequences, eps)), y)

    def _accuracy(self, sequences: np.ndarray | Ragged, blocks: Iterable[Block], y: Any) -> float:
        """Fraction of sequences that are classified rightly whichever input of their box takes their place."""
        y = column_or_1d(as_plain(y, "y"))
        check_consistent_length(sequences, y)
        labels = self._labels(sequences)
        accuracy_score(y, self.classes_[labels])  # refuses labels of another kind, which would all count as wrong
        right = np.asarray(self.classes_[labels] == y)
        for rows, _, low, high in blocks:
            doubtful = np.flatnonzero(right[rows] & ~is_point(low, high))
            if len(doubtful):
                some = rows[doubtful]
                right[some] = self._certified(low[doubtful], high[doubtful], labels[some])
        return float(np.mean(right))
