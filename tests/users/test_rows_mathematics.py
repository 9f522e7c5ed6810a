"""Rows about the mathematics: norms without reparametrisation, their gradients, and no second derivatives."""

import pickle
from contextlib import contextmanager

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn.utils.parametrizations import spectral_norm as spectral_norm_parametrisation

from sklstm.linalg import spectral_norm
from sklstm.tikhonov import TikhonovPenalty, tikhonov_penalty
from tests.support.peers import Network, gru, lstm, quarantine, skorch_regressor

REGRESSORS = pytest.mark.parametrize("make", [lstm, gru])
LAMBDAS = {"lambda_s": 0.1, "lambda_1": 1.0, "lambda_2": 1.0}


def problem(n=60):
    X = np.random.default_rng(0).standard_normal((n, 6, 2)).astype(np.float32)
    return X, X[:, -1, :1]


def is_plain(recurrent):
    """Whether torch's flat list of weights, which cuDNN reads, is the parameters themselves."""
    own = {id(parameter) for parameter in recurrent.parameters()}
    return all(id(weight) in own for weight in recurrent._flat_weights)


@REGRESSORS
def test_spectral_norm_parametrisation(make):
    """It breaks cuDNN's flat weights: the penalty is a function of the weights, and nothing is reparametrised."""
    X, y = problem()
    model = make(skip="none", max_epochs=20, lambda_s=1.0).fit(X, y)
    recurrent = model.net_.module_.recurrent
    assert is_plain(recurrent)
    twin = type(recurrent)(2, 8, batch_first=True, device="meta")
    assert list(recurrent.state_dict()) == list(twin.state_dict()), "nor has anything been added"
    assert pickle.loads(pickle.dumps(recurrent)).hidden_size == 8
    # and yet it has had its effect
    assert model.perturbation_gain_ < 0.5 * make(skip="none", max_epochs=20, lambda_s=1e-6).fit(X, y).perturbation_gain_

    with quarantine():
        peer = Network()
        spectral_norm_parametrisation(peer.lstm, "weight_hh_l0")
        peer(torch.tensor(X))
    assert not is_plain(peer.lstm)
    with pytest.raises(RuntimeError, match="Serialization of parametrized modules"):
        pickle.dumps(peer)


def gradient(norm, matrix):
    matrix = matrix.clone().requires_grad_()
    return torch.autograd.grad(norm(matrix), matrix)[0]


def is_subgradient(norm, matrix):
    """Whether the gradient G at W has ⟨G, W⟩ = ‖W‖ and a nuclear norm of at most 1, which is what makes it one."""
    found = gradient(norm, matrix)
    if not found.isfinite().all():
        return False
    largest, nuclear = np.linalg.norm(matrix.numpy(), 2), np.linalg.norm(found.numpy(), "nuc")
    return bool(abs((found * matrix).sum().item() - largest) < 1e-12 and nuclear < 1 + 1e-12)


def by_singular_vectors(matrix):
    left, _, right = torch.linalg.svd(matrix)
    return left[:, 0] @ matrix @ right[0]


def by_eigenvalue(matrix):
    return torch.linalg.eigvalsh(matrix.mT @ matrix)[-1].sqrt()


ZERO, TIE, GENERIC = (
    torch.zeros(4, 3, dtype=torch.float64),
    torch.eye(3, dtype=torch.float64),
    torch.tensor([[2.0, 1.0, 0.0], [0.0, -1.0, 3.0], [1.0, 0.0, 1.0]], dtype=torch.float64),
)


