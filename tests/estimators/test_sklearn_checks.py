"""scikit-learn's own checks, all of them, for all estimators: 2-D and 3-D input tags on, one failure expected."""

from collections import Counter

import pytest
import sklearn
from sklearn.base import clone, is_classifier
from sklearn.datasets import make_blobs
from sklearn.preprocessing import StandardScaler
from sklearn.utils import get_tags
from sklearn.utils.estimator_checks import estimator_checks_generator, parametrize_with_checks

from tests.support.estimators import CLASSIFIERS, ESTIMATORS, REGRESSORS

pytestmark = [
    # One of the checks shuffles with np.random itself.
    pytest.mark.draws_from_numpy,
    # The checks' targets are not standardised, with variances up to 10⁴. There the penalty is weak beside the squared
    # error and a fit can end just outside the feasible set; the warning that says so is right.
    pytest.mark.filterwarnings("default:The fitted .* is infeasible:sklearn.exceptions.ConvergenceWarning"),
    pytest.mark.filterwarnings("default::sklstm.exceptions.DataWarning"),
]

# Nearly all checks ask for what a brief training shows as well as a long one.
CHECKED = {kind.__name__: kind(hidden_size=4, max_epochs=2) for kind in ESTIMATORS}
# These ask for what has been learnt.
ASK_FOR_SCORES = ("check_classifiers_train", "check_class_weight_classifiers")
LEARNING = {"hidden_size": 8, "max_epochs": 10, "lr": 0.06}
# At default parameters they are asked once more, and regressors without the penalty.
DEFAULTS = [kind(lambda_s=0, lambda_1=0, lambda_2=0) for kind in REGRESSORS] + [kind() for kind in REGRESSORS]
# The penalty without ridge regression has the score of a regressor waived.
WAIVED = [kind(2, skip=skip, max_epochs=2) for kind in REGRESSORS for skip in ("none", "last")]


# scikit-learn compares to seven digits after a whole training, which float32 cannot keep: a weight of two and a
# sequence listed twice round differently. With noise, the two also draw different noise. test_weights.py tests the same
# without noise and with a tolerance for float32.
EXPECTED = {"check_sample_weight_equivalence_on_dense_data": "float32, and noise on the inputs"}


@parametrize_with_checks(list(CHECKED.values()), expected_failed_checks=lambda estimator: EXPECTED)
def test_scikit_learn_check(estimator, check):
    if check.func.__name__ in ASK_FOR_SCORES:
        estimator = clone(estimator).set_params(**LEARNING)
    check(estimator)


@pytest.mark.parametrize("estimator", DEFAULTS + WAIVED, ids=lambda estimator: type(estimator).__name__)
def test_scores_are_reached_at_default_parameters(estimator):
    (check,) = (
        check
        for _, check in estimator_checks_generator(estimator, mark=None)
        # One of the three, which differ in where X and y lie.
        if check.func.__name__ == "check_regressors_train" and not check.keywords
    )
    check(estimator)


@pytest.mark.parametrize("kind", CLASSIFIERS)
def test_scores_of_classifiers_are_reached_at_default_parameters(kind):
    """The data and the score of check_classifiers_train; what else it asks for, it is asked above."""
    X, y = make_blobs(n_samples=300, random_state=0)
    X = StandardScaler().fit_transform(X)
    for rows in (y != 2, slice(None)):  # two classes and three
        assert kind(random_state=0).fit(X[rows], y[rows]).score(X[rows], y[rows]) > 0.83


def n_checks(estimator):
    return sum(1 for _ in estimator_checks_generator(estimator, mark=None))


@pytest.mark.skipif(sklearn.__version__ < "1.9", reason="the number of checks is that of scikit-learn 1.9")
@pytest.mark.parametrize("name", CHECKED)
def test_no_check_is_silently_left_out(name):
    # scikit-learn generates no checks at all for an estimator whose 2-D tag is off, and the run is green.
    assert n_checks(CHECKED[name]) == (63 if is_classifier(CHECKED[name]) else 60)


@pytest.mark.parametrize("estimator", CHECKED.values(), ids=CHECKED)
def test_tags(estimator):
    tags = get_tags(estimator)
    assert tags.input_tags.two_d_array
    assert tags.input_tags.three_d_array
    assert not tags.non_deterministic
    assert not tags.no_validation
    assert not tags._skip_test
    names = Counter(type(check).__name__ for _, check in estimator_checks_generator(estimator, mark=None))
    assert set(names) == {"partial"}  # none is marked as an expected failure
