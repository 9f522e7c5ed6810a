"""Turkin's penalty for the estimators: made from their parameters, applied to a network, measured after training."""

import copy
import math
import warnings
from collections.abc import Callable, Sequence
from functools import cache, partial
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils.validation import check_is_fitted
from torch import Tensor

from sklstm._sequences import Sequences
from sklstm._validation import caller_level
from sklstm.certificates import RecurrentNetwork, network_gain
from sklstm.networks._linear_part import LinearPart, unit_of
from sklstm.networks._networks import GatedNetwork, is_plain
from sklstm.tikhonov import (
    TikhonovGains,
    TikhonovPenalty,
    feasible_scale,
    perturbation_gain,
    tikhonov_gains,
    tikhonov_penalty,
)
from sklstm.tikhonov._cells import get_cell
from sklstm.tikhonov._gains import linear_gain
from sklstm.tikhonov._stable_penalty import STABLE_CELLS, StablePenalty, as_array, contracting_scale, layer_arrays
from sklstm.tikhonov._tracked_penalty import StackedTikhonovPenalty
from sklstm.training import Penalty, SequenceDataset
from sklstm.training._process import restores_settings


class NetworkPenalty(Penalty):
    """`TikhonovPenalty` as a net calls it, with the network as argument; adds the term of a linear part."""

    stacks = True

    def __init__(
        self,
        cell: str,
        *,
        lambda_s: float,
        lambda_1: float,
        lambda_2: float,
        lambda_linear: float | None = None,
        variant: str = "turkin",
        cadence: int = 64,
    ):
        self.of_weights = TikhonovPenalty(
            cell=cell, variant=variant, lambda_s=lambda_s, lambda_1=lambda_1, lambda_2=lambda_2, cadence=cadence
        )
        self.lambda_linear = lambda_s if lambda_linear is None else lambda_linear  # of a linear part
        self.place = 0  # of a weight of the watched module

    @property
    def largest_error(self) -> float:  # type: ignore[override]
        return self.of_weights.largest_error

    def __call__(self, module: Any) -> float:
        self._watch(module)
        value = self.of_weights.accumulate()
        if module.linear_part is None:
            return value
        return value + self._of_linear_part(module.linear_part)

    @torch.no_grad()
    def _of_linear_part(self, part: LinearPart) -> float:
        """λ‖A‖²_F and its gradient in closed form; autograd would take a tenth of every step."""
        factor = self.lambda_linear * part.unit**2  # A = unit · values
        if part.is_trained:
            if part.values.grad is None:
                part.values.grad = torch.zeros_like(part.values)
            part.values.grad.add_(part.values, alpha=2 * factor)
        return factor * linear_gain(part.values).item()

    def state_dict(self) -> dict[str, Any]:
        return self.of_weights.state_dict()

    def load_state_dict(self, state: dict[str, Any], module: Any) -> None:
        self._watch(module)
        self.of_weights.load_state_dict(state)

    def forget(self) -> None:
        self.of_weights.forget()
        self.place = 0

    def stack(self, penalties: Sequence[Any]) -> "StackedNetworkPenalty":
        return StackedNetworkPenalty(penalties)

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"place": 0}  # an address in this process

    def _watch(self, module: Any) -> None:
        readout = module.readout.weight
        if readout.data_ptr() != self.place:  # another module, or the same one on another device
            weights_ih, weights_hh, _, biases_hh = zip(*module.layers, strict=True)
            self.of_weights.watch(weights_ih, weights_hh, readout, bias_hh=biases_hh)
            self.place = readout.data_ptr()


