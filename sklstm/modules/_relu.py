r"""The ReLU recurrence of many networks at once, with its backward pass written out.

torch's own layer multiplies at every step by both matrices, and adds up the gradients of both at every step. Only the
product with the recurrent matrix has to wait for the step before: the others are one large product over all steps.
"""

from typing import Any

import torch
from torch import Tensor, nn

__all__ = ["last_relu_state"]

_masked = torch.ops.aten.threshold_backward.grad_input  # (gradient, output, 0): the gradient where the output is > 0


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
        by_products = torch.empty_like(states)
        steps, gradients = states.unbind(1), by_products.unbind(1)
        # What reaches the state of a step from outside: at the last step, or where a sequence ends.
        ends = None if lengths is None else nn.functional.one_hot(lengths - 1, n_steps).to(grad.dtype)[:, :, None]
        arriving = grad.contiguous() if ends is None else grad * ends[:, -1]
        for t in range(n_steps - 1, -1, -1):
            if t < n_steps - 1:
                arriving = torch.bmm(gradients[t + 1], W, out=gradients[t])
                if ends is not None:
                    arriving.addcmul_(grad, ends[:, t])
            _masked(arriving, steps[t], 0, grad_input=gradients[t])
        flat = by_products.view(n_networks, n_steps * batch, size)
        by_X = None
        if ctx.needs_input_grad[0]:
            by_X = torch.bmm(flat, U).view(n_networks, n_steps, batch, -1).transpose(1, 2)
        before = states.view(n_networks, n_steps * batch, size)[:, : (n_steps - 1) * batch]
        return by_X, torch.bmm(flat.mT, inputs), torch.bmm(flat[:, batch:].mT, before), None


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
