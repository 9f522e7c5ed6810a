"""What every enclosed layer shares: the loops over time, and the affine maps into and out of the gates."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import ClassVar, NamedTuple

import torch
from torch import Tensor

from ._arithmetic import Ends, Scratch, add_ball, dot_slack
from ._forms import Form, affine, intersect

__all__ = ["EnclosedLayer", "LayerWeights", "Slot"]


class LayerWeights(NamedTuple):
    """Weights of one recurrent layer with G gates, as torch stores them; biases are None in a layer without.

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
    """What is kept of one step, as views of one piece of memory: making them anew in every block would cost more."""

    def __init__(self, tape: Tensor):
        self.tape = tape

    def clear_state(self) -> None:
        """Zero the state that the step starts from."""
        self.tape.zero_()


class EnclosedLayer(ABC):
    """One recurrent layer evaluated on boxes. A subclass is one cell: its step forward and its step back.

    Sizes in the shapes below: n boxes, L steps, d inputs, H units, G gates, k outputs. Boxes come last: the gates of a
    step are then blocks of memory, and a product with all weights is one kernel call.

    Parameters
    ----------
    weights : LayerWeights
        Their dtype is the one that the certificate computes in.
    """

    n_gates: ClassVar[int]
    n_states: ClassVar[int] = 1
    order: ClassVar[tuple[int, ...]]  # torch's gates in the order that suits the cell

    def __init__(self, weights: LayerWeights):
        self.size, self.n_inputs = weights.weight_hh.shape[1], weights.weight_ih.shape[1]
        self.unit = torch.finfo(weights.weight_ih.dtype).eps / 2
        self.slack = dot_slack(self.size + self.n_inputs, self.unit)
        self.W_x, self.W_h = self._arranged(weights.weight_ih), self._arranged(weights.weight_hh)
        zeros = self.W_x.new_zeros(len(self.W_x))
        self.b_x = zeros if weights.bias_ih is None else self._arranged(weights.bias_ih)
        self.b_h = zeros if weights.bias_hh is None else self._arranged(weights.bias_hh)
        self.into = self.forward_matrices()
        back = self.adjoint_matrix()
        self.back = torch.stack((back, back.abs()))
        self.back_slack = dot_slack(back.shape[1], self.unit)
        self.scratches = Scratch(self.W_x), Scratch(self.W_x)
        self.kept: dict[str, Tensor] = {}
        self.tape: list[Slot] = []

    def _arranged(self, weight: Tensor) -> Tensor:
        gates = weight.detach().chunk(self.n_gates)
        return torch.cat([gates[index] for index in self.order])

    @abstractmethod
    def forward_matrices(self) -> Tensor:
        """(2, rows, H + d + 1): from the ball of (h, x, 1) to the ball of the pre-activations, rounding included.

        The input's radius holds its share of the rounding already.
        """

    def adjoint_matrix(self) -> Tensor:
        """(H + d, rows): takes derivatives by the pre-activations to derivatives by the state and by the input."""
        return torch.cat((self.W_h, self.W_x), dim=1).T

    @abstractmethod
    def slots(self, n_slots: int, n: int) -> list[Slot]:
        """Memory for the tape of every step."""

    @abstractmethod
    def step(self, slot: Slot, after: Slot, net: tuple[Tensor, Tensor], out: Tensor, scratch: Scratch) -> None:
        """One step forward, from the state in one slot to that in the next, keeping what `step_back` needs.

        Parameters
        ----------
        slot, after : Slot
            Of this step and of the step after it.
        net : tuple of Tensor of shape (rows, n)
            Centre and radius of the pre-activations; may be overwritten.
        out : Tensor of shape (2, H, n)
            Where the ball of h goes.
        scratch : Scratch
        """

    @abstractmethod
    def linear_step(
        self, slot: Slot, after: Slot, net: Ends, form: Form, state: tuple[Form, ...], out: Tensor, scratch: Scratch
    ) -> tuple[Form, ...]:
        """As `step`, with affine forms beside the intervals: form (rows, n) of the pre-activations and of the state.

        ``net`` are the ends of the pre-activations, (rows, n) each; they may be overwritten.
        """

    @abstractmethod
    def step_back(
        self, slot: Slot, slack: Tensor, adjoint: tuple[Tensor, ...], scratch: Scratch
    ) -> tuple[Tensor, tuple[Tensor, ...], Tensor]:
        """One step back: derivatives by the state after a step to those by the state before it and by the input.

        Parameters
        ----------
        slot : Slot
            Of this step.
        slack : Tensor of shape (G * H, n)
            The input's share of the rounding of the pre-activations.
        adjoint : tuple of Tensor
            Balls (2, H, k, n) of the derivatives by the state, that by h first.
        scratch : Scratch

        Returns
        -------
        inputs : Tensor of shape (2, d, k, n)
            Ball of the derivatives by the input.
        adjoint : tuple of Tensor
            As above, one step earlier.
        rounding : Tensor of shape (k, n)
            What the rounding errors of this step can do to the outputs.
        """

    def start_back(self, seed: Tensor) -> tuple[Tensor, ...]:
        """Derivatives by the last state, given the ball (2, H, k, n) of those by its h."""
        return (seed,)

    def memory(self, name: str, *shape: int) -> Tensor:
        """A tensor that is kept, and handed out again when the same shape is asked for."""
        tensor = self.kept.get(name)
        if tensor is None or tensor.shape != shape:
            tensor = self.kept[name] = self.W_x.new_empty(shape)
        return tensor

    def forward(self, box: Tensor, *, record: bool = True) -> Tensor:
        """Ball of the inputs (2, L, d, n) to ball of the hidden states (2, L, H, n).

        Without ``record`` no tape is kept, and `backward` cannot follow.
        """
        _, n_steps, _, n = box.shape
        H = self.size
        operands = self.start(n_steps, n, record=record)
        operands[:, :n_steps, H:-1] = box
        self.magnitude = box[0].abs() + box[1]
        operands[1, :n_steps, H:-1] += self.slack * self.magnitude
        n_slots = len(self.tape)
        net = self.memory("net", 2, self.into.shape[1], n)
        balls = (net[0], net[1])
        for t in range(n_steps):
            torch.bmm(self.into, operands[:, t], out=net)
            slot, after = self.tape[t % n_slots], self.tape[(t + 1) % n_slots]
            self.step(slot, after, balls, operands[:, t + 1, :H], self.scratches[0].reset())
        return operands[:, 1:, :H]

    def start(self, n_steps: int, n: int, *, record: bool) -> Tensor:
        """The operand (h, x, 1) of every step in one piece, (2, L + 1, H + d + 1, n), and memory for the tape.

        h is zero at first; what it is later, and x, is written in as it comes.
        """
        operands = self.memory("operands", 2, n_steps + 1, self.size + self.n_inputs + 1, n)
        operands[:, 0, : self.size] = 0
        operands[:, :, -1] = 1
        self.recorded = record
        n_slots = n_steps + 1 if record else 2
        if len(self.tape) != n_slots or self.tape[0].tape.shape[-1] != n:
            self.tape = self.slots(n_slots, n)
        self.tape[0].clear_state()
        return operands

    def start_linear(self, n_steps: int, n: int) -> tuple[Form, ...]:
        """Forms of the first state, which is zero; `advance_linear` can follow."""
        self.start(n_steps, n, record=True)
        self.magnitude = self.memory("magnitude", n_steps, self.n_inputs, n)
        zeros = self.W_x.new_zeros(self.size, n)
        return (Form(zeros, zeros.new_zeros(self.size, 0, n), zeros),) * self.n_states

    def advance_linear(self, t: int, ball: Tensor, x: Form, state: tuple[Form, ...]) -> tuple[Tensor, tuple[Form, ...]]:
        """Step t on intervals and affine forms at once, each narrowing the other, recorded for `backward`.

        Parameters
        ----------
        t : int
        ball : Tensor of shape (2, d, n)
            Of the input at this step.
        x : Form
            The same, (d, n).
        state : tuple of Form
            Of (H, n), that of h first.

        Returns
        -------
        ball : Tensor of shape (2, H, n)
            Of h after the step.
        state : tuple of Form
        """
        H, n = self.size, ball.shape[-1]
        operands = self.kept["operands"]
        operands[:, t, H:-1] = ball
        torch.add(ball[0].abs(), ball[1], out=self.magnitude[t])
        operands[1, t, H:-1] += self.slack * self.magnitude[t]
        centre, radius = torch.bmm(self.into, operands[:, t], out=self.memory("net", 2, self.into.shape[1], n))
        into = self.into[0]
        form = affine(into[:, :H], state[0], into[:, H:-1], x, into[:, -1], self.slack)
        net = intersect(Ends(centre - radius, centre + radius), form.ends())
        out, scratch = operands[:, t + 1, :H], self.scratches[0].reset()
        return out, self.linear_step(self.tape[t], self.tape[t + 1], net, form, state, out, scratch)

    def backward(self, seeds: Sequence[Tensor | None]) -> tuple[Tensor, Tensor]:
        """Enclose the derivatives of the outputs by every input; to be called after a recorded `forward`.

        Parameters
        ----------
        seeds : sequence of L tensors of shape (2, H, k, n), or None for zero
            Balls of the derivatives by each step's h along the paths that leave the layer at that step.

        Returns
        -------
        inputs : Tensor of shape (L, 2, d, k, n)
            Balls of the derivatives.
        rounding : Tensor of shape (k, n)
            What rounding errors within the layer can do to the outputs.
        """
        last = seeds[-1]
        assert self.recorded
        assert last is not None
        adjoint, rounding = self.start_back(last), last.new_zeros(last.shape[2:])
        inputs = self.memory("inputs", len(seeds), 2, self.n_inputs, *last.shape[2:])
        slack_x = self.slack * self.W_x.abs()
        for t in range(len(seeds) - 1, -1, -1):
            scratch = self.scratches[t % 2].reset()  # the derivatives of the step after are in the other one
            slack = torch.mm(slack_x, self.magnitude[t], out=scratch(len(slack_x), last.shape[-1]))
            inputs[t], adjoint, error = self.step_back(self.tape[t], slack, adjoint, scratch)
            rounding += error
            seed = seeds[t - 1] if t else None
            if seed is not None:
                adjoint = (add_ball(adjoint[0], seed, self.unit, scratch), *adjoint[1:])
        return inputs, rounding

    def through_weights(self, by_nets: Tensor, largest: Tensor, scratch: Scratch) -> tuple[Tensor, Tensor]:
        """Balls by the pre-activations (2, rows, k, n), whose radius is enlarged, to those by state and input."""
        by_nets[1].add_(largest, alpha=self.back_slack)
        shape = by_nets.shape[2:]
        out = scratch(2, self.back.shape[1], *shape)
        torch.bmm(self.back, by_nets.flatten(2), out=out.flatten(2))
        return out[:, : self.size], out[:, self.size :]
