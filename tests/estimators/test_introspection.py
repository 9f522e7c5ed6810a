"""What an estimator tells of itself: its diagram in a notebook, names and numbers of features."""

import importlib
import inspect
import pkgutil
import re

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn import config_context
from sklearn.base import BaseEstimator, clone
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from skorch import NeuralNet

import sklstm
from sklstm import Compression, NoisyRNNClassifier, TikhonovGRURegressor, TikhonovLSTMRegressor
from sklstm.estimators import _base
from sklstm.networks import LSTMNetwork
from sklstm.preprocessing import SequenceScaler, SequencesFromTable
from sklstm.training import SequenceNet
from tests.support.coverage import quantised
from tests.support.estimators import ESTIMATORS

EACH = pytest.mark.parametrize("estimator", ESTIMATORS)
QUICK = {"max_epochs": 12, "random_state": 0}
BARE = {"max_epochs": 1, "random_state": 0}

with_table = pytest.mark.skipif(
    not hasattr(BaseEstimator, "_get_fitted_attr_html"), reason="no table of fitted attributes before scikit-learn 1.9"
)


@pytest.fixture
def X():
    return np.random.default_rng(0).standard_normal((40, 6, 2))


@pytest.fixture
def path(tmp_path):
    return tmp_path / "model.safetensors"


def ragged(X):
    return [sequence[: 2 + i % 5] for i, sequence in enumerate(X)]


def diagram(estimator):
    return re.sub(r"<(style|script)>.*?</\1>", "", estimator._repr_html_(), flags=re.S)


def fitted_attributes(estimator):
    """Name -> value in the diagram's table of fitted attributes, as a reader sees them."""
    table = diagram(estimator).partition("Fitted attributes")[2]
    rows = re.findall(r"<tr.*?</tr>", table, flags=re.S)[1:]
    cells = [re.findall(r"<td.*?>(.*?)</td>", row, flags=re.S) for row in rows]
    # Behind a name stands what its docstring says.
    return {re.sub(r"<.*?>", "", name, flags=re.S).split()[0].rstrip(":"): value.strip() for name, _, value in cells}


@EACH
def test_diagram_before_a_fit(estimator):
    model = estimator(4, compression=Compression(hidden_size=2))
    shown = diagram(model)
    for name in model.get_params(deep=False):
        assert name in shown
    assert "Fitted attributes" not in shown
    with config_context(display="text"):
        assert not hasattr(model, "_repr_html_")


@with_table
@EACH
def test_diagram_after_a_fit(estimator, X, monkeypatch):
    model = estimator(4, **QUICK).fit(X, X[:, -1, 0] > 0)
    monkeypatch.setattr(_base, "fresh_network", None)  # the diagram makes no second network
    shown = fitted_attributes(model)
    # Everything that a fit leaves, and the properties, but for the table of epochs.
    left = {name for name in vars(model) if name.endswith("_") and not name.startswith("_")}
    properties = {"validation_loss_curve_", "best_loss_", "certified_gain_"}
    assert set(shown) == left | {name for name in properties if hasattr(estimator, name)}
    assert list(shown) == sorted(shown)
    assert max(map(len, shown.values())) < 120
    assert shown["n_iter_"] == "12"
    assert shown["generalization_bound_"] == f"{model.generalization_bound_:.4g}"
    assert re.fullmatch(r"SequenceNet\(.*12 epochs\)", shown["net_"])
    assert len(model._repr_html_()) - len(clone(model)._repr_html_()) < 10_000


@with_table
def test_diagram_shows_what_is_there(X, path):
    y = X[:, -1, 0]
    model = TikhonovLSTMRegressor(4, **QUICK).fit(X, y)
    shown = fitted_attributes(model)
    model.save(path)
    assert fitted_attributes(sklstm.load(path)) == shown

    twin = fitted_attributes(quantised(model, X, y))
    assert set(shown) - set(twin) == {"generalization_bound_"}
    without = fitted_attributes(model.partial_fit(X, y))
    assert set(without) == set(twin)
    assert without["n_iter_"] == "13"
    assert fitted_attributes(TikhonovLSTMRegressor(4, **QUICK).fit(ragged(X), y)).keys() == shown.keys()
    assert fitted_attributes(TikhonovLSTMRegressor(4, num_layers=2, **BARE).fit(X, y))["rho_h_"].startswith("[")


@EACH
def test_diagram_of_what_holds_an_estimator(estimator, X):
    y = X[:, -1, 0] > 0
    pipeline = make_pipeline(SequenceScaler(), estimator(4, **BARE))
    search = GridSearchCV(pipeline, {f"{estimator.__name__.lower()}__sigma": [0.0, 0.1]}, cv=2)
    for holder in (pipeline, search):
        before = diagram(holder)
        shown = diagram(holder.fit(ragged(X), y))
        assert before.count(estimator.__name__) >= 1
        assert shown.count(estimator.__name__) >= 1
        assert len(shown) - len(before) < 60_000


def subpackages():
    yield sklstm
    for found in pkgutil.iter_modules(sklstm.__path__, "sklstm."):
        if found.ispkg:
            yield importlib.import_module(found.name)


def public_classes():
    """What people set parameters of, with the first place where they import it from."""
    place = {}
    for subpackage in subpackages():
        for name in getattr(subpackage, "__all__", ()):
            target = getattr(subpackage, name)
            if isinstance(target, type) and issubclass(target, BaseEstimator) and not issubclass(target, NeuralNet):
                place.setdefault(target, subpackage.__name__)
    return place


