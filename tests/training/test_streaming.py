"""Sequences in mapped files: the results are those of the same numbers in memory, and memory stays small."""

import hashlib
import subprocess
import sys
import textwrap
import tracemalloc

import numpy as np
import pytest
import torch

from sklstm import (
    Compression,
    NoisyRNNClassifier,
    TikhonovLSTMRegressor,
    _sequences,
    noise_interval,
    prediction_interval,
)
from sklstm._sequences import Sequences, beyond, is_mapped, row_blocks
from sklstm.estimators._noisy_inputs import NoisyCopies
from sklstm.noise import NOISES, RepeatedNoise
from sklstm.preprocessing import SequenceScaler
from sklstm.training import Checkpoint, SequenceDataset
from sklstm.training._batches import BatchLoader
from sklstm.training._fingerprint import _Hasher
from tests.support.estimators import CERTIFIED, CLASSIFIERS

N, L, D = 130, 6, 3


def numbers(shape=(N, L, D), seed=0):
    return np.random.default_rng(seed).standard_normal(shape)


def digest_of(X):
    with open(X.filename, "rb") as file:
        return hashlib.sha256(file.read()).hexdigest()


@pytest.fixture
def mapped(tmp_path):
    """A function that puts an array into a file, and opens that."""

    def in_file(array, dtype=None, mode="r"):
        array = np.asarray(array) if dtype is None else np.asarray(array).astype(dtype)
        path = tmp_path / f"x{len(list(tmp_path.iterdir()))}"
        array.tofile(path)
        return np.memmap(path, array.dtype, mode, shape=array.shape)

    return in_file


def generator_of(seed):
    return torch.Generator().manual_seed(seed)


def targets(kind, X):
    y = np.asarray(X, dtype=np.float64).reshape(len(X), -1)[:, :4].sum(axis=1)
    return np.where(y > np.median(y), "high", "low") if kind in CLASSIFIERS else y


def learned(model):
    """Everything a fit leaves, as bytes and numbers."""
    weights = {name: tensor.numpy().tobytes() for name, tensor in model.net_.module_.state_dict().items()}
    of_fit = {name: vars(model).get(name) for name in ("generalization_bound_", "_data_digest")}
    return weights, model.loss_curve_, of_fit


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("kind", CERTIFIED)
def test_fit_bounds_and_predictions_are_those_in_memory_and_the_file_stays_as_it_is(kind, dtype, mapped, monkeypatch):
    monkeypatch.setattr(_sequences, "WINDOW", 4 * 48 * L * D)  # three batches at a time: eight, of the last one half
    X = mapped(numbers(), dtype)
    y, before = targets(kind, X), digest_of(X)
    with_options = {"max_epochs": 3, "batch_size": 16, "random_state": 0}
    in_memory = kind(5, **with_options).fit(np.array(X), y)
    streamed = kind(5, **with_options).fit(X, y)
    assert learned(streamed) == learned(in_memory)
    for method in ("predict", "predict_proba", "predict_log_proba", "decision_function"):
        if hasattr(kind, method):
            assert np.array_equal(getattr(streamed, method)(X), getattr(in_memory, method)(np.array(X)))
    assert streamed.score(X, y) == in_memory.score(np.array(X), y)
    lower, upper = streamed.certify(X, 0.01, method="intervals")
    expected = in_memory.certify(np.array(X), 0.01, method="intervals")
    assert np.array_equal(lower, expected[0])
    assert np.array_equal(upper, expected[1])
    assert streamed.holdout_bound(X[1:], y[1:]).value == in_memory.holdout_bound(np.array(X[1:]), y[1:]).value
    assert digest_of(X) == before


