"""How far an adversary can move the outputs of a network within a box, and whether any attack leaves its bounds."""

from copy import deepcopy
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from sklstm.certificates import RecurrentNetwork, output_bounds
from sklstm.networks._linear_part import LinearPart

CELLS = {
    "lstm": (nn.LSTM, {}),
    "gru": (nn.GRU, {}),
    "relu": (nn.RNN, {"nonlinearity": "relu"}),
    "tanh": (nn.RNN, {"nonlinearity": "tanh"}),
}
WITH_LINEAR = " with a linear part"
KINDS = (*CELLS, *(cell + WITH_LINEAR for cell in CELLS))  # of networks, as cases are counted
EPS = (1e-6, 1e-4, 1e-3, 1e-2, 0.05, 0.1, 0.3, 1.0)
N_CORNERS = 6


def signed_gradient(function, X, eps, output, sign, n_steps=20):
    """Inputs within X ± eps (broadcast) that push one output up (sign 1) or down (-1), by projected signed gradients.

    The first step goes to the corner that the gradient at X points to, the later ones move by shrinking steps.
    """
    lower, upper = X - eps, X + eps
    point, best, best_value = X, X, None
    for step in range(n_steps):
        point = point.detach().requires_grad_(True)
        value = sign * function(point)[:, output]
        if best_value is not None:
            better = value > best_value
            best, best_value = torch.where(better[:, None, None], point, best), torch.maximum(value, best_value)
        else:
            best_value = value
        (gradient,) = torch.autograd.grad(value.sum(), point)
        size = 2.0 if step == 0 else 1.0 / step
        point = (point.detach() + size * eps * gradient.sign()).clamp(min=lower, max=upper)
    with torch.no_grad():
        value = sign * function(point)[:, output]
        return torch.where((value > best_value)[:, None, None], point, best).detach()


def random_corner(X, eps, generator):
    """A random corner of the box."""
    signs = torch.randint(0, 2, X.shape, generator=generator, device="cpu").to(X) * 2 - 1
    return (X + eps * signs).clamp(min=X - eps, max=X + eps)


def of_unit_norm(X):
    """X (..., d) with Euclidean norms of 1 along the last axis; zeros, and what is as good as zero, are zero."""
    size = X.abs().amax(-1, keepdim=True)
    X = torch.where(size > 1e-300, X / size.clamp_min(1e-300), 0.0)  # so that no square underflows
    return X / X.norm(dim=-1, keepdim=True).clamp_min(1.0)


def strongest(function, X, eps, output=0, n_steps=20):
    """Largest |change| of one output that the signed-gradient attack finds, for each row of X."""
    with torch.no_grad():
        centre = function(X)[:, output]
    moved = []
    for sign in (1, -1):
        point = signed_gradient(function, X, eps, output, sign, n_steps)
        with torch.no_grad():
            moved.append((function(point)[:, output] - centre).abs())
    return torch.stack(moved).amax(0)


class Network(nn.Module):
    """A recurrent layer or two, read out at the last step, perhaps a linear part; drawn from a generator of its own."""

    def __init__(self, cell, n_features, hidden_size, n_outputs, n_layers, scale, bias, generator, dtype, skip_steps=0):
        super().__init__()
        self.linear_part = LinearPart(n_features, n_outputs, skip_steps, dtype=dtype) if skip_steps else None
        kind, options = CELLS[cell]
        with torch.random.fork_rng(devices=[]):
            self.recurrent = kind(n_features, hidden_size, n_layers, batch_first=True, dtype=dtype, **options)
            self.readout = nn.Linear(hidden_size, n_outputs, dtype=dtype)
        with torch.no_grad():
            for name, parameter in self.named_parameters():
                draw = torch.randn(parameter.shape, generator=generator, dtype=torch.float64)
                fan = 1 if "bias" in name else parameter.shape[1] ** 0.5
                parameter.copy_(scale * draw / fan)
            if cell == "lstm":
                for layer in range(n_layers):
                    getattr(self.recurrent, f"bias_ih_l{layer}")[hidden_size : 2 * hidden_size] += bias
        self.cell = cell

    @property
    def kind(self):
        return self.cell if self.linear_part is None else self.cell + WITH_LINEAR

    def forward(self, X):
        outputs = self.readout(self.recurrent(X)[0][:, -1])
        return outputs if self.linear_part is None else outputs + self.linear_part(X)


