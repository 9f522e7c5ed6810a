"""One file holds a model: what was saved comes back, whole, or a clear error does."""

import copy
import inspect
import json
import os
import pickle
import struct
import sys
from pathlib import Path

import numpy as np
import pytest
import safetensors
import torch
from sklearn.base import clone
from sklearn.exceptions import NotFittedError

import sklstm
from sklstm import ModelFileError, NoisyRNNClassifier, TikhonovGRURegressor, TikhonovLSTMRegressor
from sklstm.estimators._files import KEPT, document_of, from_document
from sklstm.training import _snapshot
from tests.persistence.small_models import FEW, assert_same, sequences
from tests.support.coverage import quantised


@pytest.fixture
def path(tmp_path):
    return tmp_path / "model.safetensors"


def test_what_is_saved_comes_back(fitted, path):
    model, X, _ = fitted
    before = {name: tensor.clone() for name, tensor in model.net_.module_.state_dict().items()}
    model.save(path)
    for loaded in (sklstm.load(path), type(model).load(str(path))):
        assert_same(loaded, model, X)
        assert_same(pickle.loads(pickle.dumps(loaded)), model, X)
    assert all(torch.equal(before[name], tensor) for name, tensor in model.net_.module_.state_dict().items())
    assert os.listdir(path.parent) == [path.name]


def test_the_file_is_plain_safetensors(fitted, path):
    model, _, _ = fitted
    model.save(path)
    with safetensors.safe_open(path, "numpy") as file:
        names, metadata = list(file.keys()), file.metadata()
        for name, tensor in model.net_.module_.state_dict().items():
            np.testing.assert_array_equal(file.get_tensor(f"network.weights.{name}"), tensor.numpy())
    assert len(names) == len(set(names))
    content = path.read_bytes()
    assert (8 + struct.unpack("<Q", content[:8])[0]) % 8 == 0  # tensors are aligned, as the format asks for
    sklstm.load(path).save(path)
    assert path.read_bytes() == content  # equal models are equal files
    assert json.loads(metadata["document"])["class"] == type(model).__name__
    assert path.stat().st_size < 60_000


def test_a_quantised_predictor_is_saved_like_any(fitted, path):
    model, X, y = fitted
    twin = quantised(model, X, y)
    twin.save(path)
    assert_same(sklstm.load(path), twin, X)


def test_a_loaded_model_reports_as_the_saved_one(fitted, path):
    model, X, y = fitted
    model.save(path)
    mine, theirs = (each.generalization_report(X, y) for each in (sklstm.load(path), model))
    assert mine == theirs
    assert str(mine) == str(theirs)
    with pytest.raises(ValueError, match="are not the training data"):
        sklstm.load(path).generalization_report(X[::-1], y[::-1])


def test_a_loaded_model_can_be_cloned_fitted_and_saved_again(fitted, path):
    model, X, _ = fitted
    model.save(path)
    loaded = sklstm.load(path)
    loaded.save(path)
    assert_same(sklstm.load(path), model, X)
    assert not hasattr(clone(loaded), "net_")


def test_a_loaded_model_fits_as_the_saved_one_does(path):
    X, y = sequences()
    model = TikhonovLSTMRegressor(4, **FEW).fit(X, y)
    model.save(path)
    again = sklstm.load(path).fit(X, y)
    assert again.loss_curve_ == model.loss_curve_
    np.testing.assert_array_equal(again.predict(X), model.predict(X))


def test_loading_leaves_the_optimiser_fresh_and_of_the_same_kind(path):
    X, y = sequences()
    for optimizer, kind, momentum in (("sgd", torch.optim.SGD, 0.9), ("adamw", torch.optim.AdamW, None)):
        TikhonovLSTMRegressor(3, optimizer=optimizer, weight_decay=0.25, **FEW).fit(X, y).save(path)
        fresh = sklstm.load(path).net_.optimizer_
        assert type(fresh) is kind
        assert not fresh.state
        assert fresh.param_groups[0].get("momentum") == momentum
        assert fresh.param_groups[0]["weight_decay"] == 0.25