@pytest.mark.parametrize("mode", ["r", "r+", "c"])
@pytest.mark.parametrize("kind", [TikhonovLSTMRegressor, NoisyRNNClassifier])
def test_flat_rows_with_a_split_and_weights_in_every_mode(kind, mode, mapped):
    X = mapped(numbers((N, L * D)), "float32", mode)
    y, weight, before = targets(kind, X), np.linspace(0, 2, N), digest_of(X)
    options = {"n_channels": D, "max_epochs": 4, "early_stopping": True, "validation_fraction": 0.3, "sigma": 0.1}
    models = [kind(4, random_state=1, **options).fit(values, y, sample_weight=weight) for values in (X, np.array(X))]
    assert learned(models[0]) == learned(models[1])
    validated = [[epoch["valid_loss"] for epoch in model.net_.history] for model in models]
    assert validated[0] == validated[1]
    assert digest_of(X) == before


@pytest.mark.parametrize("kind", CERTIFIED)
def test_partial_fit_goes_through_a_file_part_by_part(kind, mapped):
    X = mapped(numbers(), "float64")
    y = targets(kind, X)
    classes = {"classes": np.unique(y)} if kind in CLASSIFIERS else {}
    models = [kind(4, random_state=0) for _ in range(2)]
    for part in (slice(0, 60), slice(60, N)):
        models[0].partial_fit(X[part], y[part], **classes)
        models[1].partial_fit(np.array(X)[part], y[part], **classes)
    assert learned(models[0]) == learned(models[1])


@pytest.mark.parametrize("noise", list(NOISES))
def test_theorem_3_has_the_noise_that_was_drawn_at_once(noise, mapped, monkeypatch):
    from sklstm.generalization import _theorem_inputs as _inputs

    monkeypatch.setattr(_inputs, "_CHUNK_NUMBERS", 100)
    X, law = mapped(numbers(), "float32"), NOISES[noise]
    repeated = RepeatedNoise(law, X, 0.3, 7)
    whole = law.draw_array(np.array(X), 0.3, np.random.default_rng(7))
    for width in (1, 40, 1):  # the last reading starts at the first row again
        assert np.array_equal(np.concatenate(list(_inputs.chunks(repeated, width))), whole)
    with pytest.raises(ValueError, match="noise must be read in order of rows: the next row is 130, but got 5"):
        repeated[5:9]


def test_a_compressed_network_is_found_on_a_file(mapped):
    X = mapped(numbers(), "float32")
    small = Compression(2, epochs=2, n_stages=1, n_trials=2, coarseness=(16,))
    y = targets(NoisyRNNClassifier, X)
    reports = [
        NoisyRNNClassifier(4, max_epochs=1, compression=small, random_state=0)
        .fit(values, y)
        .generalization_report(values, y)
        for values in (X, np.array(X))
    ]
    assert reports[0]["occam"].value == reports[1]["occam"].value


def test_certified_radii_and_accuracy(mapped, monkeypatch):
    monkeypatch.setattr(_sequences, "_BLOCK_NUMBERS", 50 * L * D)
    X = mapped(numbers(), "float32")
    y = targets(NoisyRNNClassifier, X)
    model = NoisyRNNClassifier(4, max_epochs=5, sigma=0.0, random_state=0).fit(X, y)
    radii = model.certified_radius(X)
    assert 0 < np.median(radii) < 1
    eps = float(np.median(radii))
    right = model.predict(X) == y
    accuracy = model.certified_accuracy(X, y, eps)
    # The radii are within 1 % of the largest that can be certified.
    assert np.mean(right & (radii >= eps)) <= accuracy <= np.mean(right & (1.01 * radii >= eps))


@pytest.mark.filterwarnings("ignore::sklstm.exceptions.DataWarning")
@pytest.mark.parametrize("dtype", ["int8", "int64", "uint16", "float16", ">f4", ">f8", "bool"])
def test_numbers_of_other_types_are_read_as_they_would_be_in_memory(dtype, mapped):
    X = mapped((100 * numbers()).astype("int64" if "f" not in dtype else "float64") % 128, dtype)
    y = targets(TikhonovLSTMRegressor, X)
    models = [TikhonovLSTMRegressor(3, max_epochs=2, random_state=0).fit(values, y) for values in (X, np.array(X))]
    assert learned(models[0]) == learned(models[1])
    assert np.array_equal(models[0].predict(X), models[1].predict(np.array(X)))


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
@pytest.mark.parametrize(
    ("value", "message"), [(np.nan, "Input X contains NaN"), (np.inf, "Input X contains infinity")]
)
def test_a_bad_number_at_the_very_end_is_found(value, message, dtype, mapped):
    X = numbers()
    X[-1, -1, -1] = value
    X = mapped(X, dtype)
    model = TikhonovLSTMRegressor(3)
    with pytest.raises(ValueError, match=message):
        model.fit(X, np.zeros(N))
    assert not hasattr(model, "net_")
    model.set_params(max_epochs=1, random_state=0).fit(X[:-1], np.zeros(N - 1))
    with pytest.raises(ValueError, match=message):
        model.predict(X)


