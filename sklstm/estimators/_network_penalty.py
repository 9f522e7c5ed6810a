"""Between a network's layers and the penalty, which knows weights only."""

from typing import Any

from sklstm.networks import GRUNetwork, LSTMNetwork
from sklstm.tikhonov import TikhonovPenalty, feasible_scale
from sklstm.tikhonov._tracked_penalty import StackedTikhonovPenalty

Network = LSTMNetwork | GRUNetwork


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
        self._watch(module)
        return self.of_weights.accumulate()

    @staticmethod
    def stacked(penalties: "list[NetworkPenalty]") -> StackedTikhonovPenalty:
        """The penalties of networks that are trained together."""
        return StackedTikhonovPenalty([penalty.of_weights for penalty in penalties])

    def state_dict(self) -> dict[str, Any]:
        return self.of_weights.state_dict()

    def load_state_dict(self, state: dict[str, Any], module: Any) -> None:
        """Go on from a state taken with a module of the same shapes."""
        self._watch(module)
        self.of_weights.load_state_dict(state)

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"place": 0}  # an address of this process

    def _watch(self, module: Any) -> None:
        readout = module.readout.weight
        if readout.data_ptr() != self.place:  # another module, or this one moved
            weights_ih, weights_hh, _, biases_hh = zip(*module.layers, strict=True)
            self.of_weights.watch(weights_ih, weights_hh, readout, bias_hh=biases_hh)
            self.place = readout.data_ptr()


def start_feasible(module: Network, variant: str) -> None:
    """Scale the recurrent matrices of every layer by its own factor."""
    # On the CPU, where bisection on small matrices is at home, and the same start comes out for every device.
    layers = [[part.detach().cpu() for part in layer] for layer in module.layers]
    weights_ih, weights_hh, _, biases_hh = zip(*layers, strict=True)
    scales = feasible_scale(weights_ih, weights_hh, variant=variant, cell=module.cell, bias_hh=biases_hh)
    module.scale_recurrent_(*scales)
