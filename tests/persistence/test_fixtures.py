"""Models saved by earlier versions: they load, and say what they said."""

import numpy as np
import pytest

import sklstm
from tests.persistence.make_fixtures import FOLDER, says
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
    assert set(found) == set(expected)
    for part, values in expected.items():
        assert found[part].shape == values.shape, part
        if values.dtype.kind == "U":
            assert found[part].tolist() == values.tolist()
        else:
            # Kernels of other machines round otherwise; numbers that were saved are the same.
            exact = part == "bounds"
            np.testing.assert_allclose(found[part], values, rtol=0, atol=0 if exact else 1e-6, err_msg=part)


def test_the_files_name_the_first_format():
    for name in NAMES:
        assert b'"format_version":"1.0"' in (FOLDER / f"{name}.safetensors").read_bytes()
