r"""Sound bounds on the outputs of a recurrent network over a box of inputs.

*Intervals* go through the network forward. The *mean-value form* then runs the backward pass through the enclosed
states: the result encloses :math:`\partial y / \partial x` over the whole box, and

.. math:: |y(x + \delta) - y(x)| \le \sum_{t,c} |\delta_{t,c}| \sup|\partial y / \partial x_{t,c}| .

*Affine forms* keep, beside the intervals of all states, how these depend on inputs and on each other's errors to first
order. They narrow the intervals, and with these the derivatives.

Rounding errors are perturbations of intermediate values, so the same derivatives say what they can do.
"""

from typing import NamedTuple

import torch
from torch import Tensor

from ._network import RecurrentNetwork
from .enclosures import EnclosedLayer
from .enclosures._arithmetic import dot_slack
from .enclosures._forms import Form
from .enclosures._linear import forward_linear, symbols

__all__ = ["METHODS", "Interval", "box", "output_bounds"]

METHODS = ("best", "linear", "mean-value", "intervals")
_TAPE = 2**24  # numbers, so 64 MB in float32


class Interval(NamedTuple):
    """Entrywise bounds with ``lower <= upper``.

    Attributes
    ----------
    lower, upper : Tensor, float64
        Of one shape.

    Examples
    --------
    >>> import torch
    >>> from sklstm.certificates import Interval
    >>> lower, upper = Interval(torch.tensor([-1.0]), torch.tensor([2.0]))
    >>> upper - lower
    tensor([3.])
    """

    lower: Tensor
    upper: Tensor


