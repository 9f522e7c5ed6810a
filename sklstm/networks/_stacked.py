"""The forward pass of many networks of one shape as one program."""

from typing import cast

import torch
from torch import Tensor, nn

from ._lstm import last_lstm_state
from ._networks import LSTMNetwork, ReLUNetwork
from ._relu import last_relu_state

__all__ = ["is_stackable", "stacked_forward"]


def is_stackable(module: nn.Module) -> bool:
    """Whether `stacked_forward` knows the network: an LSTM of one layer, or the ReLU network.

    Parameters
    ----------
    module : nn.Module

    Returns
    -------
    bool

    Examples
    --------
    >>> from sklstm.networks import LSTMNetwork, ReLUNetwork, is_stackable
    >>> is_stackable(ReLUNetwork(2, 4, 1)), is_stackable(LSTMNetwork(2, 4, 1, num_layers=2))
    (True, False)
    """
    if isinstance(module, LSTMNetwork):
        return module.n_layers == 1
    return isinstance(module, ReLUNetwork)


def stacked_forward(module: nn.Module, weights: dict[str, Tensor], X: Tensor) -> Tensor:
    """Outputs of M networks of one shape, each for a batch of its own.

    Parameters
    ----------
    module : nn.Module
        One of the networks, for its structure; see `is_stackable`. Its weights are not used.
    weights : dict of str to Tensor of shape (M, ...)
        Their parameters by name, stacked, as `torch.func.stack_module_state` does.
    X : Tensor of shape (M, B, L, d)

    Returns
    -------
    Tensor of shape (M, B, k)

    Raises
    ------
    TypeError
        For another network.

    Examples
    --------
    >>> import torch
    >>> from sklstm.networks import ReLUNetwork, stacked_forward
    >>> networks = [ReLUNetwork(n_features=2, hidden_size=4, n_outputs=1) for _ in range(3)]
    >>> weights, _ = torch.func.stack_module_state(networks)
    >>> X = torch.ones(3, 10, 7, 2)  # ten sequences for each
    >>> outputs = stacked_forward(networks[0], weights, X)
    >>> all(torch.allclose(outputs[i], networks[i](X[i]), atol=1e-5) for i in range(3))
    True
    """
    if not is_stackable(module):
        raise TypeError(f"{type(module).__name__} is not a network that can be stacked.")
    to_outputs = weights["readout.weight"].mT  # (M, H, k)
    if isinstance(module, ReLUNetwork):
        return torch.bmm(last_relu_state(X, weights["rnn.weight_ih_l0"], weights["rnn.weight_hh_l0"]), to_outputs)
    names = (f"{module.cell}.{part}_l0" for part in ("weight_ih", "weight_hh", "bias_ih", "bias_hh"))
    state = last_lstm_state(X, *(weights[name] for name in names))
    return cast(nn.Module, module.link)(torch.baddbmm(weights["readout.bias"][:, None], state, to_outputs))
