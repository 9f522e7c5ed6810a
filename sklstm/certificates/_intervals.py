"""Bounds on the outputs of one-layer networks, given as plain weights."""

import torch
from torch import Tensor

from ._certificate import Interval, output_bounds
from ._network import RecurrentNetwork
from .enclosures import LayerWeights

__all__ = ["lstm_interval_bounds", "rnn_interval_bounds"]


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
        The sum of torch's two biases.
    weight_out : Tensor of shape (k, H)
    bias_out : Tensor of shape (k,), optional
    lower, upper : Tensor of shape (n, L, d)
        The box of inputs, entry by entry.

    Returns
    -------
    Interval
        ``lower`` and ``upper`` of shape (n, k), float64: sound whatever the biases, see `output_bounds`.

    Raises
    ------
    ValueError
        If the box is not finite, not of shape (n, L, d), or upside down, or weights do not fit together.

    See Also
    --------
    output_bounds : Stacked layers, other cells, and the far tighter mean-value form.

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
    dtype = torch.promote_types(weight_ih.dtype, bias.dtype)  # the sum of the biases may have been taken in float64
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
        ``lower`` and ``upper`` of shape (n, k), float64.

    Raises
    ------
    ValueError
        If the box is not finite, not of shape (n, L, d), or upside down, or weights do not fit together.

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
