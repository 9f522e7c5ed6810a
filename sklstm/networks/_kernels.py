r"""Last states of many small networks at once, with the backward passes written out.

The time of a small network goes into calls, not into products. With the networks on a leading axis a call does more
work at nearly the same price.
"""

from typing import Any

import torch
from torch import Tensor, nn

# The LSTM. States are stored as (M, H, B). The gates of a network are then rows that follow each other, and every
# elementwise operation runs over contiguous memory. The inputs and the ones of the biases are stored after the states,
# so that one product per step is enough.
_sigmoid_backward = torch.ops.aten.sigmoid_backward.grad_input  # (gradient, output)
_tanh_backward = torch.ops.aten.tanh_backward.grad_input  # (gradient, output)


def _tanh_(x: Tensor) -> Tensor:
    """In place. The logistic is the faster of the two: tanh x = 2σ(2x) − 1."""
    return x.mul_(2).sigmoid_().mul_(2).sub_(1)


class _LastLSTMState(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, X: Tensor, weights: Tensor, size: int) -> Tensor:  # type: ignore[override]
        # weights: (M, 4H, H + d + 1) for states, inputs and a one; gates i, f, o, g
        n_networks, batch, n_steps, n_features = X.shape
        stacked = X.new_empty(n_steps + 1, n_networks, size + n_features + 1, batch)
        stacked[0, :, :size] = 0
        stacked[:n_steps, :, size:-1] = X.permute(2, 0, 3, 1)
        stacked[:, :, -1] = 1
        gates = X.new_empty(n_steps, n_networks, 4 * size, batch)
        cells = X.new_empty(n_steps + 1, n_networks, size, batch)
        cells[0] = 0
        squashed = X.new_empty(n_steps, n_networks, size, batch)  # tanh of the cells
        scaled = weights.clone()
        scaled[:, 3 * size :] *= 2  # one logistic for all four gates; see _tanh_
        for t in range(n_steps):
            torch.bmm(scaled, stacked[t], out=gates[t]).sigmoid_()
            i, f, o, g = gates[t].split(size, 1)
            g.mul_(2).sub_(1)
            cell = torch.mul(f, cells[t], out=cells[t + 1]).addcmul_(i, g)
            squashed[t] = cell
            torch.mul(o, _tanh_(squashed[t]), out=stacked[t + 1, :, :size])
        ctx.save_for_backward(weights, stacked, gates, cells, squashed)
        return stacked[n_steps, :, :size].mT.clone()

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:  # type: ignore[override]
        weights, stacked, gates, cells, squashed = ctx.saved_tensors
        n_steps, _, size, batch = squashed.shape
        back = weights[:, :, :size].mT.contiguous()
        by_state = grad.mT.clone(memory_format=torch.contiguous_format)  # written to
        by_cell, scratch = torch.zeros_like(by_state), torch.empty_like(by_state)
        by_gates = torch.empty_like(gates[0])
        by_i, by_f, by_o, by_g = by_gates.split(size, 1)
        by_weights = torch.zeros_like(weights)
        n_features = weights.shape[2] - size - 1
        by_X = grad.new_empty(len(weights), batch, n_steps, n_features) if ctx.needs_input_grad[0] else None
        for t in range(n_steps - 1, -1, -1):
            i, f, o, g = gates[t].split(size, 1)
            tanh = squashed[t]
            _sigmoid_backward(torch.mul(by_state, tanh, out=scratch), o, grad_input=by_o)
            by_cell += _tanh_backward(by_state.mul_(o), tanh, grad_input=scratch)
            _sigmoid_backward(torch.mul(by_cell, g, out=scratch), i, grad_input=by_i)
            _sigmoid_backward(torch.mul(by_cell, cells[t], out=scratch), f, grad_input=by_f)
            _tanh_backward(torch.mul(by_cell, i, out=scratch), g, grad_input=by_g)
            by_cell *= f
            by_weights.baddbmm_(by_gates, stacked[t].mT)
            if by_X is not None:
                by_X[:, :, t] = torch.bmm(by_gates.mT, weights[:, :, size:-1])
            torch.bmm(back, by_gates, out=by_state)
        return by_X, by_weights, None


def last_lstm_state(X: Tensor, weight_ih: Tensor, weight_hh: Tensor, bias_ih: Tensor, bias_hh: Tensor) -> Tensor:
    """Last states of a stack of LSTM layers that each start from zero.

    Parameters
    ----------
    X : Tensor of shape (M, B, L, d)
        The batch of each network.
    weight_ih : Tensor of shape (M, 4 * H, d)
        Input matrices; gates i, f, g, o, as torch stacks them.
    weight_hh : Tensor of shape (M, 4 * H, H)
        Recurrent matrices.
    bias_ih, bias_hh : Tensor of shape (M, 4 * H)

    Returns
    -------
    Tensor of shape (M, B, H)
        Last states, differentiable once.
    """
    weights = torch.cat((weight_hh, weight_ih, (bias_ih + bias_hh)[:, :, None]), 2)
    i, f, g, o = weights.chunk(4, 1)
    return _LastLSTMState.apply(X, torch.cat((i, f, o, g), 1), weight_hh.shape[-1])


# The ReLU layer. torch's own multiplies by both matrices at every step, and adds up both gradients at every step. Only
# the product with the recurrent matrix must wait for the step before: the others are products over many steps.
_masked = torch.ops.aten.threshold_backward.grad_input  # (gradient, output, 0): the gradient where the output is > 0

# Gradients of states are kept for at most this many bytes. They are added to those of the weights while a core's own
# cache still holds them. All of them at once are as large as the states. At (1, 64, 100) × 128 that costs 5 % of the
# time, at (1, 256, 100) × 128 another 9 %, most of it in the first access to new memory.
_PIECE = 1 << 18


class _LastReLUState(torch.autograd.Function):
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
        # Gradients that reach the state of a step from outside: at the last step, or where a sequence ends.
        ends = None if lengths is None else nn.functional.one_hot(lengths - 1, n_steps).to(grad.dtype)[:, :, None]
        # A piece is at the end of its memory, so that the step after it is in a place that it writes to last.
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
        Step after which each state is read, by default L; the same for all networks.

    Returns
    -------
    Tensor of shape (M, B, m)
        Last states, differentiable once.
    """
    return _LastReLUState.apply(X, U, W, lengths)
