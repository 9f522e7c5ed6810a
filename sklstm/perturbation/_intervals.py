r"""Interval propagation: sound entrywise bounds on the output for every input in a box.

Everything is computed in float64 and rounded outwards. Affine maps use centre and radius,
:math:`c W^\top + b \pm r |W|^\top`; the monotone logistic and tanh are taken at both ends; products take the extreme of
their four corners. A computed matrix product of inner length m is off by at most :math:`\gamma_m |c| |W|^\top` with
:math:`\gamma_m = m u / (1 - m u)`, u = 2⁻⁵³, in whatever order it is summed (Higham 2002, section 3.5). Four
(m + 3) u is added, which covers the rounding of that term itself. Sums and products are off by u, torch's logistic and
tanh by a few units in the last place; every result is widened by `_ULPS` of them.
"""

from typing import NamedTuple

import torch
from torch import Tensor

from sklstm.linalg import max_row_sum

__all__ = ["Interval", "lstm_interval_bounds", "rnn_interval_bounds", "rnn_lipschitz"]

_UNIT = torch.finfo(torch.float64).eps
_TINY = torch.finfo(torch.float64).tiny  # covers underflow, where errors are absolute
_ULPS = 4


class Interval(NamedTuple):
    """Entrywise bounds, float64 tensors of one shape with ``lower <= upper``."""

    lower: Tensor
    upper: Tensor


def _outward(lower: Tensor, upper: Tensor) -> Interval:
    slack = _ULPS * _UNIT
    return Interval(lower - slack * lower.abs() - _TINY, upper + slack * upper.abs() + _TINY)


def _affine(x: Interval, weight: Tensor, bias: Tensor | None = None) -> Interval:
    """(..., m) through (n, m) and (n,) to (..., n)."""
    # Rounding the centre moves it by half an ulp of the larger end; the radius makes up for it.
    centre = (x.lower + x.upper) / 2
    radius = (x.upper - x.lower) / 2 + 2 * _UNIT * torch.maximum(x.lower.abs(), x.upper.abs())
    magnitude = weight.abs()
    out = centre @ weight.mT
    error = 2 * (weight.shape[-1] + 3) * _UNIT * (centre.abs() @ magnitude.mT)
    spread = (radius @ magnitude.mT) * (1 + 2 * (weight.shape[-1] + 3) * _UNIT) + error
    if bias is not None:
        out = out + bias
        spread = spread + 2 * _UNIT * (out.abs() + bias.abs())
    return _outward(out - spread, out + spread)


def _add(a: Interval, b: Interval) -> Interval:
    return _outward(a.lower + b.lower, a.upper + b.upper)


def _product(a: Interval, b: Interval) -> Interval:
    corners = torch.stack((a.lower * b.lower, a.lower * b.upper, a.upper * b.lower, a.upper * b.upper))
    return _outward(corners.amin(0), corners.amax(0))


def _logistic(x: Interval) -> Interval:
    lower, upper = _outward(torch.sigmoid(x.lower), torch.sigmoid(x.upper))
    return Interval(lower.clamp(0, 1), upper.clamp(0, 1))


def _tanh(x: Interval) -> Interval:
    lower, upper = _outward(torch.tanh(x.lower), torch.tanh(x.upper))
    return Interval(lower.clamp(-1, 1), upper.clamp(-1, 1))


def _box(lower: Tensor, upper: Tensor) -> Interval:
    """The input box in float64, after checking that it is one."""
    box = Interval(lower.detach().double(), upper.detach().double())
    if box.lower.shape != box.upper.shape or box.lower.ndim != 3:
        raise ValueError(
            f"lower and upper must share one shape (n, L, d), got {tuple(lower.shape)} and {tuple(upper.shape)}."
        )
    if not (torch.isfinite(box.lower).all() and torch.isfinite(box.upper).all()):
        raise ValueError("lower and upper must be finite.")
    if (box.lower > box.upper).any():
        raise ValueError("lower must not exceed upper anywhere.")
    return box


@torch.no_grad()
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
        ``lower`` and ``upper`` of shape (n, k), float64: sound for the real-number function that these weights
        define, whatever the biases.

    Raises
    ------
    ValueError
        If the box is not finite, not of shape (n, L, d), or upside down.

    Notes
    -----
    Unlike :math:`\rho_x^2/(1-\rho_h^2)` this is a certificate: no step of it is a heuristic. About two forward passes.
    """
    box = _box(lower, upper)
    W_x, W_h, b, W_y = (weight.double() for weight in (weight_ih, weight_hh, bias, weight_out))
    zeros = box.lower.new_zeros(len(box.lower), W_h.shape[1])
    h, s = Interval(zeros, zeros), Interval(zeros, zeros)
    nets_x = _affine(box, W_x, b)  # all steps at once: (n, L, 4H)
    for t in range(box.lower.shape[1]):
        net = _add(Interval(nets_x.lower[:, t], nets_x.upper[:, t]), _affine(h, W_h))
        i, f, g, o = (
            Interval(*ends) for ends in zip(net.lower.chunk(4, dim=-1), net.upper.chunk(4, dim=-1), strict=True)
        )
        s = _add(_product(_logistic(f), s), _product(_logistic(i), _tanh(g)))
        h = _product(_logistic(o), _tanh(s))
    return _affine(h, W_y, None if bias_out is None else bias_out.double())


@torch.no_grad()
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
        If the box is not finite, not of shape (n, L, d), or upside down.
    """
    box = _box(lower, upper)
    u, w, v = (weight.double() for weight in (U, W, V))
    zeros = box.lower.new_zeros(len(box.lower), w.shape[0])
    h = Interval(zeros, zeros)
    nets_x = _affine(box, u)  # (n, L, m)
    for t in range(box.lower.shape[1]):
        net = _add(Interval(nets_x.lower[:, t], nets_x.upper[:, t]), _affine(h, w))
        h = Interval(net.lower.clamp_min(0), net.upper.clamp_min(0))
    return _affine(h, v)


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
        cannot change sign while the perturbation stays below M / (2 · sum) in every entry.

    Raises
    ------
    ValueError
        If ``n_steps`` is not positive.
    """
    if n_steps < 1:
        raise ValueError(f"n_steps must be at least 1, got {n_steps}.")
    beta_u, beta_w, beta_v = (max_row_sum(weight.double()) for weight in (U, W, V))
    if beta_u == 0 or beta_v == 0:  # the output is constant, also where β_W to the power overflows
        return beta_u.new_zeros(n_steps)
    # Upper bounds on the sums and powers, not their rounded values.
    slack = 1 + (max(U.shape[1], *W.shape, V.shape[1]) + n_steps + 4) * _UNIT
    powers = beta_w ** torch.arange(n_steps - 1, -1, -1, dtype=torch.float64, device=beta_w.device)
    return beta_v * beta_u * powers * slack ** (n_steps + 2)
