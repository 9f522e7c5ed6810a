"""ONNX graphs predict what the models predict, for any number of sequences and steps."""

import sys

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from sklearn.exceptions import NotFittedError

from sklstm import NoisyRNNClassifier, TikhonovGRURegressor, TikhonovLSTMRegressor
from sklstm.networks import GRUNetwork
from sklstm.persistence._onnx import onnx_model
from tests.persistence.small_models import FEW, sequences
from tests.support.estimators import CLASSIFIERS

SHAPES = [(n, n_steps) for n in (1, 7) for n_steps in (1, 5, 40)]


def session(model, **options):
    proto = model.to_onnx(**options)
    return onnxruntime.InferenceSession(proto.SerializeToString(), providers=["CPUExecutionProvider"])


def wider(cls, **parameters):
    """Fitted on 3 channels, with units enough for errors in the order of gates to show."""
    rng = np.random.default_rng(1)
    X = rng.standard_normal((80, 6, 3))
    return cls(9, sigma=0.0, **parameters, **FEW).fit(X, 1 / (1 + np.exp(-X[:, -1, 0])))


@pytest.mark.parametrize("with_lengths", [False, True])
@pytest.mark.parametrize("readout", ["linear", "logistic"])
@pytest.mark.parametrize("num_layers", [1, 2])
@pytest.mark.parametrize("cls", [TikhonovLSTMRegressor, TikhonovGRURegressor])
def test_regressors(cls, num_layers, readout, with_lengths):
    model = wider(cls, num_layers=num_layers, readout=readout)
    # Biases start small: larger ones show a wrong order, and the place of the reset gate.
    rng = np.random.default_rng(0)
    for name, parameter in model.net_.module_.named_parameters():
        if "bias" in name:
            parameter.data += parameter.new_tensor(rng.standard_normal(parameter.shape))
    runtime = session(model, with_lengths=with_lengths)
    for n, n_steps in SHAPES:
        X = rng.standard_normal((n, n_steps, 3)).astype(np.float32)
        if not with_lengths:
            (prediction,) = runtime.run(None, {"X": X})
            expected = model.predict(X)
        else:
            lengths = rng.integers(1, n_steps + 1, n)
            expected = np.concatenate([model.predict(x[None, :length]) for x, length in zip(X, lengths, strict=True)])
            for x, length in zip(X, lengths, strict=True):
                x[length:] = 1e3  # does not count
            (prediction,) = runtime.run(None, {"X": X, "lengths": lengths})
        assert prediction.shape == expected.shape == (n,)
        np.testing.assert_allclose(prediction, expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize("with_lengths", [False, True])
@pytest.mark.parametrize("skip", [{"skip_steps": 1}, {"skip_steps": 6}, {"skip_channels": (2, 0)}])
@pytest.mark.parametrize("readout", ["linear", "logistic"])
def test_linear_parts(readout, skip, with_lengths, generator):
    with torch.random.fork_rng():
        module = GRUNetwork(3, 5, 2, readout=readout, num_layers=2, **skip)
    if "skip_steps" in skip:
        torch.nn.init.normal_(module.linear_part.weight, generator=generator)
    graph = onnx_model(module, with_lengths=with_lengths).SerializeToString()
    runtime = onnxruntime.InferenceSession(graph, providers=["CPUExecutionProvider"])
    rng = np.random.default_rng(0)
    for n, n_steps in SHAPES:
        X = rng.standard_normal((n, n_steps, 3)).astype(np.float32)
        feed, lengths = {"X": X}, None
        if with_lengths:
            lengths = rng.integers(1, n_steps + 1, n)
            for x, length in zip(X, lengths, strict=True):
                x[length:] = np.nan  # does not count
            feed["lengths"] = lengths
        (prediction,) = runtime.run(None, feed)
        for i, x in enumerate(X):
            expected = module(torch.from_numpy(x[None, : n_steps if lengths is None else lengths[i]])).detach()
            np.testing.assert_allclose(prediction[i], expected[0], rtol=0, atol=1e-5)


@pytest.mark.parametrize("with_lengths", [False, True])
@pytest.mark.parametrize(
    ("make", "dtype"),
    [
        (lambda codes: np.array(["down", "level", "up"])[codes], object),
        (lambda codes: np.array(["down", "level", "up"], dtype=object)[codes], object),
        (lambda codes: np.array([-3, 5, 2**40])[codes], np.int64),
        (lambda codes: (np.array([1, 2, 3], dtype=np.int8))[codes], np.int64),
        (lambda codes: np.array([0.0, 1.0, 2.0])[codes], np.float64),
        (lambda codes: codes > 0, bool),
    ],
)
@pytest.mark.parametrize("kind", CLASSIFIERS)
def test_classifiers(kind, make, dtype, with_lengths):
    X, y = sequences()
    labels = make(np.digitize(y, [-0.3, 0.3]))
    model = kind(8, max_epochs=20, random_state=0).fit(X, labels)
    runtime = session(model, with_lengths=with_lengths)
    assert [output.name for output in runtime.get_outputs()] == ["label", "probabilities"]
    rng = np.random.default_rng(0)
    for n, n_steps in SHAPES:
        X = rng.standard_normal((n, n_steps, 2)).astype(np.float32)
        feed = {"X": X}
        if with_lengths:
            feed["lengths"] = np.full(n, n_steps)
        label, probabilities = runtime.run(None, feed)
        expected = model.predict_proba(X)
        assert label.dtype == dtype
        assert probabilities.shape == expected.shape
        np.testing.assert_allclose(probabilities, expected, rtol=0, atol=1e-5)
        first, second = np.sort(expected, axis=1)[:, -1:-3:-1].T
        clear = first - second > 1e-4
        assert clear.any()
        assert label[clear].tolist() == model.predict(X)[clear].tolist()


def test_every_model_passes_the_checker_and_has_free_axes(fitted, tmp_path):
    model, X, _ = fitted
    proto = model.to_onnx(tmp_path / "model.onnx")
    read = onnx.load(tmp_path / "model.onnx")
    assert read.SerializeToString() == proto.SerializeToString()
    onnx.checker.check_model(read, full_check=True)
    assert read.producer_name == "sklstm"
    properties = {entry.key: entry.value for entry in read.metadata_props}
    assert properties["estimator"] == type(model).__name__
    assert properties["n_features"] == "2"
    assert properties["sklstm_version"] == read.producer_version
    axes = [axis.dim_param or axis.dim_value for axis in read.graph.input[0].type.tensor_type.shape.dim]
    assert axes == ["n", "steps", 2]
    runtime = onnxruntime.InferenceSession(proto.SerializeToString(), providers=["CPUExecutionProvider"])
    out = runtime.run(None, {"X": X.reshape(len(X), -1, 2).astype(np.float32)})
    if hasattr(model, "classes_"):
        np.testing.assert_allclose(out[1], model.predict_proba(X), rtol=0, atol=1e-5)
    else:
        assert out[0].shape == model.predict(X).shape
        np.testing.assert_allclose(out[0], model.predict(X), rtol=0, atol=1e-5)


def test_a_column_of_targets_stays_a_column():
    X, y = sequences()
    model = TikhonovLSTMRegressor(3, **FEW).fit(X, y[:, None])
    (prediction,) = session(model).run(None, {"X": X.astype(np.float32)})
    assert prediction.shape == model.predict(X).shape == (len(X), 1)


def test_errors(regressor, tmp_path, monkeypatch):
    model, _, _ = regressor
    with pytest.raises(NotFittedError):
        TikhonovLSTMRegressor().to_onnx()
    with pytest.raises(ValueError, match="with_lengths must be one of True, False"):
        model.to_onnx(with_lengths="yes")
    with pytest.raises(FileNotFoundError, match="Create it first"):
        model.to_onnx(tmp_path / "missing" / "model.onnx")
    X, y = sequences()
    big = NoisyRNNClassifier(3, **FEW).fit(X, np.where(y > 0, np.uint64(2**63), np.uint64(1)))
    with pytest.raises(TypeError, match="ONNX has no type for labels of int"):
        big.to_onnx()
    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(ImportError, match=r'pip install "sklstm\[onnx\]"'):
        model.to_onnx()
