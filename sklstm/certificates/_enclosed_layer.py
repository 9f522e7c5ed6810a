"""Recurrent layers evaluated on boxes instead of points, for any cell.

The file has the loops over time, and the affine maps into and out of the gates. The cells are in `_enclosed_cells`.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import Any, ClassVar, NamedTuple

import torch
from torch import Tensor, nn

from ._interval_arithmetic import Ends, Memory, Scratch, add_ball, dot_slack, tanh_by_logistic_


class LayerWeights(NamedTuple):
    """Weights of one recurrent layer with G gates, as torch stores them; biases are None in a layer without biases.

    Attributes
    ----------
    weight_ih : Tensor of shape (G * H, d)
    weight_hh : Tensor of shape (G * H, H)
    bias_ih, bias_hh : Tensor of shape (G * H,) or None

    Examples
    --------
    >>> import torch
    >>> from sklstm.certificates import LayerWeights, RecurrentNetwork
    >>> layer = LayerWeights(weight_ih=torch.eye(2), weight_hh=torch.zeros(2, 2))  # no biases
    >>> RecurrentNetwork("relu", [layer], weight_out=torch.ones(1, 2)).outputs(torch.tensor([[[3.0, -1.0]]]))
    tensor([[3.]])
    """

    weight_ih: Tensor
    weight_hh: Tensor
    bias_ih: Tensor | None = None
    bias_hh: Tensor | None = None


class Slot:
    """The tape of one step, as views of one block of memory, since new views for every batch would cost more."""

    def __init__(self, tape: Tensor):
        self.tape = tape

    def clear_state(self) -> None:
        """Set the state before the step to zero."""
        self.tape.zero_()


class GradientStep(ABC):
    """One step of a cell, backwards, for gradients of a number that is a function of the bounds.

    From gradients with respect to the ends of h after a step it computes those with respect to the ends of the
    pre-activations. It keeps those with respect to the other values that the cell passes on besides the ball of h. Its
    tensors and their views are made once: in small steps they would cost more than the arithmetic.

    Parameters
    ----------
    layer : EnclosedLayer
    n : int
        Number of boxes.

    Attributes
    ----------
    by_lower, by_upper : Tensor of shape (H, n)
        To write: the gradients with respect to the ends of h.
    net_lower, net_upper : Tensor of shape (rows, n)
        To read: those with respect to the ends of the pre-activations.
    """

    def __init__(self, layer: "EnclosedLayer", n: int):
        self.n = n
        new, H = layer.W_x.new_empty, layer.size
        self.by_h = new(2, H, n)
        self.by_lower, self.by_upper = self.by_h
        self.allot(lambda *shape: new(2, *shape, H, n))

    net_lower: Tensor
    net_upper: Tensor

    @abstractmethod
    def allot(self, new: Callable[..., Tensor]) -> None:
        """Make the tensors: ``new(k)`` has the shape (2, k, H, n)."""

    @abstractmethod
    def start(self) -> None:
        """Reset: nothing has been passed on yet."""

    @abstractmethod
    def __call__(self, slot: Any) -> None:
        """The backward step for the step of this tape."""


class ProductGradient:
    """Backward step of `hull_nonnegative`: of the product of gates, which are logistic functions, with other values.

    Parameters
    ----------
    new : callable
    shape : tuple of int
        Shape of the gates, before (H, n).
    out : Tensor of shape (2, *shape, H, n)
        Receives the gradients with respect to the ends of the pre-activations of the gates.
    """

    def __init__(self, new: Callable[..., Tensor], shape: tuple[int, ...], out: Tensor):
        self.chosen, self.positive, self.slope = new(*shape), new(*shape), new(*shape)
        self.of_product, self.part = new(*shape), new(*shape)
        self.width, self.difference = torch.empty_like(self.part[0]), torch.empty_like(self.part[0])
        self.out = out
        self.choices = tuple(zip(self.positive, self.chosen, strict=True))
        self.halves = (*self.part, *self.of_product, *out)

    def choose(self, gates: Ends, values: Tensor) -> Tensor:
        """Which end of a gate gives each end of the product: the derivatives with respect to the ends of the values."""
        torch.sign(values, out=self.positive).clamp_min_(0)  # 1 or 0: multiplying takes less time than choosing
        low, high = gates
        torch.sub(high, low, out=self.width)
        (positive_lower, lower), (positive_upper, upper) = self.choices
        torch.addcmul(high, positive_lower, self.width, value=-1, out=lower)
        torch.addcmul(low, positive_upper, self.width, out=upper)
        return self.chosen

    def write(self, gates: Tensor) -> None:
        """Gradients of the gates, from those of the product times the values, in ``of_product``."""
        torch.mul(self.positive, self.of_product, out=self.part)
        part_lower, part_upper, product_lower, product_upper, lower, upper = self.halves
        torch.sub(part_lower, part_upper, out=self.difference)
        torch.add(product_upper, self.difference, out=lower)
        torch.sub(product_lower, self.difference, out=upper)
        torch.addcmul(gates, gates, gates, value=-1, out=self.slope)
        self.out.mul_(self.slope)


class EnclosedLayer(ABC):
    """One recurrent layer evaluated on boxes. A subclass is one cell: its forward step and its backward step.

    Sizes in the shapes below: n boxes, L steps, d inputs, H units, G gates, k outputs. The axis of boxes is the last
    one. The gates of a step are then blocks of memory, and a product with all weights is one kernel call. The tape has
    the values of the forward pass that the backward pass needs.

    Parameters
    ----------
    weights : LayerWeights
        Weights; certificates are computed in their dtype.
    margins : bool
        Whether bounds include the rounding errors, as certificates must. Without margins they are those of exact
        arithmetic, and can be differentiated; see `_interval_training`.

    Attributes
    ----------
    torch_layer : type of nn.RNNBase
        The layer with this cell, for the network's own outputs.
    torch_mode : str
        Its attribute ``mode``.
    torch_options : dict
        Arguments of its constructor besides sizes.
    n_gates, n_states : int
        Number of gates stacked in the weights, and number of tensors in the state.
    order : tuple of int
        The gates in the order of the cell's computation, as indices of torch's order.
    """

    torch_layer: ClassVar[Callable[..., nn.RNNBase]]
    torch_mode: ClassVar[str]
    torch_options: ClassVar[dict[str, Any]] = {}
    n_gates: ClassVar[int]
    n_states: ClassVar[int] = 1
    order: ClassVar[tuple[int, ...]]

    def __init__(self, weights: LayerWeights, *, margins: bool = True):
        self.size, self.n_inputs, self.margins = weights.weight_hh.shape[1], weights.weight_ih.shape[1], margins
        info = torch.finfo(weights.weight_ih.dtype)
        self.unit, self.tiny = (info.eps / 2, info.tiny) if margins else (0.0, 0.0)
        self.slack = dot_slack(self.size + self.n_inputs, self.unit)
        # The error of a certificate's tanh is known.
        self.tanh_ = Tensor.tanh_ if margins else tanh_by_logistic_
        self.load(weights)
        back = self.adjoint_matrix().detach()
        self.back = torch.stack((back, back.abs()))
        self.back_slack = dot_slack(back.shape[1], self.unit)
        self.scratches = Scratch(self.W_x), Scratch(self.W_x)
        self.memory = Memory(self.W_x)
        self.tape: list[Slot] = []
        self.begun: list[int] | None = None
        self.step_of_gradient: GradientStep | None = None
        self.passes = 0  # of `_interval_training`, whose backward pass needs the tape of its own forward pass

    def load(self, weights: LayerWeights) -> None:
        """Load other weights of the same shapes, for `forward` and `gradients`; `backward` keeps the first ones."""
        self.W_x, self.W_h = self._arranged(weights.weight_ih), self._arranged(weights.weight_hh)
        zeros = self.W_x.new_zeros(len(self.W_x))
        self.b_x = zeros if weights.bias_ih is None else self._arranged(weights.bias_ih)
        self.b_h = zeros if weights.bias_hh is None else self._arranged(weights.bias_hh)
        self.into = self.forward_matrices()

    def _arranged(self, weight: Tensor) -> Tensor:
        gates = weight.chunk(self.n_gates)
        return torch.cat([gates[index] for index in self.order])

    @abstractmethod
    def forward_matrices(self) -> Tensor:
        """(2, rows, H + d + 1): from the ball of (h, x, 1) to the ball of the pre-activations, rounding included.

        The radius of the input already includes its part of the rounding.
        """

    def adjoint_matrix(self) -> Tensor:
        """(H + d, rows): from derivatives with respect to pre-activations to those with respect to state and input."""
        return torch.cat((self.W_h, self.W_x), dim=1).T

    @abstractmethod
    def slots(self, n_slots: int, n: int) -> list[Slot]:
        """Memory for the tape of every step."""

    @abstractmethod
    def step(self, slot: Slot, after: Slot, net: tuple[Tensor, Tensor], out: Tensor, scratch: Scratch) -> None:
        """One forward step, from the state in one slot to that in the next. It records what `step_back` needs.

        Parameters
        ----------
        slot, after : Slot
            Slots of this step and of the step after it.
        net : tuple of Tensor of shape (rows, n)
            Centre and radius of the pre-activations. They may be overwritten.
        out : Tensor of shape (2, H, n)
            Receives the ball of h.
        scratch : Scratch
        """

    @abstractmethod
    def step_back(
        self, slot: Slot, slack: Tensor, adjoint: tuple[Tensor, ...], scratch: Scratch
    ) -> tuple[Tensor, tuple[Tensor, ...], Tensor]:
        """One backward step: from derivatives with respect to the state after a step to those before it.

        Parameters
        ----------
        slot : Slot
            Slot of this step.
        slack : Tensor of shape (G * H, n)
            The part of the input in the rounding of the pre-activations.
        adjoint : tuple of Tensor
            Balls (2, H, k, n) of the derivatives with respect to the state, h first.
        scratch : Scratch

        Returns
        -------
        inputs : Tensor of shape (2, d, k, n)
            Ball of the derivatives with respect to the input.
        adjoint : tuple of Tensor
            As above, one step earlier.
        rounding : Tensor of shape (k, n)
            Bound on the effect of this step's rounding errors on the outputs.
        """

    @abstractmethod
    def gradient(self, n: int) -> "GradientStep":
        """The backward step for gradients of n boxes, with its memory."""

    def start_back(self, seed: Tensor) -> tuple[Tensor, ...]:
        """Derivatives with respect to the last state, from the ball (2, H, k, n) of those with respect to its h."""
        return (seed,)

    def forward(self, box: Tensor, *, record: bool = True, begun: list[int] | None = None) -> Tensor:
        """Ball of the inputs (2, L, d, n) to ball of the hidden states (2, L, H, n).

        `backward` needs ``record=True``, which keeps the tape of all steps. Shorter sequences come last, and end at the
        last step: ``begun`` has the number of sequences that have begun by each step. Values of the others mean
        nothing, and their state is zero again when they begin.
        """
        _, n_steps, _, n = box.shape
        H = self.size
        operands = self.start(n_steps, n, record=record, begun=begun)
        operands[:, :n_steps, H:-1] = box
        self.magnitude = box[0].abs() + box[1]
        operands[1, :n_steps, H:-1] += self.slack * self.magnitude
        n_slots = len(self.tape)
        net = self.memory("net", 2, self.into.shape[1], n)
        balls = (net[0], net[1])
        steps = zip(operands.unbind(1), operands[:, 1:, :H].unbind(1), strict=False)  # the last operand is not used
        for t, (operand, out) in enumerate(steps):
            self.begin(t)
            torch.bmm(self.into, operand, out=net)
            slot, after = self.tape[t % n_slots], self.tape[(t + 1) % n_slots]
            self.step(slot, after, balls, out, self.scratches[0].reset())
        return operands[:, 1:, :H]

    def start(self, n_steps: int, n: int, *, record: bool, begun: list[int] | None = None) -> Tensor:
        """The operand (h, x, 1) of every step in one tensor, (2, L + 1, H + d + 1, n), and memory for the tape.

        The first h is zero. Each step writes the next h and x.
        """
        operands = self.memory("operands", 2, n_steps + 1, self.size + self.n_inputs + 1, n)
        operands[:, 0, : self.size] = 0
        operands[:, :, -1] = 1
        self.recorded, self.begun = record, begun
        n_slots = n_steps + 1 if record else 2
        if len(self.tape) != n_slots or self.tape[0].tape.shape[-1] != n:
            self.tape = self.slots(n_slots, n)
            for scratch in self.scratches:  # of another number of boxes
                scratch.free.clear()
        self.tape[0].clear_state()
        return operands

    def beginners(self, t: int) -> slice | None:
        """Sequences whose first step is t, if there are any and t is not the first step of all."""
        if not t or self.begun is None or self.begun[t - 1] == self.begun[t]:
            return None
        return slice(self.begun[t - 1], self.begun[t])

    def begin(self, t: int) -> None:
        """Set the state before step t to zero for the sequences that begin there."""
        beginners = self.beginners(t)
        if beginners is not None:
            self.memory["operands"][:, t, : self.size, beginners] = 0
            self.tape[t % len(self.tape)].tape[..., beginners] = 0

    def backward(self, seeds: Sequence[Tensor | None]) -> tuple[Tensor, Tensor]:
        """Enclose the derivatives of the outputs with respect to every input, after a recorded `forward`.

        Parameters
        ----------
        seeds : sequence of L tensors of shape (2, H, k, n), or None for zero
            Balls of the derivatives with respect to the h of each step, along the paths that leave the layer there.

        Returns
        -------
        inputs : Tensor of shape (L, 2, d, k, n)
            Balls of the derivatives.
        rounding : Tensor of shape (k, n)
            Bound on the effect of the layer's rounding errors on the outputs.
        """
        last = seeds[-1]
        if last is None or not self.recorded:
            raise RuntimeError("backward needs a recorded forward pass, and a seed for the last step.")
        adjoint, rounding = self.start_back(last), last.new_zeros(last.shape[2:])
        inputs = self.memory("inputs", len(seeds), 2, self.n_inputs, *last.shape[2:])
        size_x = self.W_x.abs()
        for t in range(len(seeds) - 1, -1, -1):
            scratch = self.scratches[t % 2].reset()  # the other one has the derivatives of the next step
            slack = torch.mm(size_x, self.magnitude[t], out=scratch(len(size_x), last.shape[-1])).mul_(self.slack)
            inputs[t], adjoint, error = self.step_back(self.tape[t], slack, adjoint, scratch)
            if self.begun is not None:
                inputs[t, ..., self.begun[t] :] = 0
                error[:, self.begun[t] :] = 0
            rounding += error
            seed = seeds[t - 1] if t else None
            if seed is not None:
                adjoint = (add_ball(adjoint[0], seed, self.unit, scratch), *adjoint[1:])
        return inputs, rounding

    def gradients(self, by_hidden: Tensor, *, of_inputs: bool) -> tuple[Tensor, Tensor | None]:
        """From gradients with respect to the hidden states of a recorded `forward` to those of matrices and inputs.

        Parameters
        ----------
        by_hidden : Tensor of shape (2, L, H, n)
            Gradient with respect to the balls of the hidden states.
        of_inputs : bool
            Whether to compute the gradient of the inputs.

        Returns
        -------
        by_matrices : Tensor of shape (2, rows, H + d + 1)
            Gradient with respect to `into`.
        by_inputs : Tensor of shape (2, L, d, n) or None
            Gradient with respect to the ball of the inputs.
        """
        _, n_steps, H, n = by_hidden.shape
        if self.step_of_gradient is None or self.step_of_gradient.n != n:
            self.step_of_gradient = self.gradient(n)
        step = self.step_of_gradient
        step.start()
        columns = H + self.n_inputs if of_inputs else H
        # Of the ends of h, half the sum and half the difference: centre and radius.
        back = 0.5 * self.into.detach()[:, :, :columns].mT
        by_net = self.memory("by_net", 2, n_steps, back.shape[2], n)
        by_operand = self.memory("by_operand", 2, columns, n).zero_()
        by_inputs = by_hidden.new_empty(2, n_steps, self.n_inputs, n) if of_inputs else None
        by_h, by_ball = by_operand[:, :H], self.memory("by_ball", 2, H, n)
        centre, radius = by_ball
        seeds = (0.5 * by_hidden).unbind(1)
        nets = tuple(zip(by_net.unbind(1), by_net[0], by_net[1], strict=True))
        for t in range(n_steps - 1, -1, -1):
            torch.add(seeds[t], by_h, out=by_ball)
            torch.sub(centre, radius, out=step.by_lower)
            torch.add(centre, radius, out=step.by_upper)
            step(self.tape[t])
            by_here, by_centre, by_radius = nets[t]
            torch.add(step.net_lower, step.net_upper, out=by_centre)
            torch.sub(step.net_upper, step.net_lower, out=by_radius)
            torch.bmm(back, by_here, out=by_operand)
            if by_inputs is not None:
                torch.mul(by_operand[:, H:], 2, out=by_inputs[:, t])
        operands = self.memory["operands"][:, :n_steps]
        by_matrices = torch.bmm(by_net.flatten(0, 1), operands.flatten(0, 1).mT)
        return by_matrices.unflatten(0, (2, n_steps)).sum(1), by_inputs

    def through_weights(self, by_nets: Tensor, largest: Tensor, scratch: Scratch) -> tuple[Tensor, Tensor]:
        """From derivatives (2, rows, k, n) with respect to pre-activations, which are enlarged, to state and input."""
        by_nets[1].add_(largest, alpha=self.back_slack)
        shape = by_nets.shape[2:]
        out = scratch(2, self.back.shape[1], *shape)
        torch.bmm(self.back, by_nets.flatten(2), out=out.flatten(2))
        out[1].add_(self.tiny)
        return out[:, : self.size], out[:, self.size :]
