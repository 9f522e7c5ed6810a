import numpy as np
import pytest
import torch

from sklstm.networks import GRUNetwork, LSTMNetwork, ReLUNetwork


def build(module, seed=0, **arguments):
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return module(dtype=torch.float64, **arguments)


def sigmoid(z):
    return 1 / (1 + np.exp(-z))


@pytest.mark.parametrize("readout", ["linear", "logistic"])
def test_lstm_is_equations_5_to_11(readout, generator):
    H, d, k, L = 4, 3, 2, 6
    module = build(LSTMNetwork, n_features=d, hidden_size=H, n_outputs=k, readout=readout)
    X = torch.randn(5, L, d, generator=generator, dtype=torch.float64)
    weight_ih, weight_hh, weight_out = (w.detach().numpy() for w in module.weights)
    bias = (module.lstm.bias_ih_l0 + module.lstm.bias_hh_l0).detach().numpy()
    for n in range(5):
        h, s = np.zeros(H), np.zeros(H)
        for t in range(L):
            net_i, net_f, net_ci, net_o = np.split(weight_ih @ X[n, t].numpy() + weight_hh @ h + bias, 4)
            s = s * sigmoid(net_f) + sigmoid(net_i) * np.tanh(net_ci)  # (8)-(11)
            h = np.tanh(s) * sigmoid(net_o)  # (5)-(7)
        y = weight_out @ h + module.readout.bias.detach().numpy()
        expected = sigmoid(y) if readout == "logistic" else y
        np.testing.assert_allclose(module(X)[n].detach(), expected, rtol=1e-10)


def test_gru_is_its_equations_and_a_stack_reads_the_layer_below(generator):
    H, d, k, L = 4, 3, 2, 6
    module = build(GRUNetwork, n_features=d, hidden_size=H, n_outputs=k, num_layers=2)
    X = torch.randn(5, L, d, generator=generator, dtype=torch.float64)
    assert [layer[0].shape for layer in module.layers] == [(3 * H, d), (3 * H, H)]
    for n in range(5):
        sequence = X[n].numpy()
        for layer in module.layers:
            weight_ih, weight_hh, bias_ih, bias_hh = (part.detach().numpy() for part in layer)
            h, states = np.zeros(H), []
            for x in sequence:
                (x_r, x_z, x_n), (h_r, h_z, h_n) = (
                    np.split(part, 3) for part in (weight_ih @ x + bias_ih, weight_hh @ h + bias_hh)
                )
                z = sigmoid(x_z + h_z)
                h = (1 - z) * np.tanh(x_n + sigmoid(x_r + h_r) * h_n) + z * h
                states.append(h)
            sequence = np.array(states)
        y = module.readout.weight.detach().numpy() @ h + module.readout.bias.detach().numpy()
        np.testing.assert_allclose(module(X)[n].detach(), y, rtol=1e-10)


def test_one_layer_has_torchs_names_and_a_stack_no_single_weights():
    module = build(LSTMNetwork, n_features=3, hidden_size=4, n_outputs=1)
    names = ["weight_ih_l0", "weight_hh_l0", "bias_ih_l0", "bias_hh_l0"]
    assert list(module.state_dict()) == [f"lstm.{name}" for name in names] + ["readout.weight", "readout.bias"]
    assert module.weights[1] is module.layers[0][1] is module.lstm.weight_hh_l0
    stack = build(LSTMNetwork, n_features=3, hidden_size=4, n_outputs=1, num_layers=2)
    with pytest.raises(ValueError, match="single layer; this network has 2: use layers"):
        _ = stack.weights
    before = [layer[1].detach().clone() for layer in stack.layers]
    stack.scale_recurrent_(0.5, 0.25)
    assert torch.equal(stack.layers[0][1], 0.5 * before[0])
    assert torch.equal(stack.layers[1][1], 0.25 * before[1])


def test_relu_rnn_is_equation_1(generator):
    module = build(ReLUNetwork, n_features=3, hidden_size=5, n_outputs=4, n_steps=7)
    with torch.no_grad():
        module.W.add_(0.3 * torch.randn(5, 5, generator=generator, dtype=torch.float64))
    X = torch.randn(6, 7, 3, generator=generator, dtype=torch.float64)
    U, W, V = (w.detach().numpy() for w in (module.U, module.W, module.V))
    h = np.zeros((6, 5))
    for t in range(7):
        h = np.maximum(X[:, t].numpy() @ U.T + h @ W.T, 0)
    np.testing.assert_allclose(module(X).detach(), h @ V.T, rtol=1e-10)
    assert sum(1 for _ in module.parameters()) == 3, "no biases"


def test_leading_zeros_leave_the_relu_rnn_where_it_was(generator):
    module = build(ReLUNetwork, n_features=3, hidden_size=5, n_outputs=2, n_steps=7)
    X = torch.randn(6, 7, 3, generator=generator, dtype=torch.float64)
    padded = torch.cat((torch.zeros(6, 11, 3, dtype=torch.float64), X), dim=1)
    torch.testing.assert_close(module(padded), module(X), rtol=1e-14, atol=0)


@pytest.mark.parametrize("n_steps", [10, 100, 500])
def test_relu_rnn_starts_with_states_and_gradients_of_order_one_at_any_length(n_steps, generator):
    module = build(ReLUNetwork, n_features=4, hidden_size=64, n_outputs=2, n_steps=n_steps)
    X = torch.randn(32, n_steps, 4, generator=generator, dtype=torch.float64).requires_grad_()
    module(X).square().mean().backward()
    states, _ = module.rnn(X)
    assert 0.05 < states[:, -1].std() < 5
    # A tenth of the way in, the gradient has neither vanished nor exploded against that of the last step.
    early, late = (X.grad[:, t].norm() for t in (n_steps // 10, -1))
    assert 0.05 < early / late < 20
    assert torch.equal(module.W.detach(), torch.eye(64, dtype=torch.float64))


@pytest.mark.filterwarnings("ignore:The tensor attributes:UserWarning")  # torch's own, of its own layers
@pytest.mark.parametrize("module", [LSTMNetwork, GRUNetwork])
def test_graphs_recorded_without_gradients_take_any_batch(module, generator):
    network = build(module, n_features=3, hidden_size=16, n_outputs=2).eval()
    X = torch.randn(6, 7, 3, generator=generator, dtype=torch.float64)
    with torch.no_grad():
        batch = torch.export.Dim("n", min=2, max=99)
        exported = torch.export.export(network, (X,), dynamic_shapes={"X": {0: batch}})
        for n in (3, 9):
            X = torch.randn(n, 7, 3, generator=generator, dtype=torch.float64)
            torch.testing.assert_close(exported.module()(X), network(X))
