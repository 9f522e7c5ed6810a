"""Docstrings of the estimators with cross-validation, from those of the estimators without."""

import re
from collections.abc import Sequence
from inspect import cleandoc, getdoc

__all__ = ["document"]

_SEARCH = """
cv : int, cross-validation splitter, iterable of splits or None, default=None
    As of scikit-learn's GridSearchCV; None is 5 folds, stratified for a classifier. Folds are cut in order, so that
    neighbouring windows of one series stay together; for forecasts use ``TimeSeriesSplit``.
scoring : str, callable or None, default=None
    One score, as of GridSearchCV; None is R² or accuracy.
n_jobs : int or None, default=None
    Worker processes; None is 1, -1 one for every core. Scores depend on it by rounding and, with a penalty, by the
    small errors of the norms that training estimates.
refit : bool, default=True
    Whether to train a model with the chosen value on all data, anew and for ``max_epochs``, for predictions. This is
    the training that ``verbose`` reports.
shared_fraction : float, default=0.6
    Share, below 1, of the epochs that all models of a fold have in common: they are trained at the value in the middle,
    and from there on each at its own. With 0 every model is trained by itself from the start, as in GridSearchCV. Taken
    to be 0 with ``early_stopping``, ``callbacks`` and ``lr_schedule="plateau"``, which see whole trainings.
strategy : {"auto", "stacked", "separate"}, default="auto"
    ``"stacked"`` trains models as one batched program, if they are LSTMs of one layer or ReLU networks, and sequences
    are of one length, and there are no ``callbacks`` and no ``lr_schedule="plateau"``; ``"separate"`` trains one by
    one; ``"auto"`` chooses what was measured to be faster.
"""

_ATTRIBUTES = """
best_score_ : float
    Mean score of that value over the folds.
best_index_ : int
    Its place among the values.
best_estimator_ : estimator
    The model trained on all data, which predictions come from; to save, use its ``save``. Only with ``refit``.
refit_time_ : float
    Seconds that took.
score_path_ : ndarray of shape (m, n_folds)
    Scores on the folds, by value.
data_loss_path_ : ndarray of shape (m, n_folds)
    Training loss without penalty, in the last epoch.
cv_results_ : dict of str to ndarray
    The same in the manner of GridSearchCV; ``mean_fit_time`` leaves out the epochs in common.
n_splits_ : int
    Folds.
scorer_ : callable
    What ``scoring`` stands for.
generalization_bound_ : float
    Of ``best_estimator_``.
generalization_report_ : GeneralizationReport
    Of ``best_estimator_``.
n_features_in_ : int
    Columns of 2-D input, or channels of 3-D input, seen in fit.
feature_names_in_ : ndarray of str
    Only if X was a DataFrame with string column names.
"""


def document(
    estimator: type, *, without: Sequence[str], introduction: str, values: str, attributes: str, see_also: str,
    examples: str,
) -> str:  # fmt: skip
    """A numpydoc page: the parameters of the estimator but for some, after those of the search."""
    page = getdoc(estimator) or ""
    section = page.split("Parameters\n----------\n", 1)[1].split("\n\nAttributes\n", 1)[0]
    entries = re.split(r"\n(?=\S)", section)
    kept = [entry for entry in entries if entry.split(" :")[0] not in without]
    parts = (
        introduction,
        "Parameters\n----------\n" + "\n".join([kept[0], cleandoc(values), cleandoc(_SEARCH), *kept[1:]]),
        "Attributes\n----------\n" + cleandoc(attributes) + "\n" + cleandoc(_ATTRIBUTES),
        see_also,
        examples,
    )
    return "\n\n".join(cleandoc(part) for part in parts) + "\n"