def test_parameters_come_back_with_their_types(path):
    X, y = sequences()
    parameters = {
        "hidden_size": np.int64(3),
        "lr": np.float32(0.01),
        "batch_size": np.int64(16),
        "device": torch.device("cpu"),
        "variant": np.str_("tight"),
        "early_stopping": np.bool_(False),
    }
    random_state = np.random.RandomState(3)
    model = TikhonovLSTMRegressor(max_epochs=2, random_state=random_state, **parameters).fit(X, y)
    random_state.standard_normal()  # leaves half a pair behind: part of the state
    model.save(path)
    loaded = sklstm.load(path)
    for name, value in parameters.items():
        mine = getattr(loaded, name)
        assert type(mine) is type(value), name
        assert mine == value
    np.testing.assert_array_equal(loaded.random_state.standard_normal(5), random_state.standard_normal(5))


def test_feature_names_come_back(path):
    pd = pytest.importorskip("pandas")
    X, y = sequences()
    frame = pd.DataFrame(X.reshape(len(X), -1), columns=[f"c{i}" for i in range(10)])
    model = NoisyRNNClassifier(3, n_channels=2, **FEW).fit(frame, y > 0)
    model.save(path)
    assert_same(sklstm.load(path), model, frame)


def test_parameters_changed_after_fit_do_not_confuse_the_network(regressor, path):
    model, X = copy.copy(regressor[0]), regressor[1]
    model.set_params(hidden_size=10**9, num_layers=10**9, readout="logistic")
    model.save(path)
    loaded = sklstm.load(path)
    assert loaded.hidden_size == 10**9
    np.testing.assert_array_equal(loaded.predict(X), model.predict(X))


def test_every_fitted_attribute_has_a_row(classifier, regressor):
    # By which `fit` also knows what to clear away.
    for model, X, y in (classifier, regressor):
        for fitted in (model, quantised(model, X, y)):
            assert set(vars(fitted)) - set(fitted.get_params(deep=False)) - {"net_"} <= set(KEPT)


class TestSaveRefuses:
    def test_before_fit(self, path):
        with pytest.raises(NotFittedError):
            NoisyRNNClassifier().save(path)
        assert not path.exists()

    def test_what_files_do_not_hold(self, regressor, path):
        model = copy.copy(regressor[0])
        model.score_ = 3
        with pytest.raises(TypeError, match="score_, of type int, is no fitted attribute that save knows"):
            model.save(path)
        model = copy.copy(regressor[0])
        model.loss_curve_ = lambda: None
        with pytest.raises(TypeError, match="loss_curve_ is of type function"):
            model.save(path)
        model = copy.copy(regressor[0])
        model.lr_schedule = object()
        with pytest.raises((TypeError, ValueError), match="lr_schedule"):
            model.save(path)
        assert not path.exists()

    def test_parameters_that_fit_would_refuse(self, regressor, path):
        model = copy.copy(regressor[0]).set_params(lr=-1.0)
        with pytest.raises(ValueError, match="lr"):
            model.save(path)
        assert not path.exists()

    def test_paths_that_cannot_be_written(self, regressor, tmp_path):
        model, _, _ = regressor
        with pytest.raises(FileNotFoundError, match=r"there is no folder .*missing\. Create it first"):
            model.save(tmp_path / "missing" / "model")
        (tmp_path / "file").write_text("kept")
        with pytest.raises(NotADirectoryError, match="there is no folder"):
            model.save(tmp_path / "file" / "model")
        with pytest.raises(FileExistsError, match="no regular file"):
            model.save(tmp_path)
        os.mkfifo(tmp_path / "pipe")
        with pytest.raises(FileExistsError, match="no regular file"):
            model.save(tmp_path / "pipe")
        for bad in (None, 3, b"model", ["model"]):
            with pytest.raises(TypeError, match="path must be a str or a PathLike"):
                model.save(bad)
        assert sorted(os.listdir(tmp_path)) == ["file", "pipe"]
        assert (tmp_path / "file").read_text() == "kept"


