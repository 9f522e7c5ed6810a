"""Between a network's layers and the penalty, which knows weights only."""

from typing import Any

from torch import Tensor

from sklstm.modules import GRURegressorModule, LSTMRegressorModule
from sklstm.perturbation import TikhonovPenalty, feasible_scale

Network = LSTMRegressorModule | GRURegressorModule


class NetworkPenalty:
    """`TikhonovPenalty` as the net calls it: with the module."""

    def __init__(self, cell: str, **parameters: float | str):
        self.of_weights = TikhonovPenalty(cell=cell, **parameters)  # type: ignore[arg-type]

    @property
    def largest_error(self) -> float:
        return self.of_weights.largest_error

    def forget(self) -> None:
        self.of_weights.forget()

    def __call__(self, module: Any) -> Tensor:
        weights_ih, weights_hh, _, biases_hh = zip(*module.layers, strict=True)
        return self.of_weights(weights_ih, weights_hh, module.readout.weight, bias_hh=biases_hh)


def start_feasible(module: Network, variant: str) -> None:
    """Scale the recurrent matrices of every layer by its own factor."""
    weights_ih, weights_hh, _, biases_hh = zip(*module.layers, strict=True)
    scales = feasible_scale(weights_ih, weights_hh, variant=variant, cell=module.cell, bias_hh=biases_hh)
    module.scale_recurrent_(*scales)
