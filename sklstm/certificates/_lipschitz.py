"""Lipschitz constants of networks without gates that hold for all inputs, by Tu et al. 2020."""

import torch
from torch import Tensor

from sklstm._subnormals import keeps_subnormals
from sklstm.linalg import as_float64, max_row_sum

_UNIT = torch.finfo(torch.float64).eps
_TINY = torch.finfo(torch.float64).tiny


@keeps_subnormals
@torch.no_grad()
def rnn_lipschitz(U: Tensor, W: Tensor, V: Tensor, n_steps: int) -> Tensor:
    r"""Per-step Lipschitz constants of a network without gates, Lemma 8 of Tu et al. 2020 with p = ∞.

    .. math:: \|y_L(x) - y_L(x')\|_\infty \le \sum_{i=1}^L \beta_V \beta_U \beta_W^{L-i} \|x_i - x'_i\|_\infty

    The lemma is about ReLU units. Its proof uses only that they move no farther than their net inputs, which also holds
    for tanh.

    Parameters
    ----------
    U, W, V : Tensor of shape (m, d), (m, m), (k, m)
    n_steps : int
        L ≥ 1.

    Returns
    -------
    Tensor of shape (L,), float64
        The factor of :math:`\|x_i - x'_i\|_\infty` for i = 1, …, L; ``inf`` where the power overflows. A margin M
        cannot change sign as long as the input error is below M / (2 · sum) in every entry.

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
