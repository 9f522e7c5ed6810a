"""Models saved by earlier versions: they load, and say what they said."""

import numpy as np
import pytest

import sklstm
from tests.persistence.make_fixtures import FOLDER, reports, says
from tests.support.estimators import ESTIMATORS

NAMES = sorted(path.stem for path in FOLDER.glob("*.safetensors"))


def test_there_is_one_of_each_estimator():
    assert {type(sklstm.load(FOLDER / f"{name}.safetensors")) for name in NAMES} == set(ESTIMATORS)


@pytest.mark.parametrize("name", NAMES)
def test_a_model_of_an_earlier_version_says_what_it_said(name):
    path = FOLDER / f"{name}.safetensors"
    assert path.stat().st_size < 60_000
    model = sklstm.load(path)
    # Strings in the archive have a dtype of their own: nothing in it needs pickle.
    with np.load(FOLDER / f"{name}.npz", allow_pickle=False) as archive:
        expected = dict(archive)
    found = says(model, expected.pop("X"))
    if "X_train" in expected:
        found |= reports(model, expected.pop("X_train"), expected.pop("y_train"))
    else:  # from before a file had a digest of the training data: it held the report, of which the bound is left
        assert model.generalization_bound_ in expected.pop("bounds")
        del expected["quantized"]
        with pytest.raises(ValueError, match=r"an older version .* Use holdout_bound"):
            model.generalization_report(np.zeros((80, 6, 2)), np.zeros(80))
    assert set(found) == set(expected)
    for part, values in expected.items():
        assert found[part].shape == values.shape, part
        if values.dtype.kind == "U":
            assert found[part].tolist() == values.tolist()
        else:
            # Kernels of other machines round otherwise.
            np.testing.assert_allclose(found[part], values, rtol=1e-6, atol=1e-6, err_msg=part)


@pytest.mark.parametrize("name", [name for name in NAMES if "regressor" in name])
def test_the_cap_of_a_held_out_bound_is_that_of_fit(name):
    model = sklstm.load(FOLDER / f"{name}.safetensors")
    with np.load(FOLDER / f"{name}.npz") as archive:
        X, y = archive["X"], archive["prediction"] + 1.0
    assert model.holdout_bound(X, y).cap == 4.0


@pytest.mark.parametrize("name", ["tikhonov_gru_regressor", "tikhonov_lstm_regressor"])
def test_files_of_before_there_was_a_linear_part_have_none(name):
    """They do not name ``skip``, and its default of today is another network."""
    path = FOLDER / f"{name}.safetensors"
    assert b"skip" not in path.read_bytes()
    model = sklstm.load(path)
    assert type(model)().skip == "linear"
    assert model.skip == "none"
    assert model.net_.module_.linear_part is None


@pytest.mark.parametrize("name", ["tikhonov_gru_regressor", "tikhonov_lstm_regressor"])
def test_files_of_before_the_range_of_the_inputs_was_kept_have_no_certified_gain(name):
    path = FOLDER / f"{name}.safetensors"
    assert b"_input_range" not in path.read_bytes()
    assert sklstm.load(path).certified_gain_ == np.inf


def test_the_files_name_the_first_format():
    for name in NAMES:
        assert b'"format_version":"1.0"' in (FOLDER / f"{name}.safetensors").read_bytes()
