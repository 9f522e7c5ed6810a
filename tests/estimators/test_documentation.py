"""What the docstrings of the classes for users say of parameters and attributes is what there is."""

import ast
import inspect
import re
from typing import get_args

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import Ridge
from sklearn.utils._testing import assert_docstring_consistency

from sklstm import Compression, Forecaster, PACBayes, TikhonovLSTMRegressor
from sklstm.estimators._fit_tasks import CallbackSupportMixin
from sklstm.preprocessing import SequenceScaler, SequencesFromTable
from sklstm.training import Checkpoint
from tests.support.estimators import CLASSIFIERS, ESTIMATORS, GATED, REGRESSORS

NumpyDocString = pytest.importorskip("numpydoc.docscrape").NumpyDocString

PREPROCESSORS = [SequenceScaler, SequencesFromTable]
OTHERS = [Compression, PACBayes, Checkpoint, Forecaster]
REQUIRED = {
    "SequencesFromTable": ["id"],
    "Checkpoint": ["folder"],
    "Forecaster": ["estimator", "window", "horizon"],
}
OF_THE_HISTORY = {"validation_loss_curve_", "best_loss_", "history_"}
PROPERTIES = OF_THE_HISTORY | {"certified_gain_"}


def page(cls):
    return NumpyDocString(inspect.getdoc(cls))


def documented_attributes(cls):
    return [name.strip() for entry in page(cls)["Attributes"] for name in entry.name.split(",")]


def public(fitted):
    return {name for name in vars(fitted) if name.endswith("_") and not name.startswith("_")}


def table(X):
    long = pd.DataFrame(X.reshape(-1, X.shape[2]), columns=["load", "heat"])
    return long.assign(id=np.repeat(np.arange(len(X)), X.shape[1]))


@pytest.fixture
def X():
    return np.random.default_rng(0).standard_normal((20, 4, 2))


@pytest.mark.parametrize("cls", ESTIMATORS + PREPROCESSORS + OTHERS)
def test_parameters_are_documented_in_order_with_their_defaults(cls):
    parameters = inspect.signature(cls).parameters
    entries = [(name, entry) for entry in page(cls)["Parameters"] for name in entry.name.split(", ")]
    assert [name for name, _ in entries] == list(parameters)
    for name, entry in entries:
        default = parameters[name].default
        assert entry.desc, f"{name} is not described"
        if default is inspect.Parameter.empty:
            assert name in REQUIRED[cls.__name__]
        elif entry.type.endswith(", optional"):
            assert default is None
        else:
            written = re.search(r"default=(.+)$", entry.type)
            assert written, f"the default of {name} is not documented"
            value = ast.literal_eval(written[1])
            assert value == default
            assert type(value) is type(default)
        # A type checker gets the same choices.
        choices = re.findall(r'"([^"]+)"', entry.type.partition("{")[2].partition("}")[0])
        assert not choices or list(get_args(parameters[name].annotation)) == choices


@pytest.mark.parametrize("cls", ESTIMATORS + PREPROCESSORS + OTHERS)
def test_constructors_are_annotated(cls):
    for parameter in inspect.signature(cls).parameters.values():
        assert parameter.annotation is not inspect.Parameter.empty
    kinds = [parameter.kind for parameter in inspect.signature(cls).parameters.values()]
    # The columns, in the order of the sentence; a regressor, and from how much to forecast how much.
    first = {SequencesFromTable: 4, Forecaster: 3}.get(cls, 1)
    assert kinds[first:] == [inspect.Parameter.KEYWORD_ONLY] * (len(kinds) - first)


@pytest.mark.parametrize("cls", ESTIMATORS)
def test_attributes_of_estimators_are_documented_and_there(cls, X):
    frames = [pd.DataFrame(sequence, columns=["load", "heat"]) for sequence in X]
    y = X[:, -1, 0] > 0
    model = cls(3, max_epochs=1, early_stopping=True, random_state=0).fit(frames, y, X_val=frames, y_val=y)
    documented = documented_attributes(cls)
    assert len(documented) == len(set(documented))
    assert public(model) | {name for name in PROPERTIES if hasattr(cls, name)} == set(documented)
    for name in documented:
        assert getattr(model, name) is not None
    bare = cls(3, max_epochs=1, random_state=0).fit(X, y)
    assert public(bare) == set(documented) - PROPERTIES - {"feature_names_in_"}
    assert public(cls(3)) == set()


