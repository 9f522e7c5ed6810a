"""Lipschitz constants that hold for all inputs: bounds on the movement of the outputs per unit of input."""

import torch
from torch import Tensor

from sklstm._subnormals import keeps_subnormals
from sklstm.linalg import as_float64, max_row_sum, spectral_norm

_UNIT = torch.finfo(torch.float64).eps
_TINY = torch.finfo(torch.float64).tiny


@keeps_subnormals
@torch.no_grad()
def rnn_lipschitz(U: Tensor, W: Tensor, V: Tensor, n_steps: int) -> Tensor:
    r"""Per-step Lipschitz constants of the ReLU network, Lemma 8 of Tu et al. 2020 with p = ∞.

    .. math:: \|y_L(x) - y_L(x')\|_\infty \le \sum_{i=1}^L \beta_V \beta_U \beta_W^{L-i} \|x_i - x'_i\|_\infty

    Parameters
    ----------
    U, W, V : Tensor of shape (m, d), (m, m), (k, m)
    n_steps : int
        L ≥ 1.

    Returns
    -------
    Tensor of shape (L,), float64
        The factor of :math:`\|x_i - x'_i\|_\infty` for i = 1, …, L; ``inf`` where the power overflows. A margin M
        cannot change sign as long as the perturbation is below M / (2 · sum) in every entry.

    Raises
    ------
    ValueError
        If ``n_steps`` is not positive.

    Examples
    --------
    >>> import torch
    >>> from sklstm.certificates import rnn_lipschitz
    >>> one = torch.ones(1, 1)
    >>> rnn_lipschitz(one, 0.5 * one, 2 * one, n_steps=3).round(decimals=6).tolist()  # the last step counts most
    [0.5, 1.0, 2.0]
    """
    if n_steps < 1:
        raise ValueError(f"n_steps must be at least 1, got {n_steps}.")
    beta_u, beta_w, beta_v = (max_row_sum(as_float64(weight)) for weight in (U, W, V))
    if beta_u == 0 or beta_v == 0:  # the output is constant, even if the power of β_W overflows
        return beta_u.new_zeros(n_steps)
    # Upper bounds on the sums and powers, not their rounded values.
    slack = 1 + (max(U.shape[1], *W.shape, V.shape[1]) + n_steps + 4) * _UNIT
    beta_u, beta_w, beta_v = (torch.where(beta > 0, beta * slack + _TINY, 0) for beta in (beta_u, beta_w, beta_v))
    constants = [beta_v * beta_u * slack + _TINY]  # of the last step; a product that underflows is rounded up
    for _ in range(n_steps - 1):
        constants.append(constants[-1] * beta_w * slack + _TINY if beta_w > 0 else torch.zeros_like(beta_w))
    return torch.stack(constants[::-1])


@keeps_subnormals
@torch.no_grad()
def lstm_gain(
    weight_ih: Tensor, weight_hh: Tensor, bias: Tensor, n_steps: int, input_bound: float = float("inf")
) -> Tensor:
    r"""Lipschitz constants of the hidden states of an LSTM, proved for every LSTM.

    With :math:`n_u(t) = \|W_{ux}\| + \|W_{uh}\| h_{t-1}` for each gate u, suprema
    :math:`\bar f, \bar i, \bar o, \bar g` of the gates' absolute values over all inputs with :math:`|x| \le B`, and
    :math:`S_t = \bar f S_{t-1} + \bar i \bar g` the bound on the memory,

    .. math::

        s_t &\le \bar f s_{t-1} + \tfrac14 S_{t-1} n_f + \bar i\, n_g + \tfrac14 \bar g\, n_i \\
        h_t &\le \bar o\, s_t + \tfrac14 \tanh(S_t)\, n_o .

    Parameters
    ----------
    weight_ih : Tensor of shape (4 * H, d)
    weight_hh : Tensor of shape (4 * H, H)
        Gates stacked i, f, g, o, as torch stores them.
    bias : Tensor of shape (4 * H,)
        The sum of torch's two biases.
    n_steps : int
        L ≥ 1.
    input_bound : float
        B > 0, the largest absolute value of any input entry; ``inf`` if none is known.

    Returns
    -------
    Tensor of shape (L,), float64
        Bounds on :math:`\|h_t - h'_t\| / \max_s \|x_s - x'_s\|` for t = 1, …, L.

    Raises
    ------
    ValueError
        If ``n_steps`` or ``input_bound`` is not positive, or the gates are not four.

    Notes
    -----
    Unlike :math:`\rho_x / \sqrt{1 - \rho_h^2}` this is a certificate: it includes what the memory accumulates. It holds
    for the whole input space; `output_bounds` at a given input is far tighter.

    Examples
    --------
    >>> import torch
    >>> from sklstm.certificates import lstm_gain
    >>> lstm = torch.nn.LSTM(2, 4, batch_first=True)
    >>> bias = lstm.bias_ih_l0 + lstm.bias_hh_l0
    >>> gain = lstm_gain(lstm.weight_ih_l0, lstm.weight_hh_l0, bias, n_steps=5)
    >>> with torch.no_grad():
    ...     moved = (lstm(torch.full((1, 5, 2), 0.1))[0] - lstm(torch.zeros(1, 5, 2))[0]).norm(dim=2)[0]
    >>> bool((moved <= gain * 0.1 * 2**0.5).all()), gain.shape
    (True, torch.Size([5]))
    """
    if n_steps < 1:
        raise ValueError(f"n_steps must be at least 1, got {n_steps}.")
    if not input_bound > 0:
        raise ValueError(f"input_bound must be positive, got {input_bound}.")
    if weight_hh.shape[0] != 4 * weight_hh.shape[1]:
        raise ValueError(f"weight_hh must hold four stacked square gates, got shape {tuple(weight_hh.shape)}.")
    W_x, W_h, b = as_float64(weight_ih), as_float64(weight_hh), as_float64(bias)
    # All values below have a few relative rounding errors. The norms come from LAPACK, whose relative error is a small
    # multiple of the dimensions times the unit roundoff.
    slack = 1 + 64 * (W_h.shape[1] + W_x.shape[1]) * _UNIT
    from_input = W_x.abs().sum(1)
    reach = torch.where(from_input > 0, input_bound * from_input, 0.0) + W_h.abs().sum(1)  # |h| ≤ 1
    reach = slack * reach + (slack - 1) * b.abs()
    # What underflows is rounded up.
    i_sup, f_sup, _, o_sup = (
        torch.sigmoid(gate).max().mul(slack).add(_TINY).clamp_max(1) for gate in (b + reach).chunk(4)
    )
    g_sup = torch.tanh((b.abs() + reach).chunk(4)[2]).max().mul(slack).add(_TINY).clamp_max(1)
    n_x, n_h = (spectral_norm(weight.unflatten(0, (4, -1))) * slack for weight in (W_x, W_h))
    if not n_x.any():  # no input reaches the states
        return b.new_zeros(n_steps)
    n_x, n_h = n_x + _TINY, n_h + _TINY
    memory = moved_s = moved_h = b.new_zeros(())
    gains = []
    for _ in range(n_steps):
        n_i, n_f, n_g, n_o = n_x + n_h * moved_h
        moved_s = (f_sup * moved_s + memory / 4 * n_f + i_sup * n_g + g_sup / 4 * n_i) * slack + _TINY
        memory = (f_sup * memory + i_sup * g_sup) * slack + _TINY
        moved_h = (o_sup * moved_s + torch.tanh(memory) * slack / 4 * n_o) * slack + _TINY
        gains.append(moved_h)
    return torch.stack(gains)