@REGRESSORS
def test_svd_gradient(make):
    """The SVD's gradient is NaN, or the SVD does not converge: ours is a subgradient at zero and at ties too.

    torch 2.13 has mended ``matrix_norm``; what people write by hand still breaks, and so does NaN in a matrix.
    """
    cell = make()._network.cell
    for matrix in (ZERO, TIE, GENERIC):
        assert is_subgradient(spectral_norm, matrix)
    assert is_subgradient(by_singular_vectors, GENERIC)
    assert is_subgradient(by_eigenvalue, GENERIC)
    assert gradient(by_singular_vectors, TIE).isnan().any()
    assert gradient(by_eigenvalue, ZERO).isnan().any()

    size, n_gates = 3, {"lstm": 4, "gru": 3}[cell]
    penalty = TikhonovPenalty(cell=cell, **LAMBDAS)
    for recurrent in (torch.zeros(n_gates * size, size), torch.eye(size).repeat(n_gates, 1)):
        weights = [torch.eye(size).repeat(n_gates, 1), recurrent, torch.ones(1, size)]
        weights = [weight.double().requires_grad_() for weight in weights]
        penalty.forget()
        gradients = torch.autograd.grad(penalty(*weights), weights)
        assert all(found.isfinite().all() for found in gradients)

    broken = torch.full((3, 3), torch.nan, dtype=torch.float64)
    assert spectral_norm(broken).isnan()
    with pytest.raises(RuntimeError, match="failed to converge"):
        torch.linalg.matrix_norm(broken, 2)


class _OnceDifferentiable(torch.autograd.Function):
    @staticmethod
    def forward(ctx, values):
        return values.clone()

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx, grad):
        return grad.clone()


@contextmanager
def layers_without_second_derivatives():
    """As cuDNN's: recurrent layers can be differentiated once. Needs no GPU."""

    def once(module, _, result):
        if isinstance(module, nn.RNNBase):
            outputs, state = result
            return _OnceDifferentiable.apply(outputs), state
        return None

    hook = nn.modules.module.register_module_forward_hook(once)
    try:
        yield
    finally:
        hook.remove()


class GradientPenalty(type(skorch_regressor())):
    """The usual way to make a network insensitive to noise: its squared gradient by the inputs joins the loss."""

    def get_loss(self, y_pred, y_true, X=None, training=False):
        loss = super().get_loss(y_pred, y_true, X=X, training=training)
        if not training:
            return loss
        inputs = X.clone().requires_grad_()
        (slope,) = torch.autograd.grad(self.module_(inputs).sum(), inputs, create_graph=True)
        return loss + 0.1 * slope.square().mean()


@REGRESSORS
def test_double_backward(make):
    """Gradient penalties need double backward, which cuDNN's RNNs lack: the analytic penalty needs none.

    cuDNN itself cannot be asked on a machine without a GPU; layers that refuse a second derivative stand for it.
    """
    X, y = problem()

    def ours():
        return make(**LAMBDAS | {"lambda_s": 1.0}, hidden_size=4).fit(X, y)

    expected = ours()
    with layers_without_second_derivatives():
        np.testing.assert_array_equal(ours().predict(X), expected.predict(X))
    plain = make(lambda_s=0, lambda_1=0, lambda_2=0, hidden_size=4).fit(X, y)
    assert np.abs(plain.predict(X) - expected.predict(X)).max() > 1e-3, "the penalty was at work"

    def theirs():
        return GradientPenalty(Network, verbose=0, max_epochs=1).fit(X, y)

    with quarantine():
        theirs()
        with layers_without_second_derivatives(), pytest.raises(RuntimeError, match="once_differentiable"):
            theirs()

    # The gradient without a graph is that of the formula, by autograd and by differences.
    module = expected.net_.module_.double()
    weight_ih, weight_hh, _, bias_hh = module.layers[0]
    weights = [weight_ih, weight_hh, module.readout.weight]
    formula = {"cell": module.cell, "bias_hh": bias_hh} | LAMBDAS
    exact = torch.autograd.grad(tikhonov_penalty(*weights, **formula), weights)
    penalty = TikhonovPenalty(cell=module.cell, **LAMBDAS)
    penalty.watch(*weights, bias_hh=bias_hh)
    module.zero_grad()
    assert penalty.accumulate() == pytest.approx(tikhonov_penalty(*weights, **formula).item(), rel=1e-9)
    for weight, found in zip(weights, exact, strict=True):
        torch.testing.assert_close(weight.grad, found, rtol=1e-6, atol=1e-9)
        direction = torch.linspace(-1, 1, weight.numel(), dtype=weight.dtype).reshape(weight.shape)
        values = []
        for step in (1e-6, -1e-6):
            moved = [part + step * direction if part is weight else part for part in weights]
            values.append(tikhonov_penalty(*moved, **formula).item())
        slope = (values[0] - values[1]) / 2e-6
        assert slope == pytest.approx((weight.grad * direction).sum().item(), rel=1e-5, abs=1e-8)
