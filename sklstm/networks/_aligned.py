"""Networks filled up for predictions that do not depend on the place in a batch."""

import copy
from collections.abc import Callable
from typing import cast

import torch
from torch import nn

from ._networks import GatedNetwork, ReLUNetwork

__all__ = ["aligned"]

# Units to which `aligned` fills up: 64 bytes of float32, the widest registers there are.
_ALIGNMENT = 16


@torch.no_grad()
def aligned(module: nn.Module) -> nn.Module:
    """The same function by a network whose number of units is a multiple of 16, for predictions.

    Matrix kernels treat rows by where they begin in memory. Where rows of states are whole registers, all are treated
    alike, and an output does not depend on the place of its sequence in a batch. The units added have zero weights:
    their states are zero, in an LSTM, a GRU and a ReLU layer alike.

    Parameters
    ----------
    module : nn.Module

    Returns
    -------
    nn.Module
        ``module`` itself if nothing has to be added, or if it is none of this package's networks on a CPU.

    Examples
    --------
    >>> import torch
    >>> from sklstm.networks import GRUNetwork, aligned
    >>> module = GRUNetwork(n_features=2, hidden_size=5, n_outputs=1)
    >>> wide = aligned(module)
    >>> wide.recurrent.hidden_size
    16
    >>> X = torch.ones(3, 7, 2)
    >>> torch.allclose(wide(X), module(X), atol=1e-6)
    True
    """
    if not isinstance(module, GatedNetwork | ReLUNetwork) or module.readout.weight.device.type != "cpu":
        return module
    old = module.recurrent
    missing = -old.hidden_size % _ALIGNMENT
    if not missing:
        return module
    size = old.hidden_size + missing
    twin = copy.copy(module)
    twin._modules = dict(module._modules)
    with torch.device("meta"):
        nonlinearity = {"nonlinearity": old.nonlinearity} if isinstance(old, nn.RNN) else {}
        new = cast(Callable[..., nn.RNNBase], type(old))(
            old.input_size, size, old.num_layers, bias=old.bias, batch_first=True, dtype=module.readout.weight.dtype,
            **nonlinearity,
        )  # fmt: skip
        readout = nn.Linear(size, module.readout.out_features, bias=module.readout.bias is not None)
    state = {}
    for name, weight in old.named_parameters():
        gates = weight.unflatten(0, (-1, old.hidden_size))  # (G, H, ...)
        above = name.startswith("weight_hh") or (name.startswith("weight_ih") and not name.endswith("_l0"))
        columns = (0, missing if above else 0) if weight.ndim == 2 else ()
        state[name] = nn.functional.pad(gates, (*columns, 0, missing)).flatten(0, 1)
    new.load_state_dict(state, assign=True)
    readout.weight = nn.Parameter(nn.functional.pad(module.readout.weight, (0, missing)))
    readout.bias = module.readout.bias
    names = {id(part): name for name, part in module._modules.items()}
    twin._modules[names[id(old)]], twin._modules["readout"] = new, readout
    return twin