def box(lower: Tensor, upper: Tensor, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    """Centre and radius (n, L, d) in ``dtype`` of the inputs between two sequences, rounded to it or not.

    Raises
    ------
    ValueError
        If the box is not finite, not of shape (n, L, d), or upside down.
    """
    lower, upper = lower.detach(), upper.detach()
    if lower.shape != upper.shape or lower.ndim != 3:
        raise ValueError(
            f"lower and upper must share one shape (n, L, d), got {tuple(lower.shape)} and {tuple(upper.shape)}."
        )
    if not (torch.isfinite(lower).all() and torch.isfinite(upper).all()):
        raise ValueError("lower and upper must be finite.")
    if (lower > upper).any():
        raise ValueError("lower must not exceed upper anywhere.")
    low, high = lower.to(dtype), upper.to(dtype)
    # Rounding to nearest is monotone: it takes inputs of the box between the rounded ends. The ends themselves may have
    # moved inwards.
    low = torch.where(low > lower, torch.nextafter(low, low.new_tensor(-torch.inf)), low)
    high = torch.where(high < upper, torch.nextafter(high, high.new_tensor(torch.inf)), high)
    centre = low + (high - low) / 2
    info = torch.finfo(dtype)
    radius = torch.maximum(high - centre, centre - low) * (1 + 2 * info.eps) + info.tiny
    return centre, radius


def _readout(network: RecurrentNetwork, rows: Tensor | None) -> tuple[Tensor, Tensor, Tensor]:
    """Weight (n or 1, k, H), bias (n or 1, k) and Σ of absolute weights that the rounding is measured by."""
    weight, bias = network.weight_out.detach(), network.bias_out
    bias = weight.new_zeros(len(weight)) if bias is None else bias.detach()
    if rows is None:
        return weight[None], bias[None], weight.abs()[None]
    # Differences of outputs: row j minus the row named for the sample.
    reference = weight[rows][:, None]
    return weight - reference, bias - bias[rows][:, None], weight.abs() + reference.abs()


def rows_at_once(network: RecurrentNetwork, n_steps: int, method: str = "best") -> int:
    """Boxes for which the tape of the backward pass, or the largest form, takes about `_TAPE` numbers."""
    if method == "linear":
        layers = network.enclosed()
        largest = max(layer.into.shape[1] for layer in layers) * symbols(layers, n_steps)
        return max(1, min(256, _TAPE // largest))
    per_step = sum(4 * layer.weight_hh.shape[0] for layer in network.layers) + network.layers[0].weight_ih.shape[1]
    return max(16, min(1024, _TAPE // (per_step * n_steps)))


@torch.no_grad()
def output_bounds(
    network: RecurrentNetwork,
    lower: Tensor,
    upper: Tensor,
    *,
    method: str = "best",
    minus: Tensor | None = None,
    batch_size: int | None = None,
) -> Interval:
    r"""Lower and upper limits of every output for every input between two sequences.

    Parameters
    ----------
    network : RecurrentNetwork
    lower, upper : Tensor of shape (n, L, d)
        The box of inputs, entry by entry.
    method : {"best", "linear", "mean-value", "intervals"}
        ``"intervals"`` propagates forward only. ``"mean-value"`` encloses the derivatives too, and needs the intervals
        for it. ``"best"`` takes the smaller of the two, entry by entry. ``"linear"`` carries affine forms of all states
        along, which narrow both, and takes the smallest of everything: never wider, and far more work.
    minus : Tensor of shape (n,), optional
        Indices of outputs; the bounds are then on the differences of all outputs and the one named for the sample.
    batch_size : int, optional
        Boxes handled at once, which bounds the memory; by default as many as fit in about 100 MB.

    Returns
    -------
    Interval
        ``lower`` and ``upper`` of shape (n, k), float64. They hold for the network in exact arithmetic and for its
        outputs as evaluated on a CPU in the dtype of its weights, rounding included. ±inf where nothing is known.

    Raises
    ------
    ValueError
        If the box is not finite, not of shape (n, L, d), or upside down; for an unknown method or no batch size.

    Examples
    --------
    Inputs between 1 and 2 at each of three steps, and a ReLU unit that adds them up:

    >>> import torch
    >>> from sklstm.certificates import LayerWeights, RecurrentNetwork, output_bounds
    >>> one = torch.ones(1, 1, dtype=torch.float64)
    >>> network = RecurrentNetwork("relu", [LayerWeights(one, one)], weight_out=-one)
    >>> box = torch.ones(1, 3, 1), 2 * torch.ones(1, 3, 1)
    >>> lower, upper = output_bounds(network, *box)
    >>> round(lower.item(), 6), round(upper.item(), 6)
    (-6.0, -3.0)
    >>> lower.item() <= -6  # rounded outwards
    True
    """
    if method not in METHODS:
        raise ValueError(f"method must be one of {METHODS}, got {method!r}.")
    if batch_size is not None and batch_size < 1:
        raise ValueError(f"batch_size must be at least 1, got {batch_size}.")
    centre, radius = box(lower, upper, network.dtype)
    size = rows_at_once(network, centre.shape[1], method) if batch_size is None else int(batch_size)
    size = -(-len(centre) // -(-len(centre) // size)) if len(centre) else size  # blocks of about one size
    layers = network.enclosed()
    parts = [
        _block(network, layers, *block, method)
        for block in zip(
            centre.split(size),
            radius.split(size),
            [None] * -(-len(centre) // size) if minus is None else minus.split(size),
            strict=True,
        )
    ]
    return Interval(*(torch.cat(ends) for ends in zip(*parts, strict=True)))


def _block(
    network: RecurrentNetwork,
    layers: list[EnclosedLayer],
    centre: Tensor,
    radius: Tensor,
    minus: Tensor | None,
    method: str,
) -> Interval:
    inputs = torch.stack((centre, radius)).permute(0, 2, 3, 1).contiguous()  # (2, L, d, n)
    hidden = inputs
    for layer in layers:
        hidden = layer.forward(hidden, record=method != "intervals")
    last = hidden[:, -1].transpose(1, 2)  # (2, n, H)
    readout = _readout(network, minus)
    bounds = _through_readout(last, *readout)
    if method == "intervals":
        return bounds
    by_derivatives = _mean_value(network, layers, centre, inputs[1], last, readout)
    if method == "mean-value":
        return by_derivatives
    bounds = _narrower(bounds, by_derivatives)
    if method == "best":
        return bounds
    ball, form = forward_linear(layers, inputs)
    last = ball.transpose(1, 2)
    for other in (
        _through_readout(last, *readout),
        _linear_readout(form, last, *readout),
        _mean_value(network, layers, centre, inputs[1], last, readout),
    ):
        bounds = _narrower(bounds, other)
    return bounds


def _narrower(a: Interval, b: Interval) -> Interval:
    return Interval(torch.maximum(a.lower, b.lower), torch.minimum(a.upper, b.upper))


def _interval(centre: Tensor, radius: Tensor) -> Interval:
    """Float64, and ±inf where overflow has left nothing to say."""
    lower, upper = centre.double() - radius.double(), centre.double() + radius.double()
    return Interval(lower.masked_fill(lower.isnan(), -torch.inf), upper.masked_fill(upper.isnan(), torch.inf))


def _readout_slack(h: Tensor, magnitude: Tensor, bias: Tensor) -> Tensor:
    slack = dot_slack(h.shape[-1] + 2, torch.finfo(h.dtype).eps / 2)
    size = (magnitude @ (h[0].abs() + h[1])[..., None])[..., 0] + bias.abs()
    return slack * size + torch.finfo(h.dtype).tiny  # of tiny products the rounding is absolute


def _through_readout(h: Tensor, weight: Tensor, bias: Tensor, magnitude: Tensor) -> Interval:
    spread = (weight.abs() @ h[1][..., None])[..., 0] + _readout_slack(h, magnitude, bias)
    return _interval((weight @ h[0][..., None])[..., 0] + bias, spread)


def _linear_readout(form: Form, h: Tensor, weight: Tensor, bias: Tensor, magnitude: Tensor) -> Interval:
    """Bounds (n, k) by the forms of the last h, and its ball (2, n, H), which measures the network's own rounding."""
    boxes = form.terms.permute(2, 0, 1)  # (n, H, P)
    terms = torch.matmul(weight, boxes).abs().sum(-1)
    size = magnitude @ form.sup.T[..., None]
    slack = dot_slack(len(form.centre) + form.terms.shape[1] + 2, form.unit) * (size[..., 0] + bias.abs())
    spread = terms + (weight.abs() @ form.radius.T[..., None])[..., 0] + slack + _readout_slack(h, magnitude, bias)
    return _interval((weight @ form.centre.T[..., None])[..., 0] + bias, spread)


def _mean_value(
    network: RecurrentNetwork,
    layers: list[EnclosedLayer],
    centre: Tensor,
    radius: Tensor,
    h: Tensor,
    readout: tuple[Tensor, Tensor, Tensor],
) -> Interval:
    """Centre (n, L, d), radius (L, d, n) and ball of the last h (2, n, H) to bounds (n, k)."""
    weight, bias, magnitude = readout
    n, n_steps = centre.shape[:2]
    seed = weight.permute(2, 1, 0).expand(-1, -1, n)  # (H, k, n)
    seeds: list[Tensor | None] = [None] * (n_steps - 1) + [torch.stack((seed, torch.zeros_like(seed)))]
    spread = _readout_slack(h, magnitude, bias).T  # (k, n)
    for layer in reversed(layers):
        inputs, rounding = layer.backward(seeds)
        spread = spread + rounding
        seeds = list(inputs)
    spread = spread + ((inputs[:, 0].abs() + inputs[:, 1]) * radius[:, :, None]).sum((0, 1))
    # The sums above have only positive terms: their rounding is relative.
    n_terms = sum(layer.back.shape[2] for layer in layers) + centre[0].numel()
    spread = (1 + dot_slack(n_terms, torch.finfo(h.dtype).eps / 2)) * spread
    point = (weight @ network.hidden(centre)[..., None])[..., 0] + bias
    return _interval(point, spread.T)