class StackedNetworkPenalty:
    """`NetworkPenalty` of M networks of one shape at once; their linear parts come in the trained form."""

    def __init__(self, penalties: Sequence[NetworkPenalty]):
        self.of_weights = StackedTikhonovPenalty([penalty.of_weights for penalty in penalties])
        self.lambda_linear = torch.tensor([penalty.lambda_linear for penalty in penalties], dtype=torch.float64)
        self.linear: Tensor | None = None  # A / unit, (M, k, P)

    @property
    def largest_error(self) -> float:
        return self.of_weights.largest_error

    def watch(self, weight_ih: Tensor, weight_hh: Tensor, weight_out: Tensor, linear: Tensor | None = None) -> None:
        self.of_weights.watch(weight_ih, weight_hh, weight_out)
        self.linear = linear

    def accumulate(self, by_ih: Tensor, by_hh: Tensor, by_out: Tensor, by_linear: Tensor | None = None) -> list[float]:
        values = self.of_weights.accumulate(by_ih, by_hh, by_out)
        if self.linear is None or by_linear is None:
            return values
        # With A = unit · values: λ‖A‖²_F and its gradient with respect to the values.
        factor = (self.lambda_linear * unit_of(self.linear.shape[-1]) ** 2).to(self.linear)
        busy = slice(len(by_linear))
        by_linear += 2 * factor[busy, None, None] * self.linear[busy]
        more = factor * linear_gain(self.linear)
        return [value + extra for value, extra in zip(values, more.tolist(), strict=True)]


class StableNetworkPenalty(Penalty):
    """`StablePenalty` as a net calls it, with the network as argument instead of arrays.

    Parameters
    ----------
    cell : {"lstm", "gru"}
    input_range : ndarray of shape (2, d)
        Smallest and largest value of every channel.
    lambda_s, lambda_1 : float
    """

    def __init__(self, cell: str, *, input_range: NDArray[np.float64], lambda_s: float, lambda_1: float):
        self.cell, self.input_range, self.lambda_s, self.lambda_1 = cell, input_range, lambda_s, lambda_1

    @torch.no_grad()
    def __call__(self, module: Any) -> float:
        lower, upper = self.input_range
        penalty = StablePenalty(self.cell, lower, upper, self.lambda_s, self.lambda_1, _slope_of_link(module))
        part = module.linear_part
        linear = None
        if part is not None:
            linear = part.unit * as_array(part.values).reshape(len(part.values), -1, self.input_range.shape[1])
        layers = [layer_arrays(layer, module.n_gates) for layer in module.layers]
        value, by_layers, by_out, by_linear = penalty(layers, as_array(module.readout.weight), linear)
        for layer, gradients in zip(module.layers, by_layers, strict=True):
            for weight, gradient in zip(layer, gradients, strict=True):
                _add_gradient(weight, gradient)
        _add_gradient(module.readout.weight, by_out)
        if by_linear is not None and part.is_trained:
            _add_gradient(part.values, part.unit * by_linear)
        return value


def _add_gradient(weight: Tensor, gradient: NDArray[np.float64]) -> None:
    if weight.grad is None:
        weight.grad = torch.zeros_like(weight)
    if weight.device.type == "cpu":  # where torch's own calls would take longer than the sum
        array = weight.grad.numpy()
        array += gradient.reshape(array.shape)
    else:
        weight.grad += torch.from_numpy(gradient).reshape(weight.shape).to(weight)


def _slope_of_link(module: GatedNetwork) -> float:
    """Largest slope of the function after the readout."""
    return 0.25 if module.is_logistic else 1.0


def start_feasible(module: GatedNetwork, data: SequenceDataset, *, variant: str) -> None:
    """Scale the recurrent matrices of every layer until the constraints hold; each layer has its own factor."""
    # On the CPU, where bisection on small matrices is fastest and every device gets the same start.
    layers = [[part.detach().cpu() for part in layer] for layer in module.layers]
    weights_ih, weights_hh, _, biases_hh = zip(*layers, strict=True)
    scales = feasible_scale(weights_ih, weights_hh, variant=variant, cell=module.cell, bias_hh=biases_hh)
    module.scale_recurrent_(*scales)


def start_contracting(module: GatedNetwork, data: SequenceDataset, *, input_range: NDArray[np.float64]) -> None:
    """Scale the recurrent matrices of every layer until the gain of ``variant="stable"`` is finite."""
    lower, upper = input_range
    scales = []
    for layer in module.layers:
        weights = layer_arrays(layer, module.n_gates)
        scales.append(contracting_scale(module.cell, weights, lower, upper))
        upper = np.ones(weights.weight_hh.shape[-1])  # of the states, which the next layer reads
        lower = -upper
    module.scale_recurrent_(*scales)