def test_numbers_beyond_float32_are_refused_wherever_they_are(mapped):
    for value in (1e39, -1e39):
        X = numbers()
        X[-1, -1, -1] = value
        for values in (X, mapped(X)):
            with pytest.raises(ValueError, match="too large for float32"):
                TikhonovLSTMRegressor(3).fit(values, np.zeros(N))


def test_which_arrays_are_in_a_file(mapped):
    X = mapped(numbers())
    for inside in (X, X[3:], X[::2, 1:], X.reshape(N, -1), np.asarray(X), np.asarray(X).T, X.view(np.ndarray)[5]):
        assert is_mapped(inside)
        assert np.shares_memory(inside, X)
    for outside in (X[[1, 2]], X + 1, np.array(X), X.astype(np.float32), X[X > 0], 1.0, None, [1, 2]):
        assert not is_mapped(outside)


def test_blocks_of_rows_hold_every_row_once():
    for shape in ((0, 3), (7, 0), (5, 1 << 22), (4_000_000, 1)):
        values = np.broadcast_to(np.float32(1), shape)
        assert sum(len(values[rows]) for rows in row_blocks(values)) == shape[0]
    assert not beyond(np.broadcast_to(np.int8(-128), (3, 2)), 128)
    assert beyond(np.broadcast_to(np.int8(-128), (3, 2)), 127)


@pytest.mark.parametrize("window", [1, 4 * 20 * L * D, 1 << 26])
def test_batches_are_those_of_a_tensor_aligned_and_apart_from_the_file(window, mapped, monkeypatch):
    monkeypatch.setattr(_sequences, "WINDOW", window)
    X = mapped(numbers(), "float64", "r+")
    whole = torch.from_numpy(np.array(X)).float()
    some = torch.arange(N).flip(0)[::3].contiguous()
    for streamed, tensor in ((Sequences(X), whole), (Sequences(X)[some][torch.arange(9)], whole[some[:9]])):
        assert streamed.shape == tuple(tensor.shape)
        assert streamed.loaded() is streamed  # a file may be larger than memory
        assert torch.equal(torch.cat(list(streamed.split(4))), tensor)
        batches = [
            list(
                BatchLoader(
                    SequenceDataset(values, torch.arange(len(tensor))), 7, True, torch.Generator().manual_seed(3)
                )
            )
            for values in (streamed, tensor)
        ]
        for (mine, places), (theirs, same_places) in zip(*batches, strict=True):
            assert torch.equal(places, same_places)
            assert torch.equal(mine, theirs)
            assert mine.data_ptr() % 64 == 0
            mine.fill_(9)  # a module that works in place
    assert np.array_equal(X, mapped(numbers()))


def test_a_checkpoint_of_data_in_memory_is_that_of_the_file(mapped, tmp_path):
    X = mapped(numbers(), "float64")
    tensor = torch.from_numpy(np.array(X)).float()
    digests = []
    for value in (
        Sequences(X),
        tensor,
        Sequences(X)[torch.arange(N)],
        Sequences(X)[torch.arange(N - 1)],
    ):
        hasher = _Hasher()
        hasher.feed(value)
        digests.append(hasher.hexdigest())
    assert digests[0] == digests[1] == digests[2] != digests[3]
    folder, y = tmp_path / "states", targets(TikhonovLSTMRegressor, X)
    for values in (X, np.array(X)):
        TikhonovLSTMRegressor(3, max_epochs=2, callbacks=[Checkpoint(folder)], random_state=0).fit(values, y)
    assert len(list(folder.iterdir())) == 1


