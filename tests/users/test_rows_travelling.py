"""Rows about models that travel: pickles to other machines, files to share, ONNX graphs."""

import io
import pickle
import zipfile
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import safetensors.numpy
import torch
from onnxruntime.capi.onnxruntime_pybind11_state import InvalidArgument

import sklstm
from sklstm.persistence import ModelFileError
from tests.support.peers import Network, gru, lstm, noisy, quarantine, skorch_classifier

ALL = pytest.mark.parametrize("make", [lstm, gru, noisy])
ELSEWHERE = "cuda:99"  # a card that no machine has


def fitted(make, **parameters):
    X = np.random.default_rng(0).standard_normal((60, 6, 2)).astype(np.float32)
    y = X[:, -1, 0]
    model = make(**parameters).fit(X, np.where(y > 0, "up", "down") if make is noisy else y)
    return model, X


def outputs(model, X):
    return model.predict_proba(X) if hasattr(model, "predict_proba") else model.predict(X)


@ALL
def test_cuda_pickle(make, monkeypatch, tmp_path):
    """A CUDA pickle dies on a CPU machine, and saving moved the live model: the state is stored as CPU copies.

    There is no card here to pickle from: the network says that it is on one, and torch's tensors are labelled so.
    """
    model, X = fitted(make)
    expected = outputs(model, X)
    module = model.net_.module_
    places = [parameter.data_ptr() for parameter in module.parameters()]
    with monkeypatch.context() as patch:
        patch.setattr("sklstm.training._snapshot.device_of", lambda module: ELSEWHERE)
        patch.setattr("torch.serialization.location_tag", lambda storage: ELSEWHERE)
        blob = pickle.dumps(model)
        model.save(tmp_path / "model.safetensors")
    assert model.net_.module_ is module
    assert [parameter.data_ptr() for parameter in module.parameters()] == places, "the live model was moved"
    for load in (lambda: pickle.loads(blob), lambda: sklstm.load(tmp_path / "model.safetensors")):
        with pytest.warns(UserWarning, match=f"'{ELSEWHERE}'.* loaded onto the CPU"):
            there = load()
        assert there.device == "cpu"
        np.testing.assert_array_equal(outputs(there, X), expected)

    peer = io.BytesIO()
    with monkeypatch.context() as patch:
        patch.setattr("torch.serialization.location_tag", lambda storage: ELSEWHERE)
        torch.save(module.state_dict(), peer)
    peer.seek(0)
    with pytest.raises(RuntimeError, match="Attempting to deserialize object on"):
        torch.load(peer)


class Payload:
    """Leaves a file behind when it is unpickled, as any code might."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return Path.touch, (self.path,)


@ALL
def test_safe_persistence(make, tmp_path):
    """Pickle is unsafe to share, skorch's safetensors lose ``classes_``: one file without code holds everything."""
    model, X = fitted(make)
    path, harm = tmp_path / "model.safetensors", tmp_path / "harm"
    model.save(path)
    loaded = sklstm.load(path)
    np.testing.assert_array_equal(outputs(loaded, X), outputs(model, X))
    assert type(loaded) is type(model)
    assert loaded.get_params() == model.get_params()
    assert set(vars(loaded)) == set(vars(model))
    assert loaded.generalization_bound_ == model.generalization_bound_
    y = np.where(X[:, -1, 0] > 0, "up", "down") if make is noisy else X[:, -1, 0]
    assert str(loaded.generalization_report(X, y)) == str(model.generalization_report(X, y))
    assert safetensors.numpy.load_file(path), "another program reads the tensors"
    assert not zipfile.is_zipfile(path)

    for content in (pickle.dumps(Payload(harm)), path.read_bytes() + pickle.dumps(Payload(harm))):
        path.write_bytes(content)
        with pytest.raises(ModelFileError):
            sklstm.load(path)
        assert not harm.exists()
    path.write_bytes(pickle.dumps(Payload(harm)))
    pickle.loads(path.read_bytes())
    assert harm.exists(), "to load a pickle is to run it"

    if make is noisy:
        np.testing.assert_array_equal(loaded.classes_, ["down", "up"])
        np.testing.assert_array_equal(loaded.predict(X), model.predict(X))
        with quarantine():
            net = skorch_classifier().fit(X, (X[:, -1, 0] > 0).astype(int))
            net.save_params(f_params=tmp_path / "peer.safetensors", use_safetensors=True)
            again = skorch_classifier().initialize()
            again.load_params(f_params=tmp_path / "peer.safetensors", use_safetensors=True)
        assert list(net.classes_) == [0, 1]
        with pytest.raises(AttributeError, match="classes_"):
            _ = again.classes_


def run(content, X):
    session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
    (given,) = session.get_inputs()
    return dict(zip([output.name for output in session.get_outputs()], session.run(None, {given.name: X}), strict=True))


@ALL
def test_onnx_axes(make):
    """ONNX export freezes the batch or time axis: both are free, and the graph says what the model says."""
    model, X = fitted(make)
    graph = model.to_onnx().SerializeToString()
    for n, n_steps in ((60, 6), (1, 6), (300, 2), (7, 40)):
        other = np.random.default_rng(n).standard_normal((n, n_steps, 2)).astype(np.float32)
        there = run(graph, other)
        name = "probabilities" if make is noisy else "prediction"
        np.testing.assert_allclose(there[name], outputs(model, other), rtol=1e-4, atol=1e-5)
        if make is noisy:
            clear = np.abs(np.diff(outputs(model, other))[:, 0]) > 1e-4
            np.testing.assert_array_equal(there["label"][clear], model.predict(other)[clear])

    peer = io.BytesIO()
    with quarantine():
        torch.onnx.export(Network(), (torch.zeros(60, 6, 2),), peer, dynamo=False)
    assert len(run(peer.getvalue(), X)) == 1
    for frozen in (X[:1], np.concatenate([X, X], axis=1)):
        with pytest.raises(InvalidArgument, match="invalid dimensions"):
            run(peer.getvalue(), frozen)
