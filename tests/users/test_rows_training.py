"""Rows about training: what is held out, which weights are kept, randomness, threads, packing, files."""

import numpy as np
import pytest
import torch
from skorch.callbacks import Checkpoint as SkorchCheckpoint
from skorch.callbacks import EarlyStopping as SkorchEarlyStopping
from torch import nn
from torch.nn.utils.rnn import PackedSequence

from sklstm.networks import RNNNetwork
from tests.support.peers import gru, lstm, noisy, quarantine, skorch_regressor
from tests.support.ragged_steps import ragged, step_of

ALL = pytest.mark.parametrize("make", [lstm, gru, noisy])


def noise(n, seed=0):
    """Sequences, and a target (n, 1) that has nothing to do with them."""
    rng = np.random.default_rng(seed)
    return rng.standard_normal((n, 6, 2)).astype(np.float32), rng.standard_normal((n, 1)).astype(np.float32)


def targets_for(make, y):
    return y[:, 0] > 0 if make is noisy else y


def outputs(model, X):
    return model.decision_function(X) if hasattr(model, "decision_function") else model.predict(X)


def sequences_without_influence(make, y, changed):
    """How many of ten targets can be changed without changing what is learned, in any bit."""
    X, _ = noise(10)

    def learned(y):
        with quarantine():
            return outputs(make().fit(X, y), X)

    variants = [np.where(np.arange(10).reshape(-1, *[1] * (y.ndim - 1)) == i, changed, y) for i in range(10)]
    unchanged = learned(y)
    return sum(np.array_equal(learned(variant), unchanged) for variant in variants)


@ALL
def test_hidden_hold_out(make):
    """A hidden 20 % hold-out inside every CV fold: nothing is held out but with ``early_stopping=True``."""
    y = targets_for(make, noise(10)[1])
    changed = ~y if make is noisy else y + 1
    assert sequences_without_influence(make, y, changed) == 0
    assert sequences_without_influence(skorch_regressor, noise(10)[1], noise(10)[1] + 1) == 2
    if make is not noisy:  # a changed label changes how a classifier's hold-out is stratified
        asked_for = {"early_stopping": True, "validation_fraction": 0.3, "max_epochs": 1}
        assert sequences_without_influence(lambda: make(**asked_for), y, changed) == 3


def stopped_at_the_best_and_at_the_last(make, validation_losses, y):
    """Whether early stopping ends with the weights of the best epoch, and whether with those of the last."""
    X, _ = noise(60)

    def fit(max_epochs):
        with quarantine():
            model = make(max_epochs=max_epochs).fit(X, y)
            return validation_losses(model), outputs(model, X)

    losses, stopped = fit(200)
    best = int(np.argmin(losses)) + 1
    assert best < len(losses) < 200, "the validation loss must get worse, and training end"
    return tuple(np.array_equal(fit(epochs)[1], stopped) for epochs in (best, len(losses)))


@ALL
def test_best_weights(make):
    """The last, not the best, weights are kept: early stopping restores the best.

    A fit that is told to end at the best epoch is what early stopping must come to, bit for bit.
    """

    def ours(**parameters):
        return make(
            early_stopping=True,
            n_iter_no_change=5,
            validation_fraction=0.2,
            lr=0.03,
            lr_schedule="constant",
            **parameters,
        )

    def theirs(**parameters):
        return skorch_regressor(callbacks=[SkorchEarlyStopping(patience=5)], lr=0.03, **parameters)

    y = noise(60)[1]
    found = stopped_at_the_best_and_at_the_last(
        ours, lambda model: model.net_.history[:, "valid_loss"], targets_for(make, y)
    )
    # Told to end at the last epoch, ours goes back to the best as well.
    assert found == (True, True)
    assert stopped_at_the_best_and_at_the_last(theirs, lambda net: net.history[:, "valid_loss"], y) == (False, True)


def randomness(make, y):
    """Whether the caller's seed decides what is learned, and whether the caller's generators are used."""
    X, _ = noise(60)
    learned, used = [], []
    for seed in (1, 2):
        with quarantine(seed):
            before = torch.random.get_rng_state(), repr(np.random.get_state())
            learned.append(outputs(make().fit(X, y), X))
            used.append((torch.random.get_rng_state() != before[0]).any().item())
            used.append(repr(np.random.get_state()) != before[1])
    return not np.array_equal(*learned), any(used)


