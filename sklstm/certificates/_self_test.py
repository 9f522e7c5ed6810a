"""Check, once and cheaply, that elementary functions of this machine are as accurate as the margins assume.

Certificates allow every logistic function and tanh an error of `ACTIVATION` units, in a network and in their own
computation. Whether this holds depends on processor, libraries and device. The first certificate of a process on a
device measures it. It measures torch's functions on contiguous and on strided memory, which other loops compute. On a
CPU, which evaluates the outputs that the bounds are about, it also measures the functions inside torch's layers.
"""

from collections.abc import Callable, Iterator
from decimal import Decimal, localcontext
from functools import cache
from typing import Any

import torch
from torch import Tensor, nn

from sklstm.exceptions import InaccurateFunctionError

from ._interval_arithmetic import ACTIVATION, tanh_by_logistic_
from ._recurrent_network import run_layer

_UNITS = 19  # of the layers: whole registers, and a remainder
_DIGITS = 40


def exactly(function: Callable[[Decimal], Decimal], x: Tensor) -> list[Decimal]:
    """A function of decimal numbers at the exact values of a tensor, to 40 digits."""
    with localcontext() as context:
        context.prec = _DIGITS
        return [+function(Decimal(value)) for value in x.tolist()]


def logistic(x: Decimal) -> Decimal:
    """1/(1 + exp(−x))."""
    return 1 / (1 + (-x).exp())


def tanh(x: Decimal) -> Decimal:
    """2 logistic(2x) − 1; tiny x has fewer digits, with an absolute error far below every unit."""
    return 2 * logistic(2 * x) - 1


_EXACT = {"logistic": logistic, "tanh": tanh}
_IN_FLOAT64 = {"logistic": torch.sigmoid, "tanh": torch.tanh}  # for functions in float32


def _points(dtype: torch.dtype) -> Tensor:
    # In float64 the reference takes Python's decimal numbers, a point at a time.
    count = 4001 if dtype == torch.float32 else 61
    small = torch.logspace(-12, 2, count // 4, dtype=dtype, device="cpu")
    return torch.cat((torch.linspace(-20, 20, count, dtype=dtype, device="cpu"), small, -small))


def _error(name: str, found: Tensor, x: Tensor) -> float:
    """Largest absolute error of values computed at x."""
    found = found.detach().cpu()
    if x.dtype == torch.float32:
        return (found.double() - _IN_FLOAT64[name](x.double())).abs().max().item()
    pairs = zip(found.tolist(), exactly(_EXACT[name], x), strict=True)
    return float(max(abs(Decimal(value) - exact) for value, exact in pairs))


def _inside(kind: Any, gate: int, others: dict[int, float], x: Tensor) -> Tensor:
    """Result of one step of a layer whose units have one gate at x (n, units) and the others at fixed net inputs."""
    size, n_gates = x.shape[1], {nn.LSTM: 4, nn.GRU: 3, nn.RNN: 1}[kind]
    weights = {
        "weight_ih_l0": x.new_zeros(n_gates * size, size),
        "weight_hh_l0": x.new_zeros(n_gates * size, size),
        "bias_ih_l0": x.new_zeros(n_gates * size),
        "bias_hh_l0": x.new_zeros(n_gates * size),
    }
    weights["weight_ih_l0"][gate * size : (gate + 1) * size] = torch.eye(size, dtype=x.dtype, device=x.device)
    for other, net in others.items():
        weights["bias_ih_l0"][other * size : (other + 1) * size] = net
    module = kind(size, size, batch_first=True, device="meta", dtype=x.dtype)
    states = run_layer(module, weights, x[:, None])[1]
    return states[1][0] if isinstance(states, tuple) else states[0]  # the memory of an LSTM, otherwise the state


def _measured(dtype: torch.dtype, device: torch.device) -> Iterator[tuple[str, float]]:
    """Names of functions, and their errors in units."""
    unit = torch.finfo(dtype).eps / 2
    x = _points(dtype)
    there = x.to(device)
    spread = there.repeat_interleave(3)[::3]
    for values in (there, spread):
        yield "torch.sigmoid", _error("logistic", torch.sigmoid(values), x) / unit
        yield "torch.tanh", _error("tanh", torch.tanh(values), x) / unit
    yield "2 sigmoid(2x) - 1", _error("tanh", tanh_by_logistic_(there.clone()), x) / unit
    # Gates at ±50 are open or closed: exactly 1, or below every unit. A unit alone is computed by other loops.
    for units in (1, _UNITS) if device.type == "cpu" else ():
        rows = there[: len(there) // units * units].reshape(-1, units)
        seen = x[: rows.numel()]
        for kind, gate, others, name in (
            (nn.LSTM, 0, {2: 50.0}, "logistic"),
            (nn.LSTM, 2, {0: 50.0}, "tanh"),
            (nn.GRU, 2, {1: -800.0}, "tanh"),
            (nn.RNN, 0, {}, "tanh"),
        ):
            found = _inside(kind, gate, others, rows).flatten()
            yield f"{name} in torch's {kind.__name__}", _error(name, found, seen) / unit


@cache
@torch.no_grad()
def check_activations(dtype: torch.dtype, device: torch.device) -> None:
    """Raise `InaccurateFunctionError` if an activation has a larger error than certificates allow; once a process."""
    for name, units in _measured(dtype, device):
        if not units <= ACTIVATION:
            raise InaccurateFunctionError(
                f"Certificates on this machine would not be sound: {name} in {dtype} on {device} is off by "
                f"{units:.3g} units of {torch.finfo(dtype).eps / 2:.3g}, but at most {ACTIVATION} are allowed. Use "
                "another device, or another version of torch."
            )