def test_the_scaler_reads_a_file(mapped):
    X = mapped(3 * numbers() + 5, "float32")
    scalers = [SequenceScaler().fit(values) for values in (X, np.array(X))]
    assert np.array_equal(scalers[0].mean_, scalers[1].mean_)
    assert np.array_equal(scalers[0].scale_, scalers[1].scale_)
    assert np.allclose(scalers[0].mean_, X.astype(np.float64).mean(axis=(0, 1)), rtol=1e-12)
    assert np.array_equal(scalers[0].transform(X), scalers[1].transform(np.array(X)))


MEMORY = """
    import os, sys, threading
    import numpy as np
    import sklstm
    from sklstm.preprocessing import SequenceScaler

    def anonymous():
        with open("/proc/self/status") as file:
            return next(int(line.split()[1]) * 1024 for line in file if line.startswith("RssAnon"))

    X = np.memmap(sys.argv[1], "float64", "r").reshape(-1, 5, 100)
    y = np.arange(len(X)) % 2
    options = {"batch_size": 1024, "max_epochs": 1, "random_state": 0}
    models = [sklstm.TikhonovGRURegressor(2, **options), sklstm.NoisyRNNClassifier(2, **options)]
    for model in models:
        model.fit(np.zeros((1024, 5, 100)), y[:1024])
    largest, over = 0, threading.Event()

    def watch():
        global largest
        while not over.wait(0.002):
            largest = max(largest, anonymous())

    thread = threading.Thread(target=watch)
    thread.start()
    models[0].set_params(early_stopping=True)
    for data in (X, np.array(X)):
        before = anonymous()
        peaks = []
        for use in (*(model.fit for model in models), *(model.predict for model in models), SequenceScaler().fit):
            largest = 0
            use(*(data, y)[: 2 - (use.__name__ == "predict")])
            peaks.append((largest - before) / (4 * X.size))
        print(*peaks)
    over.set()
    thread.join()
"""


@pytest.mark.skipif(sys.platform != "linux", reason="reads Linux's account of memory")
def test_memory_stays_small(tmp_path):
    n = 60_000  # 120 MB in float32
    path = tmp_path / "x"
    X = np.memmap(path, "float64", "w+", shape=(n, 5, 100))
    X[:] = numbers((1, 5, 100))
    X += np.arange(n)[:, None, None] / n
    X.flush()
    del X
    command = [sys.executable, "-c", textwrap.dedent(MEMORY), str(path)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    of_file, of_array = ([float(peak) for peak in line.split()] for line in done.stdout.splitlines())
    assert len(of_file) == len(of_array) == 5
    assert max(of_file) < 0.95, f"anonymous memory in sizes of X in float32: {of_file}"
    assert max(of_array) < 1.5, f"the same for X in memory, itself left out: {of_array}"


def test_intervals_under_noise_and_of_true_values_hold_no_copy_of_a_file(mapped):
    """Memory is that of the results and of some sequences at a time, however large the file is."""
    n = 20_000
    model = TikhonovLSTMRegressor(2, max_epochs=1, random_state=0).fit(numbers((N, 50, 2)), numbers((N, 1))[:, 0])
    X = mapped(numbers((n, 50, 2)), np.float32)
    sigma = np.zeros((n, 1, 1))
    sigma[::5000] = 0.1
    under = {"coverage": 0.5, "confidence": 0.5, "random_state": 0}
    known = np.array(X[:9]), numbers((9, 1))[:, 0]
    for call in (
        lambda: noise_interval(model, X, sigma, **under),
        lambda: prediction_interval(model, *known, X, coverage=0.5),
        lambda: NoisyCopies(X, 0.1),
    ):
        call()  # whatever is imported and set up at the first use
        tracemalloc.start()
        call()
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak < X.nbytes / 3
    lower, _ = noise_interval(model, X, sigma, **under)
    np.testing.assert_array_equal(lower[:100], noise_interval(model, np.array(X[:100]), sigma[:100], **under)[0])
