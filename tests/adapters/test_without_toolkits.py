"""Without its toolkit an adapter says what to install; tests/test_package.py sees that none is imported unasked."""

import sys

import pytest
from sklearn.compose import TransformedTargetRegressor
from sklearn.pipeline import make_pipeline

from sklstm import NoisyRNNClassifier, TikhonovLSTMRegressor
from sklstm.adapters._wrapped import classifier_from, regressor_from
from sklstm.preprocessing import SequenceScaler


@pytest.mark.parametrize("name", ["aeon", "sktime"])
def test_without_its_toolkit_an_adapter_names_the_extra(name, monkeypatch):
    for module in {name, *(module for module in sys.modules if module.startswith(f"{name}."))}:
        monkeypatch.setitem(sys.modules, module, None)  # as if it were not installed
    monkeypatch.delitem(sys.modules, f"sklstm.adapters.{name}", raising=False)
    with pytest.raises(ImportError, match=rf'needs the package {name}: pip install "sklstm\[{name}\]"'):
        __import__(f"sklstm.adapters.{name}")


@pytest.mark.parametrize(
    ("fitted_from", "estimator", "kind"),
    [
        (classifier_from, TikhonovLSTMRegressor(), "classifier"),
        (classifier_from, NoisyRNNClassifier, "classifier"),
        (regressor_from, NoisyRNNClassifier(), "regressor"),
        (regressor_from, TikhonovLSTMRegressor, "regressor"),
        (regressor_from, None, "regressor"),
    ],
)
def test_another_kind_of_estimator_is_an_error_before_any_work(fitted_from, estimator, kind):
    with pytest.raises(TypeError, match=f"estimator must be a {kind} of sklstm such as .*got {estimator!r:.20}"):
        fitted_from(estimator, None, None)


def test_a_layout_that_would_turn_the_axes_again_is_refused():
    scaled = make_pipeline(SequenceScaler(layout="nct"), NoisyRNNClassifier(layout="nct"))
    for fitted_from, estimator in (
        (classifier_from, scaled),
        (regressor_from, TikhonovLSTMRegressor(layout="nct")),
        (regressor_from, TransformedTargetRegressor(TikhonovLSTMRegressor(layout="nct"))),
    ):
        with pytest.raises(ValueError, match="estimator has layout='nct'"):
            fitted_from(estimator, None, None)
