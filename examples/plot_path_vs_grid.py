"""
A faster search: path instead of grid
=====================================

Cross-validation chooses the strength of the penalty. With eight values of ``lambda_s`` and three folds it has to train
24 networks. ``GridSearchCV`` trains each of them by itself. ``RegularizationPathCV`` uses the fact that they differ in
one number only. How much time does this save, and is the choice the same?

The task is to forecast the fine dust of Beijing three hours ahead, from one day of dust and weather. We assume that the
sensors in use are noisier than those that recorded the data.
"""

import warnings
from time import perf_counter

import matplotlib.pyplot as plt
import numpy as np
from sklearn.model_selection import GridSearchCV, TimeSeriesSplit

from sklstm import TikhonovLSTMRegressor
from sklstm.datasets import load_beijing_pm25
from sklstm.inspection import RegularizationPathDisplay
from sklstm.metrics import make_noisy_scorer
from sklstm.model_selection import RegularizationPathCV
from sklstm.preprocessing import SequenceScaler, sliding_windows

# %%
# The data
# --------
# The windows cover all five years and do not overlap. If an hour has no measurement of dust, the last one before it is
# used as input, and no window has this hour as its target. The scales are learned once, to keep the comparison short.
# In real use they belong in the model, as in
# :doc:`from a DataFrame to cross-validated forecasts </gallery/plot_dataframe_pipeline>`.

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
# The score is R² with noise on the inputs of the validation windows. Clean inputs would favour one of the weakest
# penalties.


score_in_noise = make_noisy_scorer("r2", sigma=0.5)

# %%
# Three searches over the same values
# -----------------------------------
# The path saves time in three ways. It prepares the data of each fold once. It trains small networks together, as one
# program. And the networks of a fold share their first epochs, which are trained with the value in the middle.
# ``shared_fraction=0`` switches the third off: every network is then trained as in the grid search.

# Fifteen epochs are few on purpose, to compare times.
warnings.filterwarnings("ignore", "Training had not settled")

lambdas = np.geomspace(1e-4, 1, 8)
how = {"cv": TimeSeriesSplit(3), "scoring": score_in_noise}
lstm = TikhonovLSTMRegressor(16, skip="none", max_epochs=15, lr=0.01, random_state=0)
searches = {
    "grid search": GridSearchCV(lstm, {"lambda_s": lambdas}, **how),
    "path, nothing shared": RegularizationPathCV(
        lstm, "lambda_s", lambdas, shared_fraction=0, **how
    ),
    "path": RegularizationPathCV(lstm, "lambda_s", lambdas, **how),
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
    ratio, chosen = grid_seconds / seconds[name], search.best_params_["lambda_s"]
    largest = np.abs(search.cv_results_["mean_test_score"] - grid_scores).max()
    print(
        f"{name:<21} {ratio:13.1f} {chosen:11.3g} {search.best_score_:8.3f} {largest:36.4f}"
    )

# %%
# One run on a busy machine gives a rough idea of the time. There is a careful measurement in
# :doc:`speed of the path </benchmarks/path_speed>`, with repetitions, other data and two workers.
#
# With nothing shared, the scores are those of the grid search, up to rounding and the errors of the estimated norms. With
# shared epochs they agree near the middle of the path and differ towards its ends: there the networks were trained with
# another penalty than their own for most of their epochs. Around the best value the curves are flat compared to the
# spread over the folds. On other data either search may well choose a neighbouring value.

figure, (above, below) = plt.subplots(
    2, 1, figsize=(6.4, 5), height_ratios=(3, 1), layout="constrained"
)
for name in ("grid search", "path"):
    RegularizationPathDisplay.from_estimator(searches[name], ax=above, name=name)
above.set_ylabel("R² in noise (mean ± s.e.)")
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
