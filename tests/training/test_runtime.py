import threading
import time

import pytest
import torch
from threadpoolctl import threadpool_info

from sklstm.networks import GRUNetwork, LSTMNetwork, RNNNetwork
from sklstm.training._inference import BLOCK, predict_blocks
from sklstm.training._process import seeded_construction, single_threaded_numpy, thread_limit, threads_for


def test_seeded_construction_is_reproducible_and_leaves_the_generator_alone():
    before = torch.random.get_rng_state()
    draws = []
    for _ in range(2):
        with seeded_construction(7):
            draws.append(torch.rand(5))
    assert torch.equal(*draws)
    assert torch.equal(torch.random.get_rng_state(), before)


def test_seeded_construction_is_safe_in_threads():
    results = {}

    def build(seed):
        with seeded_construction(seed):
            results[seed] = [torch.rand(1).item() for _ in range(200)]

    threads = [threading.Thread(target=build, args=(seed,)) for seed in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for seed in range(8):
        with seeded_construction(seed):
            assert results[seed] == [torch.rand(1).item() for _ in range(200)]


def test_thread_limit_restores_also_after_an_error():
    before = torch.get_num_threads()
    other = before + 1
    with thread_limit(other):
        assert torch.get_num_threads() == other
    assert torch.get_num_threads() == before
    with pytest.raises(RuntimeError, match="inside"), thread_limit(other):
        raise RuntimeError("inside")
    assert torch.get_num_threads() == before


def test_small_networks_train_on_one_thread():
    with thread_limit(4):
        assert threads_for(64, 16, 7, 4) == 1
        assert threads_for(64, 512, 50, 4) == 4


@pytest.mark.parametrize("kind", [torch.nn.LSTM, torch.nn.RNN])
@pytest.mark.parametrize("hidden_size", [3, 16, 64])
def test_predictions_do_not_depend_on_companions(kind, hidden_size, generator):
    class Network(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.rnn = kind(3, hidden_size, batch_first=True)
            self.out = torch.nn.Linear(hidden_size, 2)

        def forward(self, X):
            return self.out(self.rnn(X)[0][:, -1])

    with seeded_construction(0):
        network = Network()
    X = torch.randn(2 * BLOCK + 37, 9, 3, generator=generator)
    together = predict_blocks(network, X)
    assert together.shape == (len(X), 2)
    for index in (0, 1, BLOCK - 1, BLOCK, 2 * BLOCK + 36):
        assert torch.equal(predict_blocks(network, X[index : index + 1])[0], together[index])
    order = torch.randperm(len(X), generator=generator)
    assert torch.equal(predict_blocks(network, X[order]), together[order])
    torch.testing.assert_close(together, network(X).detach(), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("n_workers", [2, 3, 16])
def test_blocks_in_several_threads_give_the_same_numbers(n_workers, generator):
    with seeded_construction(0):
        network = LSTMNetwork(3, 16, 2)
    X = torch.randn(5 * BLOCK + 7, 9, 3, generator=generator)
    before = torch.get_num_threads()
    assert torch.equal(predict_blocks(network, X, n_workers), predict_blocks(network, X))
    assert torch.get_num_threads() == before


def test_blocks_in_several_threads_are_computed_in_inference_mode_too(generator):
    with seeded_construction(0):
        network = LSTMNetwork(3, 16, 2)
    X = torch.randn(8 * BLOCK, 9, 3, generator=generator)
    expected = predict_blocks(network, X)
    for _ in range(20):
        with torch.inference_mode():
            assert torch.equal(predict_blocks(network, X, 2), expected)


@pytest.mark.parametrize("failing", ["caller", "helper"])
def test_an_error_in_one_of_several_threads_is_the_callers(failing, generator):
    """Whichever thread meets it, and the others stop."""
    caller, calls, both = threading.get_ident(), [], threading.Barrier(2)

    class Network(torch.nn.Linear):
        def forward(self, X):
            if not calls.count(threading.get_ident()):
                both.wait(timeout=30)  # each thread has a block
            calls.append(threading.get_ident())
            if (threading.get_ident() == caller) == (failing == "caller"):
                raise OSError("disk")
            time.sleep(0.05)
            return super().forward(X[:, -1])

    with seeded_construction(0):
        network = Network(3, 1)
    with pytest.raises(OSError, match="disk"):
        predict_blocks(network, torch.randn(40 * BLOCK, 1, 3, generator=generator), 2)
    assert len(calls) < 40


def test_numpys_threads_are_one_inside_and_what_they_were_outside():
    def counts():
        return [library["num_threads"] for library in threadpool_info() if library["internal_api"] == "openblas"]

    before, of_torch = counts(), torch.get_num_threads()
    if not before:
        pytest.skip("numpy without OpenBLAS")
    with single_threaded_numpy():
        assert set(counts()) == {1}
        assert torch.get_num_threads() == of_torch
    assert counts() == before


@pytest.mark.parametrize("hidden_size", [1, 5, 7, 9, 15, 16, 21, 31, 33, 65])
@pytest.mark.parametrize("d", [1, 5, 7, 13])
@pytest.mark.parametrize(
    ("module", "arguments"),
    [
        (LSTMNetwork, {}),
        (LSTMNetwork, {"num_layers": 2, "readout": "logistic"}),
        (GRUNetwork, {}),
        (GRUNetwork, {"num_layers": 2}),
        (RNNNetwork, {}),
    ],
)
def test_predictions_of_any_size_of_network_are_independent_of_the_batch(module, arguments, hidden_size, d, generator):
    with seeded_construction(hidden_size):
        network = module(d, hidden_size, 1 + (hidden_size + d) % 5, **arguments)
    X = torch.randn(300, 20, d, generator=generator)
    together = predict_blocks(network, X)
    order = torch.randperm(300, generator=generator)
    assert torch.equal(predict_blocks(network, X[order]), together[order])
    for row in (0, 131, 299):
        assert torch.equal(predict_blocks(network, X[row : row + 1])[0], together[row])
    with torch.no_grad():  # filled up with units of zero weight: the same function
        torch.testing.assert_close(together, network(X), rtol=1e-5, atol=1e-5)
