"""Pickles, joblib and skops: any machine can load them, they hold no more than they must, and training can go on."""

import copy
import io
import pickle
import pickletools

import joblib
import numpy as np
import pytest
import skops.io
import torch
from torch import nn

import sklstm
from sklstm import Compression, NoisyRNNClassifier, TikhonovGRURegressor, TikhonovLSTMRegressor
from sklstm.training import SequenceDataset
from tests.persistence.small_models import FEW, SMALL, assert_same, outputs_of, sequences

PROTOCOLS = [2, pickle.HIGHEST_PROTOCOL]


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_pickle_round_trip(fitted, protocol):
    model, X, _ = fitted
    assert_same(pickle.loads(pickle.dumps(model, protocol=protocol)), model, X)


def test_joblib_and_deepcopy_round_trip(fitted, tmp_path):
    model, X, _ = fitted
    for compress in (0, 3):
        joblib.dump(model, tmp_path / "model", compress=compress)
        assert_same(joblib.load(tmp_path / "model"), model, X)
    joblib.dump(model, tmp_path / "model")
    # Memory-mapped arrays are read-only, and stay on the disk: the model must not depend on either.
    mapped = joblib.load(tmp_path / "model", mmap_mode="r")
    (tmp_path / "model").unlink()
    np.testing.assert_array_equal(mapped.predict(X), model.predict(X))
    mapped.save(tmp_path / "again")
    assert_same(sklstm.load(tmp_path / "again"), model, X)
    assert_same(copy.deepcopy(model), model, X)


def test_a_pickle_holds_no_tensor_and_nothing_of_the_net(fitted):
    """Whatever device a model was on, numpy arrays are all that travels."""
    model, _, _ = fitted
    blob = pickle.dumps(model)
    named = {
        argument.replace(" ", ".")
        for operation, argument, _ in pickletools.genops(pickle.dumps(model, protocol=2))
        if operation.name == "GLOBAL"
    }
    assert not [name for name in named if name.startswith(("torch", "skorch"))]
    mine = {type(model), type(model.compression)} - {type(None)}
    assert {name for name in named if name.startswith("sklstm")} == {f"{k.__module__}.{k.__name__}" for k in mine}
    assert len(blob) < 40_000


def test_the_live_model_stays_as_it_is(fitted):
    model, X, _ = fitted
    before, outputs = dict(vars(model)), outputs_of(model, X)
    module, weights = model.net_.module_, [(p, p.data_ptr()) for p in model.net_.module_.parameters()]
    state = model.__getstate__()
    arrays = list(_arrays(state["net_"]))
    assert len(arrays) > 2
    for array in arrays:
        array.fill(1)  # shares no memory with the model
    assert vars(model) == before
    assert all(vars(model)[name] is value for name, value in before.items())
    assert model.net_.module_ is module
    assert all(parameter.data_ptr() == place for parameter, place in weights)
    for now, then in zip(outputs_of(model, X), outputs, strict=True):
        np.testing.assert_array_equal(now, then)


def _arrays(value):
    if isinstance(value, np.ndarray):
        yield value
    elif isinstance(value, dict | list | tuple):
        for entry in value.values() if isinstance(value, dict) else value:
            yield from (array for array in _arrays(entry) if array.dtype.kind in "iufb")


@pytest.mark.parametrize("optimizer", ["adam", "adamw", "sgd"])
def test_training_goes_on_from_a_pickle_as_it_would_have(optimizer):
    X, y = sequences()
    plain = {"lambda_s": 0, "lambda_1": 0, "lambda_2": 0, "sigma": 0.1, "optimizer": optimizer, "batch_size": 16}
    model = TikhonovGRURegressor(4, weight_decay=0.01, **plain, **FEW).fit(X, y)
    data = SequenceDataset(torch.tensor(X, dtype=torch.float32), torch.tensor(y[:, None], dtype=torch.float32))
    model.net_.inputs = None  # noise belongs to the batches of training, not to the net
    first, second = pickle.loads(pickle.dumps(model)).net_, pickle.loads(pickle.dumps(model)).net_
    second.optimizer_ = type(second.optimizer_)(second.module_.parameters(), lr=second.lr)
    for net in (model.net_, first, second):
        net.train(data)
    expected = model.net_.module_.state_dict()
    moved = [
        max(float((tensor - expected[name]).abs().max()) for name, tensor in net.module_.state_dict().items())
        for net in (first, second)
    ]
    assert moved[0] == 0
    assert moved[1] > 0  # without the optimiser's state it would have gone elsewhere
    assert first.history[:, "train_loss"] == model.net_.history[:, "train_loss"]


