import pytest

from sklstm.generalization import GeneralizationReport, HoldoutBound, OccamBound, TuBound
from tests.support.toy_bounds import holdout_at, occam_at, theorem_3_at


@pytest.fixture(scope="module")
def theorem_3() -> TuBound:
    return theorem_3_at(0.05)


@pytest.fixture(scope="module")
def occam() -> OccamBound:
    return occam_at(0.05)


@pytest.fixture(scope="module")
def holdout() -> HoldoutBound:
    return holdout_at(0.05)


@pytest.fixture
def report(theorem_3, occam):
    return GeneralizationReport((theorem_3, occam))
