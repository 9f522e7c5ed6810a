r"""Certified bounds on the outputs of a recurrent network over a box of inputs.

*Interval* bounds come from a forward pass on intervals. *Mean-value* bounds come from a backward pass through these
intervals: it encloses :math:`\partial y / \partial x` over the whole box, and

.. math:: |y(x + \delta) - y(x)| \le \sum_{t,c} |\delta_{t,c}| \sup|\partial y / \partial x_{t,c}| .

*Linear* bounds come from planes above and below every step. They are substituted backwards from the outputs to the
inputs, and from all pre-activations and states as well. Terms that cancel between values cancel here too.

Rounding errors are perturbations of intermediate values. The same derivatives, or coefficients, bound their effect on
the outputs.

A linear part of the network is exact in all of them: its weights are added to the derivatives, or coefficients.
"""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from sklstm._sequences import last_steps
from sklstm._subnormals import keeps_subnormals

from ._enclosed_layer import EnclosedLayer, LayerWeights
from ._interval_arithmetic import dot_slack
from ._plane_layers import PlaneLayer
from ._recurrent_network import RecurrentNetwork
from ._self_test import check_activations
from ._substitution import Substitution

METHODS = ("best", "linear", "mean-value", "intervals")
_TAPE = 2**24  # numbers on the tape of one batch: 64 MB in float32
# Largest distance of planes, as a share of the width from the inputs, for a substitution to be deep enough, and for
# parallel planes to be close enough.
_SETTLED = (0.03, 1.0)
_EFFORTS = len(_SETTLED) + 1
_COLUMNS = 2**19  # coefficients of a state in one batch of substitutions: with fewer, calls take longer than sums
_OVERHEAD = (100, 5)  # boxes that a step takes as long for as for its calls; second for `linear` (H = 32)


class Interval(NamedTuple):
    """Entrywise bounds with ``lower <= upper``.

    Attributes
    ----------
    lower, upper : Tensor, float64
        Bounds of the same shape.

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
    """Centre and radius (n, L, d), in ``dtype``, of a box that contains the inputs and the inputs rounded to ``dtype``.

    Raises
    ------
    ValueError
        If the box is not finite, not of shape (n, L, d), or if ``lower`` exceeds ``upper``.
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
    # Rounding to nearest is monotone: a rounded input lies between the rounded ends. But the ends may move inwards, so
    # that an input itself lies outside them.
    low = torch.where(low > lower, torch.nextafter(low, low.new_tensor(-torch.inf)), low)
    high = torch.where(high < upper, torch.nextafter(high, high.new_tensor(torch.inf)), high)
    centre = low + (high - low) / 2
    info = torch.finfo(dtype)
    radius = torch.maximum(high - centre, centre - low) * (1 + 2 * info.eps) + info.tiny
    return centre, radius


class _Readout(NamedTuple):
    """From (h, x), the last state and the inputs of a linear part, to the outputs, or to their differences.

    ``weight`` is (n or 1, k, H + q·d) and ``bias`` (n or 1, k). ``magnitude`` has the sums of absolute weights that
    bound the rounding, and ``size`` the H columns of the state.
    """

    weight: Tensor
    bias: Tensor
    magnitude: Tensor
    size: int

    @property
    def of_state(self) -> Tensor:
        return self.weight[..., : self.size]

    @property
    def of_inputs(self) -> Tensor:
        return self.weight[..., self.size :]


def _readout(network: RecurrentNetwork, rows: Tensor | None, n_steps: int) -> _Readout:
    weight, bias, linear = network.weight_out.detach(), network.bias_out, network.linear_columns(n_steps)
    size = weight.shape[1]
    if linear is not None:
        weight = torch.cat((weight, linear), 1)
    bias = weight.new_zeros(len(weight)) if bias is None else bias.detach()
    if rows is None:
        return _Readout(weight[None], bias[None], weight.abs()[None], size)
    # Differences of outputs: row j minus the row given for the sample.
    reference = weight[rows][:, None]
    return _Readout(weight - reference, bias - bias[rows][:, None], weight.abs() + reference.abs(), size)


