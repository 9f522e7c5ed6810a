"""Losses between 0 and a cap, which the bounds are about: of predictions, and of constants."""

import math
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from sklstm._losses import RegressionLoss

# The best constant for a capped loss is searched for from this many targets, and from the best one without a cap.
_STARTS = 32
_STEPS = 100
# Windows of targets that are compared at once.
_PIECE = 1 << 16
# Of scores, in units of the last place.
_ROUNDING = 2.0**8


class BoundedLoss(Protocol):
    """A loss between 0 and `cap`."""

    @property
    def words(self) -> str:
        """The loss in words."""
        ...

    @property
    def cap(self) -> float:
        """Largest loss."""
        ...

    @property
    def zero_one(self) -> bool:
        """Whether the loss takes the values 0 and 1 only."""
        ...

    def each(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """Loss (n,) of each sequence, for outputs (n, k) of a network."""
        ...

    def of_best_constant(self, targets: NDArray[Any]) -> float:
        """Mean loss of the best constant prediction for these targets."""
        ...


@dataclass(frozen=True)
class ErrorLoss:
    r"""1 for a wrong label or a near tie, 0 for a right label; the mean is an error probability.

    Another machine adds in another order and rounds differently. A right label counts as an error if its score exceeds
    no other by more than

    .. math:: 2^8 \varepsilon \max(S, \bar S), \qquad S = \max_j |s_j|.

    Here :math:`\varepsilon` is the distance from 1 to the next number of the dtype (:math:`2^{-23}` for float32).
    :math:`\bar S` is the mean of S over the sequences, since scores near 0 are differences of larger numbers. A sum of
    N terms is off by about :math:`\sqrt N \varepsilon/2` of its size (Higham & Mary 2019 [1]_), and two scores are
    compared. The factor is :math:`\sqrt N` at :math:`N = 2^{16}`, 500 steps with 128 terms each. So the mean is an
    upper limit for any machine, as long as rounding is no larger than that.

    References
    ----------
    .. [1] N. J. Higham and T. Mary, "A new approach to probabilistic rounding error analysis", SIAM J. Sci. Comput.
       41(5), 2019.

    Examples
    --------
    Always predicting the most frequent class is wrong for all other classes:

    >>> import numpy as np
    >>> import torch
    >>> from sklstm.generalization._bounded_losses import ErrorLoss
    >>> ErrorLoss().of_best_constant(np.array([0, 0, 0, 1]))
    0.25
    >>> ErrorLoss().each(torch.tensor([[2.0, 1.0], [1.0, 2.0], [1.0, 1.0]]), torch.tensor([1, 1, 0])).tolist()
    [True, False, True]
    """

    words: ClassVar[str] = "error"
    cap: ClassVar[float] = 1.0
    zero_one: ClassVar[bool] = True

    def each(self, outputs: Tensor, targets: Tensor) -> Tensor:
        # On the CPU in float64, which not every device has.
        scores, label = outputs.detach().cpu().double(), targets.cpu()[:, None]
        finite = scores.isfinite().all(dim=1)  # elsewhere there is no label
        size = scores.abs().amax(dim=1)
        size = torch.maximum(size, size[finite].mean())
        lead = scores.gather(1, label)[:, 0] - scores.scatter(1, label, -math.inf).amax(dim=1)
        return ~(finite & (lead > _ROUNDING * torch.finfo(outputs.dtype).eps * size))

    def of_best_constant(self, targets: NDArray[Any]) -> float:
        _, counts = np.unique(targets, return_counts=True)
        return 1 - float(counts.max()) / len(targets)


@dataclass(frozen=True)
class CappedLoss:
    """min(ℓ, M) for a loss ℓ of regression and a cap M.

    Attributes
    ----------
    loss : RegressionLoss
    cap : float
        Cap M > 0, in units of the loss.

    Examples
    --------
    With one target far away, whose loss is the cap, the constant with the smallest loss is the mean of the others:

    >>> import numpy as np
    >>> from sklstm._losses import RegressionLoss
    >>> from sklstm.generalization._bounded_losses import CappedLoss
    >>> CappedLoss(RegressionLoss(), cap=4.0).of_best_constant(np.array([[-1.0], [1.0], [0.0], [99.0]]))
    1.5
    """

    zero_one: ClassVar[bool] = False

    loss: RegressionLoss
    cap: float

    @property
    def words(self) -> str:
        """The loss in words, without its cap."""
        return self.loss.words

    def each(self, outputs: Tensor, targets: Tensor) -> Tensor:
        return self.loss.each(outputs, targets).clamp(max=self.cap)

    def of_best_constant(self, targets: NDArray[Any]) -> float:
        """As in `BoundedLoss`, for (n,) or (n, k) targets; exact for the squared error of one output.

        Otherwise it is the best result of a search from many starts. Each step goes from a constant to the best one for
        the targets whose loss is below the cap. No step raises the mean loss.
        """
        y = np.asarray(targets, dtype=np.float64).reshape(len(targets), -1)
        if y.shape[1] == 1 and self.loss == RegressionLoss():
            return self._least_squares(np.sort(y[:, 0]))
        order = np.lexsort(y.T[::-1])
        spread = y[order[np.unique(np.linspace(0, len(y) - 1, _STARTS).round().astype(int))]]
        return min(self._descended(y, start) for start in (self.loss.best_constant(y), *spread))

    def _least_squares(self, y: NDArray[np.float64]) -> float:
        """The smallest mean of min((y − c)², M) over c, of sorted targets.

        The targets within √M of the best c are neighbours, and c is their mean. As c grows, such a window changes at 2n
        points.
        """
        # Around the median, so that sums of squares keep their digits; values far beyond the cap do not matter.
        with np.errstate(over="ignore"):
            y = np.clip(y - np.median(y), -1e140, 1e140)
        reach = self.cap**0.5
        edges = np.concatenate([y - reach, y + reach])
        edges.sort()
        sums, squares = (np.concatenate([[0.0], np.cumsum(values)]) for values in (y, y**2))

        def smallest(centres: NDArray[np.float64]) -> float:
            """The smallest sum, where each window has the mean of its targets instead of its centre."""
            first, last = (np.searchsorted(y, centres + shift) for shift in (-reach, reach))
            count = np.maximum(last - first, 1)
            means = (sums[last] - sums[first]) / count
            inside = np.maximum(squares[last] - squares[first] - count * means**2, 0.0)
            return float((inside + self.cap * (len(y) - (last - first))).min())

        # In pieces: with a million targets all windows at once would take 200 MB.
        found = [smallest(y[start : start + _PIECE]) for start in range(0, len(y), _PIECE)]
        for start in range(0, len(edges) - 1, _PIECE):
            piece = edges[start : start + _PIECE + 1]
            found.append(smallest((piece[1:] + piece[:-1]) / 2))
        return float(np.min(found)) / len(y)

    def _descended(self, y: NDArray[np.float64], constant: NDArray[np.float64]) -> float:
        best = np.inf
        for _ in range(_STEPS):
            losses = self.loss.each(np.broadcast_to(constant, y.shape).copy(), y).numpy()
            mean, inside = float(np.minimum(losses, self.cap).mean()), losses < self.cap
            if not mean < best or not inside.any():
                return min(mean, best)
            best, constant = mean, self.loss.best_constant(y[inside])
        return best
