"""
A regularisation path in place of a grid search
===============================================

How strong should the penalty be? Cross-validation tells: eight values of ``lambda_s`` on three folds are 24 networks to
train. ``GridSearchCV`` trains each by itself; :class:`~sklstm.model_selection.TikhonovLSTMRegressorCV` knows that they
differ by one number only. How much time does that save, and is the choice the same?

The task is to forecast the fine dust of Beijing three hours ahead from a day of dust and weather, measured by sensors
that are noisier than those of the data.
"""

from time import perf_counter

import matplotlib.pyplot as plt
import numpy as np
from sklearn.model_selection import GridSearchCV, TimeSeriesSplit

from sklstm import TikhonovLSTMRegressor
from sklstm.datasets import load_beijing_pm25
from sklstm.inspection import RegularizationPathDisplay
from sklstm.model_selection import TikhonovLSTMRegressorCV
from sklstm.preprocessing import SequenceScaler, sliding_windows

# %%
# Windows that share no hour, from the whole of the five years. Hours without a measurement carry the last one forward
# as inputs, and are left out as targets. Scales are learned once, for the sake of the comparison: in earnest they
# belong into the model, as in :doc:`/gallery/plot_dataframe_pipeline`.

WINDOW, HORIZON = 24, 3
air = load_beijing_pm25()
rows = np.where(np.isnan(air.target), 0, np.arange(len(air.target)))
series = air.data[:, :5].copy()  # dust, dew point, temperature, pressure, wind
series[:, 0] = np.log1p(air.target[np.maximum.accumulate(rows)])
series[:, 4] = np.log1p(series[:, 4])
measured = ~np.isnan(air.target)
X, y, at = sliding_windows(
    series[24:],
    WINDOW,
    HORIZON,
    target=0,
    stride=WINDOW + HORIZON,
    times=np.arange(24, len(series)),
)
X, y = SequenceScaler().fit_transform(X[measured[at]]), y[measured[at]]
y = (y - y.mean()) / y.std()
print(f"{len(X)} windows of {X.shape[1]} hours and {X.shape[2]} channels")

# %%
# The score is R² with noise on the inputs of the validation windows. On clean ones one of the weakest penalties
# would be best.


def score_in_noise(model, X, y, sigma=0.5, n_draws=5):
    rng = np.random.default_rng(0)
    return np.mean(
        [model.score(X + sigma * rng.standard_normal(X.shape), y) for _ in range(n_draws)]
    )


# %%
# Three searches over the same values
# -----------------------------------
# The path saves time in three ways: it prepares a fold once; it trains small networks together, as one program; and the
# networks of a fold have the first epochs in common, trained at the value in the middle. ``shared_fraction=0`` does
# without the last, so that every network is trained just as in the grid search.

lambdas = np.geomspace(1e-4, 1, 8)
how = {"cv": TimeSeriesSplit(3), "scoring": score_in_noise}
settings = {
    "hidden_size": 16,
    "max_epochs": 15,
    "lr": 0.01,
    "compute_bound": False,
    "random_state": 0,
}
searches = {
    "grid search": GridSearchCV(
        TikhonovLSTMRegressor(**settings), {"lambda_s": lambdas}, **how
    ),
    "path, nothing shared": TikhonovLSTMRegressorCV(
        lambdas=lambdas, shared_fraction=0, **how, **settings
    ),
    "path": TikhonovLSTMRegressorCV(lambdas=lambdas, **how, **settings),
}
seconds = {}
for name, search in searches.items():
    start = perf_counter()
    search.fit(X, y)
    seconds[name] = perf_counter() - start

# %%
# Time and choice
# ---------------

grid_seconds, grid_scores = (
    seconds["grid search"],
    searches["grid search"].cv_results_["mean_test_score"],
)
print(f"{'':<21} times as fast    lambda_s   its R²   largest difference of a mean score")
for name, search in searches.items():
    ratio, chosen = grid_seconds / seconds[name], search.best_estimator_.lambda_s
    largest = np.abs(search.cv_results_["mean_test_score"] - grid_scores).max()
    print(
        f"{name:<21} {ratio:13.1f} {chosen:11.3g} {search.best_score_:8.3f} {largest:36.4f}"
    )

# %%
# One run on a machine that does other things besides gives a rough idea of the time. The careful measurement, with
# repetitions, other data and two workers, is in :doc:`/benchmarks/path_speed`.
#
# With nothing shared, the scores are those of the grid search but for rounding and for the estimated norms. With common
# epochs they agree near the middle, and differ towards the ends: there the networks have spent most of their epochs at
# another penalty than their own. The curves are so flat around their best value, compared to the spread over the folds,
# that on other data the choice may well fall on a neighbour, of either search.

figure, (above, below) = plt.subplots(
    2, 1, figsize=(6.4, 5.6), height_ratios=(4, 1), layout="constrained"
)
for name in ("grid search", "path"):
    RegularizationPathDisplay.from_estimator(searches[name], ax=above, name=name)
above.set_ylabel("R² in noise (mean ± s.e. of the folds)")
above.legend(loc="lower left")
bars = below.barh(
    list(seconds), list(seconds.values()), color=["#0072B2", "0.7", "#D55E00"]
)
below.bar_label(bars, fmt="%.1f s", padding=3)
below.set(
    xlabel="time of the whole search (seconds)", xlim=(0, 1.12 * max(seconds.values()))
)
below.invert_yaxis()
plt.show()
