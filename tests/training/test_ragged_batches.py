"""Batches of sequences of unequal length."""

import numpy as np
import pytest
import torch

from sklstm._sequences import Sequences
from sklstm.networks import GRUNetwork, LSTMNetwork, RNNNetwork
from sklstm.training import InputNoise, SequenceDataset
from sklstm.training._batches import BatchLoader
from sklstm.training._inference import block_size, predict_blocks
from sklstm.training._process import seeded_construction

MODULES = pytest.mark.parametrize("module", [LSTMNetwork, GRUNetwork, RNNNetwork])


def ragged(n, longest=20, d=2, seed=0):
    rng = np.random.default_rng(seed)
    sequences = [torch.from_numpy(rng.standard_normal((rng.integers(1, longest + 1), d))).float() for _ in range(n)]
    return sequences, Sequences(torch.cat(sequences), np.array([len(part) for part in sequences]))


def test_a_batch_holds_the_sequences_and_zeros_behind_them():
    sequences, X = ragged(10)
    rows = torch.tensor([7, 2, 2, 9])
    batch = X.batch(rows)
    assert batch["lengths"].tolist() == [len(sequences[row]) for row in rows]
    assert batch["X"].shape == (4, max(batch["lengths"]).item(), 2)
    for padded, row in zip(batch["X"], rows, strict=True):
        size = len(sequences[row])
        assert torch.equal(padded[:size], sequences[row])
        assert not padded[size:].any()


def test_equal_lengths_need_no_lengths():
    sequences, X = ragged(50, longest=3)
    rows = torch.tensor([index for index, part in enumerate(sequences) if len(part) == 2])
    assert set(X.batch(rows)) == {"X"}


def test_selection_is_that_of_the_sequences():
    sequences, X = ragged(12)
    for rows in (torch.tensor([3, 3, 0]), torch.arange(12) % 2 == 0):
        part = X[rows]
        chosen = [sequences[row] for row in (rows.nonzero()[:, 0] if rows.dtype == torch.bool else rows)]
        assert len(part) == len(chosen)
        for index, sequence in enumerate(chosen):
            assert torch.equal(part.batch(torch.tensor([index]))["X"][0], sequence)


@MODULES
def test_lengths_end_sequences_in_forward(module):
    with seeded_construction(0):
        network = module(2, 5, 3)
    sequences, X = ragged(9)
    together = network(**X.batch(torch.arange(9)))
    alone = torch.cat([network(sequence[None]) for sequence in sequences])
    torch.testing.assert_close(together, alone, rtol=0, atol=1e-6)
    # What stands behind a sequence's end changes nothing, in value or gradient.
    batch = X.batch(torch.arange(9))
    batch["X"] = torch.where(
        torch.arange(batch["X"].shape[1])[:, None] < batch["lengths"][:, None, None], batch["X"], 1e6
    ).requires_grad_(True)
    network(**batch).sum().backward()
    torch.testing.assert_close(network(**batch), together, rtol=0, atol=0)
    for row, length in zip(batch["X"].grad, batch["lengths"], strict=True):
        assert row[:length].any()
        assert not row[length:].any()


@MODULES
def test_packed_sequences_give_the_same(module):
    # The other route to a batch of unequal lengths.
    with seeded_construction(0):
        network = module(2, 5, 3)
    _, X = ragged(9)
    batch = X.batch(torch.arange(9))
    packed = torch.nn.utils.rnn.pack_padded_sequence(
        batch["X"], batch["lengths"], batch_first=True, enforce_sorted=False
    )
    layer = next(part for part in network.children() if isinstance(part, torch.nn.RNNBase))
    state = layer(packed)[1]
    state = state[0] if isinstance(state, tuple) else state
    torch.testing.assert_close(network(**batch), network.readout(state[-1]), rtol=0, atol=1e-6)


def test_predictions_of_many_lengths_are_bit_for_bit_those_of_one():
    with seeded_construction(0):
        network = LSTMNetwork(2, 7, 1)
    sequences, X = ragged(600, longest=50)
    together = predict_blocks(network, X)
    for index in range(0, 600, 37):
        assert torch.equal(predict_blocks(network, sequences[index][None])[0], together[index])


def test_an_epoch_visits_every_sequence_once_in_batches_of_similar_length():
    sequences, X = ragged(1000, longest=100)
    loader = BatchLoader(
        SequenceDataset(X, torch.arange(1000), torch.linspace(0, 1, 1000)), 20, shuffle=True,
        generator=torch.Generator().manual_seed(0),
    )  # fmt: skip
    orders, padding = [], 0
    for _ in range(2):
        seen = []
        for inputs, (y, weight) in loader:
            X_batch, lengths = (inputs["X"], inputs["lengths"]) if isinstance(inputs, dict) else (inputs, None)
            for position, row in enumerate(y.tolist()):
                size = len(sequences[row])
                assert lengths is None or lengths[position] == size
                assert torch.equal(X_batch[position, :size], sequences[row])
            torch.testing.assert_close(weight, torch.linspace(0, 1, 1000)[y])
            padding += X_batch.shape[0] * X_batch.shape[1]
            seen += y.tolist()
        assert sorted(seen) == list(range(1000))
        orders.append(seen)
    assert orders[0] != orders[1]
    assert padding / 2 < 1.15 * sum(map(len, sequences))  # 2.0 times, were the batches drawn at random
    lengths = [len(sequences[row]) for row in orders[0][::20]]
    assert abs(np.corrcoef(np.arange(len(lengths)), lengths)[0, 1]) < 0.5  # not from short to long


def test_noise_on_ragged_batches_is_fresh_and_of_the_right_size():
    X = Sequences(torch.zeros(6000, 2), np.array([10, 20] * 200))
    loader = BatchLoader(
        SequenceDataset(X, torch.zeros(400)), 64, generator=torch.Generator().manual_seed(0), rule=InputNoise(0.5)
    )
    first, second = (
        torch.cat([part["X"].flatten() if isinstance(part, dict) else part.flatten() for part, _ in loader])
        for _ in range(2)
    )
    assert first.std().item() == pytest.approx(0.5, rel=0.05)
    assert not torch.equal(first, second)


@MODULES
def test_long_sequences_come_in_smaller_blocks_and_still_do_not_know_each_other(module):
    with seeded_construction(0):
        network = module(2, 5, 3)
    rng = np.random.default_rng(0)
    lengths = [3, 1024, 1025, 1500, 8192, 8193, 9000, 40]
    sequences = [torch.from_numpy(rng.standard_normal((length, 2))).float() for length in lengths]
    X = Sequences(torch.cat(sequences), np.array(lengths))
    together = predict_blocks(network, X)
    for sequence, expected in zip(sequences, together, strict=True):
        assert torch.equal(predict_blocks(network, sequence[None])[0], expected)
    assert [block_size(length) for length in lengths] == [256, 256, 32, 32, 32, 8, 8, 256]
