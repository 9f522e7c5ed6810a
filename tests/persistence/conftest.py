import pytest

from tests.persistence.small_models import NAMES, fit_all


@pytest.fixture(params=NAMES)
def fitted(request):
    """A fitted model and sequences for it; must be left as it is."""
    return fit_all()[request.param]


@pytest.fixture
def classifier():
    return fit_all()["low rank"]


@pytest.fixture
def regressor():
    return fit_all()["LSTM"]