@ALL
def test_reproducible(make):
    """Not reproducible, and seeding changes the caller's RNG: ``random_state`` decides alone, and touches nothing.

    It covers initial weights, shuffling, noise and the validation split.
    """
    y = targets_for(make, noise(60)[1])
    for early_stopping in (False, True):
        options = {"sigma": 0.5, "early_stopping": early_stopping, "batch_size": 16}
        assert randomness(lambda options=options: make(**options), y) == (False, False)
        X, _ = noise(60)
        first, second = (outputs(make(**options, random_state=seed).fit(X, y), X) for seed in (1, 2))
        assert not np.array_equal(first, second)
    assert randomness(lambda: make(random_state=None), y) == (True, False)
    assert randomness(skorch_regressor, noise(60)[1]) == (True, True)


def thread_counts(make, y):
    """Threads that torch was allowed in every forward pass of fit and predict, of two."""
    X, _ = noise(len(y))
    X, seen = X[:, :1], set()
    before = torch.get_num_threads()

    def look(module, *_):
        if not isinstance(module, nn.modules.loss._Loss):
            seen.add(torch.get_num_threads())

    hook = nn.modules.module.register_module_forward_hook(look)
    torch.set_num_threads(2)
    try:
        with quarantine():
            outputs(make().fit(X, y), X)
        assert torch.get_num_threads() == 2, "restored"
    finally:
        hook.remove()
        torch.set_num_threads(before)
    return seen


@ALL
def test_oversubscription(make):
    """Two threads on busy cores, 4 ms become 1,212 ms a step: small work gets one thread, large work all of them."""
    _, y = noise(300)
    assert thread_counts(make, targets_for(make, y)) == {1}
    # just large enough for two: where both cores are busy the second one makes this test slow, too
    large = {"hidden_size": 110 if make is noisy else 64, "batch_size": 300, "max_epochs": 1}
    assert thread_counts(lambda: make(**large), targets_for(make, y)) == {2}
    assert thread_counts(lambda: skorch_regressor(max_epochs=1), y) == {2}, "whatever the work"


@ALL
def test_packed_sequences(make):
    """PackedSequence is slow: sequences are filled up and read at their own ends, which gives the same numbers.

    How much faster it is, benchmarks/speed/packed_steps.py measures.
    """
    sequences = ragged()
    y = targets_for(make, noise(64)[1])
    inputs = []
    hook = nn.modules.module.register_module_forward_pre_hook(
        lambda module, given: (
            inputs.append(given[0] if given else None) if isinstance(module, nn.RNNBase | RNNNetwork) else None
        )
    )
    try:
        model = make(hidden_size=16).fit(sequences, y)
        model.predict(sequences)
    finally:
        hook.remove()
    assert len(inputs) > 3
    assert not any(isinstance(given, PackedSequence) for given in inputs)

    lengths = torch.tensor([len(sequence) for sequence in sequences])
    X = nn.utils.rnn.pad_sequence([torch.tensor(sequence) for sequence in sequences], batch_first=True)
    module = model.net_.module_
    results = [step_of(module, X, lengths, packed) for packed in (False, True)]
    for filled_up, packed in zip(results[0][1], results[1][1], strict=True):
        torch.testing.assert_close(filled_up, packed, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(results[0][0], results[1][0], rtol=1e-4, atol=1e-5)


def files_left_behind(make, y, folder, monkeypatch):
    """Names of what lies in the working directory and in the folder for temporary files after fit and predict."""
    folder.mkdir()
    monkeypatch.chdir(folder)
    monkeypatch.setattr("tempfile.tempdir", str(folder))
    with quarantine():
        outputs(make().fit(noise(60)[0], y), noise(60)[0])
    return sorted(path.name for path in folder.rglob("*"))


@ALL
def test_files_in_the_working_directory(make, tmp_path, monkeypatch):
    """Estimators write checkpoints into the working directory: never, also to go back to the best weights.

    skorch's way to the best weights is a checkpoint. Ours for interrupted training must be given a folder.
    """
    from sklstm.training import Checkpoint

    def ours(**parameters):
        return make(early_stopping=True, n_iter_no_change=2, max_epochs=10, **parameters)

    y = noise(60)[1]
    assert files_left_behind(ours, targets_for(make, y), tmp_path / "ours", monkeypatch) == []
    with pytest.raises(TypeError, match="folder"):
        Checkpoint()
    asked_for = tmp_path / "asked for"
    kept = files_left_behind(
        lambda: ours(callbacks=[Checkpoint(asked_for)]), targets_for(make, y), tmp_path / "kept", monkeypatch
    )
    assert kept == []
    assert len([*asked_for.iterdir()]) == 1

    def theirs():
        return skorch_regressor(callbacks=[SkorchCheckpoint()])

    assert "params.pt" in files_left_behind(theirs, y, tmp_path / "theirs", monkeypatch)
