"""`tikhonov_penalty` and its gradient with estimated norms, for training loops: one network, or many at once."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ._cells import get_cell, get_variant
from ._gains import split_gates
from ._norm_tracking import Array, NormTracker, as_array
from ._penalty import BARRIER_EPSILON, Layer, Objective, Weights, as_layers

TOLERANCE = 0.05
_COUNTERS = ("interval", "calls_left", "largest_error")


class WithGradients(torch.autograd.Function):
    """A scalar with gradients that are already known: it builds no graph, and backward only multiplies."""

    @staticmethod
    def forward(ctx: Any, value: Tensor, gradients: list[Tensor], *arguments: Tensor) -> Tensor:  # type: ignore[override]
        ctx.save_for_backward(*gradients)
        return value.clone()

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Any, ...]:  # type: ignore[override]
        return None, None, *(grad * gradient for gradient in ctx.saved_tensors)


def _largest_row(gate: int, n_gates: int, weight_hh: Tensor, bias_hh: Tensor | None) -> tuple[float, int]:
    """κ, and the row of W_hh that attains it."""
    sums = torch.linalg.vector_norm(weight_hh.detach().chunk(n_gates)[gate], 1, dim=1)
    if bias_hh is not None:
        sums = sums + bias_hh.detach().chunk(n_gates)[gate].abs()
    kappa, row = sums.max(0)
    return kappa.item(), gate * len(sums) + int(row.item())


class TikhonovPenalty:
    r"""`tikhonov_penalty` for a training loop, with estimated norms, which cost far less than exact ones.

    The object keeps the leading singular vectors of all gate matrices between calls. Each call improves them by a few
    power steps. The first call is exact, and so is at least every ``cadence``-th call. Exact calls measure the error of
    the estimated norms. An error above ``tolerance`` halves the number of calls until the next exact one; an error
    below a tenth of it doubles that number.

    Parameters
    ----------
    lambda_s, lambda_1, lambda_2 : float
        Non-negative weights of the three terms of (57).
    variant : {"turkin", "tight"}
    epsilon : float
        See `relaxed_barrier`.
    cell : {"lstm", "gru"}
    cadence : int, default=64
        Largest number of calls from one exact call to the next; 1 makes every call exact.
    tolerance : float, default=0.05
        Largest accepted relative error of a norm.

    Raises
    ------
    ValueError
        For a parameter outside its range.

    Notes
    -----
    The estimate is one-sided, :math:`\hat\sigma \le \sigma`. Weyl's inequality limits how far the norm itself can move
    between two exact calls: :math:`|\sigma(W_t) - \sigma(W_s)| \le \|W_t - W_s\|_F`. The gradient of a norm is
    :math:`u v^\top`; the derivatives of the scalar formulas are written out.

    Use one object for one network. Pickles and copies contain no vectors; their first call is exact.

    Examples
    --------
    >>> import torch
    >>> from sklstm.tikhonov import TikhonovPenalty
    >>> lstm, readout = torch.nn.LSTM(3, 8), torch.nn.Linear(8, 1)
    >>> penalty = TikhonovPenalty(lambda_s=0.01, lambda_1=10.0, lambda_2=10.0)
    >>> loss = penalty(lstm.weight_ih_l0, lstm.weight_hh_l0, readout.weight)  # plus the loss on the data
    >>> loss.backward()

    Without a graph, after the gradient of the loss on the data:

    >>> penalty.watch(lstm.weight_ih_l0, lstm.weight_hh_l0, readout.weight)
    >>> value = penalty.accumulate()  # adds to the ``grad`` of the three
    >>> abs(value / loss.item() - 1) < penalty.tolerance
    True

    Another object that continues from the state of this one:

    >>> other = TikhonovPenalty(lambda_s=0.01, lambda_1=10.0, lambda_2=10.0)
    >>> other.watch(lstm.weight_ih_l0, lstm.weight_hh_l0, readout.weight)
    >>> other.load_state_dict(penalty.state_dict())
    >>> other.accumulate() == penalty.accumulate()
    True
    >>> penalty.forget()  # the vectors: the next call is exact
    """

    def __init__(
        self,
        *,
        lambda_s: float,
        lambda_1: float,
        lambda_2: float,
        variant: str = "turkin",
        epsilon: float = BARRIER_EPSILON,
        cell: str = "lstm",
        cadence: int = 64,
        tolerance: float = TOLERANCE,
    ):
        self._objective = Objective(lambda_s, lambda_1, lambda_2, variant, epsilon)
        get_cell(cell)  # refuse an unknown cell; its row is not kept, because functions do not pickle well
        self._cell = cell
        self._norms = NormTracker(cadence, tolerance)
        self._release()

    @property
    def cell(self) -> str:
        """The name of the recurrent cell."""
        return self._cell

    @property
    def cadence(self) -> int:
        """Largest number of calls from one exact evaluation to the next."""
        return self._norms.cadence

    @property
    def tolerance(self) -> float:
        """Largest accepted relative error of a norm."""
        return self._norms.tolerance

    @property
    def largest_error(self) -> float:
        """Largest relative error of the norms used so far.

        It is a bound, for every call and up to rounding, if the shorter side of every matrix is at most 64. The reason
        is that a root of the sum of powers of the Gram matrix's eigenvalues is never below the norm. For larger
        matrices it is the error measured at the exact calls, and the calls between them can be several times worse.
        """
        return self._norms.largest_error

    def forget(self) -> None:
        """Delete the vectors; the next call is exact. `largest_error` is kept."""
        self._norms.forget()
        self._release()

    def state_dict(self) -> dict[str, Any]:
        """Everything that later calls depend on besides the weights: vectors, norms, and when the next call is exact.

        Returns
        -------
        dict
            Copies: tensors, lists and numbers.
        """
        tracker = self._norms
        return {
            "vectors": [torch.as_tensor(group.vectors).clone() for group in tracker.groups],
            "squares": [torch.as_tensor(group.squares).clone() for group in tracker.groups],
            "norms": [list(norms) for norms in tracker.norms],
            **{name: getattr(tracker, name) for name in _COUNTERS},
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue from a state as if there had been no break.

        Call `watch` first, with weights of the same shapes as those of the state.

        Parameters
        ----------
        state : dict
            A state from `state_dict`.

        Raises
        ------
        ValueError
            If the state belongs to weights of other shapes.
        """
        tracker, count = self._norms, len(state["vectors"])
        shapes = [tuple(vectors.shape) for vectors in state["vectors"]]
        if count and shapes != [tuple(group.vectors.shape) for group in tracker.groups]:
            raise ValueError(f"the state has vectors of shapes {shapes}, not those of the watched weights.")
        for group, vectors, squares in zip(tracker.groups[:count], state["vectors"], state["squares"], strict=True):
            torch.as_tensor(group.vectors).copy_(vectors)
            torch.as_tensor(group.squares).copy_(squares)
        tracker.norms = [list(norms) for norms in state["norms"]]
        if tracker.norms:
            tracker.rescale()
        for name in _COUNTERS:
            setattr(tracker, name, state[name])

    def _release(self) -> None:
        self._places: list[int] = []
        self._layers: list[Layer] = []
        self._arguments: list[Tensor] = []

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"_places": [], "_layers": [], "_arguments": []}

    def __call__(
        self, weight_ih: Weights, weight_hh: Weights, weight_out: Tensor, *, bias_hh: Weights | None = None
    ) -> Tensor:
        """The penalty (57), differentiable once.

        Parameters
        ----------
        weight_ih : Tensor of shape (G * H, d), or one such tensor a layer
        weight_hh : Tensor of shape (G * H, H), or one such tensor a layer
        weight_out : Tensor of shape (k, H)
        bias_hh : Tensor of shape (G * H,), or one such tensor a layer, optional
            Used by the GRU only.

        Returns
        -------
        Tensor of shape ()
        """
        self.watch(weight_ih, weight_hh, weight_out, bias_hh=bias_hh)
        value, gradients = self._evaluate()
        tensors = [torch.as_tensor(gradient).clone() for gradient in gradients]
        return WithGradients.apply(weight_out.new_tensor(value), tensors, *self._arguments)

    def accumulate(self) -> float:
        """Add the gradient of the penalty to the ``grad`` of the weights given to `watch`, and return its value.

        The result is that of calling the object and then ``backward()``. There is no graph, which would cost more than
        the penalty. Call it after the ``backward()`` of the loss on the data.

        Returns
        -------
        float

        Raises
        ------
        RuntimeError
            If `watch` was not called before.
        """
        if not self._arguments:
            raise RuntimeError("no weights to penalise: call watch() first.")
        value, gradients = self._evaluate()
        for argument, gradient in zip(self._arguments, gradients, strict=True):
            if not argument.requires_grad:
                continue
            if argument.grad is None:
                argument.grad = torch.as_tensor(gradient).clone()
            elif isinstance(gradient, Tensor):
                argument.grad += gradient
            else:
                array = argument.grad.numpy()
                array += gradient
        return value

    def watch(
        self, weight_ih: Weights, weight_hh: Weights, weight_out: Tensor, *, bias_hh: Weights | None = None
    ) -> None:
        """Set the weights that `accumulate` uses. They may change in place, as optimisers change them.

        Nothing happens if they are the same tensors as before. New tensors of the same shapes keep the vectors.

        Parameters
        ----------
        weight_ih, weight_hh, weight_out, bias_hh : Tensor, or one a layer
            As in a call.
        """
        cell, layers = get_cell(self._cell), as_layers(weight_ih, weight_hh, bias_hh)
        if cell.bounded_gate is None:
            layers = [(inputs, recurrent, None) for inputs, recurrent, _ in layers]
        # The weights that get a gradient: input, recurrent, bias of each layer, then the readout.
        arguments = [part for layer in layers for part in layer if part is not None] + [weight_out]
        places = [argument.data_ptr() for argument in arguments]
        if places == self._places and all(new is old for new, old in zip(arguments, self._arguments, strict=True)):
            return
        self._check(cell.n_gates, layers, weight_out)
        stacks = [split_gates(as_array(weight), cell.n_gates) for layer in layers for weight in layer[:2]]
        self._norms.watch([*stacks, as_array(weight_out)[None]])  # (G, H, m) each
        self._layers, self._arguments, self._places = layers, arguments, places

    def _check(self, n_gates: int, layers: list[Layer], weight_out: Tensor) -> None:
        for inputs, recurrent, bias in layers:
            size = recurrent.shape[-1]
            rows = n_gates * size
            if recurrent.shape != (rows, size) or len(inputs) != rows or (bias is not None and bias.shape != (rows,)):
                raise ValueError(
                    f"the {self._cell}'s weights must be (G * H, d) and (G * H, H) with G = {n_gates}, and biases "
                    f"(G * H,); got {tuple(inputs.shape)} and {tuple(recurrent.shape)}."
                )
        size = layers[-1][1].shape[-1]
        if weight_out.shape[-1] != size:
            raise ValueError(f"weight_out must have {size} columns, got shape {tuple(weight_out.shape)}.")
        if weight_out.dtype not in (torch.float32, torch.float64):
            raise ValueError(f"weights must be float32 or float64, got {weight_out.dtype}.")

    def _evaluate(self) -> tuple[float, list[Array]]:
        """Value, and the gradients in the order of `_arguments`. The next call overwrites the gradients."""
        # Diverging weights make the loss infinite; the training loop reports that, so numpy need not warn.
        with np.errstate(over="ignore", invalid="ignore"):
            return self._value_and_gradients()

    def _value_and_gradients(self) -> tuple[float, list[Array]]:
        cell = get_cell(self._cell)
        norms = self._norms()
        gate, n_gates = cell.bounded_gate, cell.n_gates
        rows = [] if gate is None else [_largest_row(gate, n_gates, *layer[1:]) for layer in self._layers]
        value, slopes, kappa_slopes = self.differentiate(norms, [kappa for kappa, _ in rows])
        gradients = self._norms.gradients(slopes)
        ordered: list[Array] = []
        for index, (inputs, recurrent, bias) in enumerate(self._layers):
            ordered += [
                gradient.reshape(tuple(weight.shape))
                for gradient, weight in zip(gradients[2 * index :], (inputs, recurrent), strict=False)
            ]
            if gate is not None:
                row, slope = rows[index][1], kappa_slopes[index]
                ordered[-1][row] += as_array(recurrent.detach()[row].sign()) * slope
                if bias is not None:
                    by_bias = as_array(torch.zeros_like(bias))
                    by_bias[row] = slope * bias.detach()[row].sign().item()
                    ordered.append(by_bias)
        return value, [*ordered, gradients[-1][0]]

    def differentiate(
        self, norms: list[list[float]], kappas: list[float]
    ) -> tuple[float, list[list[float]], list[float]]:
        """Value of the penalty, and its derivatives with respect to every norm and every κ, layer by layer.

        Parameters
        ----------
        norms : list of lists of float
            Norms of the input and the recurrent gates of each layer, and of the readout.
        kappas : list of float
            κ of each layer; empty for a cell without a bounded gate.

        Returns
        -------
        value : float
        slopes : list of lists of float
            Derivatives with respect to the norms, in the order of the norms.
        kappa_slopes : list of float

        Examples
        --------
        Here only the output gate reads the input, with a norm of 1, so ρ_x = 2/e. With a readout of norm 2 the penalty
        is 4 ρ_x². Its derivative with respect to the norm of the readout is, by coincidence, the same number.

        >>> import math
        >>> from sklstm.tikhonov import TikhonovPenalty
        >>> penalty = TikhonovPenalty(lambda_s=1.0, lambda_1=10.0, lambda_2=10.0)
        >>> value, slopes, _ = penalty.differentiate([[0.0, 0.0, 0.0, 1.0], [0.0] * 4, [2.0]], [])
        >>> round(value, 6), round(slopes[-1][0], 6), round(16 / math.e**2, 6)
        (2.165365, 2.165365, 2.165365)
        """
        cell, objective = get_cell(self._cell), self._objective
        variant = get_variant(objective.variant)
        kappas = kappas or [0.0] * (len(norms) // 2)
        points = list(zip(norms[:-1:2], norms[1::2], kappas, strict=True))
        (readout,) = norms[-1]
        gains = [cell.gains(*point, variant) for point in points]
        value, by_gains, by_readout = objective.value_and_slopes(readout, gains)
        slopes, kappa_slopes = [], []
        for point, by in zip(points, by_gains, strict=True):
            by_x, by_h, by_kappa = cell.slopes(*point, variant, by)
            slopes += [by_x, by_h]
            kappa_slopes.append(by_kappa)
        return value, [*slopes, [by_readout]], kappa_slopes


class StackedTikhonovPenalty:
    """`TikhonovPenalty` for M networks of one shape at once; each has its own weights λ_S, λ_1, λ_2.

    The same calls estimate the norms of all networks, and the same calls are exact for all of them. The network whose
    norms change fastest determines how often calls are exact. If every call is exact, the gradients are those of the
    separate penalties.

    Parameters
    ----------
    penalties : sequence of TikhonovPenalty
        For networks of one layer and one cell, which has no bounded gate (the LSTM). The cadence and the tolerance are
        those of the first one.

    Raises
    ------
    ValueError
        For penalties of different cells, or of a cell that is not supported.

    Examples
    --------
    >>> import torch
    >>> from sklstm.tikhonov import TikhonovPenalty, tikhonov_penalty
    >>> from sklstm.tikhonov._tracked_penalty import StackedTikhonovPenalty
    >>> generator = torch.Generator().manual_seed(0)
    >>> weights = [torch.randn(2, *shape, generator=generator) for shape in ((16, 3), (16, 4), (1, 4))]
    >>> gradients = [torch.zeros_like(weight) for weight in weights]
    >>> constants = [{"lambda_s": value, "lambda_1": 10.0, "lambda_2": 10.0} for value in (0.01, 0.1)]
    >>> stacked = StackedTikhonovPenalty([TikhonovPenalty(**each) for each in constants])
    >>> stacked.watch(*weights)
    >>> values = stacked.accumulate(*gradients)
    >>> separate = [tikhonov_penalty(*(w[i] for w in weights), **each).item() for i, each in enumerate(constants)]
    >>> torch.allclose(torch.tensor(values), torch.tensor(separate))
    True
    >>> all(gradient.any() for gradient in gradients)
    True
    """

    def __init__(self, penalties: Sequence[TikhonovPenalty]):
        cells = {penalty.cell for penalty in penalties}
        if len(cells) != 1 or get_cell(next(iter(cells))).bounded_gate is not None:
            raise ValueError(f"all penalties must be for one cell that needs no kappa, got {sorted(cells)}.")
        self._penalties = list(penalties)
        self._n_gates = get_cell(self._penalties[0].cell).n_gates
        self._norms = NormTracker(penalties[0].cadence, penalties[0].tolerance)

    @property
    def largest_error(self) -> float:
        """Largest relative error of the norms of all networks; see `TikhonovPenalty`."""
        return self._norms.largest_error

    def watch(self, weight_ih: Tensor, weight_hh: Tensor, weight_out: Tensor) -> None:
        """Set the weights, which may change in place.

        Parameters
        ----------
        weight_ih : Tensor of shape (M, G * H, d)
        weight_hh : Tensor of shape (M, G * H, H)
        weight_out : Tensor of shape (M, k, H)
        """
        gates = [split_gates(as_array(weight), self._n_gates) for weight in (weight_ih, weight_hh)]  # (M, G, H, ·)
        self._norms.watch([*(stack.reshape(-1, *stack.shape[2:]) for stack in gates), as_array(weight_out)])

    def accumulate(self, by_ih: Tensor, by_hh: Tensor, by_out: Tensor) -> list[float]:
        """Add the gradients of the penalties to those of the first m networks, and return the values of all penalties.

        Parameters
        ----------
        by_ih : Tensor of shape (m, G * H, d)
            Gradients of the first m ≤ M networks; the same holds for the other arguments.
        by_hh : Tensor of shape (m, G * H, H)
        by_out : Tensor of shape (m, k, H)

        Returns
        -------
        list of M floats
        """
        with np.errstate(over="ignore", invalid="ignore"):
            n_gates, (norms_x, norms_h, norms_out) = self._n_gates, self._norms()
            values, slopes_x, slopes_h, slopes_out = [], [], [], []
            for index, penalty in enumerate(self._penalties):
                gates = slice(index * n_gates, (index + 1) * n_gates)
                value, (by_x, by_h, by_readout), _ = penalty.differentiate(
                    [norms_x[gates], norms_h[gates], [norms_out[index]]], []
                )
                values.append(value)
                slopes_x += by_x
                slopes_h += by_h
                slopes_out += by_readout
            gradients = self._norms.gradients([slopes_x, slopes_h, slopes_out])
            for target, gradient in zip((by_ih, by_hh, by_out), gradients, strict=True):
                target += torch.as_tensor(gradient).reshape(-1, *target.shape[1:])[: len(target)]
        return values
