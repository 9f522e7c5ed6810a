r"""The ReLU recurrence of many networks at once, with its backward pass written out.

torch's own layer multiplies at every step by both matrices, and adds up the gradients of both at every step. Only the
product with the recurrent matrix has to wait for the step before: the others are products over many steps.
"""

from typing import Any

import torch
from torch import Tensor, nn

__all__ = ["last_relu_state"]

_masked = torch.ops.aten.threshold_backward.grad_input  # (gradient, output, 0): the gradient where the output is > 0

# Gradients of the states of so many bytes are kept at a time, and go into those of the weights while a core's own cache
# still holds them. All of them at once are as large as the states: at (1, 64, 100) × 128 that costs 5 % of the time, at
# (1, 256, 100) × 128 another 9 %, most of it in the first touch of new memory.
_PIECE = 1 << 18


class _LastState(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, X: Tensor, U: Tensor, W: Tensor, lengths: Tensor | None) -> Tensor:  # type: ignore[override]
        n_networks, batch, n_steps, n_features = X.shape
        inputs = X.transpose(1, 2).reshape(n_networks, n_steps * batch, n_features)
        products = torch.bmm(inputs, U.mT)  # becomes the states, in place
        states = products.view(n_networks, n_steps, batch, -1)
        steps, transposed = states.unbind(1), W.mT
        state = steps[0].relu_()
        for step in steps[1:]:
            state = step.baddbmm_(state, transposed).relu_()
        ctx.save_for_backward(U, W, lengths, inputs, states)
        if lengths is None:
            return state.clone()
        return states[:, lengths - 1, torch.arange(batch, device=X.device)]

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:  # type: ignore[override]
        U, W, lengths, inputs, states = ctx.saved_tensors
        n_networks, n_steps, batch, size = states.shape
        before = states.view(n_networks, n_steps * batch, size)
        by_U, by_W = torch.zeros_like(U), torch.zeros_like(W)
        by_X = torch.empty_like(inputs) if ctx.needs_input_grad[0] else None
        # What reaches the state of a step from outside: at the last step, or where a sequence ends.
        ends = None if lengths is None else nn.functional.one_hot(lengths - 1, n_steps).to(grad.dtype)[:, :, None]
        # A piece lies at the end of its memory, so that the step after it is in a place that it writes to last.
        longest = min(n_steps, max(2, _PIECE // max(1, states[:, 0].nbytes)))
        piece = states.new_empty(n_networks, longest, batch, size)
        steps, gradients = states.unbind(1), piece.unbind(1)
        arriving, after = grad if ends is None else grad * ends[:, -1], None
        for stop in range(n_steps, 0, -longest):
            start = max(0, stop - longest)
            for t in range(stop - 1, start - 1, -1):
                gradient = gradients[t - stop]
                if after is not None:
                    arriving = torch.bmm(after, W, out=gradient)
                    if ends is not None:
                        arriving.addcmul_(grad, ends[:, t])
                after = _masked(arriving, steps[t], 0, grad_input=gradient)
            flat, here = piece[:, start - stop :].flatten(1, 2), slice(start * batch, stop * batch)
            by_U.baddbmm_(flat.mT, inputs[:, here])
            if by_X is not None:
                torch.bmm(flat, U, out=by_X[:, here])
            later = max(start, 1)  # the first step has no state before it
            by_W.baddbmm_(flat[:, (later - start) * batch :].mT, before[:, (later - 1) * batch : (stop - 1) * batch])
        if by_X is not None:
            by_X = by_X.view(n_networks, n_steps, batch, -1).transpose(1, 2)
        return by_X, by_U, by_W, None


def last_relu_state(X: Tensor, U: Tensor, W: Tensor, lengths: Tensor | None = None) -> Tensor:
    r"""Last states of :math:`h_t = \rho(U x_t + W h_{t-1})`, :math:`h_0 = 0`, for a stack of networks.

    Parameters
    ----------
    X : Tensor of shape (M, B, L, d)
        The batch of each network.
    U : Tensor of shape (M, m, d)
        Input matrices.
    W : Tensor of shape (M, m, m)
        Recurrent matrices.
    lengths : Tensor of int64 of shape (B,), optional
        Steps after which the states are read, by default L; the same for all networks.

    Returns
    -------
    Tensor of shape (M, B, m)
        Differentiable once.
    """
    return _LastState.apply(X, U, W, lengths)
