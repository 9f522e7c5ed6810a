"""Between a network's layers and the penalty, which knows weights only."""

from typing import Any

from sklstm.modules import GRURegressorModule, LSTMRegressorModule
from sklstm.perturbation import TikhonovPenalty, feasible_scale

Network = LSTMRegressorModule | GRURegressorModule


class NetworkPenalty:
    """`TikhonovPenalty` as the net calls it: with the module."""

    def __init__(self, cell: str, **parameters: float | str):
        self.of_weights = TikhonovPenalty(cell=cell, **parameters)  # type: ignore[arg-type]
        self.place = 0  # of a weight of the watched module

    @property
    def largest_error(self) -> float:
        return self.of_weights.largest_error

    def forget(self) -> None:
        self.of_weights.forget()
        self.place = 0

    def __call__(self, module: Any) -> float:
        """Value of the penalty; its gradient is added to that of the parameters."""
        readout = module.readout.weight
        if readout.data_ptr() != self.place:  # another module, or this one moved
            weights_ih, weights_hh, _, biases_hh = zip(*module.layers, strict=True)
            self.of_weights.watch(weights_ih, weights_hh, readout, bias_hh=biases_hh)
            self.place = readout.data_ptr()
        return self.of_weights.accumulate()


def start_feasible(module: Network, variant: str) -> None:
    """Scale the recurrent matrices of every layer by its own factor."""
    weights_ih, weights_hh, _, biases_hh = zip(*module.layers, strict=True)
    scales = feasible_scale(weights_ih, weights_hh, variant=variant, cell=module.cell, bias_hh=biases_hh)
    module.scale_recurrent_(*scales)
