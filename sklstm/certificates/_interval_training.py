"""The interval pass as a differentiable function, which robust training minimises.

It is the forward pass of the certificate ``method="intervals"`` without its rounding margins. The backward pass is
written out, cell by cell, on the tape of the forward pass. Autograd would take several times as long for the hundreds
of small operations of each step.
"""

from typing import Any

import torch
from torch import Tensor, nn

from sklstm._sequences import last_steps

from ._enclosed_cells import ENCLOSURES
from ._enclosed_layer import EnclosedLayer
from ._output_bounds import Interval
from ._recurrent_network import RecurrentNetwork


class _LayerPass(torch.autograd.Function):
    """Ball of the inputs (2, L, d, n) to ball of the hidden states (2, L, H, n) of a layer with matrices ``into``."""

    @staticmethod
    def forward(ctx: Any, layer: EnclosedLayer, into: Tensor, box: Tensor) -> Tensor:
        ctx.layer = layer
        layer.passes += 1
        ctx.number = layer.passes
        return layer.forward(box, record=ctx.needs_input_grad[1] or ctx.needs_input_grad[2]).clone()

    @staticmethod
    def backward(ctx: Any, *by_hidden: Tensor) -> tuple[None, Tensor, Tensor | None]:  # type: ignore[override]
        if ctx.number != ctx.layer.passes:
            raise RuntimeError(
                "The interval pass keeps what one backward pass needs. Call backward before the next forward pass."
            )
        return None, *ctx.layer.gradients(by_hidden[0], of_inputs=ctx.needs_input_grad[2])


class IntervalPass:
    r"""Bounds on the outputs of a network for every input in a box, differentiable with respect to its weights.

    They are those of ``output_bounds(network, lower, upper, method="intervals")`` in exact arithmetic. A certificate
    needs margins for rounding errors; training does not. The box is a constant: its ends have no gradient.

    Parameters
    ----------
    network : RecurrentNetwork
        A network. Its weights are read again in every call, so that they may be changed in place.

    Notes
    -----
    Where an interval ends at zero, or both products of a gate with an end are equal, the gradient is that of one side.
    Memory is kept from call to call, so call backward before the next forward pass.

    Examples
    --------
    A smaller weight of the input makes the bounds narrower:

    >>> import torch
    >>> from sklstm.certificates import IntervalPass, RecurrentNetwork
    >>> lstm, readout = torch.nn.LSTM(1, 4, batch_first=True), torch.nn.Linear(4, 1)
    >>> X = torch.zeros(2, 5, 1)
    >>> bounds = IntervalPass(RecurrentNetwork.from_torch(lstm, readout))(X - 0.1, X + 0.1)
    >>> width = (bounds.upper - bounds.lower).mean()
    >>> width.backward()
    >>> with torch.no_grad():
    ...     _ = lstm.weight_ih_l0.sub_(0.01 * lstm.weight_ih_l0.grad)
    >>> bounds = IntervalPass(RecurrentNetwork.from_torch(lstm, readout))(X - 0.1, X + 0.1)
    >>> bool((bounds.upper - bounds.lower).mean() < width)
    True
    """

    def __init__(self, network: RecurrentNetwork):
        self.network = network
        self._layers: list[EnclosedLayer] = []

    def __call__(
        self,
        lower: Tensor,
        upper: Tensor,
        *,
        lengths: Tensor | None = None,
        minus: Tensor | None = None,
        weight_linear: Tensor | None = None,
    ) -> Interval:
        """Bounds on every output, or on the differences between all outputs and one.

        Parameters
        ----------
        lower, upper : Tensor of shape (n, L, d)
            The box of inputs, entry by entry, in the dtype of the weights and on their device.
        lengths : Tensor of int64 of shape (n,), optional
            Steps after which each sequence ends; by default all have L.
        minus : Tensor of int64 of shape (n,), optional
            Index of one output for each sample.
        weight_linear : Tensor of shape (k, p * d), optional
            Weight of a linear part, instead of the network's own. If it depends on parameters, compute it again for
            every call.

        Returns
        -------
        Interval
            Bounds ``lower`` and ``upper`` of shape (n, k), in the dtype of the weights.

        Raises
        ------
        ValueError
            If the box is not of shape (n, L, d).
        """
        if lower.shape != upper.shape or lower.ndim != 3:
            raise ValueError(
                f"lower and upper must share one shape (n, L, d), got {tuple(lower.shape)} and {tuple(upper.shape)}."
            )
        box = torch.stack((lower + upper, upper - lower)).detach().mul_(0.5)  # (2, n, L, d)
        hidden = box.permute(0, 2, 3, 1)
        for layer in self._loaded():
            hidden = _LayerPass.apply(layer, layer.into, hidden)
        if lengths is None:
            last = hidden[:, -1]
        else:
            places = (lengths - 1).expand(2, 1, hidden.shape[2], -1)
            last = hidden.gather(1, places)[:, 0]
        linear = self.network.weight_linear if weight_linear is None else weight_linear
        return self._read_out(last.mT, box, lengths, minus, linear)

    def _loaded(self) -> list[EnclosedLayer]:
        """The layers with their current weights."""
        if self._layers:
            for layer, weights in zip(self._layers, self.network.layers, strict=True):
                layer.load(weights)
        else:
            enclosure = ENCLOSURES[self.network.cell]
            self._layers = [enclosure(weights, margins=False) for weights in self.network.layers]
        return self._layers

    def _read_out(
        self, last: Tensor, box: Tensor, lengths: Tensor | None, minus: Tensor | None, linear: Tensor | None
    ) -> Interval:
        weight, bias = self.network.weight_out, self.network.bias_out
        if linear is not None:
            n_steps = linear.shape[1] // box.shape[3]
            last = torch.cat((last, torch.stack([last_steps(part, lengths, n_steps) for part in box])), 2)
            weight = torch.cat((weight, linear), 1)
        if minus is None:
            centre = nn.functional.linear(last[0], weight, bias)
            radius = nn.functional.linear(last[1], weight.abs())
        else:
            rows = weight - weight[minus][:, None]  # (n, k, H + p·d)
            centre, radius = (rows @ last[0][..., None])[..., 0], (rows.abs() @ last[1][..., None])[..., 0]
            if bias is not None:
                centre = centre + bias - bias[minus][:, None]
        return Interval(centre - radius, centre + radius)