def is_regularised(estimator: Any) -> bool:
    """Whether any of λ_S, λ_1 and λ_2 is positive; otherwise the network is a plain one."""
    return any(penalty_weights(estimator))


def penalty_weights(estimator: Any) -> tuple[float, float, float]:
    """λ_S, λ_1 and λ_2 as numbers; with ``lambda_s="auto"``, robust training has no penalty of the paper."""
    weights = estimator.lambda_s, estimator.lambda_1, estimator.lambda_2
    if isinstance(estimator.lambda_s, str):
        # The stable penalty serves a proved gain, which errors of one size do not give.
        without = np.any(estimator.robust_eps) and estimator.variant != "stable"
        weights = (0, 0, 0) if without else (estimator._lambda_s, *weights[1:])
    lambda_s, lambda_1, lambda_2 = map(float, weights)
    return lambda_s, lambda_1, lambda_2


@cache
def layer_gain_at_start(cell: str, variant: str) -> float:
    r"""Factor by which a further layer multiplies the perturbation term before training.

    torch draws the entries of a layer's H × H matrices uniformly from :math:`\pm 1/\sqrt{H}`. Their spectral norm tends
    to :math:`2/\sqrt{3}` as H grows. A 1 × 1 matrix of that size stands for each gate. It is scaled to be feasible, as
    in training.

    Parameters
    ----------
    cell : {"lstm", "gru"}
    variant : {"turkin", "tight"}

    Returns
    -------
    float
        59 and 29 for the LSTM, 31 and 13 for the GRU.

    Examples
    --------
    >>> from sklstm.estimators._tikhonov import layer_gain_at_start
    >>> round(layer_gain_at_start("lstm", "turkin")), round(layer_gain_at_start("gru", "tight"))
    (59, 13)
    """
    gates = torch.full((get_cell(cell).n_gates, 1), 2 / math.sqrt(3), dtype=torch.float64)
    scaled = feasible_scale(gates, gates, variant=variant, cell=cell) * gates
    readout = torch.ones(1, 1, dtype=torch.float64)
    return tikhonov_penalty(
        gates, scaled, readout, lambda_s=1.0, lambda_1=0.0, lambda_2=0.0, variant=variant, cell=cell
    ).item()


def chain_of(variant: str) -> Literal["turkin", "tight"]:
    """The paper's variant to report; for ``"stable"``, which is not of the paper, it is ``"tight"``."""
    return "turkin" if variant == "turkin" else "tight"


def tikhonov_parts(
    estimator: Any, cell: str, X: Sequences
) -> tuple[Callable[[], Penalty] | None, tuple[Callable[[Any, SequenceDataset], None], ...]]:
    """Penalty and start of a training on X, or neither without regularisation; records the range of X.

    In the paper's chain the gains of the layers multiply. So λ_S is divided by the factor of each further layer at the
    start. One value then regularises a stack of any depth about as strongly.
    """
    input_range = X.ends()
    if "_input_range" in vars(estimator):  # targets of earlier calls of `partial_fit`
        lower, upper = estimator._input_range
        input_range = np.stack((np.minimum(lower, input_range[0]), np.maximum(upper, input_range[1])))
    estimator._input_range = input_range
    lambda_s, lambda_1, lambda_2 = penalty_weights(estimator)
    if not (lambda_s or lambda_1 or lambda_2):
        return None, ()
    if estimator.variant == "stable":
        if cell not in STABLE_CELLS:
            raise ValueError(
                f"variant='stable' needs a network of {' or '.join(STABLE_CELLS)} cells, but this network has "
                f"{cell!r} cells. Use variant='tight'."
            )
        stable = partial(
            StableNetworkPenalty,
            cell,
            input_range=input_range,
            lambda_s=lambda_s,
            lambda_1=lambda_1,
        )
        return stable, (partial(start_contracting, input_range=input_range),)
    further = layer_gain_at_start(cell, estimator.variant) ** (int(estimator.num_layers) - 1)
    penalty = partial(
        NetworkPenalty,
        cell,
        variant=estimator.variant,
        lambda_s=lambda_s / further,
        lambda_linear=lambda_s,  # outside the layers, for any number of layers
        lambda_1=lambda_1,
        lambda_2=lambda_2,
    )
    return penalty, (partial(start_feasible, variant=estimator.variant),)