def rows_at_once(network: RecurrentNetwork, n_steps: int, method: str = "best") -> int:
    """Number of boxes for which the tape has about `_TAPE` numbers; for `linear`, whose columns stay in the cache."""
    if method == "linear":
        columns = max(layer.weight_hh.shape[0] * layer.weight_hh.shape[1] for layer in network.layers)
        planes = sum(
            2 * layer.weight_hh.shape[1] * sum(map(len, (layer.weight_ih.T, layer.weight_hh.T)))
            for layer in network.layers
        )
        return max(1, min(_COLUMNS // columns, _TAPE // (planes * n_steps)))
    per_step = sum(4 * layer.weight_hh.shape[0] for layer in network.layers) + network.layers[0].weight_ih.shape[1]
    return max(16, min(1024, _TAPE // (per_step * n_steps)))


@keeps_subnormals
@torch.no_grad()
def output_bounds(
    network: RecurrentNetwork,
    lower: Tensor,
    upper: Tensor,
    *,
    method: str = "best",
    minus: Tensor | None = None,
    batch_size: int | None = None,
    lengths: Tensor | None = None,
) -> Interval:
    r"""Lower and upper bounds on every output for all inputs between two sequences.

    Parameters
    ----------
    network : RecurrentNetwork
    lower, upper : Tensor of shape (n, L, d)
        The box of inputs, entry by entry.
    method : {"best", "linear", "mean-value", "intervals"}
        ``"intervals"`` uses the forward pass only. ``"mean-value"`` also encloses the derivatives, for which it needs
        the intervals. ``"best"`` takes the tighter of the two, entry by entry. ``"linear"`` also computes affine forms
        of all states, which narrow both, and takes the tightest of all. It is never wider than ``"best"`` but takes far
        more time.
    minus : Tensor of shape (n,), optional
        Index of one output for each sample. The bounds are then on the differences between all outputs and this one.
        ``"linear"`` stops narrowing them once all others are known to be below 0.
    batch_size : int, optional
        Number of boxes in one batch, which limits the memory; by default as many as fit in about 100 MB.
    lengths : Tensor of int64 of shape (n,), optional
        Number of steps of each sequence, at least 1; what follows is ignored. By default all have L.

    Returns
    -------
    Interval
        Bounds ``lower`` and ``upper`` of shape (n, k), float64. They hold for the network in exact arithmetic. They
        also hold for its outputs evaluated on a CPU in the dtype of its weights, rounding included. ±inf where no bound
        is known.

    Raises
    ------
    ValueError
        If the box is not finite, not of shape (n, L, d), or has ``lower`` above ``upper``. Also for an unknown method,
        a batch size below 1 or lengths that do not fit.
    InaccurateFunctionError
        If torch's logistic function or tanh is less accurate on this machine than the margins allow. The first call of
        a process measures it.

    Examples
    --------
    Inputs between 1 and 2 at each of three steps, and a ReLU unit that adds them:

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
    if network.cell != "relu":  # which has no such functions
        check_activations(network.dtype, network.weight_out.device)
    n, n_steps, _ = centre.shape
    if lengths is not None:
        if lengths.shape != (n,) or not bool(((lengths >= 1) & (lengths <= n_steps)).all()):
            raise ValueError(f"lengths must be {n} numbers from 1 to {n_steps}, one for each box.")
        if bool((lengths == n_steps).all()):
            lengths = None
    found = centre.new_empty(2, n, len(network.weight_out), dtype=torch.float64)
    layers, planes = network.enclosed(), network.planes() if method == "linear" else []
    for rows in _batches(network, n, n_steps, method, batch_size, lengths):
        some_lengths, longest = None, n_steps
        if lengths is not None:
            some_lengths = lengths[rows]  # in descending order
            longest = int(some_lengths[0])
        reference = None if minus is None else minus[rows]
        some_centre, some_radius = centre[rows, :longest], radius[rows, :longest]
        of_batch = network, some_centre, some_radius, some_lengths, reference
        bounds = _enclosed_bounds(layers, *of_batch, "best" if planes else method)
        if planes:
            bounds = _narrower(bounds, _linear_bounds(planes, *of_batch))
        found[:, rows] = torch.stack(bounds)
    return Interval(*found)


def _batches(
    network: RecurrentNetwork, n: int, n_steps: int, method: str, batch_size: int | None, lengths: Tensor | None
) -> Sequence[slice | Tensor]:
    """Batches of boxes; those of several lengths have the longest first."""
    if lengths is None:
        size = rows_at_once(network, n_steps, method) if batch_size is None else int(batch_size)
        size = -(-n // -(-n // size)) if n else size  # batches of about the same size
        return [slice(start, start + size) for start in range(0, n, size)]
    order = torch.argsort(lengths, descending=True, stable=True)
    ends, start, longest, waste = [], 0, 0, 0
    for place, length in enumerate(lengths[order].tolist()):
        if place == start:
            longest, waste = length, 0
            size = rows_at_once(network, longest, method) if batch_size is None else int(batch_size)
        # Another batch costs as much as this many more boxes in this one, step by step.
        elif place == start + size or waste + longest - length > _OVERHEAD[method == "linear"] * length:
            ends.append(place)
            start, longest, waste = place, length, 0
            size = rows_at_once(network, longest, method) if batch_size is None else int(batch_size)
        waste += longest - length
    return list(order.tensor_split(ends))


def lstm_interval_bounds(
    weight_ih: Tensor,
    weight_hh: Tensor,
    bias: Tensor,
    weight_out: Tensor,
    bias_out: Tensor | None,
    lower: Tensor,
    upper: Tensor,
) -> Interval:
    r"""Bounds on :math:`W_{hy} h(L) + b_y` of an LSTM (5)–(11) of Turkin 2017 for every input between two sequences.

    Parameters
    ----------
    weight_ih : Tensor of shape (4 * H, d)
    weight_hh : Tensor of shape (4 * H, H)
        Gates stacked i, f, g, o, as torch stores them.
    bias : Tensor of shape (4 * H,)
        Sum of torch's two biases.
    weight_out : Tensor of shape (k, H)
    bias_out : Tensor of shape (k,), optional
    lower, upper : Tensor of shape (n, L, d)
        The box of inputs, entry by entry.

    Returns
    -------
    Interval
        Bounds ``lower`` and ``upper`` of shape (n, k), float64, valid for all biases; see `output_bounds`.

    Raises
    ------
    ValueError
        If the box is not finite, not of shape (n, L, d), or has ``lower`` above ``upper``. Also if shapes of weights do
        not match.

    See Also
    --------
    output_bounds : Stacked layers, other cells, and the mean-value bounds, which are far tighter.

    Examples
    --------
    >>> import torch
    >>> from sklstm.certificates import lstm_interval_bounds
    >>> lstm, readout = torch.nn.LSTM(2, 4, batch_first=True), torch.nn.Linear(4, 1)
    >>> X = torch.zeros(1, 5, 2)
    >>> with torch.no_grad():
    ...     bias = lstm.bias_ih_l0 + lstm.bias_hh_l0
    ...     weights = lstm.weight_ih_l0, lstm.weight_hh_l0, bias, readout.weight, readout.bias
    ...     lower, upper = lstm_interval_bounds(*weights, X - 0.1, X + 0.1)
    ...     output = readout(lstm(X)[0][:, -1])
    >>> bool(lower < output), bool(output < upper)
    (True, True)
    """
    dtype = torch.promote_types(weight_ih.dtype, bias.dtype)  # the biases may have been added in float64
    weight_ih, weight_hh, bias, weight_out = (w.to(dtype) for w in (weight_ih, weight_hh, bias, weight_out))
    layer = LayerWeights(weight_ih, weight_hh, bias, torch.zeros_like(bias))
    bias_out = None if bias_out is None else bias_out.to(dtype)
    return output_bounds(RecurrentNetwork("lstm", (layer,), weight_out, bias_out), lower, upper, method="intervals")


def rnn_interval_bounds(U: Tensor, W: Tensor, V: Tensor, lower: Tensor, upper: Tensor) -> Interval:
    r"""Bounds on the logits :math:`V h_L` of the ReLU network (1) of Tu et al. 2020 for every input in a box.

    Parameters
    ----------
    U, W, V : Tensor of shape (m, d), (m, m), (k, m)
    lower, upper : Tensor of shape (n, L, d)
        The box of inputs, entry by entry.

    Returns
    -------
    Interval
        Bounds ``lower`` and ``upper`` of shape (n, k), float64.

    Raises
    ------
    ValueError
        If the box is not finite, not of shape (n, L, d), or has ``lower`` above ``upper``. Also if shapes of weights do
        not match.

    Examples
    --------
    >>> import torch
    >>> from sklstm.certificates import rnn_interval_bounds
    >>> one = torch.ones(1, 1, dtype=torch.float64)
    >>> lower, upper = rnn_interval_bounds(one, 0.5 * one, one, torch.ones(1, 3, 1), 2 * torch.ones(1, 3, 1))
    >>> round(lower.item(), 6), round(upper.item(), 6)  # 1/4 + 1/2 + 1, and twice that
    (1.75, 3.5)
    """
    return output_bounds(RecurrentNetwork("relu", (LayerWeights(U, W),), V), lower, upper, method="intervals")


def _aligned(
    network: RecurrentNetwork, centre: Tensor, radius: Tensor, lengths: Tensor | None
) -> tuple[Tensor, Tensor, list[int] | None]:
    """Ball of the inputs (2, L, d, n), of the inputs of a linear part (2, n, q·d), and how many have begun when.

    All sequences end at the last step, where the layers read the state.
    """
    n_steps, begun = centre.shape[1], None
    if lengths is not None:
        centre, radius = (last_steps(part, lengths, n_steps).view_as(part) for part in (centre, radius))
        steps = torch.arange(n_steps, device=lengths.device)
        begun = (lengths[:, None] >= n_steps - steps).sum(0).tolist()
    both = torch.stack((centre, radius))
    return both.permute(0, 2, 3, 1).contiguous(), network.seen_by_linear(both), begun


def _enclosed_bounds(
    layers: list[EnclosedLayer],
    network: RecurrentNetwork,
    centre: Tensor,
    radius: Tensor,
    lengths: Tensor | None,
    minus: Tensor | None,
    method: str,
) -> Interval:
    inputs, seen, begun = _aligned(network, centre, radius, lengths)
    n_steps, last_h = inputs.shape[1], centre.new_empty(0)
    if method != "intervals":
        last_h = network.hidden(centre, lengths)
    hidden = inputs
    for layer in layers:
        hidden = layer.forward(hidden, record=method != "intervals", begun=begun)
    last = torch.cat((hidden[:, -1].transpose(1, 2), seen), 2)  # (2, n, H + q·d)
    readout = _readout(network, minus, n_steps)
    bounds = _through_readout(last, readout)
    if method == "intervals":
        return bounds
    at_centre = torch.cat((last_h, seen[0]), 1)
    n_inputs = (n_steps if lengths is None else lengths.to(centre.dtype)) * centre.shape[2]
    mean_value = _mean_value(layers, at_centre, inputs[1], n_inputs, last, readout)
    if method == "mean-value":
        return mean_value
    return _narrower(bounds, mean_value)


def _linear_bounds(
    layers: list[PlaneLayer],
    network: RecurrentNetwork,
    centre: Tensor,
    radius: Tensor,
    lengths: Tensor | None,
    minus: Tensor | None,
    effort: int = 0,
    deep: Tensor | None = None,
) -> Interval:
    """Bounds by backward substitution: some steps for all boxes, then more effort for boxes that it can narrow.

    The second effort substitutes more steps, the third takes the closest planes within the network. Both do so for the
    last ``deep`` (n,) steps of each box.
    """
    inputs, seen, begun = _aligned(network, centre, radius, lengths)
    readout = _readout(network, minus, inputs.shape[1])
    weight = torch.cat((readout.weight, -readout.weight), 1).expand(len(centre), -1, -1)
    of_inputs = weight[..., readout.size :].unflatten(2, (-1, inputs.shape[2]))
    substitution = Substitution(layers, inputs, begun)

    def found() -> tuple[Interval, Tensor]:
        at = torch.cat((substitution.forward(deep, closely=effort == _EFFORTS - 1), seen[0].double()), 1)
        upper = substitution.bounds(weight[..., : readout.size], of_inputs)
        low, high = (end.to(seen.dtype) for end in layers[-1].state[0])
        last = torch.cat((torch.stack(((low + high) / 2, (high - low) / 2)).transpose(1, 2), seen), 2)
        middle = (readout.weight.double() @ at[..., None])[..., 0] + readout.bias.double()
        above, below = upper.chunk(2, 1)
        return _interval(middle, torch.stack((below, above)) + _readout_slack(last, readout).double()), upper

    bounds, upper = found()
    unsettled = torch.ones(len(centre), dtype=torch.bool, device=centre.device)
    while effort < _EFFORTS - 1:
        apart, of_inputs_alone = (part.unflatten(1, (2, -1)).sum(1) for part in (upper, substitution.by_inputs))
        unsettled &= ~(apart <= (1 + _SETTLED[effort]) * of_inputs_alone).all(1)
        if minus is not None:  # differences serve to certify a label in the whole box
            unsettled &= (bounds.upper >= 0).sum(1) > 1  # one of them is the output itself
        rows = unsettled.nonzero()[:, 0]
        if not len(rows):
            break
        effort, deep = effort + 1, substitution.mattering * unsettled
        alone = 2 * len(rows) <= len(unsettled)
        if alone:  # another pass would cost the same for the others
            some_lengths, some_minus = (None if part is None else part[rows] for part in (lengths, minus))
            some = centre[rows], radius[rows], some_lengths, some_minus
            deeper = list(_linear_bounds(layers, network, *some, effort, deep[rows]))
        else:
            narrower, upper = found()
            deeper = [end[rows] for end in narrower]
        lower, higher = (end.clone() for end in bounds)
        lower[rows], higher[rows] = _narrower(Interval(*deeper), Interval(lower[rows], higher[rows]))
        bounds = Interval(lower, higher)
        if alone:
            break
    return bounds


def _narrower(a: Interval, b: Interval) -> Interval:
    return Interval(torch.maximum(a.lower, b.lower), torch.minimum(a.upper, b.upper))


def _interval(centre: Tensor, radius: Tensor) -> Interval:
    """Bounds in float64; ±inf after overflow. From one radius, or from two in one tensor, the lower one first."""
    below, above = radius if radius.ndim > centre.ndim else (radius, radius)
    lower, upper = centre.double() - below.double(), centre.double() + above.double()
    return Interval(lower.masked_fill(lower.isnan(), -torch.inf), upper.masked_fill(upper.isnan(), torch.inf))


def _readout_slack(h: Tensor, readout: _Readout) -> Tensor:
    # With a linear part there is one more dot product, and the sum of the two. Each term then has at most as many
    # roundings as in one long product.
    slack = dot_slack(h.shape[-1] + 2, torch.finfo(h.dtype).eps / 2)
    size = (readout.magnitude @ (h[0].abs() + h[1])[..., None])[..., 0] + readout.bias.abs()
    return slack * size + torch.finfo(h.dtype).tiny  # the rounding error of tiny products is absolute


def _through_readout(h: Tensor, readout: _Readout) -> Interval:
    spread = (readout.weight.abs() @ h[1][..., None])[..., 0] + _readout_slack(h, readout)
    return _interval((readout.weight @ h[0][..., None])[..., 0] + readout.bias, spread)


def _mean_value(
    layers: list[EnclosedLayer], at_centre: Tensor, radius: Tensor, n_inputs: int | Tensor, h: Tensor, readout: _Readout
) -> Interval:
    """Bounds (n, k) from (h, x) at the centres (n, H + q·d) and the radius (L, d, n).

    ``h`` is the ball of (h, x), (2, n, H + q·d). ``n_inputs`` is the number of inputs of a sequence, or those (n,) of
    each.
    """
    n_steps, d, n = radius.shape
    seed = readout.of_state.permute(2, 1, 0).expand(-1, -1, n)  # (H, k, n)
    seeds: list[Tensor | None] = [None] * (n_steps - 1) + [torch.stack((seed, torch.zeros_like(seed)))]
    spread = _readout_slack(h, readout).T  # (k, n)
    for layer in reversed(layers):
        inputs, rounding = layer.backward(seeds)
        spread = spread + rounding
        seeds = list(inputs)
    slopes = readout.of_inputs.unflatten(2, (-1, d)).permute(2, 3, 1, 0)  # (q, d, k, n or 1)
    inputs[n_steps - len(slopes) :, 0] += slopes  # the derivatives of the linear part are its weights
    spread = spread + ((inputs[:, 0].abs() + inputs[:, 1]) * radius[:, :, None]).sum((0, 1))
    # All terms of the sums above are positive, so their rounding error is relative.
    n_terms = sum(layer.back.shape[2] for layer in layers) + n_inputs
    spread = (1 + dot_slack(n_terms, torch.finfo(h.dtype).eps / 2)) * spread
    return _interval((readout.weight @ at_centre[..., None])[..., 0] + readout.bias, spread.T)
