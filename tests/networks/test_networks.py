import numpy as np
import pytest
import torch

from sklstm.networks import GRUNetwork, LSTMNetwork, RNNNetwork
from sklstm.training._inference import predict_blocks


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
    with pytest.raises(ValueError, match="single layer, but this network has 2"):
        _ = stack.weights
    before = [layer[1].detach().clone() for layer in stack.layers]
    stack.scale_recurrent_(0.5, 0.25)
    assert torch.equal(stack.layers[0][1], 0.5 * before[0])
    assert torch.equal(stack.layers[1][1], 0.25 * before[1])


@pytest.mark.parametrize(("activation", "rho"), [("relu", lambda g: np.maximum(g, 0)), ("tanh", np.tanh)])
def test_rnn_is_equation_1(activation, rho, generator):
    module = build(RNNNetwork, n_features=3, hidden_size=5, n_outputs=4, n_steps=7, activation=activation)
    with torch.no_grad():
        module.W.add_(0.3 * torch.randn(5, 5, generator=generator, dtype=torch.float64))
    X = torch.randn(6, 7, 3, generator=generator, dtype=torch.float64)
    U, W, V = (w.detach().numpy() for w in (module.U, module.W, module.V))
    h = np.zeros((6, 5))
    for t in range(7):
        h = rho(X[:, t].numpy() @ U.T + h @ W.T)
    np.testing.assert_allclose(module(X).detach(), h @ V.T, rtol=1e-10)
    assert sum(1 for _ in module.parameters()) == 3, "no biases"
    with pytest.raises(ValueError, match="activation must be one of"):
        build(RNNNetwork, n_features=3, hidden_size=5, n_outputs=4, activation="sigmoid")


@pytest.mark.parametrize("activation", ["relu", "tanh"])
def test_leading_zeros_leave_the_rnn_where_it_was(activation, generator):
    module = build(RNNNetwork, n_features=3, hidden_size=5, n_outputs=2, n_steps=7, activation=activation)
    X = torch.randn(6, 7, 3, generator=generator, dtype=torch.float64)
    padded = torch.cat((torch.zeros(6, 11, 3, dtype=torch.float64), X), dim=1)
    torch.testing.assert_close(module(padded), module(X), rtol=1e-14, atol=0)


@pytest.mark.parametrize("n_steps", [10, 100, 500])
def test_relu_rnn_starts_with_states_and_gradients_of_order_one_at_any_length(n_steps, generator):
    module = build(RNNNetwork, n_features=4, hidden_size=64, n_outputs=2, n_steps=n_steps)
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


CHANNELS = (2, 0)
SKIPS = pytest.mark.parametrize("skip", [{"skip_steps": 3}, {"skip_steps": 9}, {"skip_channels": CHANNELS}])


@SKIPS
@pytest.mark.parametrize("readout", ["linear", "logistic"])
@pytest.mark.parametrize("kind", [LSTMNetwork, GRUNetwork])
def test_a_linear_part_adds_the_last_steps_before_the_link(kind, readout, skip, generator):
    n, L, d, k = 6, 7, 3, 2
    module = build(kind, n_features=d, hidden_size=4, n_outputs=k, readout=readout, num_layers=2, **skip)
    plain = build(kind, n_features=d, hidden_size=4, n_outputs=k, num_layers=2)
    assert all(torch.equal(weight, module.get_parameter(name)) for name, weight in plain.named_parameters())
    p = skip.get("skip_steps", 1)
    if "skip_steps" in skip:
        assert not module.linear_part.weight.any()  # as if there were none
        torch.nn.init.normal_(module.linear_part.weight, generator=generator)
    X = torch.randn(n, L, d, generator=generator, dtype=torch.float64)
    lengths = torch.tensor([7, 1, 2, 3, 5, 7])
    found, whole = module(X, lengths).detach(), module(X).detach()
    for i in range(n):
        for length, output in ((lengths[i].item(), found[i]), (L, whole[i])):
            x = X[i, :length].numpy()
            y = plain(X[i : i + 1, :length])[0].detach().numpy()
            if "skip_channels" in skip:
                y = y + x[-1, list(CHANNELS)]
            else:
                A = module.linear_part.weight.detach().numpy().reshape(k, p, d)
                y = y + sum(A[:, p - back] @ x[length - back] for back in range(1, min(p, length) + 1))
            expected = sigmoid(y) if readout == "logistic" else y
            np.testing.assert_allclose(output, expected, rtol=1e-10)


@SKIPS
def test_predictions_with_a_linear_part_do_not_depend_on_companions_bit_for_bit(skip, generator):
    with torch.random.fork_rng():
        module = LSTMNetwork(n_features=3, hidden_size=5, n_outputs=2, **skip)
    if "skip_steps" in skip:
        torch.nn.init.normal_(module.linear_part.weight, generator=generator)
    X = torch.randn(300, 7, 3, generator=generator)
    together = predict_blocks(module, X)
    assert torch.allclose(together, module(X), atol=1e-5)
    for rows in (slice(123, 125), slice(7, 300), slice(299, 300)):
        assert torch.equal(together[rows], predict_blocks(module, X[rows]))


def test_what_a_linear_part_adds_to_the_weights_of_a_network():
    linear = build(GRUNetwork, n_features=3, hidden_size=4, n_outputs=2, skip_steps=5)
    assert list(linear.state_dict())[-1] == "linear_part.values"
    # A fixed selection is known from the arguments, and no weight.
    last = build(GRUNetwork, n_features=3, hidden_size=4, n_outputs=2, skip_channels=CHANNELS)
    assert list(last.state_dict()) == list(linear.state_dict())[:-1]
    assert not last.linear_part.weight.requires_grad
    for channels in ((0,), (0, 3), (0, -1)):
        with pytest.raises(ValueError, match="channels must be one number from 0 to 2 for each of 2 outputs"):
            build(GRUNetwork, n_features=3, hidden_size=4, n_outputs=2, skip_channels=channels)
    with pytest.raises(ValueError, match="either skip_steps or skip_channels"):
        build(GRUNetwork, n_features=3, hidden_size=4, n_outputs=2, skip_steps=1, skip_channels=CHANNELS)
