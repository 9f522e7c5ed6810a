r"""The penalty for a training loop: the value and gradient of `tikhonov_penalty` at a small part of its cost."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from ._chain import get_chain, get_variant, split_gates
from ._leading import LeadingVectors
from ._penalty import BARRIER_EPSILON, Layer, Objective, Weights, as_layers
from ._scalars import Scalar, derivatives

__all__ = ["TikhonovPenalty"]

TOLERANCE = 0.05


class _WithGradients(torch.autograd.Function):
    """A scalar whose gradients are computed along with it: no graph, and backward only multiplies."""

    @staticmethod
    def forward(  # type: ignore[override]
        ctx, evaluate: Callable[[], tuple[Tensor, list[Tensor]]], *arguments: Tensor
    ) -> Tensor:
        value, gradients = evaluate()
        ctx.save_for_backward(*gradients)
        return value

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx, grad: Tensor):  # type: ignore[override]
        return None, *torch._foreach_mul(ctx.saved_tensors, grad)


class TikhonovPenalty:
    r"""`tikhonov_penalty` for a training loop, at a small part of its cost.

    The object carries the leading singular vectors of all gate matrices from one call to the next and improves them by
    some power steps. The first call is exact, and so is at least every ``cadence``-th; there the error of the
    estimated norms is measured. An error above ``tolerance`` halves the number of calls to the next exact one, an
    error below a tenth of it doubles that number.

    Parameters
    ----------
    lambda_s, lambda_1, lambda_2 : float
        Non-negative weights of the three terms of (57).
    variant : {"turkin", "tight"}
    epsilon : float
        See `relaxed_barrier`.
    cell : {"lstm", "gru"}
    cadence : int, default=64
        Largest number of calls from one exact evaluation to the next; 1 makes every call exact.
    tolerance : float, default=0.05
        Relative error of a norm that is put up with.

    Raises
    ------
    ValueError
        For a parameter outside its range.

    Notes
    -----
    The estimate is one-sided, :math:`\hat\sigma \le \sigma`, and by Weyl's inequality the norm itself cannot
    run away between two exact calls: :math:`|\sigma(W_t) - \sigma(W_s)| \le \|W_t - W_s\|_F`. The gradient of a norm
    is :math:`u v^\top`; the scalar chain is differentiated by the complex step.

    One object serves one network. Pickles and copies carry no vectors; they begin with an exact call.

    Examples
    --------
    >>> import torch
    >>> from sklstm.perturbation import TikhonovPenalty
    >>> lstm, readout = torch.nn.LSTM(3, 8), torch.nn.Linear(8, 1)
    >>> penalty = TikhonovPenalty(lambda_s=0.01, lambda_1=10.0, lambda_2=10.0)
    >>> loss = penalty(lstm.weight_ih_l0, lstm.weight_hh_l0, readout.weight)  # plus the loss on the data
    >>> loss.backward()
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
        get_chain(cell)  # refuse an unknown one here; its row holds functions, which do not pickle well
        self._cell = cell
        self._vectors = LeadingVectors(cadence, tolerance)

    @property
    def largest_error(self) -> float:
        """Largest relative error of a carried norm that was measured so far; 0.0 before the second exact call.

        Measured where the norms are exact anyway: the calls between are not seen.
        """
        return self._vectors.largest_error

    def forget(self) -> None:
        """Drop the carried vectors; the next call is exact. `largest_error` stays."""
        self._vectors.forget()

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
            Enters the GRU's chain only.

        Returns
        -------
        Tensor of shape ()
        """
        layers = as_layers(weight_ih, weight_hh, bias_hh)
        if get_chain(self._cell).bounded_gate is None:
            layers = [(inputs, recurrent, None) for inputs, recurrent, _ in layers]
        arguments = [part for layer in layers for part in layer if part is not None]
        return _WithGradients.apply(lambda: self._evaluate(layers, weight_out), *arguments, weight_out)

    def _evaluate(self, layers: list[Layer], weight_out: Tensor) -> tuple[Tensor, list[Tensor]]:
        """Value, and the gradients of all tensors: input, recurrent, bias of each layer, then the readout."""
        chain = get_chain(self._cell)
        matrices = [split_gates(weight, chain.n_gates) for layer in layers for weight in layer[:2]]  # (G, H, m)
        matrices.append(weight_out[None])
        pairs = self._vectors(matrices, [] if chain.bounded_gate is None else [self._bounded_rows(*x) for x in layers])

        kappas = [max(sums) for sums in pairs.others]
        value, slopes, kappa_slopes = self._differentiate(pairs.norms, kappas)
        # ∂σ/∂W = u vᵀ; the vectors' product has norm σ.
        scaled = [
            slope / norm if norm else 0.0
            for of_stack, norms in zip(slopes, pairs.norms, strict=True)
            for slope, norm in zip(of_stack, norms, strict=True)
        ]
        factors = torch.split_with_sizes(weight_out.new_tensor(scaled)[:, None, None], [len(part) for part in slopes])
        gradients = [
            torch.bmm(u * factor, v.mT).flatten(0, 1)
            for u, v, factor in zip(pairs.left, pairs.right, factors, strict=True)
        ]
        ordered: list[Tensor] = []
        for index, (_, recurrent, bias) in enumerate(layers):
            ordered += gradients[2 * index : 2 * index + 2]
            if chain.bounded_gate is not None:
                sums = pairs.others[index]
                row = chain.bounded_gate * len(sums) + sums.index(kappas[index])
                ordered[-1][row].add_(recurrent[row].sign(), alpha=kappa_slopes[index])
                if bias is not None:
                    ordered.append(torch.zeros_like(bias))
                    ordered[-1][row] = bias[row].sign() * kappa_slopes[index]
        return weight_out.new_tensor(value), [*ordered, gradients[-1]]

    def _bounded_rows(self, _: Tensor, weight_hh: Tensor, bias_hh: Tensor | None) -> Tensor:
        """The row sums (H,) whose largest is κ."""
        gate, n_gates = get_chain(self._cell).bounded_gate, get_chain(self._cell).n_gates
        assert gate is not None
        sums = torch.linalg.vector_norm(weight_hh.chunk(n_gates)[gate], 1, dim=1)
        return sums if bias_hh is None else sums + bias_hh.chunk(n_gates)[gate].abs()

    def _differentiate(
        self, norms: list[list[float]], kappas: list[float]
    ) -> tuple[float, list[list[float]], list[float]]:
        """Value of the penalty and its derivatives by every norm and every κ, layer by layer."""
        chain, objective = get_chain(self._cell), self._objective
        variant, n_gates = get_variant(objective.variant), chain.n_gates

        def layer(arguments: Sequence[Scalar]) -> Sequence[Scalar]:
            kappa = arguments[-1] if chain.bounded_gate is not None else None
            of_x, of_h = arguments[:n_gates], arguments[n_gates : 2 * n_gates]
            return objective.layer(*chain.gains(of_x, of_h, kappa, variant))

        points = [
            [*norms[2 * index], *norms[2 * index + 1], *kappas[index : index + 1]] for index in range(len(norms) // 2)
        ]
        terms = [(gain, cost) for gain, cost in map(layer, points)]
        gains, costs = [term[0] for term in terms], [term[1] for term in terms]
        (readout,) = norms[-1]
        outer = derivatives(lambda x: [objective.total(x[0], list(zip(x[1:], costs, strict=True)))], [readout, *gains])
        slopes, kappa_slopes = [], []
        for point, (by_gain,) in zip(points, outer[1:], strict=True):
            inner = [by_gain * gain + cost for gain, cost in derivatives(layer, point)]
            slopes += [inner[:n_gates], inner[n_gates : 2 * n_gates]]
            kappa_slopes += inner[2 * n_gates :]
        return objective.total(readout, terms), [*slopes, outer[0]], kappa_slopes