def test_callbacks_are_left_out_with_a_warning(regressor, path):
    model = copy.copy(regressor[0])
    model.callbacks = [lambda: None]
    model._rules = {name: rule for name, rule in model._rules.items() if name != "callbacks"}
    with pytest.warns(UserWarning, match="callbacks=None is saved"):
        model.save(path)
    assert sklstm.load(path).callbacks is None
    assert len(model.callbacks) == 1


def test_an_interrupted_save_leaves_the_old_file(regressor, path, monkeypatch):
    def interrupt(*args):
        raise KeyboardInterrupt

    model, X, _ = regressor
    path.write_text("old")
    for name in ("fsync", "replace", "chmod"):
        with monkeypatch.context() as patch:
            patch.setattr(os, name, interrupt)
            with pytest.raises(KeyboardInterrupt):
                model.save(path)
        assert os.listdir(path.parent) == [path.name]
        assert path.read_text() == "old"
    path.chmod(0o640)
    model.save(path)
    assert path.stat().st_mode & 0o777 == 0o640
    link = path.parent / "link"
    link.symlink_to(path.name)
    model.save(link)
    assert link.is_symlink()
    np.testing.assert_array_equal(sklstm.load(link).predict(X), model.predict(X))


def interrupted_at(number, call):
    """Ctrl-C at a line of the package, by its number in the run; whether the call came that far."""
    count = 0

    def trace(frame, event, argument):
        nonlocal count
        generator = frame.f_code.co_flags & inspect.CO_GENERATOR  # while one is closed, an exception has nowhere to go
        if generator or not frame.f_globals.get("__name__", "").startswith("sklstm"):
            return None
        count += 1
        if count == number:
            raise KeyboardInterrupt
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        call()
    except KeyboardInterrupt:
        return True
    finally:
        sys.settrace(before)
    return False


@pytest.mark.filterwarnings("ignore:unclosed file:ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning")
def test_ctrl_c_anywhere_in_save_and_load_is_ctrl_c_and_leaves_nothing_behind(regressor, path):
    model, X, _ = regressor
    model.save(path)
    content = path.read_bytes()
    for call in (lambda: model.save(path), lambda: sklstm.load(path)):
        number = 1
        while interrupted_at(number, call):  # whatever else is raised fails the test
            assert torch.empty(0).device.type == "cpu"
            assert os.listdir(path.parent) == [path.name]
            assert path.read_bytes() == content
            number = 1 + int(1.2 * number)
        assert number > 1000
    np.testing.assert_array_equal(sklstm.load(path).predict(X), model.predict(X))


