"""scikit-learn's own checks for paths."""

import pytest
import sklearn
from sklearn.base import clone
from sklearn.utils.estimator_checks import estimator_checks_generator, parametrize_with_checks

from sklstm import NoisyRNNClassifier, TikhonovLSTMRegressor
from sklstm.model_selection import RegularizationPathCV

pytestmark = [
    # One of the checks shuffles with np.random itself.
    pytest.mark.draws_from_numpy,
    # The checks' targets are not standardised; see tests/estimators/test_sklearn_checks.py.
    pytest.mark.filterwarnings("default:The fitted .* is infeasible:sklearn.exceptions.ConvergenceWarning"),
    pytest.mark.filterwarnings("default::sklstm.exceptions.DataWarning"),
    # Two classes of few rows in two folds.
    pytest.mark.filterwarnings("default:The least populated class:UserWarning"),
]

BRIEF = {"max_epochs": 2, "random_state": 0}
ESTIMATORS = {
    "lstm": RegularizationPathCV(TikhonovLSTMRegressor(4, **BRIEF), "lambda_s", [1e-5, 1e-3], cv=2),
    "relu": RegularizationPathCV(NoisyRNNClassifier(4, **BRIEF), "sigma", [0.0, 0.1], cv=2),
}
# These checks ask for what has been learnt; the others for what a brief training shows as well.
ASK_FOR_SCORES = ("check_classifiers_train", "check_class_weight_classifiers")
LEARNING = {"estimator__hidden_size": 8, "estimator__max_epochs": 10, "estimator__lr": 0.06}
# To seven digits after a whole training, which float32 cannot keep; and the folds of repeated rows are other folds.
EXPECTED = {"check_sample_weight_equivalence_on_dense_data": "float32, and other folds"}


@parametrize_with_checks(list(ESTIMATORS.values()), expected_failed_checks=lambda estimator: EXPECTED)
def test_scikit_learn_check(estimator, check):
    if check.func.__name__ in ASK_FOR_SCORES:
        estimator = clone(estimator).set_params(**LEARNING)
    check(estimator)


@pytest.mark.skipif(sklearn.__version__ < "1.9", reason="the number of checks is that of scikit-learn 1.9")
@pytest.mark.parametrize(("name", "expected"), [("lstm", 60), ("relu", 62)])
def test_no_check_is_silently_left_out(name, expected):
    assert sum(1 for _ in estimator_checks_generator(ESTIMATORS[name], mark=None)) == expected
