"""Losses of regressors: the criterion for training, the name, and the best constant prediction for each."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.optimize import brentq
from torch import Tensor, nn

from ._validation import PROBABILITY, Choice

_Array = NDArray[np.float64]

#: Where Huber's loss changes from a parabola to a line, in units of y: one standard deviation of standardised targets.
#: It is torch's default too. The errors of a useful model are mostly smaller. scikit-learn's HuberRegressor has 1.35,
#: in units of a scale that it estimates from the data. A bound needs a loss that is fixed before the data are seen.
HUBER_DELTA = 1.0


class PinballLoss(nn.Module):
    r"""Pinball loss: its expectation is smallest where the prediction is a quantile of the target.

    .. math:: \ell_q(y, f) = q\,(y - f)_+ + (1 - q)\,(f - y)_+

    Parameters
    ----------
    quantile : float, default=0.5
        q, in (0, 1). At 0.5 the loss is half of the absolute error.
    reduction : {"mean", "sum", "none"}, default="mean"
        Mean or sum over all entries, or every entry by itself, as in torch's criteria.

    Raises
    ------
    ValueError
        If `quantile` or `reduction` is out of range. In a call, if outputs and targets differ in shape.

    Notes
    -----
    At y = f the derivative is 0, one of the subgradients there, as in torch's ``L1Loss``.

    Examples
    --------
    >>> import torch
    >>> from sklstm.training import PinballLoss
    >>> predicted, y = torch.tensor([[1.0], [1.0]]), torch.tensor([[3.0], [0.0]])
    >>> PinballLoss(0.9, reduction="none")(predicted, y)  # too low by 2, too high by 1
    tensor([[1.8000],
            [0.1000]])
    """

    def __init__(self, quantile: float = 0.5, reduction: str = "mean"):
        super().__init__()
        if not 0 < quantile < 1:
            raise ValueError(f"quantile must lie in (0, 1), got {quantile!r}")
        if reduction not in ("mean", "sum", "none"):
            raise ValueError(f"reduction must be 'mean', 'sum' or 'none', got {reduction!r}")
        self.quantile = float(quantile)
        self.reduction = reduction

    def forward(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """The loss of outputs and targets.

        Parameters
        ----------
        outputs, targets : Tensors of one shape

        Returns
        -------
        Tensor
            A scalar, or with ``reduction="none"`` a tensor of that shape.
        """
        if outputs.shape != targets.shape:  # they would broadcast
            raise ValueError(f"outputs have shape {tuple(outputs.shape)}, but targets have {tuple(targets.shape)}")
        above = targets - outputs
        each = self.quantile * above.relu() + (1 - self.quantile) * (-above).relu()
        if self.reduction == "none":
            return each
        return each.mean() if self.reduction == "mean" else each.sum()


@dataclass(frozen=True)
class _Kind:
    """The properties of a loss; q is the quantile, which only one of them has."""

    #: Class of a criterion, or a function from (quantile, reduction) to a criterion.
    criterion: Callable[..., nn.Module]
    words: str
    #: With its unit, for an axis; {y} is the name of the targets.
    label: str
    #: A function from (targets (n, k), quantile, weights (n,) or None) to the constant (k,) with the smallest mean
    #: loss.
    best_constant: Callable[[_Array, Any, _Array | None], _Array]
    #: The degree p: the loss is multiplied by s^p if errors are multiplied by s.
    degree: float


def _mean(y: _Array, quantile: None, weight: _Array | None) -> _Array:
    return np.average(y, axis=0, weights=weight)


def _quantile(y: _Array, quantile: float | None, weight: _Array | None) -> _Array:
    """The quantile of every column, by default the median."""
    q = 0.5 if quantile is None else quantile
    if weight is None:
        return np.quantile(y, q, axis=0)
    order = np.argsort(y, axis=0)
    shares = np.cumsum(weight[order], axis=0)  # (n, k)
    places = (shares < q * shares[-1]).sum(axis=0)
    return np.take_along_axis(y, np.take_along_axis(order, places[None], 0), 0)[0]


def _huber_constant(y: _Array, quantile: None, weight: _Array | None) -> _Array:
    def derivative(constant: float, column: _Array) -> float:
        return float(np.average(np.clip(column - constant, -HUBER_DELTA, HUBER_DELTA), weights=weight))

    def best(column: _Array) -> float:
        low, high = float(column.min()), float(column.max())
        if low == high:
            return low
        # Derivative of the mean loss, up to its sign: continuous, monotone, of both signs between the ends.
        return float(brentq(derivative, low, high, args=(column,)))

    return np.array([best(column) for column in y.T])


#: The losses by scikit-learn's names.
LOSSES: dict[str, _Kind] = {
    "squared_error": _Kind(
        nn.MSELoss,
        "squared error",
        "squared error (squared units of {y})",
        _mean,
        2,
    ),
    "absolute_error": _Kind(
        nn.L1Loss,
        "absolute error",
        "absolute error (units of {y})",
        _quantile,
        1,
    ),
    "huber": _Kind(
        partial(nn.HuberLoss, delta=HUBER_DELTA),
        f"Huber loss (δ = {HUBER_DELTA:g})",
        f"Huber loss (δ = {HUBER_DELTA:g} unit of {{y}})",
        _huber_constant,
        2,  # for small errors
    ),
    "quantile": _Kind(
        PinballLoss,
        "pinball loss (q = {q})",
        "pinball loss (q = {q}, units of {y})",
        _quantile,
        1,
    ),
}


LOSS = Choice(tuple(LOSSES))


@dataclass(frozen=True)
class RegressionLoss:
    """The loss of a regressor: a criterion for training, and its properties for bounds and displays.

    Parameters
    ----------
    name : str
        A key of ``LOSSES``.
    quantile : float, optional
        For the loss "quantile" only: two losses are equal if they are the same function.

    Examples
    --------
    >>> import numpy as np
    >>> from sklstm._losses import RegressionLoss
    >>> loss = RegressionLoss("absolute_error")
    >>> loss(reduction="mean")
    L1Loss()
    >>> y = np.array([[0.0], [1.0], [5.0]])
    >>> loss.best_constant(y), round(loss.of_best_constant(y), 3)  # the median
    (array([1.]), 1.667)
    >>> loss.each(np.zeros((3, 1)), y).tolist()
    [0.0, 1.0, 5.0]
    >>> loss.label("y"), RegressionLoss("quantile", 0.9).words
    ('absolute error (units of y)', 'pinball loss (q = 0.9)')
    """

    name: str = "squared_error"
    quantile: float | None = None

    @classmethod
    def of(cls, name: str, quantile: float) -> "RegressionLoss":
        """The loss for two parameters of a regressor; ``quantile`` counts only for that loss.

        Raises
        ------
        ValueError, TypeError
            If there is no such loss or quantile.
        """
        LOSS.check("loss", name)
        PROBABILITY.check("quantile", quantile)
        return cls(str(name), float(quantile) if name == "quantile" else None)

    @property
    def _kind(self) -> _Kind:
        return LOSSES[self.name]

    def __call__(self, reduction: str = "mean") -> nn.Module:
        """The criterion for training.

        Parameters
        ----------
        reduction : str
            As in torch's criteria.

        Returns
        -------
        nn.Module
        """
        own = {} if self.quantile is None else {"quantile": self.quantile}
        return self._kind.criterion(**own, reduction=reduction)

    def entries(self, outputs: Tensor | _Array, targets: Tensor | _Array) -> Tensor:
        """Losses of all outputs in float64.

        Parameters
        ----------
        outputs, targets : Tensors or ndarrays of shape (n, k)

        Returns
        -------
        Tensor of shape (n, k)

        Raises
        ------
        ValueError
            If the shapes differ.
        """
        if outputs.shape != targets.shape:  # torch's criteria would broadcast
            raise ValueError(f"predictions have shape {tuple(outputs.shape)}, but targets have {tuple(targets.shape)}")
        # Copies of arrays: torch shares neither read-only memory nor negative strides.
        outputs, targets = (
            torch.as_tensor(values if isinstance(values, Tensor) else np.array(values)).double()
            for values in (outputs, targets)
        )
        return self("none")(outputs, targets)

    def each(self, outputs: Tensor | _Array, targets: Tensor | _Array) -> Tensor:
        """Losses of sequences in float64, averaged over the outputs.

        Parameters
        ----------
        outputs, targets : Tensors or ndarrays of shape (n, k)

        Returns
        -------
        Tensor of shape (n,)
        """
        return self.entries(outputs, targets).mean(dim=1)

    def best_constant(self, y: _Array, weight: _Array | None = None) -> _Array:
        """The constant prediction with the smallest mean loss.

        Parameters
        ----------
        y : ndarray of shape (n, k)
        weight : ndarray of shape (n,), optional
            Weights of the losses in the mean; not all of them zero.

        Returns
        -------
        ndarray of shape (k,)
            Mean, median or quantile; for Huber's loss it is found numerically.
        """
        return self._kind.best_constant(y, self.quantile, weight)

    def of_best_constant(self, y: _Array, weight: _Array | None = None) -> float:
        """Mean loss of the best constant prediction for these targets.

        Parameters
        ----------
        y : ndarray of shape (n, k), float64
        weight : ndarray of shape (n,), optional
            As in `best_constant`.

        Returns
        -------
        float
            The variance of y for the squared error.
        """
        guess = np.broadcast_to(self.best_constant(y, weight), y.shape).copy()
        # Sums in the order of numpy's variance.
        return float(np.average(self.entries(guess, y).numpy(), axis=0, weights=weight).mean())

    @property
    def words(self) -> str:
        """The loss in words."""
        return self._kind.words.format(q=self._q)

    def label(self, y: str) -> str:
        """The loss with its unit, for an axis.

        Parameters
        ----------
        y : str
            Name of the targets.

        Returns
        -------
        str
        """
        return self._kind.label.format(q=self._q, y=y)

    @property
    def _q(self) -> str:
        return "" if self.quantile is None else f"{self.quantile:g}"

    @property
    def degree(self) -> float:
        """The degree p: errors s times as large have a loss s^p times as large; for Huber's loss, if they are small."""
        return self._kind.degree