class TestLoadRefuses:
    def refuse(self, path, match, load=sklstm.load):
        with pytest.raises(ModelFileError, match=match) as caught:
            load(path)
        assert str(caught.value).startswith(str(path))
        assert isinstance(caught.value, ValueError)
        assert str(pickle.loads(pickle.dumps(caught.value))) == str(caught.value)

    def changed(self, path, content, change):
        size = struct.unpack("<Q", content[:8])[0]
        header = json.loads(content[8 : 8 + size])
        change(header)
        text = json.dumps(header).encode()
        path.write_bytes(struct.pack("<Q", len(text)) + text + content[8 + size :])

    def test_other_classes(self, classifier, path):
        classifier[0].save(path)
        self.refuse(path, "'NoisyRNNClassifier', not TikhonovGRURegressor", TikhonovGRURegressor.load)

        class Mine(NoisyRNNClassifier):
            pass

        X, y = sequences()
        mine = Mine(3, **FEW).fit(X, y > 0)
        mine.save(path)
        self.refuse(path, "'Mine', not one of Forecaster, NoisyRNNClassifier, TikhonovGRUClassifier")
        assert_same(Mine.load(path), mine, X)

    def test_files_of_newer_and_of_no_versions(self, regressor, path):
        regressor[0].save(path)
        content = path.read_bytes()
        for text, match in (
            ("2.0", r"newer version \(format 2.0\); this one reads up to 1.0. Update sklstm"),
            ("1.1", "newer version"),
            ("0.9", "no format 0.9"),
            ("one", "no version"),
        ):
            self.changed(path, content, lambda header, text=text: header["__metadata__"].update(format_version=text))
            self.refuse(path, match)

    def test_every_flipped_bit_of_a_weight(self, regressor, path):
        regressor[0].save(path)
        content = path.read_bytes()
        start = 8 + struct.unpack("<Q", content[:8])[0]
        for place in range(start, len(content), 97):
            data = bytearray(content)
            data[place] ^= 1
            path.write_bytes(data)
            self.refuse(path, "it is damaged: its contents do not have the digest")

    def test_every_kind_of_thing_that_is_no_model(self, tmp_path):
        path = tmp_path / "thing"
        for content, match in (
            (b"", "too short"),
            (b"\x80\x04K\x01.", "too short"),
            (pickle.dumps(list(range(50))), "looks like a pickle; joblib.load"),
            (struct.pack("<Q", 2**63) + b"{}" * 50, "header claims"),
            (struct.pack("<Q", 2) + b"{}", "not of this package"),
            (struct.pack("<Q", 2) + b"\xff\xff", "no text"),
            (struct.pack("<Q", 2) + b"[]", "no object"),
            (struct.pack("<Q", 3) + b"NaN", "NaN is no JSON"),
            (struct.pack("<Q", 400) + b"[" * 400, "nested deeper"),
            (struct.pack("<Q", 14) + b'{"a":1,"a":1.}', "JSON"),
            (struct.pack("<Q", 13) + b'{"a":1,"a":1}', "twice"),
        ):
            path.write_bytes(content)
            self.refuse(path, match)
        self.refuse(tmp_path, "no regular file")
        os.mkfifo(tmp_path / "pipe")  # must not wait for someone to write into it
        self.refuse(tmp_path / "pipe", "no regular file")
        with open(path, "wb") as file:
            file.truncate(2**33)  # a hole: takes no room on the disk
        self.refuse(path, "larger than")
        with pytest.raises(FileNotFoundError):
            sklstm.load(tmp_path / "missing")
        with pytest.raises(TypeError, match="path must be"):
            sklstm.load(3)


def test_devices(regressor, path, monkeypatch):
    model, X, _ = regressor
    with pytest.raises(ValueError, match="device='cuda:99' is not a device that torch can use here"):
        sklstm.load(path, device="cuda:99")  # before the file is looked for
    # As saved on a machine with a GPU: the device of the network, and the parameter.
    gpu = copy.copy(model)
    gpu.device = "cuda"
    monkeypatch.setattr(_snapshot, "device_of", lambda module: "cuda:0")
    document = document_of(gpu)
    blob = pickle.dumps(gpu)
    monkeypatch.undo()
    for again in (lambda: from_document(TikhonovLSTMRegressor, document), lambda: pickle.loads(blob)):
        with pytest.warns(UserWarning, match=r"'cuda:0', which torch cannot use here\. It is loaded onto the CPU"):
            loaded = again()
        assert loaded.device == "cpu"
        assert {parameter.device.type for parameter in loaded.net_.module_.parameters()} == {"cpu"}
        np.testing.assert_array_equal(loaded.predict(X), model.predict(X))
    assert from_document(TikhonovLSTMRegressor, document, "cpu").device == "cpu"


def test_loading_needs_no_random_numbers_and_no_example(path, classifier):
    classifier[0].save(Path(path))
    state = torch.random.get_rng_state()
    sklstm.load(path)
    assert torch.equal(torch.random.get_rng_state(), state)
