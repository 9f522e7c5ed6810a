r"""The penalty of ``variant="stable"``: :math:`\lambda_S \log(1 + \text{gain}^2)` with a proved gain.

A layer gives :math:`\delta_t \le M \delta_{t-1} + b` for the movements of its states, as in
`sklstm.certificates.network_gain`. The suprema are simpler here: over all states, and with the largest slopes. The gain
holds if inputs with errors stay within the range of the inputs. Value and gradient are computed together in numpy: a
graph in every step would cost more than all the rest.
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ._cells import get_cell
from ._penalty import Weights, as_layers
from ._tracked_penalty import WithGradients

Array = NDArray[np.float64]

# Beyond this spectral radius of M the gain is continued by a tangent, as `relaxed_barrier` continues 1/(1 − u).
LARGEST_RADIUS = 0.95
_SQUARINGS = 7  # of M for its leading vectors: 128 power steps
_LARGEST_NET = 150.0  # of a forget gate in 1/(1 − f) = 1 + exp(net), so that products of two layers stay finite


class LayerArrays(NamedTuple):
    """Weights of a layer with G gates, (G, H, d), (G, H, H) and (G, H)."""

    weight_ih: Array
    weight_hh: Array
    bias_ih: Array
    bias_hh: Array


def as_array(tensor: Tensor) -> Array:
    """A copy in float64."""
    return tensor.detach().cpu().numpy().astype(np.float64)


def layer_arrays(layer: Sequence[Tensor], n_gates: int) -> LayerArrays:
    """Weights of a layer as torch stores them: (G * H, d), (G * H, H), and two biases (G * H,)."""
    return LayerArrays(*(array.reshape(n_gates, -1, *array.shape[1:]) for array in map(as_array, layer)))


class _Factors(NamedTuple):
    """How far net inputs of gates finally move a unit, from inputs and from states, (G, H) each; and the gradient.

    ``pull`` takes the derivatives with respect to both. It returns those with respect to the centres, the radii of the
    inputs, the sums of rows of the recurrent matrices, and the recurrent bias apart from the centre; (G, H) each.
    """

    by_input: Array
    by_state: Array
    pull: Callable[[Array, Array], tuple[Array, Array, Array, Array]]


def _logistic(x: Array) -> Array:
    return 0.5 + 0.5 * np.tanh(0.5 * x)


def _lstm_factors(centre: Array, radius: Array, sums: Array, bias_hh: Array) -> _Factors:
    reach = radius + sums
    high = centre + reach
    i, o = _logistic(high[0]), _logistic(high[3])
    g = np.tanh(np.abs(centre[2]) + reach[2])
    remembers = 1 + np.exp(np.minimum(high[1], _LARGEST_NET))  # 1/(1 − f)
    memory = i * g * remembers
    squashed = np.tanh(memory)
    lasting = o * remembers
    factors = np.stack((lasting * g / 4, lasting * memory / 4, lasting * i, squashed / 4))

    def pull(by_input: Array, by_state: Array) -> tuple[Array, Array, Array, Array]:
        by_i, by_f, by_g, by_o = by_input + by_state
        by_lasting = (by_i * g + by_f * memory) / 4 + by_g * i
        by_memory = (by_f * lasting + by_o * (1 - squashed * squashed)) / 4
        of_i = by_g * lasting + by_memory * g * remembers
        of_g = by_i * lasting / 4 + by_memory * i * remembers
        of_remembers = by_lasting * o + by_memory * i * g
        by_reach = np.stack(
            (
                of_i * i * (1 - i),
                of_remembers * (remembers - 1),
                of_g * (1 - g * g),
                by_lasting * remembers * o * (1 - o),
            )
        )
        by_centre = by_reach.copy()
        by_centre[2] *= np.sign(centre[2])
        return by_centre, by_reach, by_reach, np.zeros_like(bias_hh)

    return _Factors(factors, factors, pull)


def _gru_factors(centre: Array, radius: Array, sums: Array, bias_hh: Array) -> _Factors:
    high = centre + radius + sums
    r = _logistic(high[0])
    remembers = 1 + np.exp(np.minimum(high[1], _LARGEST_NET))  # 1/(1 − z)
    product = sums[2] + np.abs(bias_hh[2])  # on |W_nh h + b_nh|
    by_input = np.stack((product / 4, remembers / 2, np.ones_like(r)))
    by_state = np.stack((product / 4, remembers / 2, r))

    def pull(to_input: Array, to_state: Array) -> tuple[Array, Array, Array, Array]:
        of_product, of_remembers, _ = (to_input + to_state) / np.array([4.0, 2.0, 1.0])[:, None]
        by_high = np.stack((to_state[2] * r * (1 - r), of_remembers * (remembers - 1), np.zeros_like(r)))
        by_sums, by_bias = by_high.copy(), np.zeros_like(bias_hh)
        by_sums[2] = of_product
        by_bias[2] = of_product * np.sign(bias_hh[2])
        return by_high, by_high, by_sums, by_bias

    return _Factors(by_input, by_state, pull)


_FACTORS = {"lstm": _lstm_factors, "gru": _gru_factors}
STABLE_CELLS = tuple(_FACTORS)
# Whether the recurrent bias of a gate is added to its net input; the reset gate multiplies that of a candidate.
_ADDED = {"lstm": np.ones((4, 1)), "gru": np.array([[1.0], [1.0], [0.0]])}


def leading_vectors(M: Array) -> tuple[float, Array, Array]:
    """Spectral radius of a non-negative matrix, with a left and a right vector of sum 1."""
    size = M.sum()
    if not size > 0 or not np.isfinite(size):
        return float(size), np.zeros(len(M)), np.zeros(len(M))
    # A similar matrix with rows and columns of similar sizes: those of M may differ by more than floats can hold.
    rows, columns = M.sum(1), M.sum(0)
    scale = np.sqrt(np.where(rows > 0, rows, 1.0)) / np.sqrt(np.where(columns > 0, columns, 1.0))
    balanced = M / scale[:, None] * scale
    power = balanced
    for _ in range(_SQUARINGS):
        power = power / power.sum()
        power = power @ power
        if not power.any():  # nilpotent
            return 0.0, np.zeros(len(M)), np.zeros(len(M))
    left, right = power.sum(0), power.sum(1)
    radius = float(left @ balanced @ right / (left @ right))
    left, right = left / scale, right * scale
    return radius, left / left.sum(), right / right.sum()


def _is_small(M: Array) -> bool:
    """Whether a few products show a spectral radius of at most the largest: some entry of (M x) / x is not below it."""
    x = np.ones(len(M))
    for _ in range(5):
        product = M @ x
        if (product <= LARGEST_RADIUS * x).all():
            return bool(x.all())
        x = product / product.max()
    return False


class _Layer:
    """One layer: from movements of its inputs to those of its states, and the derivatives."""

    def __init__(self, cell: str, weights: LayerArrays, middle: Array, radius: Array, moved: Array | None):
        self.cell, self.weights, self.middle, self.radius, self.moved = cell, weights, middle, radius, moved
        weight_ih, weight_hh, bias_ih, bias_hh = weights
        self.inputs, self.recurrent = np.abs(weight_ih), np.abs(weight_hh)
        centre = weight_ih @ middle + bias_ih + _ADDED[cell] * bias_hh
        self.factors = _FACTORS[cell](centre, self.inputs @ radius, self.recurrent.sum(-1), bias_hh)
        self.net = np.sqrt(np.square(weight_ih).sum(-1)) if moved is None else self.inputs @ moved
        self.b = (self.factors.by_input * self.net).sum(0)
        self.M = (self.factors.by_state[:, :, None] * self.recurrent).sum(0)
        self.spectral_radius, self.left, self.right = 0.0, self.b, self.b
        if not _is_small(self.M):
            self.spectral_radius, self.left, self.right = leading_vectors(self.M)
        self.beyond = self.spectral_radius > LARGEST_RADIUS
        self.shrink = LARGEST_RADIUS / self.spectral_radius if self.beyond else 1.0
        # Beyond that radius the matrix is shrunk to it, and the result grows with the radius along a line.
        self.grow = 1.0
        if self.beyond:
            self.grow += (self.spectral_radius - LARGEST_RADIUS) / (1 - LARGEST_RADIUS)
        self.resolvent = np.eye(len(self.b)) - self.shrink * self.M
        self.solved = np.linalg.solve(self.resolvent, self.b)
        self.states = self.grow * self.solved

    def constraint(self) -> float:
        """log⁺ of the spectral radius, which must be below 1."""
        return float(np.log(self.spectral_radius)) if self.spectral_radius > 1 else 0.0

    def pull(self, by_states: Array, lambda_1: float) -> tuple[LayerArrays, Array]:
        """Derivatives by the weights, and by the movements (d,) of the inputs if these are states; else anything."""
        by_b = np.linalg.solve(self.resolvent.T, self.grow * by_states)
        by_M = np.outer(by_b, self.solved)  # by the shrunk matrix
        if self.beyond:
            by_radius = (by_states @ self.solved) / (1 - LARGEST_RADIUS)
            by_radius -= (by_M * self.M).sum() * self.shrink / self.spectral_radius
            if self.spectral_radius > 1:
                by_radius += lambda_1 / self.spectral_radius
            by_M *= self.shrink
            by_M += by_radius * np.outer(self.left, self.right) / (self.left @ self.right)
        by_factor_input, by_net = self.net * by_b, self.factors.by_input * by_b
        by_factor_state = (by_M * self.recurrent).sum(-1)
        by_recurrent = self.factors.by_state[:, :, None] * by_M
        by_centre, by_radius_x, by_sums, by_bias = self.factors.pull(by_factor_input, by_factor_state)
        weight_ih, weight_hh, _, _ = self.weights
        signs = np.sign(weight_ih)
        by_ih = by_centre[:, :, None] * self.middle + by_radius_x[:, :, None] * (signs * self.radius)
        by_moved = by_b
        if self.moved is None:
            by_ih += (by_net / np.where(self.net > 0, self.net, 1.0))[:, :, None] * weight_ih
        else:
            by_ih += by_net[:, :, None] * (signs * self.moved)
            by_moved = np.einsum("gh,ghd->d", by_net, self.inputs)
        by_hh = np.sign(weight_hh) * (by_recurrent + by_sums[:, :, None])
        return LayerArrays(by_ih, by_hh, by_centre, _ADDED[self.cell] * by_centre + by_bias), by_moved


def contracting_scale(cell: str, weights: LayerArrays, lower: Array, upper: Array, target: float = 0.5) -> float:
    """Largest factor in (0, 1] for the recurrent matrices that gives M a spectral radius of at most ``target``."""
    middle, radius = (lower + upper) / 2, (upper - lower) / 2

    def within(scale: float) -> bool:
        scaled = weights._replace(weight_hh=scale * weights.weight_hh)
        return leading_vectors(_Layer(cell, scaled, middle, radius, None).M)[0] <= target

    low, high = 0.0, 1.0  # the spectral radius grows with the factor
    if within(high):
        return high
    for _ in range(30):
        between = (low + high) / 2
        low, high = (between, high) if within(between) else (low, between)
    return low


class StablePenalty(NamedTuple):
    r"""The penalty and its gradient, from arrays.

    .. math:: \lambda_S \log(1 + \text{gain}^2) + \lambda_1 \sum_l \log^+ \rho(M_l)

    Parameters
    ----------
    cell : {"lstm", "gru"}
    lower, upper : ndarray of shape (d,)
        Range of the inputs.
    lambda_s, lambda_1 : float
    slope : float
        Slope of the function after the readout: 1, or 1/4 for a logistic function.
    """

    cell: str
    lower: Array
    upper: Array
    lambda_s: float
    lambda_1: float
    slope: float = 1.0

    def layers(self, weights: Sequence[LayerArrays]) -> list[_Layer]:
        """Movements of the states, layer by layer."""
        found: list[_Layer] = []
        middle, radius = (self.lower + self.upper) / 2, (self.upper - self.lower) / 2
        for layer in weights:
            moved = found[-1].states if found else None
            found.append(_Layer(self.cell, layer, middle, radius, moved))
            middle, radius = np.zeros(len(found[-1].b)), np.ones(len(found[-1].b))  # states are within ±1
        return found

    def __call__(
        self, weights: Sequence[LayerArrays], weight_out: Array, weight_linear: Array | None = None
    ) -> tuple[float, list[LayerArrays], Array, Array | None]:
        """Value, and derivatives by the layers' weights, by the readout and by a linear part.

        Parameters
        ----------
        weights : sequence of LayerArrays
        weight_out : ndarray of shape (k, H)
        weight_linear : ndarray of shape (k, p, d), optional

        Returns
        -------
        value : float
        by_weights : list of LayerArrays
        by_out : ndarray of shape (k, H)
        by_linear : ndarray of shape (k, p, d) or None
        """
        with np.errstate(all="ignore"):  # diverging weights make the loss NaN; the training loop reports that
            layers = self.layers(weights)
            states = layers[-1].states
            outputs = np.abs(weight_out) @ states  # (k,)
            steps: Any = 0.0
            if weight_linear is not None:
                steps = np.sqrt(np.square(weight_linear).sum(-1))  # (k, p)
                outputs = outputs + steps.sum(-1)
            largest = outputs.max()  # whose square may overflow
            gain = self.slope * largest * np.linalg.norm(outputs / largest) if largest > 0 else 0 * largest
            value = self.lambda_s * np.logaddexp(0.0, 2 * np.log(gain))
            value += self.lambda_1 * sum(layer.constraint() for layer in layers)
            by_gain = 2 * self.lambda_s / (gain + 1 / gain) if gain > 0 else 0.0
            by_outputs = by_gain * self.slope * self.slope * outputs / gain if gain > 0 else np.zeros_like(outputs)
            by_out = by_outputs[:, None] * np.sign(weight_out) * states
            by_linear = None
            if weight_linear is not None:
                by_linear = by_outputs[:, None, None] * weight_linear / np.where(steps > 0, steps, 1.0)[:, :, None]
            by_weights: list[LayerArrays] = []
            by_states = by_outputs @ np.abs(weight_out)
            for layer in reversed(layers):
                found, by_states = layer.pull(by_states, self.lambda_1)
                by_weights.insert(0, found)
        return float(value), by_weights, by_out, by_linear


def stable_penalty(
    weight_ih: Weights,
    weight_hh: Weights,
    weight_out: Tensor,
    input_range: Tensor,
    *,
    lambda_s: float,
    lambda_1: float,
    cell: str = "lstm",
    bias_ih: Weights | None = None,
    bias_hh: Weights | None = None,
    weight_linear: Tensor | None = None,
) -> Tensor:
    r"""The penalty :math:`\lambda_S \log(1 + \text{gain}^2)` with a gain that is proved for sequences of any length.

    For inputs within ``input_range`` that stay there with their errors,
    :math:`\|y(x + \delta) - y(x)\| \le \text{gain} \max_t \|\delta_t\|`, for any length. The penalty also has the term
    :math:`\lambda_1 \sum_l \log^+ \rho(M_l)`. These spectral radii must be below 1 for the gain to be finite.

    Parameters
    ----------
    weight_ih : Tensor of shape (G * H, d), or one such tensor a layer
    weight_hh : Tensor of shape (G * H, H), or one such tensor a layer
        Gates stacked as torch stores them: G = 4 for the LSTM, 3 for the GRU.
    weight_out : Tensor of shape (k, H)
    input_range : Tensor of shape (2, d)
        Smallest and largest value of every channel.
    lambda_s, lambda_1 : float
        Not negative.
    cell : {"lstm", "gru"}
    bias_ih, bias_hh : Tensor of shape (G * H,), or one such tensor a layer, optional
    weight_linear : Tensor of shape (k, p * d), optional
        Weight of a linear part that reads the last p steps.

    Returns
    -------
    Tensor of shape ()
        The penalty, finite for all finite weights, and differentiable once. Scale the recurrent matrices down before
        training, for instance to a twentieth: beyond a spectral radius of 0.95 the gain is continued along a line.

    Raises
    ------
    ValueError
        For a negative or non-finite weight of the penalty, an unknown cell, or wrong shapes.

    See Also
    --------
    sklstm.certificates.network_gain : The gain as a certificate.

    Examples
    --------
    >>> import torch
    >>> from sklstm.tikhonov import stable_penalty
    >>> lstm, readout = torch.nn.LSTM(3, 8), torch.nn.Linear(8, 1)
    >>> with torch.no_grad():
    ...     _ = lstm.weight_hh_l0.mul_(0.05)
    ...     biases = {"bias_ih": lstm.bias_ih_l0, "bias_hh": lstm.bias_hh_l0}
    >>> input_range = torch.tensor([[-2.0, -2.0, 0.0], [2.0, 2.0, 1.0]])
    >>> weights = lstm.weight_ih_l0, lstm.weight_hh_l0, readout.weight
    >>> loss = stable_penalty(*weights, input_range, lambda_s=0.01, lambda_1=10.0, **biases)  # plus that on the data
    >>> loss.backward()
    >>> bool(lstm.weight_hh_l0.grad.any())
    True
    """
    for name, value in (("lambda_s", lambda_s), ("lambda_1", lambda_1)):
        if not 0 <= value < float("inf"):
            raise ValueError(f"{name} must be finite and non-negative, got {value}.")
    n_gates = get_cell(cell).n_gates
    inputs, recurrent, biases_h = zip(*as_layers(weight_ih, weight_hh, bias_hh), strict=True)
    biases_x = [bias for *_, bias in as_layers(weight_ih, weight_hh, bias_ih)]
    layers = []
    n_inputs = input_range.shape[-1]
    for weights in zip(inputs, recurrent, biases_x, biases_h, strict=True):
        size = weights[1].shape[-1]
        shapes = [tuple(part.shape) for part in weights if part is not None]
        if shapes[:2] != [(n_gates * size, n_inputs), (n_gates * size, size)] or any(
            shape != (n_gates * size,) for shape in shapes[2:]
        ):
            raise ValueError(
                f"the {cell}'s weights must be (G * H, d) and (G * H, H) with G = {n_gates} and d = {n_inputs}, and "
                f"biases (G * H,); got {shapes}."
            )
        zeros = weights[1].new_zeros(n_gates * size)
        layers.append(layer_arrays([zeros if part is None else part for part in weights], n_gates))
        n_inputs = size
    if input_range.ndim != 2 or len(input_range) != 2 or weight_out.shape[-1] != n_inputs:
        raise ValueError(
            f"input_range must be (2, d) and weight_out (k, {n_inputs}), got {tuple(input_range.shape)} and "
            f"{tuple(weight_out.shape)}."
        )
    lower, upper = as_array(input_range)
    linear = None
    if weight_linear is not None:
        linear = as_array(weight_linear).reshape(len(weight_linear), -1, len(lower))
    value, by_layers, by_out, by_linear = StablePenalty(cell, lower, upper, lambda_s, lambda_1)(
        layers, as_array(weight_out), linear
    )
    arguments, gradients = [weight_out], [by_out]
    for weights, by_weights in zip(zip(inputs, recurrent, biases_x, biases_h, strict=True), by_layers, strict=True):
        known = [pair for pair in zip(weights, by_weights, strict=True) if pair[0] is not None]
        arguments += [weight for weight, _ in known]
        gradients += [gradient for _, gradient in known]
    if weight_linear is not None and by_linear is not None:
        arguments.append(weight_linear)
        gradients.append(by_linear)
    tensors = [
        torch.from_numpy(gradient).reshape(argument.shape).to(argument)
        for argument, gradient in zip(arguments, gradients, strict=True)
    ]
    found: Tensor = WithGradients.apply(weight_out.new_tensor(value), tensors, *arguments)
    return found