def test_unfitted_models_and_parameters_pickle_as_they_are():
    model = NoisyRNNClassifier(
        7, device="cuda:99", random_state=np.random.RandomState(1), compression=Compression(rank=2)
    )
    again = pickle.loads(pickle.dumps(model))  # no device is looked for before fit
    assert again.device == "cuda:99"
    assert again.random_state.random() == model.random_state.random()
    assert repr(again.compression) == repr(model.compression)


@pytest.mark.parametrize("kind", [TikhonovLSTMRegressor, TikhonovGRURegressor])
def test_a_pickle_of_before_has_no_linear_part(kind):
    X = np.random.default_rng(0).standard_normal((30, 4, 2))
    fitted = kind(4, skip="none", max_epochs=2, random_state=0).fit(X, X[:, -1, 0])
    for model in (fitted, kind(4, skip="none")):
        old = copy.copy(model)
        for name in ("skip", "skip_channel", "loss", "quantile"):  # which have come since
            delattr(old, name)
        again = pickle.loads(pickle.dumps(old))
        assert again.get_params() == model.get_params()
    again.set_params(max_epochs=2, random_state=0).fit(X, X[:, -1, 0])
    np.testing.assert_array_equal(again.predict(X), fitted.predict(X))


def test_attributes_of_the_user_pickle_too(regressor):
    model = copy.copy(regressor[0])
    model.note, model.extra_ = "mine", torch.ones(3)
    again = pickle.loads(pickle.dumps(model))
    assert again.note == "mine"
    assert torch.equal(again.extra_, torch.ones(3))


def test_what_the_net_holds_need_not_pickle(regressor):
    model = copy.copy(regressor[0])
    model.net_ = copy.copy(model.net_)
    model.net_.callbacks = [("mine", lambda: None)]
    model.net_.penalty = lambda module: 0.0
    assert_same(pickle.loads(pickle.dumps(model)), regressor[0], regressor[1])


def test_copies_share_the_network(regressor):
    model, _, _ = regressor
    twin = copy.copy(model)
    assert twin is not model
    assert twin.net_ is model.net_
    assert vars(twin) == vars(model)


def test_skops_trusts_no_type_of_torch_or_skorch(fitted):
    model, X, _ = fitted
    blob = skops.io.dumps(model)
    untrusted = skops.io.get_untrusted_types(data=blob)
    own = [type(part) for part in (model, model.compression) if part is not None]
    assert untrusted == sorted(f"{kind.__module__}.{kind.__name__}" for kind in own)
    assert_same(skops.io.loads(blob, trusted=untrusted), model, X)


def test_skops_file_with_a_random_state(tmp_path):
    X, y = sequences()
    model = TikhonovLSTMRegressor(
        3, max_epochs=2, random_state=np.random.RandomState(0), compression=Compression(**SMALL)
    ).fit(X, y)
    skops.io.dump(model, tmp_path / "model.skops")
    trusted = skops.io.get_untrusted_types(file=tmp_path / "model.skops")
    loaded = skops.io.load(tmp_path / "model.skops", trusted=trusted)
    assert_same(loaded, model, X)
    assert loaded.random_state.random() == model.random_state.random()


def test_torch_save_reads_it_too(regressor):
    buffer = io.BytesIO()
    torch.save(regressor[0], buffer)
    buffer.seek(0)
    assert_same(torch.load(buffer, weights_only=False, map_location="cpu"), *regressor[:2])


def test_restored_nets_are_of_the_estimators_parts(fitted):
    model, _, _ = fitted
    net = pickle.loads(pickle.dumps(model)).net_
    assert type(net.module_) is type(model.net_.module_)
    assert isinstance(net.criterion_, nn.CrossEntropyLoss if hasattr(model, "classes_") else nn.MSELoss)
    assert net.get_params_for("module") == model.net_.get_params_for("module")
    assert (net.lr, net.batch_size, net.max_epochs) == (model.net_.lr, model.net_.batch_size, model.net_.max_epochs)
