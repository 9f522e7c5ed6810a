"""The penalty of many networks of one shape, whose norms are tracked together."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from ._cells import get_chain
from ._chain import split_gates
from ._leading import NormTracker, as_array
from ._tracking import TikhonovPenalty

__all__ = ["StackedTikhonovPenalty"]


class StackedTikhonovPenalty:
    """`TikhonovPenalty` for M networks of one shape at once; each has its own weights λ_S, λ_1, λ_2.

    The norms of all are estimated by the same calls, and are exact in the same ones: as often as the network needs
    whose norms change fastest. Where every call is exact, gradients are those of the penalties one by one.

    Parameters
    ----------
    penalties : sequence of TikhonovPenalty
        Of one cell without a bounded gate, the LSTM, and one layer; the cadence and the tolerance of the first count.

    Raises
    ------
    ValueError
        For penalties of different cells, or of a cell that is not supported.

    Examples
    --------
    >>> import torch
    >>> from sklstm.tikhonov import StackedTikhonovPenalty, TikhonovPenalty, tikhonov_penalty
    >>> generator = torch.Generator().manual_seed(0)
    >>> weights = [torch.randn(2, *shape, generator=generator) for shape in ((16, 3), (16, 4), (1, 4))]
    >>> gradients = [torch.zeros_like(weight) for weight in weights]
    >>> constants = [{"lambda_s": value, "lambda_1": 10.0, "lambda_2": 10.0} for value in (0.01, 0.1)]
    >>> stacked = StackedTikhonovPenalty([TikhonovPenalty(**each) for each in constants])
    >>> stacked.watch(*weights)
    >>> values = stacked.accumulate(*gradients)
    >>> singly = [tikhonov_penalty(*(w[i] for w in weights), **each).item() for i, each in enumerate(constants)]
    >>> torch.allclose(torch.tensor(values), torch.tensor(singly))
    True
    >>> all(gradient.any() for gradient in gradients)
    True
    """

    def __init__(self, penalties: Sequence[TikhonovPenalty]):
        cells = {penalty.cell for penalty in penalties}
        if len(cells) != 1 or get_chain(next(iter(cells))).bounded_gate is not None:
            raise ValueError(f"penalties must all be of the LSTM, got {sorted(cells)}.")
        self._penalties = list(penalties)
        self._n_gates = get_chain(self._penalties[0].cell).n_gates
        self._norms = NormTracker(penalties[0].cadence, penalties[0].tolerance)

    @property
    def largest_error(self) -> float:
        """As of `TikhonovPenalty`, over all networks."""
        return self._norms.largest_error

    def watch(self, weight_ih: Tensor, weight_hh: Tensor, weight_out: Tensor) -> None:
        """Take up the weights, which may change in place.

        Parameters
        ----------
        weight_ih : Tensor of shape (M, G * H, d)
        weight_hh : Tensor of shape (M, G * H, H)
        weight_out : Tensor of shape (M, k, H)
        """
        gates = [split_gates(as_array(weight), self._n_gates) for weight in (weight_ih, weight_hh)]  # (M, G, H, ·)
        self._norms.watch([*(stack.reshape(-1, *stack.shape[2:]) for stack in gates), as_array(weight_out)])

    def accumulate(self, by_ih: Tensor, by_hh: Tensor, by_out: Tensor) -> list[float]:
        """Add the gradients of the penalties to those of the first networks, and return the values of all.

        Parameters
        ----------
        by_ih : Tensor of shape (m, G * H, d)
            Gradients of the first m ≤ M networks, as are the others.
        by_hh : Tensor of shape (m, G * H, H)
        by_out : Tensor of shape (m, k, H)

        Returns
        -------
        list of M floats
        """
        with np.errstate(over="ignore", invalid="ignore"):
            n_gates, (norms_x, norms_h, norms_out) = self._n_gates, self._norms()
            values, slopes_x, slopes_h, slopes_out = [], [], [], []
            for index, penalty in enumerate(self._penalties):
                gates = slice(index * n_gates, (index + 1) * n_gates)
                value, (by_x, by_h, by_readout), _ = penalty.differentiate(
                    [norms_x[gates], norms_h[gates], [norms_out[index]]], []
                )
                values.append(value)
                slopes_x += by_x
                slopes_h += by_h
                slopes_out += by_readout
            gradients = self._norms.gradients([slopes_x, slopes_h, slopes_out])
            for target, gradient in zip((by_ih, by_hh, by_out), gradients, strict=True):
                target += torch.as_tensor(gradient).reshape(-1, *target.shape[1:])[: len(target)]
        return values