@restores_settings
def certified_gain(estimator: Any) -> float:
    """Gain of the outputs, proved for inputs within the range of the training data; see `network_gain`.

    ``inf`` where nothing is proved: for a network of another kind, or a model without a recorded range.
    """
    estimator = copy.copy(estimator)  # of one fit
    check_is_fitted(estimator, "net_")
    module = estimator.net_.module_
    if "_input_range" not in vars(estimator) or not is_plain(module):
        return math.inf
    linear = None if module.linear_part is None else module.linear_part.weight
    network = RecurrentNetwork.from_torch(module.recurrent, module.readout, linear)
    lower, upper = torch.from_numpy(estimator._input_range)
    slope = _slope_of_link(estimator.net_.module_)
    return slope * network_gain(network, lower, upper).item()


def _gains(module: GatedNetwork, variant: str) -> list[TikhonovGains]:
    return [
        tikhonov_gains(
            *(part.detach().cpu().double() for part in (weight_ih, weight_hh, bias_hh)),
            variant=chain_of(variant),
            cell=module.cell,
        )
        for weight_ih, weight_hh, _, bias_hh in module.layers
    ]


def measured_gains(module: GatedNetwork, variant: str) -> dict[str, float | NDArray[np.float64]]:
    """``rho_x_``, ``rho_h_`` and ``perturbation_gain_`` of a trained network; one entry per layer if several."""
    gains = _gains(module, variant)
    rho_x, rho_h = (np.array([getattr(layer, name).item() for layer in gains]) for name in ("rho_x", "rho_h"))
    single = len(gains) == 1
    readout = module.readout.weight.detach().cpu().double()
    linear = None if module.linear_part is None else module.linear_part.weight.detach().cpu().double()
    return {
        "rho_x_": rho_x.item() if single else rho_x,
        "rho_h_": rho_h.item() if single else rho_h,
        "perturbation_gain_": perturbation_gain(gains, readout, variant=chain_of(variant), weight_linear=linear).item(),
    }


def warn_if_infeasible(estimator: Any) -> None:
    """Warn if the trained weights violate a constraint of (56), or if the gain of ``"stable"`` is infinite."""
    if not is_regularised(estimator):
        return
    lambda_s, _, _ = penalty_weights(estimator)
    module = estimator.net_.module_
    if estimator.variant == "stable":
        if math.isinf(certified_gain(estimator)) and is_plain(module):
            warnings.warn(
                f"The fitted {module.cell.upper()} has no certified gain at sequences of any length: certified_gain_ "
                f"is inf. Standardise X and y if they are not; then raise lambda_s ({lambda_s}) or lambda_1 "
                f"({estimator.lambda_1}), or lower lr ({estimator.lr}).",
                ConvergenceWarning,
                stacklevel=caller_level(),
            )
        return
    gains = _gains(module, estimator.variant)
    if all(layer.feasible for layer in gains):
        return
    broken, remedy = [], {}
    for number, layer in enumerate(gains, 1):
        where = f" of layer {number}" if len(gains) > 1 else ""
        if layer.rho_h >= 1:
            broken.append(f"rho_h{where} = {layer.rho_h:.4g} is not below 1")
            remedy["rho_h"] = f"raise lambda_s ({lambda_s}) or lambda_1 ({estimator.lambda_1})"
        if layer.gate > 1:
            broken.append(f"the output gate's recurrent norm{where}, times beta, is {layer.gate:.4g}, above 1")
            remedy["gate"] = f"raise lambda_2 ({estimator.lambda_2})"
    warnings.warn(
        f"The fitted {module.cell.upper()} is infeasible: {' and '.join(broken)}. perturbation_gain_ is "
        "therefore inf and says nothing about noise. Standardise X and y if they are not; then "
        f"{' and '.join(remedy.values())}, or lower lr ({estimator.lr}).",
        ConvergenceWarning,
        stacklevel=caller_level(),
    )