@pytest.mark.parametrize("cls", PREPROCESSORS)
def test_attributes_of_preprocessors_are_documented_and_there(cls, X):
    model = (cls() if cls is SequenceScaler else cls("id")).fit(table(X))
    assert public(model) == set(documented_attributes(cls))


def test_attributes_of_forecasters_are_documented_and_there(X):
    forecaster = Forecaster(Ridge(), 3, 1).fit(table(X)[["load", "heat"]])
    assert public(forecaster) == set(documented_attributes(Forecaster))


@pytest.mark.parametrize("cls", ESTIMATORS)
def test_pages_of_estimators_have_all_sections(cls):
    text = inspect.getdoc(cls)
    for section in ("Parameters", "Attributes", "See Also", "References", "Examples"):
        assert f"\n{section}\n{'-' * len(section)}\n" in text
    assert text == inspect.cleandoc(text)
    assert max(map(len, text.splitlines())) <= 120


# What differs from one estimator to the other, and why; everything else has one text.
DIFFERENT = {
    "lambda_2": "a GRU has no output gate",
    "hidden_size": "layers of H units, or the one layer of m units of the papers",
    "early_stopping": "a stratified part, for classifiers; no penalty, for networks that have one",
    "compression": "which bound it is",
    "max_epochs": "regressors begin with ridge regression",
}


def test_parameters_that_classes_share_have_one_text():
    for kinds in (REGRESSORS, [kind for kind in GATED if kind in CLASSIFIERS]):
        assert_docstring_consistency(kinds, include_params=True, exclude_params=["lambda_2"], include_attrs=True)
    different = set(DIFFERENT)
    for kinds, but in (
        (ESTIMATORS, different),
        (CLASSIFIERS, different),
        (GATED, different - {"hidden_size", "compression"}),
    ):
        shared = set.intersection(*(set(inspect.signature(kind).parameters) for kind in kinds))
        # Defaults may differ: these are part of the type.
        defaults = ("lr", "clip_norm", "sigma", "lambda_s", "variant")
        assert_docstring_consistency(kinds, include_params=sorted(shared - but), ignore_types=defaults)


@pytest.mark.parametrize("method", ["partial_fit", "certify", "holdout_bound", "fit"])
def test_methods_that_classes_share_describe_the_same_arguments(method):
    functions = [getattr(cls, method) for cls in ESTIMATORS]
    texts = [{entry.name: entry for entry in NumpyDocString(inspect.getdoc(f))["Parameters"]} for f in functions]
    for name in ("X", "eps", "method", "batch_size"):
        of_name = [entries[name] for entries in texts if name in entries]
        if method == "holdout_bound" and name in ("X", "method"):
            continue  # a regressor needs two sequences, and has methods
        assert len({(entry.type, tuple(entry.desc)) for entry in of_name}) <= 1, name


@pytest.mark.parametrize("cls", ESTIMATORS)
def test_docstrings_stand_in_the_source_and_errors_name_the_class(cls):
    tree = ast.parse(inspect.getsource(inspect.getmodule(cls)))
    (definition,) = (node for node in tree.body if isinstance(node, ast.ClassDef) and node.name == cls.__name__)
    assert ast.get_docstring(definition) == inspect.getdoc(cls)
    with pytest.raises(TypeError, match=rf"^{cls.__name__}\.__init__\(\) got an unexpected keyword argument 'lambd'"):
        cls(lambd=1)
    # Not what stands in for a class of scikit-learn's where it has none.
    own = [base for base in cls.__mro__ if base.__module__.startswith("sklstm") and base is not CallbackSupportMixin]
    assert len(own) <= 4


def test_subclasses_have_constructors_of_their_own():
    class First(TikhonovLSTMRegressor):
        def __init__(self, hidden_size=4, *, max_epochs=2):
            super().__init__(hidden_size, max_epochs=max_epochs)

    class Second(First):
        pass

    assert Second(3).hidden_size == 3
    assert Second().get_params() == {"hidden_size": 4, "max_epochs": 2}
    with pytest.raises(TypeError, match=r"Second\.__init__\(\) got an unexpected keyword argument"):
        Second(lr=1)
    X = np.random.default_rng(0).standard_normal((20, 4, 2))
    model = Second()
    model.lr = -1
    with pytest.raises(ValueError, match="lr"):  # all attributes are checked, those of no parameter too
        model.fit(X, X[:, -1, 0])