def network_of(module):
    """The weights of a module with a recurrent layer and a linear readout, for `output_bounds`."""
    (recurrent,) = (part for part in module.children() if isinstance(part, nn.RNNBase))
    linear = module.linear_part
    return RecurrentNetwork.from_torch(recurrent, module.readout, None if linear is None else linear.weight)


def double_of(module):
    """The same weights in float64."""
    return deepcopy(module).double()


class Attack(NamedTuple):
    """What an attack on n certificates has found, each Tensor of bool of shape (n,).

    Attributes
    ----------
    outside : Tensor
        Whether something left the bounds. It should be nowhere true.
    linear : Tensor
        Whether the bounds of the costly method were attacked too.
    caught : Tensor
        Whether the attack would have left the best of the cheap bounds, had they lost a tenth of their width.
    """

    outside: Tensor
    linear: Tensor
    caught: Tensor


def narrowed(lower, upper):
    """Bounds that have lost a tenth of their width."""
    return lower + 0.05 * (upper - lower), upper - 0.05 * (upper - lower)


def is_outside(value, lower, upper):
    return ((value < lower) | (value > upper)).flatten(1).any(dim=1)


def attacked(module, X, eps, generator, n_steps=10, n_linear=4, n_corners=N_CORNERS):
    """An `Attack` on the bounds of X ± eps (broadcast), by gradients, from corners drawn at random, and by X itself."""
    network, exact = network_of(module), double_of(module)
    lower, upper = X - eps, X + eps
    some = torch.randperm(len(X), generator=generator)[:n_linear]
    cheap = [output_bounds(network, lower, upper, method=method) for method in ("intervals", "mean-value")]
    costly = output_bounds(network, lower[some], upper[some], method="linear")
    best = torch.maximum(cheap[0].lower, cheap[1].lower), torch.minimum(cheap[0].upper, cheap[1].upper)
    output = int(torch.randint(0, module.readout.out_features, (), generator=generator))

    def as_computed(X):
        return module(X.to(network.dtype)).double()

    points = [signed_gradient(as_computed, X, eps, output, sign, n_steps) for sign in (1, -1)]
    points += [random_corner(X, eps, generator) for _ in range(n_corners)] + [X]
    outside, linear, caught = (torch.zeros(len(X), dtype=torch.bool) for _ in range(3))
    linear[some] = True
    with torch.no_grad():
        for value in (function(point) for point in points for function in (exact, as_computed)):
            for bounds in cheap:
                outside |= is_outside(value, *bounds)
            outside[some] |= is_outside(value[some], *costly)
            caught |= is_outside(value, *narrowed(*best))
    return Attack(outside, linear, caught)


def random_networks(n, seed):
    """n networks with the lengths of the sequences to try them on."""
    rng = np.random.default_rng(seed)
    generator = torch.Generator().manual_seed(seed)
    for _ in range(n):
        cell = str(rng.choice(list(CELLS)))
        settings = {
            "cell": cell,
            "n_features": int(rng.choice([1, 3, 8])),
            "hidden_size": int(rng.choice([2, 8, 24, 48])),
            "n_outputs": int(rng.choice([1, 3])),
            "n_layers": int(rng.choice([1, 2])),
            "scale": float(rng.choice([0.1, 0.4, 1.0, 2.5] if cell != "relu" else [0.1, 0.4, 1.0])),
            "bias": float(rng.choice([0.0, 1.0, 5.0, 10.0])),
            "dtype": (torch.float32, torch.float64)[int(rng.integers(2))],
            "skip_steps": int(rng.choice([0, 0, 1, 6, 30])),  # some of more steps than there are
        }
        yield settings, Network(**settings, generator=generator), int(rng.choice([1, 6, 24]))


def attack_random(n_networks, n_samples, seed=0, epsilons=EPS):
    """Cases, violations and cases with the costly method over random networks, by kind."""
    generator = torch.Generator().manual_seed(seed + 1)
    counts = {kind: np.zeros(3, dtype=int) for kind in KINDS}
    for settings, module, n_steps in random_networks(n_networks, seed):
        X = torch.randn(n_samples, n_steps, settings["n_features"], generator=generator, dtype=torch.float64)
        for eps in epsilons:
            found = attacked(module, X, eps, generator)
            counts[module.kind] += (n_samples, int(found.outside.sum()), int(found.linear.sum()))
    return counts