@pytest.mark.parametrize(("kind", "subpackage"), public_classes().items())
def test_diagram_links_to_the_page_of_the_class(kind, subpackage):
    # docs/_extensions/api_pages.py names the pages so.
    page = f"https://sklstm.readthedocs.io/en/stable/api/generated/{subpackage}.{kind.__name__}.html"
    arguments = {"estimator": TikhonovLSTMRegressor(), "param_name": "lr", "id": "unit", "window": 3, "horizon": 1}
    needed = {name: arguments[name] for name in inspect.signature(kind).parameters if name in arguments}
    assert f'href="{page}"' in kind(**needed)._repr_html_()


@EACH
def test_a_class_of_somebody_else_has_no_page_here(estimator):
    class Own(estimator):
        pass

    assert "readthedocs" not in Own()._repr_html_()


@EACH
def test_net_in_a_line(estimator, X):
    net = estimator(4, **BARE).fit(X, X[:, -1, 0] > 0).net_
    line = repr(net)
    assert line == str(net)
    assert "\n" not in line
    assert len(line) < 160
    assert f"{type(net.module_).__name__}(n_features=2, hidden_size=4, n_outputs=" in line
    n_weights = len(torch.nn.utils.parameters_to_vector(net.module_.parameters()))
    assert line.endswith(f", {n_weights} weights, 1 epochs)")


def test_net_that_is_not_initialised():
    net = SequenceNet(LSTMNetwork, torch.nn.MSELoss, module__hidden_size=3)
    assert repr(net) == "SequenceNet(LSTMNetwork(hidden_size=3), not initialised)"


def forms(X):
    """Name -> sequences in this form, number of features and their names."""
    n, n_steps, _ = X.shape
    channels = ["load", "heat"]
    flat = X.reshape(n, -1)
    columns = [f"{channel}{step}" for step in range(n_steps) for channel in channels]
    pairs = pd.MultiIndex.from_product([range(n_steps), channels], names=["time", "channel"])
    frames = [pd.DataFrame(sequence, columns=channels) for sequence in X]
    return {
        "rows": (flat, 12, None),
        "frame": (pd.DataFrame(flat, columns=columns), 12, columns),
        "frame with numbered columns": (pd.DataFrame(flat), 12, None),
        "wide frame": (pd.DataFrame(flat, columns=pairs), 2, channels),
        "array": (X, 2, None),
        "tensor": (torch.tensor(X), 2, None),
        "list": (list(X), 2, None),
        "list of unequal length": (ragged(X), 2, None),
        "list of frames": (frames, 2, channels),
        "frames of unequal length": ([frame[: 2 + i % 5] for i, frame in enumerate(frames)], 2, channels),
        "tuple of frames": (tuple(frames), 2, channels),
    }


FORMS = list(forms(np.zeros((1, 6, 2))))


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("make", [TikhonovGRURegressor, NoisyRNNClassifier, SequenceScaler])
def test_features_in_every_form(make, form, X, path):
    sequences, number, names = forms(X)[form]
    y = X[:, -1, 0] > 0
    model = SequenceScaler(2) if make is SequenceScaler else make(3, n_channels=2, **BARE)
    other = forms(X)["wide frame" if names is None else "array"][0]
    model.fit(other, y)  # of which nothing may be left
    model.fit(sequences, y)
    assert model.n_features_in_ == number
    assert isinstance(model.n_features_in_, int)
    assert hasattr(model, "feature_names_in_") == (names is not None)
    assert list(getattr(model, "feature_names_in_", [])) == (names or [])
    if make is SequenceScaler:
        assert model.get_feature_names_out().tolist() == (names or [f"x{i}" for i in range(number)])
    else:
        assert not hasattr(model, "get_feature_names_out")  # predictions are no features
        model.save(path)
        loaded = sklstm.load(path)
        assert loaded.n_features_in_ == number
        assert getattr(loaded, "feature_names_in_", np.array([])).tolist() == (names or [])


def test_features_along_a_pipeline(X):
    table = pd.DataFrame(X.reshape(-1, 2), columns=["load", "heat"])
    table["id"], table["time"] = np.repeat(range(40), 6), np.tile(range(6), 40)
    pipeline = make_pipeline(SequencesFromTable("id", "time"), SequenceScaler(), TikhonovLSTMRegressor(3, **BARE))
    pipeline.fit(table, X[:, -1, 0])
    assert pipeline[:-1].get_feature_names_out().tolist() == ["load", "heat"]
    assert pipeline.n_features_in_ == 4
    assert pipeline.feature_names_in_.tolist() == ["load", "heat", "id", "time"]
    assert pipeline[-1].n_features_in_ == pipeline[1].n_features_in_ == 2

    search = GridSearchCV(TikhonovLSTMRegressor(3, n_channels=2, **BARE), {"lr": [0.01]}, cv=2)
    frame, number, names = forms(X)["frame"]
    search.fit(frame, X[:, -1, 0])
    assert search.n_features_in_ == number
    assert search.feature_names_in_.tolist() == names
    with pytest.raises(ValueError, match="feature names should match"):
        search.predict(frame[names[::-1]])


@pytest.mark.parametrize("cls", [TikhonovLSTMRegressor, TikhonovGRURegressor])
def test_predictions_do_not_mind_what_has_become_of_the_parameters(cls):
    X = np.random.default_rng(0).standard_normal((6, 3, 1))
    model = cls(2, max_epochs=1, random_state=0, skip="none").fit(X, X[:, -1, 0])
    expected = model.predict(X)
    for name in ("skip", "lambda_s", "lambda_1", "lambda_2", "loss"):
        for value in (np.array([]), np.ones(2), np.array("none"), None, object(), {}, "what"):
            changed = model.set_params(**{name: value})
            np.testing.assert_array_equal(changed.predict(X), expected)
            model.set_params(**{name: cls().get_params()[name]})
        model.set_params(skip="none")
